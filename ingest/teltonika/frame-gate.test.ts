import t from 'tap';
import { BadFrames } from './bad-frames.ts';
import { FrameGate } from './frame-gate.ts';
import { TELTONIKA_LIMITS_DEFAULT } from './limits.ts';
import { encodeLogin, encodeRecords } from './test-frames.ts';

const IMEI = '352093086403655';
const LIMITS = TELTONIKA_LIMITS_DEFAULT;
const FRAMES = [1, 2, 3].map((n) =>
  encodeRecords(
    0x08,
    Array.from({ length: n * 20 }, (_, i) => ({ timeMs: i })),
  ),
);
const STREAM = Buffer.concat([
  encodeLogin(IMEI),
  FRAMES[0]!,
  Buffer.from([0xff, 0xff]),
  FRAMES[1]!,
  Buffer.from([0xff]),
  FRAMES[2]!,
]);

/** What the gate finds when the bytes come in pieces of such a size. */
function cut(bytes: Buffer, pieceBytes: number): string[] {
  const gate = new FrameGate(LIMITS);
  const found: string[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    gate.push(Buffer.from(bytes.subarray(at, at + pieceBytes)));
    for (;;) {
      const result = gate.next();
      if (result === 'more') break;
      if (typeof result !== 'string') return [...found, result.reason];
      found.push(result === 'login' ? gate.bytes.toString() : gate.bytes.toString('hex'));
    }
  }
  return found;
}

t.test('login and frames come out whole, however the bytes come in', (t) => {
  const expected = [IMEI, ...FRAMES.map((frame) => frame.toString('hex'))];
  const wrong: number[] = [];
  for (let pieceBytes = 1; pieceBytes <= STREAM.length; pieceBytes++) {
    const found = cut(STREAM, pieceBytes);
    if (found.join() !== expected.join()) wrong.push(pieceBytes);
  }
  t.same(wrong, []);
  t.end();
});

t.test('what was given out stays as it is while more comes', (t) => {
  const gate = new FrameGate(LIMITS);
  const second = FRAMES[1]!;
  gate.push(Buffer.concat([encodeLogin(IMEI), FRAMES[0]!, second.subarray(0, 5)]));
  gate.next();
  gate.next();
  const given = gate.bytes;
  t.equal(gate.next(), 'more');
  for (const byte of second.subarray(5)) gate.push(Buffer.from([byte]));
  t.equal(gate.next(), 'frame');
  t.same(gate.bytes, second);
  t.same(given, FRAMES[0]);
  t.equal(gate.heldBytes, 0);
  t.end();
});

t.test('bytes that can be no login', (t) => {
  const rows: [string, Buffer][] = [
    ['no name', Buffer.from([0, 0])],
    ['too long, by its length alone', Buffer.from([0, 65])],
    ['HTTP', Buffer.from('GET / HTTP/1.1')],
    ['a space', encodeLogin('35209308640365 ')],
    ['NUL', encodeLogin('3520930864036\0')],
    ['beyond ASCII', Buffer.concat([Buffer.from([0, 2]), Buffer.from([0xc3, 0xa9])])],
    ['a datagram', Buffer.concat([Buffer.from('003dcafe0105000f', 'hex'), Buffer.alloc(55)])],
  ];
  for (const [name, bytes] of rows) t.same(cut(bytes, bytes.length), ['login_malformed'], name);
  const longest = '1'.repeat(LIMITS.loginBytesMax - 2);
  t.same(cut(encodeLogin(longest), 7), [longest]);
  t.end();
});

t.test('bytes that can be no frame, judged before they are gathered', (t) => {
  const after = (hex: string): string[] =>
    cut(Buffer.concat([encodeLogin(IMEI), Buffer.from(hex, 'hex')]), 1_000).slice(1);
  t.same(after('000001'), ['frame_preamble'], 'at the first byte that is not zero');
  t.same(after('01'), ['frame_preamble']);
  t.same(after('0000000000000002'), ['frame_length']);
  t.same(after('00000000ffffffff'), ['frame_too_large']);
  const most = LIMITS.frameBytesMax - 12;
  t.same(after(`00000000${most.toString(16).padStart(8, '0')}`), [], 'the largest is waited for');
  t.same(after(`00000000${(most + 1).toString(16).padStart(8, '0')}`), ['frame_too_large']);
  t.end();
});

t.test('a fault is for good', (t) => {
  const gate = new FrameGate(LIMITS);
  gate.push(Buffer.from([0, 0]));
  const fault = gate.next();
  gate.push(encodeLogin(IMEI));
  t.equal(gate.next(), fault);
  t.same(gate.held(1), Buffer.from([0]), 'what was refused can be kept');
  t.end();
});

t.test('a refused frame is new once, for as many devices as are remembered', (t) => {
  const bad = new BadFrames(2);
  const [first, second] = FRAMES as [Buffer, Buffer];
  t.same([bad.isNew(1, first), bad.isNew(1, first)], [true, false]);
  t.same([bad.isNew(1, second), bad.isNew(1, first)], [true, true], 'the last one is remembered');
  t.ok(bad.isNew(2, first), 'each device has its own');
  bad.forget(2);
  t.ok(bad.isNew(2, first), 'one that was not kept is new again');
  bad.isNew(3, first);
  t.same([bad.isNew(2, first), bad.isNew(1, first)], [false, true], 'the oldest was forgotten');
  t.end();
});

import t from 'tap';
import { PassThrough } from 'node:stream';
import pg from 'pg';
import { FrameWalker, isCommit, startupBytes, withSettings } from './pg-frames.ts';

function frame(type: string, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeUInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

interface Driver {
  parse(query: { name: string; text: string }): void;
  bind(config: { statement: string; values: string[] }): void;
  query(text: string): void;
  sync(): void;
}

const BEFORE = Buffer.concat([
  frame('d', Buffer.alloc(70_000, 0x43)),
  frame('C', 'COPY 12\0'),
  // A short body that looks like what is wanted, in another kind of message.
  frame('D', 'COMMIT\0'),
  frame('C', 'INSERT 0 1\0'),
]);
const STREAM = Buffer.concat([BEFORE, frame('C', 'COMMIT\0'), frame('Z', 'I')]);

t.test('the message is found wherever the stream is cut', (t) => {
  const wrong: number[] = [];
  for (let cut = 0; cut <= STREAM.length; cut += cut < 69_990 ? 997 : 1) {
    const walker = new FrameWalker(({ type, text }) => type === 'C' && text === 'COMMIT');
    const parts = [STREAM.subarray(0, cut), STREAM.subarray(cut)];
    const found = parts.map((part) => walker.walk(part));
    const isWhole = cut >= BEFORE.length + frame('C', 'COMMIT\0').length;
    // What of it came with the first part has gone on before it could be judged.
    const wanted = isWhole ? [BEFORE.length, -1] : [-1, Math.max(0, BEFORE.length - cut)];
    if (found[0] !== wanted[0] || found[1] !== wanted[1]) wrong.push(cut);
  }
  t.same(wrong, []);
  t.end();
});

t.test('a COMMIT is known as the driver writes it', (t) => {
  const stream = new PassThrough();
  const connection = new pg.Connection({ stream } as never) as unknown as Driver;
  connection.parse({ name: 'commit', text: 'commit' });
  connection.bind({ statement: 'begin', values: [] });
  connection.bind({ statement: 'commits', values: [] });
  connection.bind({ statement: 'latest', values: ['commit'] });
  connection.query('commit');
  const before = stream.read() as Buffer;
  connection.bind({ statement: 'commit', values: [] });
  connection.sync();
  const after = stream.read() as Buffer;
  t.equal(new FrameWalker(isCommit).walk(before), -1);
  t.equal(new FrameWalker(isCommit).walk(Buffer.concat([before, after])), before.length);
  t.end();
});

t.test('settings among the startup options are replaced, and no others', (t) => {
  const body =
    '\0\x03\0\0user\0me\0options\0-c TimeZone=UTC -c statement_timeout=30000 -c role=x\0\0';
  const startup = Buffer.concat([Buffer.from([0, 0, 0, body.length + 4]), Buffer.from(body)]);
  t.equal(startupBytes(startup.subarray(0, 3)), null);
  t.equal(startupBytes(startup.subarray(0, 20)), null);
  t.equal(startupBytes(Buffer.concat([startup, startup])), startup.length);
  const changed = withSettings(startup, { statement_timeout: '5', lock_timeout: '6' });
  t.equal(changed.readUInt32BE(0), changed.length);
  t.equal(
    changed.toString('latin1', 4),
    body.replace('statement_timeout=30000', 'statement_timeout=5'),
  );
  t.end();
});

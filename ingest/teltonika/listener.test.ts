import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import t from 'tap';
import { BadFrames } from './bad-frames.ts';
import { Connection, type ConnectionContext } from './connection.ts';
import { IntakeHolds } from './intake-holds.ts';
import { TELTONIKA_LIMITS_DEFAULT } from './limits.ts';
import { createTeltonikaListener } from './listener.ts';
import { encodeLogin, encodeRecords, encodeReply, type TestRecord } from './test-frames.ts';
import {
  FakeIntake,
  FakeMetrics,
  imeiOf,
  NOT_STORED,
  openTracker,
  signedIn,
  startListener,
  STORED,
  testRegistry,
} from './test-listener.ts';

/** A frame of so many records; `seed` makes it another one. */
function frameOf(recordCount: number, seed = 0): Buffer {
  const timeMs = Date.now() - 60_000;
  const records: TestRecord[] = Array.from({ length: recordCount }, (_, i) => ({
    timeMs: timeMs + i,
    latDeg: 51.92,
    lonDeg: 4.47,
    speedKph: seed,
  }));
  return encodeRecords(0x8e, records);
}

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** A socket whose peer takes nothing. */
class StuckSocket extends Duplex {
  override _read(): void {}
  override _write(): void {}
}

function broken(frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  copy[copy.length - 5]! ^= 1;
  return copy;
}

t.test('a known IMEI is let in, and a frame is acknowledged after its commit', async (t) => {
  const { port, intake, listener } = await startListener(t);
  const tracker = await openTracker(t, port);
  tracker.send(encodeLogin(imeiOf(1)));
  t.equal(await tracker.answer(1), '01');
  tracker.send(frameOf(3));
  await intake.arrived(1);
  const { message } = intake.taken[0]!;
  t.equal(message.source, 'teltonika');
  t.equal(message.sender.kind === 'device' && message.sender.device.iotDeviceId, 1);
  t.equal(message.decoded.fixes.length, 3);
  t.equal(tracker.socket.bytesRead, 1, 'nothing is said before the commit');
  intake.settle(0);
  t.equal(await tracker.answer(4), '00000003');
  t.equal(listener.connectionCount, 1);
});

t.test('an unknown IMEI is told so, and knocks', async (t) => {
  const { port, knocks, metrics } = await startListener(t);
  const stranger = await openTracker(t, port);
  stranger.send(encodeLogin('999999999999999'), frameOf(1));
  t.equal(await stranger.rest(), '00');
  t.same(knocks, [
    {
      protocol: 'teltonika',
      deviceName: '999999999999999',
      tenantId: null,
      payload: Buffer.from('999999999999999'),
      remoteAddress: '127.0.0.1',
    },
  ]);
  const secretive = await openTracker(t, port);
  secretive.send(encodeLogin(imeiOf(5)));
  t.equal(await secretive.rest(), '00', 'a device that must show a secret cannot here');
  t.equal(knocks.length, 1, 'and is not unknown');
  t.same([...metrics.reasons], [['unknown_device', 1], ['secret_required', 1]]); // prettier-ignore
});

t.test('frames in flight are answered in their order', async (t) => {
  const { port, intake } = await startListener(t);
  const tracker = await signedIn(t, port);
  tracker.send(frameOf(1), frameOf(2), frameOf(3));
  await intake.arrived(3);
  intake.settle(2);
  intake.settle(1);
  intake.settle(0);
  t.equal(await tracker.answer(12), '000000010000000200000003');
});

t.test('what is not stored is not acknowledged, nor is what came after it', async (t) => {
  const { port, intake, metrics } = await startListener(t);
  const tracker = await signedIn(t, port);
  tracker.send(frameOf(1), frameOf(2), frameOf(3));
  await intake.arrived(3);
  intake.settle(2);
  intake.settle(0);
  intake.settle(1, NOT_STORED);
  t.equal(await tracker.rest(), '00000001');
  t.equal(metrics.reasons.get('sink_unavailable'), 1);
});

t.test('a frame whose records were all refused is acknowledged: they are kept', async (t) => {
  const { port, intake } = await startListener(t);
  const tracker = await signedIn(t, port);
  tracker.send(encodeRecords(0x08, [{ timeMs: 1_000 }, { timeMs: 2_000 }]));
  await intake.arrived(1);
  t.same(
    intake.taken[0]!.message.decoded.refusals.map(({ reason }) => reason),
    ['time_range', 'time_range'],
  );
  const refused = [{ index: 0, reason: 'time_range', detail: '' }];
  intake.settle(0, { stored: true, accepted: 0, duplicates: 0, refused });
  t.equal(await tracker.answer(4), '00000002');
});

t.test('a bad frame: not acknowledged, kept once, and the end of the connection', async (t) => {
  const { port, intake, metrics } = await startListener(t);
  const bad = broken(frameOf(2));
  const first = await signedIn(t, port);
  first.send(frameOf(1), bad, frameOf(3));
  await intake.arrived(2);
  t.equal(intake.taken.length, 2, 'nothing is read behind it');
  const { message } = intake.taken[1]!;
  t.same(message.payload, bad);
  t.same(
    message.decoded.refusals.map(({ index, reason }) => [index, reason]),
    [[-1, 'frame_crc']],
  );
  intake.settle(1);
  t.notOk(first.isClosed, 'what came before it is waited for');
  intake.settle(0);
  t.equal(await first.rest(), '00000001');
  intake.answer = STORED;
  for (let i = 0; i < 3; i++) {
    const again = await signedIn(t, port);
    t.equal(await again.send(bad).rest(), '');
  }
  t.equal(intake.taken.length, 2, 'its repeats are not kept');
  t.equal(metrics.reasons.get('frame_crc'), 4, 'but counted');
  const other = await signedIn(t, port);
  await other.send(broken(frameOf(2, 9))).closed;
  t.equal(intake.taken.length, 3, 'another bad frame is kept');
});

t.test('a bad frame that could not be kept is kept when it comes again', async (t) => {
  const { port, intake } = await startListener(t);
  const bad = broken(frameOf(2));
  intake.answer = NOT_STORED;
  await (await signedIn(t, port)).send(bad).closed;
  intake.answer = STORED;
  await (await signedIn(t, port)).send(bad).closed;
  t.equal(intake.taken.length, 2);
});

t.test('bytes that are no frame are kept as a bad frame', async (t) => {
  const { port, intake, metrics } = await startListener(t);
  intake.answer = STORED;
  const tracker = await signedIn(t, port);
  tracker.send(Buffer.from('0000000000010000', 'hex'));
  t.equal(await tracker.rest(), '');
  t.same(intake.taken[0]!.message.payload.toString('hex'), '0000000000010000');
  t.equal(intake.taken[0]!.message.decoded.refusals[0]?.reason, 'frame_too_large');
  t.equal(metrics.reasons.get('frame_too_large'), 1);
  const mute = await openTracker(t, port);
  mute.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  t.equal(await mute.rest(), '', 'and no login is not even told 00');
  t.equal(metrics.reasons.get('login_malformed'), 1);
});

t.test('replies to commands are kept and not answered', async (t) => {
  const { port, intake } = await startListener(t);
  const tracker = await signedIn(t, port);
  tracker.send(encodeReply('Ver:03.27'), frameOf(1));
  await intake.arrived(2);
  t.equal(intake.taken[0]!.message.decoded.events[0]?.kind, 'command_reply');
  intake.settle(1);
  intake.settle(0);
  t.equal(await tracker.answer(4), '00000001');
});

t.test('pings are passed over', async (t) => {
  const { port, intake } = await startListener(t);
  const tracker = await signedIn(t, port);
  tracker.send(Buffer.from([0xff, 0xff]), frameOf(1), Buffer.from([0xff]), frameOf(2));
  await intake.arrived(2);
  t.same(
    intake.taken.map(({ message }) => message.decoded.fixes.length),
    [1, 2],
  );
});

t.test('a newer connection of a device replaces the older one', async (t) => {
  const { port, intake, metrics, listener } = await startListener(t);
  const older = await signedIn(t, port);
  older.send(frameOf(2));
  await intake.arrived(1);
  const other = await signedIn(t, port, 2);
  const newer = await signedIn(t, port);
  await older.closed;
  t.equal(metrics.reasons.get('taken_over'), 1);
  intake.settle(0);
  newer.send(frameOf(1));
  await intake.arrived(2);
  intake.settle(1);
  t.equal(await newer.answer(4), '00000001', 'and is not told what the older one waited for');
  t.equal(await older.rest(), '');
  t.notOk(other.isClosed);
  t.equal(listener.connectionCount, 2);
});

t.test('a device that may no longer sign in is closed', async (t) => {
  const { port, intake, listener, registry, metrics } = await startListener(t);
  const first = await signedIn(t, port, 1);
  const second = await signedIn(t, port, 2);
  listener.disconnectDevice(1);
  listener.disconnectDevice(77);
  await first.closed;
  t.notOk(second.isClosed);
  registry.put({ ...registry.device(2)!, signInByName: false });
  t.equal(await second.send(frameOf(1)).rest(), '', 'at its next frame at the latest');
  t.equal(intake.taken.length, 0);
  t.equal(metrics.reasons.get('revoked'), 2);
  registry.put({ ...registry.device(3)!, iotDeviceId: 33 });
  const renamed = await signedIn(t, port, 3);
  registry.remove(33);
  registry.put({ ...registry.device(1)!, iotDeviceId: 34, deviceName: imeiOf(3) });
  t.equal(await renamed.send(frameOf(1)).rest(), '', 'also when its name is another device’s');
});

t.test('while the intake is full nothing is read, whoever comes', async (t) => {
  const { port, intake } = await startListener(t);
  const trackers = [await signedIn(t, port, 1), await signedIn(t, port, 2)];
  intake.isFull = true;
  trackers[0]!.send(frameOf(1));
  await intake.asked(1);
  trackers[1]!.send(frameOf(2));
  const third = await openTracker(t, port);
  third.send(encodeLogin(imeiOf(3)), frameOf(3));
  t.equal(await third.answer(1), '01', 'a login waits for nothing');
  t.equal(intake.taken.length, 0);
  intake.answer = STORED;
  intake.drain();
  await intake.arrived(3);
  t.equal(await trackers[0]!.answer(4), '00000001');
  t.equal(await trackers[1]!.answer(4), '00000002');
  t.equal(await third.answer(4), '00000003');
  t.equal(intake.askedCount, 1, 'the intake is asked once for all of them');
});

t.test('an intake that fills up again is waited for again', async (t) => {
  const { port, intake } = await startListener(t);
  const tracker = await signedIn(t, port);
  intake.isFull = true;
  tracker.send(frameOf(1), frameOf(2));
  await intake.asked(1);
  const submit = intake.submit.bind(intake);
  intake.submit = (message, done) => {
    intake.isFull = true;
    submit(message, done);
  };
  intake.drain();
  await intake.asked(2);
  t.equal(intake.taken.length, 1);
  intake.drain();
  await intake.arrived(2);
});

t.test('reading pauses at the frames in flight', async (t) => {
  const { port, intake } = await startListener(t, { framesInFlightMax: 2 });
  const tracker = await signedIn(t, port);
  tracker.send(...[1, 2, 3, 4, 5].map((count) => frameOf(count)));
  await intake.arrived(2);
  t.equal(intake.taken.length, 2);
  intake.settle(1);
  t.equal(intake.taken.length, 2, 'the first one still waits');
  intake.settle(0);
  await intake.arrived(4);
  t.equal(intake.taken.length, 4, 'and both places are taken again');
  intake.settle(2);
  await intake.arrived(5);
  intake.settle(3);
  intake.settle(4);
  t.equal(await tracker.answer(20), '0000000100000002000000030000000400000005');
});

t.test('time limits', async (t) => {
  const login = await startListener(t, { loginMsMax: 30 });
  const mute = await openTracker(t, login.port);
  await mute.closed;
  t.same([...login.metrics.reasons], [['login_timeout', 1]]);
  const { port, metrics } = await startListener(t, { frameMsMax: 40, idleMsMax: 50 });
  const silent = await signedIn(t, port, 1);
  await silent.closed;
  t.same([...metrics.reasons], [['idle_timeout', 1]]);
  const slow = await openTracker(t, port);
  slow.send(encodeLogin(imeiOf(2)), Buffer.alloc(1));
  await slow.closed;
  t.equal(metrics.reasons.get('frame_timeout'), 1);
});

t.test('a device that waits for its acknowledgement is not silent', async (t) => {
  const { port, intake, metrics } = await startListener(t, { idleMsMax: 30 });
  const waiting = await openTracker(t, port);
  waiting.send(encodeLogin(imeiOf(1)), frameOf(2));
  await intake.arrived(1);
  const silent = await signedIn(t, port, 2);
  await silent.closed;
  t.equal(metrics.reasons.get('idle_timeout'), 1);
  intake.settle(0);
  t.equal(await waiting.answer(5), '0100000002', 'which began to wait before the other one');
});

t.test('a device that is always within some frame is not slow', async (t) => {
  const { port, intake, metrics } = await startListener(t, { frameMsMax: 1_000 });
  intake.answer = STORED;
  const frame = frameOf(2);
  const [head, tail] = [frame.subarray(0, 20), frame.subarray(20)];
  const busy = await signedIn(t, port, 1);
  busy.send(head);
  const slow = await signedIn(t, port, 2);
  slow.send(head);
  for (let count = 1; !slow.isClosed; count++) {
    busy.send(tail, head);
    await intake.arrived(count);
  }
  const { length } = intake.taken;
  busy.send(tail);
  await intake.arrived(length + 1);
  t.equal(metrics.reasons.get('frame_timeout'), 1);
});

t.test('bytes that drip do not put off the end of a frame that does not end', async (t) => {
  const { port, metrics } = await startListener(t, { frameMsMax: 60, idleMsMax: 10_000 });
  const slow = await signedIn(t, port);
  const frame = frameOf(100);
  let at = 0;
  const drip = setInterval(() => slow.send(frame.subarray(at, ++at)), 5);
  await slow.closed;
  clearInterval(drip);
  t.equal(metrics.reasons.get('frame_timeout'), 1);
});

t.test('connections beyond the limit are turned away', async (t) => {
  const { port, metrics, listener } = await startListener(t, { connectionsMax: 1 });
  const first = await signedIn(t, port);
  const second = await openTracker(t, port);
  await second.closed;
  t.equal(metrics.reasons.get('connections'), 1);
  t.notOk(first.isClosed);
  t.equal(listener.connectionCount, 1);
});

t.test('a device that does not read its acknowledgements is cut off', (t) => {
  // A real socket's buffers in the kernel hold millions of them.
  const socket = new StuckSocket();
  const intake = new FakeIntake();
  const metrics = new FakeMetrics();
  intake.answer = STORED;
  const context: ConnectionContext = {
    limits: { ...TELTONIKA_LIMITS_DEFAULT, writeBufferBytesMax: 40 },
    registry: testRegistry(),
    intake,
    knock: () => undefined,
    metrics,
    log: SILENT,
    holds: new IntakeHolds(intake),
    badFrames: new BadFrames(1),
    byDevice: new Map(),
    isAccepting: () => true,
  };
  new Connection(socket as unknown as Socket, context, () => {
    t.equal(intake.taken.length, 10, '1 byte for the login, 4 for each frame');
    t.equal(metrics.reasons.get('slow_reader'), 1);
    t.equal(context.byDevice.size, 0);
    t.end();
  });
  socket.push(Buffer.concat([encodeLogin(imeiOf(1)), ...Array<Buffer>(100).fill(frameOf(1))]));
});

t.test('a reset is counted and harms nobody', async (t) => {
  const { port, intake, metrics } = await startListener(t);
  const tracker = await signedIn(t, port);
  const other = await signedIn(t, port, 2);
  tracker.send(frameOf(1));
  await intake.arrived(1);
  tracker.socket.resetAndDestroy();
  await metrics.refusal('socket_error');
  intake.settle(0);
  other.send(frameOf(2));
  await intake.arrived(2);
  intake.settle(1);
  t.equal(await other.answer(4), '00000002');
});

t.test('stopping: no new ones, no more frames, what is stored is still acknowledged', async (t) => {
  const { port, intake, listener, metrics } = await startListener(t);
  const tracker = await signedIn(t, port);
  const late = await openTracker(t, port);
  tracker.send(frameOf(1));
  await intake.arrived(1);
  listener.stopAccepting();
  t.equal(await late.send(encodeLogin(imeiOf(2))).rest(), '');
  t.equal(metrics.reasons.get('not_accepting'), 1);
  listener.pauseReading();
  tracker.send(frameOf(2));
  intake.settle(0);
  t.equal(await tracker.answer(4), '00000001');
  await listener.close();
  t.equal(await tracker.rest(), '');
  t.equal(intake.taken.length, 1);
  t.equal(listener.connectionCount, 0);
});

t.test('closing does not wait for a device that does not', async (t) => {
  const { port, listener } = await startListener(t, { closeMsMax: 20 });
  const tracker = await signedIn(t, port);
  tracker.socket.pause();
  await listener.close();
  t.equal(listener.connectionCount, 0);
});

t.test('limits that make no sense are a mistake of the program', (t) => {
  const make = (limits: object) => () =>
    createTeltonikaListener({
      host: '127.0.0.1',
      port: 0,
      limits: { ...TELTONIKA_LIMITS_DEFAULT, ...limits },
      registry: testRegistry(),
      intake: new FakeIntake(),
      knock: () => undefined,
      metrics: { refused: () => undefined },
      log: SILENT,
    });
  t.throws(make({ framesInFlightMax: 0 }), /framesInFlightMax/);
  t.throws(make({ idleMsMax: 1.5 }), /idleMsMax/);
  t.throws(make({ loginBytesMax: 2 }), /loginBytesMax/);
  t.throws(make({ frameBytesMax: 14 }), /frameBytesMax/);
  t.end();
});

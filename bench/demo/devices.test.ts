import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import t from 'tap';
import { PASSWORD, startListener, STORED, ownTopicsOnly } from '../../ingest/mqtt/test-listener.ts';
import { BACKLOG_FIXES_MAX, createDevices, IN_FLIGHT_MAX } from './devices.ts';

/** Longer than any of these tests may take: an acknowledgement that is due must come before. */
const ACK_MS_MAX = 60_000;

function credentials(count: number, token = PASSWORD) {
  return Array.from({ length: count }, (_, i) => ({ deviceIdentifier: `dev-${i + 1}`, token }));
}

t.test('fixes go out in order over one connection a device, in both versions', async (t) => {
  const { port, sink, metrics } = await startListener(t);
  sink.answer = ownTopicsOnly;
  const devices = createDevices(`mqtt://127.0.0.1:${port}`, credentials(4));
  // Before it is connected a device remembers.
  for (let n = 0; n < 3; n++) for (let i = 0; i < 4; i++) devices.publish(i, `{"n":${n}}`);
  t.equal(devices.stats().outstanding, 12);
  devices.start();
  await sink.arrived(12);
  await metrics.untilConnections(4);
  t.equal(await devices.stop(ACK_MS_MAX), 0);
  const { acknowledged, refused, dropped, p99Ms } = devices.stats();
  t.same({ acknowledged, refused, dropped }, { acknowledged: 12, refused: 0, dropped: 0 });
  t.ok(p99Ms > 0);
  for (const id of [1, 2, 3, 4]) {
    const own = sink.taken.filter(({ message }) => message.identity.iotDeviceId === id);
    t.same(
      own.map(({ message }) => message.payload.toString()),
      ['{"n":0}', '{"n":1}', '{"n":2}'],
    );
    t.ok(own.every(({ message }) => message.topic === `v1/devices/dev-${id}/fixes`));
    t.ok(own.every(({ message }) => message.qos === 1));
  }
  await metrics.untilConnections(0);
});

t.test('what was not acknowledged comes again after the connection was lost', async (t) => {
  const { port, sink, listener } = await startListener(t);
  const devices = createDevices(`mqtt://127.0.0.1:${port}`, credentials(2));
  devices.start();
  for (let n = 0; n < 3; n++) for (let i = 0; i < 2; i++) devices.publish(i, `{"n":${n}}`);
  await sink.arrived(6);
  sink.answer = () => STORED;
  listener.disconnectDevice(1);
  listener.disconnectDevice(2);
  await sink.arrived(12);
  t.equal(await devices.stop(ACK_MS_MAX), 0);
  for (const id of [1, 2]) {
    const again = sink.taken.slice(6).filter(({ message }) => message.identity.iotDeviceId === id);
    t.same(
      again.map(({ message }) => message.payload.toString()),
      ['{"n":0}', '{"n":1}', '{"n":2}'],
      'in the same order',
    );
  }
  t.equal(devices.stats().acknowledged, 6);
});

t.test('fewer than a window are in flight, and stopping does not wait for ever', async (t) => {
  const { port, sink } = await startListener(t);
  const devices = createDevices(`mqtt://127.0.0.1:${port}`, credentials(1));
  for (let n = 0; n < IN_FLIGHT_MAX + 5; n++) devices.publish(0, `{"n":${n}}`);
  devices.start();
  await sink.arrived(IN_FLIGHT_MAX);
  t.equal(await devices.stop(50), IN_FLIGHT_MAX + 5, 'nothing was acknowledged');
  t.equal(sink.taken.length, IN_FLIGHT_MAX);
});

t.test('without a server a device keeps the newest fixes', async (t) => {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, 'close');
  const devices = createDevices(`mqtt://127.0.0.1:${port}`, credentials(1));
  devices.start();
  for (let n = 0; n < BACKLOG_FIXES_MAX + 7; n++) devices.publish(0, `{"n":${n}}`);
  const { dropped, outstanding, connected } = devices.stats();
  t.same(
    { dropped, outstanding, connected },
    { dropped: 7, outstanding: BACKLOG_FIXES_MAX, connected: 0 },
  );
  t.equal(await devices.stop(1), BACKLOG_FIXES_MAX);
});

t.test('a refusal is counted and not sent again', async (t) => {
  const { port, sink } = await startListener(t);
  sink.answer = () => ({ kind: 'rejected', reason: 'lat_range' });
  // The second device speaks 5.0, in which a publish can be refused.
  const devices = createDevices(`mqtt://127.0.0.1:${port}`, credentials(2));
  devices.publish(1, '{}');
  devices.start();
  await sink.arrived(1);
  t.equal(await devices.stop(ACK_MS_MAX), 0);
  t.equal(devices.stats().refused, 1);
  t.equal(sink.taken.length, 1);
});

t.test('a wrong token is told, and tried again', async (t) => {
  const { port, metrics } = await startListener(t);
  const devices = createDevices(`mqtt://127.0.0.1:${port}`, credentials(1, 'wrong'));
  devices.start();
  await metrics.refusal('bad_password', 2);
  t.match(devices.stats().trouble, /not authorized/i);
  t.equal(await devices.stop(1), 0);
});

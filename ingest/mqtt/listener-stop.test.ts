import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import t from 'tap';
import { MQTT_LIMITS_DEFAULT } from './limits.ts';
import { createMqttListener } from './listener.ts';
import {
  FakeMetrics,
  FakeSink,
  PINGREQ,
  STORED,
  connectPacket,
  knownDevices,
  openRaw,
  openSession,
  publishPacket,
  startListener,
} from './test-listener.ts';

t.test('a taken port rejects with the error of the system', async (t) => {
  const { port } = await startListener(t);
  const second = createMqttListener({
    host: '127.0.0.1',
    port,
    limits: MQTT_LIMITS_DEFAULT,
    authenticate: knownDevices,
    sink: new FakeSink(),
    metrics: new FakeMetrics(),
    log: { debug: () => {}, error: () => {} },
  });
  await t.rejects(second.start(), { code: 'EADDRINUSE', syscall: 'listen', port });
  await second.close();
});

t.test('stopAccepting: open connections go on, new ones do not come', async (t) => {
  const { listener, port, sink, metrics } = await startListener(t);
  sink.answer = () => STORED;
  const open = await openSession(t, port);
  const waiting4 = await openRaw(t, port);
  const waiting5 = await openRaw(t, port, 5);
  await metrics.untilConnections(3);
  listener.stopAccepting();
  const refused = connectTcp({ host: '127.0.0.1', port });
  const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
  t.equal(error.code, 'ECONNREFUSED');
  t.match(await open.send(publishPacket(4, 1)).next(), { cmd: 'puback' });
  t.match(await waiting4.send(connectPacket(4)).next(), { cmd: 'connack', returnCode: 3 });
  t.match(await waiting5.send(connectPacket(5)).next(), { cmd: 'connack', reasonCode: 0x88 });
});

t.test('the order of stopping: pause, settle, acknowledge, close', async (t) => {
  const { listener, port, sink } = await startListener(t);
  const client4 = await openSession(t, port, 4, { clientId: 'four' });
  const client5 = await openSession(t, port, 5, { clientId: 'five' });
  client4.send(publishPacket(4, 1));
  client5.send(publishPacket(5, 1));
  await sink.arrived(2);
  listener.stopAccepting();
  listener.pauseReading();
  client4.send(publishPacket(4, 2), PINGREQ);
  client5.send(publishPacket(5, 2), PINGREQ);
  for (const { done } of sink.taken) done(STORED);
  t.match(await client4.next(), { cmd: 'puback', messageId: 1 });
  t.match(await client5.next(), { cmd: 'puback', messageId: 1 });
  const closed = listener.close();
  t.equal(await client4.next(), null);
  t.match(await client5.next(), { cmd: 'disconnect', reasonCode: 0x8b });
  t.equal(await client5.next(), null);
  await closed;
  t.equal(sink.taken.length, 2, 'nothing was read after the pause');
});

t.test('close sends the acks that were settled in the same breath', async (t) => {
  const { listener, port, sink } = await startListener(t);
  const client4 = await openSession(t, port, 4, { clientId: 'four' });
  const client5 = await openSession(t, port, 5, { clientId: 'five' });
  client4.send(publishPacket(4, 1));
  client5.send(publishPacket(5, 1));
  await sink.arrived(2);
  for (const { done } of sink.taken) done(STORED);
  const closed = listener.close();
  t.match(await client4.next(), { cmd: 'puback', messageId: 1 });
  t.match(await client5.next(), { cmd: 'puback', messageId: 1 });
  t.match(await client5.next(), { cmd: 'disconnect', reasonCode: 0x8b });
  await closed;
});

t.test(
  'close is bounded: a peer that does not close is destroyed, one that is waiting too',
  async (t) => {
    const { listener, port, metrics } = await startListener(t, { limits: { closeMsMax: 50 } });
    const socket = connectTcp({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(connectPacket(4));
    await once(socket, 'data');
    const waiting = await openRaw(t, port);
    await metrics.untilConnections(2);
    await listener.close();
    t.equal(metrics.connectionCount, 0);
    await waiting.closed;
    socket.destroy();
  },
);

t.test('a socket accepted after pauseReading is not read', async (t) => {
  const { listener, port, metrics } = await startListener(t, { limits: { connectMsMax: 30 } });
  listener.pauseReading();
  const client = await openRaw(t, port);
  client.send(connectPacket(4));
  await metrics.refusal('connect_timeout');
  t.equal(await client.next(), null);
});

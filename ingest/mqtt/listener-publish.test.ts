import t from 'tap';
import {
  PINGREQ,
  STORED,
  openSession,
  ownTopicsOnly,
  publishPacket,
  startListener,
} from './test-listener.ts';

t.test('a publish reaches the sink as it came', async (t) => {
  const { port, sink, metrics } = await startListener(t);
  const client = await openSession(t, port);
  const beforeMs = Date.now();
  const packet = publishPacket(4, 9, '{"lat":1}');
  client.send(packet);
  await sink.arrived(1);
  const { message } = sink.taken[0]!;
  t.match(message, { topic: 'v1/devices/dev-1/fixes', qos: 1 });
  t.same(message.identity, { deviceName: 'dev-1', iotDeviceId: 1, tenantId: 1 });
  t.equal(message.payload.toString(), '{"lat":1}');
  t.ok(message.receivedMs >= beforeMs && message.receivedMs <= Date.now());
  sink.taken[0]!.done(STORED);
  await client.next();
  t.equal(metrics.publishCount, 1);
  t.equal(metrics.byteCount, packet.length);
});

t.test('no ack before done, and pings are answered meanwhile', async (t) => {
  for (const version of [4, 5] as const) {
    const { port, sink } = await startListener(t);
    const client = await openSession(t, port, version);
    client.send(publishPacket(version, 1));
    await sink.arrived(1);
    client.send(PINGREQ);
    t.match(await client.next(), { cmd: 'pingresp' }, 'the first answer is to the ping');
    t.same(client.unread, []);
    sink.taken[0]!.done(STORED);
    t.match(await client.next(), { cmd: 'puback', messageId: 1 });
  }
});

t.test('acks keep the order of arrival when outcomes do not', async (t) => {
  const { port, sink } = await startListener(t);
  const client = await openSession(t, port);
  client.send(...[11, 12, 13, 14].map((id) => publishPacket(4, id)));
  await sink.arrived(4);
  for (const index of [3, 1, 2]) sink.taken[index]!.done(STORED);
  client.send(PINGREQ);
  t.match(await client.next(), { cmd: 'pingresp' }, 'nothing leaves before the first');
  sink.taken[0]!.done(STORED);
  const acks = await client.take(4);
  t.same(
    acks.map((ack) => ack?.messageId),
    [11, 12, 13, 14],
  );
});

t.test('quality of service 0 is taken and not acked', async (t) => {
  const { port, sink } = await startListener(t);
  sink.answer = () => STORED;
  const client = await openSession(t, port);
  client.send(publishPacket(4, 0), PINGREQ);
  t.match(await client.next(), { cmd: 'pingresp' });
  t.equal(sink.taken[0]!.message.qos, 0);
});

t.test('rejects: a reason code in 5.0, a plain ack in 3.1.1', async (t) => {
  const { port, sink } = await startListener(t);
  sink.answer = (message) =>
    message.payload.length === 0 ? { kind: 'rejected', reason: 'json' } : ownTopicsOnly(message);
  const foreign = 'v1/devices/dev-2/fixes';
  for (const version of [4, 5] as const) {
    const client = await openSession(t, port, version);
    client.send(
      publishPacket(version, 1, '{}', foreign),
      publishPacket(version, 2, ''),
      publishPacket(version, 3),
    );
    const acks = await client.take(3);
    t.same(
      acks.map((ack) => [ack?.messageId, ack?.cmd === 'puback' && ack.reasonCode]),
      version === 4
        ? [
            [1, undefined],
            [2, undefined],
            [3, undefined],
          ]
        : [
            [1, 0x87],
            [2, 0x99],
            [3, 0],
          ],
    );
    if (version === 5) t.match(acks[1], { properties: { reasonString: 'json' } });
  }
  t.equal(sink.taken[0]!.message.topic, foreign, 'the sink sees the topic as it came');
});

t.test('reason strings: not for those who decline, not for those they do not fit', async (t) => {
  const { port, sink } = await startListener(t);
  sink.answer = () => ({ kind: 'rejected', reason: 'r'.repeat(200) });
  for (const [clientId, properties, expected] of [
    ['all', {}, 200],
    ['none', { requestProblemInformation: false }, undefined],
    ['small', { maximumPacketSize: 100 }, undefined],
  ] as const) {
    const client = await openSession(t, port, 5, { clientId, properties });
    const ack = await client.send(publishPacket(5, 1)).next();
    t.match(ack, { cmd: 'puback', reasonCode: 0x99 });
    t.equal(ack?.cmd === 'puback' && ack.properties?.reasonString?.length, expected, clientId);
  }
});

t.test('what could not be stored is not acked: the connection closes', async (t) => {
  const { port, sink, metrics } = await startListener(t);
  const client5 = await openSession(t, port, 5, { clientId: 'five' });
  client5.send(publishPacket(5, 1), publishPacket(5, 2), publishPacket(5, 3));
  await sink.arrived(3);
  sink.taken[0]!.done(STORED);
  sink.taken[1]!.done({ kind: 'unavailable' });
  sink.taken[2]!.done(STORED);
  t.match(await client5.next(), { cmd: 'puback', messageId: 1 });
  t.match(await client5.next(), { cmd: 'disconnect', reasonCode: 0x89 });
  t.equal(await client5.next(), null);
  const client4 = await openSession(t, port);
  client4.send(publishPacket(4, 1));
  await sink.arrived(4);
  sink.taken[3]!.done({ kind: 'unavailable' });
  t.equal(await client4.next(), null);
  t.equal(metrics.reasons.get('sink_unavailable'), 2);
});

t.test('unavailable from within publish', async (t) => {
  const { port, sink } = await startListener(t);
  sink.answer = () => ({ kind: 'unavailable' });
  const client = await openSession(t, port, 5);
  client.send(publishPacket(5, 1), publishPacket(5, 2));
  t.match(await client.next(), { cmd: 'disconnect', reasonCode: 0x89 });
  t.equal(sink.taken.length, 1, 'what comes behind is not taken');
});

// Each row: what is sent by an accepted client, the 5.0 code, the reason that is counted.
const FAULTS: readonly [string, 4 | 5, Buffer, number, string][] = [
  ['QoS 3', 5, Buffer.from([0x36, 6, 0, 1, 0x61, 0, 1, 0]), 0x81, 'malformed'],
  ['retain', 5, Buffer.from([0x33, 6, 0, 1, 0x61, 0, 1, 0]), 0x9a, 'retain'],
  ['wildcard', 5, Buffer.from([0x32, 6, 0, 1, 0x23, 0, 1, 0]), 0x90, 'topic_invalid'],
  ['wildcard', 4, Buffer.from([0x32, 5, 0, 1, 0x2b, 0, 1]), 0, 'topic_invalid'],
  ['NUL', 5, Buffer.from([0x32, 6, 0, 1, 0, 0, 1, 0]), 0x81, 'malformed'],
  ['bad UTF-8', 4, Buffer.from([0x32, 5, 0, 1, 0xff, 0, 1]), 0, 'malformed'],
  ['topic alias', 5, Buffer.from([0x30, 6, 0, 0, 3, 0x23, 0, 9]), 0x94, 'topic_alias'],
  ['identifier 0', 5, Buffer.from([0x32, 6, 0, 1, 0x61, 0, 0, 0]), 0x82, 'protocol_error'],
  ['length of five bytes', 5, Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80]), 0x81, 'malformed'],
  ['too large', 5, Buffer.from([0x30, 0xff, 0xff, 0x7f]), 0x95, 'packet_too_large'],
  ['too large', 4, Buffer.from([0x30, 0xff, 0xff, 0x7f]), 0, 'packet_too_large'],
  ['PUBACK with an odd code', 5, Buffer.from([0x40, 3, 0, 1, 0x92]), 0x82, 'protocol_error'],
  ['PUBACK of 3.1.1 with a code', 4, Buffer.from([0x40, 3, 0, 1, 0]), 0, 'malformed'],
  ['PUBREL flags', 5, Buffer.from([0x60, 2, 0, 1]), 0x81, 'malformed'],
  ['CONNACK', 5, Buffer.from([0x20, 2, 0, 0]), 0x82, 'protocol_error'],
  ['AUTH', 5, Buffer.from([0xf0, 0]), 0x82, 'protocol_error'],
  ['type 15', 4, Buffer.from([0xf0, 0]), 0, 'malformed'],
  ['type 0', 5, Buffer.from([0x00, 0]), 0x81, 'malformed'],
  ['PINGREQ with a body', 5, Buffer.from([0xc0, 1, 0]), 0x81, 'malformed'],
  ['SUBSCRIBE flags', 5, Buffer.from([0x80, 2, 0, 1]), 0x81, 'malformed'],
  ['SUBSCRIBE to nothing', 5, Buffer.from([0x82, 3, 0, 1, 0]), 0x82, 'protocol_error'],
];

t.test('faults close that connection and no other', async (t) => {
  const { port, sink, metrics } = await startListener(t);
  sink.answer = () => STORED;
  const bystander = await openSession(t, port, 4, { clientId: 'bystander' });
  for (const [name, version, bytes, reasonCode, reason] of FAULTS) {
    const count = metrics.reasons.get(reason) ?? 0;
    const client = await openSession(t, port, version, { clientId: 'faulty' });
    client.send(publishPacket(version, 1), bytes, publishPacket(version, 2));
    t.match(await client.next(), { cmd: 'puback', messageId: 1 }, `${name}: what came before`);
    if (version === 5)
      t.match(
        await client.next(),
        { cmd: 'disconnect', reasonCode, properties: { reasonString: reason } },
        name,
      );
    t.equal(await client.next(), null, `${name}: closed`);
    t.equal(metrics.reasons.get(reason), count + 1, `${name}: counted`);
  }
  t.equal(sink.taken.length, FAULTS.length, 'nothing behind a fault is taken');
  t.match(await bystander.send(publishPacket(4, 5)).next(), { cmd: 'puback', messageId: 5 });
});

t.test('random bytes close connections and nothing else', async (t) => {
  const seed = Date.now() % 1_000_000;
  t.comment(`seed ${seed}`);
  let state = seed;
  const nextByte = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 16) & 0xff;
  };
  const { port, sink, metrics } = await startListener(t);
  sink.answer = () => STORED;
  for (let i = 0; i < 60; i++) {
    const version = i % 2 === 0 ? 4 : 5;
    const noise = Buffer.from(Array.from({ length: 400 }, nextByte));
    const client = await openSession(t, port, version);
    client.send(noise);
    client.socket.end();
    await client.closed;
  }
  await metrics.untilConnections(0);
  const good = await openSession(t, port);
  t.match(await good.send(publishPacket(4, 5)).next(), { cmd: 'puback', messageId: 5 });
});

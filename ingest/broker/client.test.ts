import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { BROKER_PACKET_BYTES_MAX } from './limits.ts';
import { startClient, startFakeBroker, type BrokerSide } from './test-broker.ts';

const NEVER = new AbortController().signal;

/** The identifiers of the next acknowledgements. */
async function acks(broker: BrokerSide, count: number): Promise<string[]> {
  const found: string[] = [];
  while (found.length < count) {
    const packet = await broker.next();
    if (packet === null) break;
    found.push(`${packet.cmd} ${packet.messageId ?? ''}`.trim());
  }
  return found;
}

t.test('5.0: a session that lasts, messages acknowledged in order, a farewell', async (t) => {
  const fake = await startFakeBroker(t);
  const credentials = { username: 'mile', password: Buffer.from('p:o st') };
  const { client, sink } = startClient(t, fake.port, credentials);
  t.match(client.problems()[0], /not connected/);
  const broker = await fake.next();
  const connected = await broker.welcome(false);
  t.match(connected, {
    protocolVersion: 5,
    clean: false,
    clientId: 'milepost',
    keepalive: 30,
    username: 'mile',
    properties: { sessionExpiryInterval: 604_800, receiveMaximum: 10 },
  });
  t.equal(connected.password?.toString(), 'p:o st');
  t.same(await broker.grant(), ['a/#']);
  for (const id of [1, 2, 3]) broker.publish(id, `m${id}`);
  await sink.arrived(3);
  t.same(client.problems(), []);
  t.ok(client.isConnected);
  t.same(
    sink.taken.map(({ message }) => `${message.topic} ${message.payload.toString()}`),
    ['a/b m1', 'a/b m2', 'a/b m3'],
  );
  sink.taken[2]!.done(true);
  await turn();
  t.equal(client.inFlight, 3, 'the first is not committed');
  sink.taken[0]!.done(true);
  t.same(await acks(broker, 1), ['puback 1']);
  const stopped = client.stop(NEVER);
  sink.taken[1]!.done(true);
  t.same(await acks(broker, 3), ['puback 2', 'puback 3', 'disconnect']);
  await stopped;
  t.equal(await broker.next(), null);
  t.notOk(client.isConnected);
});

t.test('a broker that speaks 3.1.1 alone', async (t) => {
  const refusals: [string, (broker: BrokerSide) => unknown][] = [
    ['says so as 3.1.1 does', (broker) => broker.socket.end(Buffer.from('20020001', 'hex'))],
    ['says so as 5.0 does', (broker) => broker.socket.end(Buffer.from('2003008400', 'hex'))],
    ['closes without a word', (broker) => broker.socket.end()],
    ['sends what is no CONNACK', (broker) => broker.socket.end(Buffer.from('2000', 'hex'))],
  ];
  for (const [name, refuse] of refusals) {
    const fake = await startFakeBroker(t);
    const { client, sink } = startClient(t, fake.port);
    const first = await fake.next();
    t.match(await first.expect('connect'), { protocolVersion: 5 });
    refuse(first);
    const second = await fake.next();
    t.match(await second.welcome(false), { protocolVersion: 4, clean: false }, name);
    await second.grant();
    second.publish(5, 'x', { qos: 2 });
    second.publish(6);
    await sink.arrived(2);
    for (const { done } of sink.taken) done(true);
    t.same(await acks(second, 2), ['pubrec 5', 'puback 6']);
    second.send({ cmd: 'pubrel', messageId: 5 });
    t.same(await acks(second, 1), ['pubcomp 5']);
    // What was once accepted is not doubted because a connection breaks.
    second.socket.destroy();
    const third = await fake.next();
    await third.expect('connect');
    third.socket.destroy();
    const fourth = await fake.next();
    t.match(await fourth.welcome(true), { protocolVersion: 4 }, 'and stays with it');
    await client.stop(AbortSignal.abort());
  }
});

t.test(
  'a broker that is away, or refuses our password, is no sign of the wrong version',
  async (t) => {
    const fake = await startFakeBroker(t);
    const { client, refused, logged } = startClient(t, fake.port);
    for (let i = 0; i < 3; i++) {
      const broker = await fake.next();
      t.match(await broker.expect('connect'), { protocolVersion: 5 });
      broker.socket.end(Buffer.from('2003008600', 'hex'));
    }
    await fake.next();
    t.match(client.problems()[0], /refuses us: 0x86/);
    t.ok(refused.length >= 3 && refused.every((reason) => reason === 'broker_refused'));
    t.equal(logged.length, 1, 'said once');
  },
);

t.test('subscribes again when the session is gone, and only then', async (t) => {
  const fake = await startFakeBroker(t);
  startClient(t, fake.port, {}, { filters: ['a/#', 'b/+'] });
  const first = await fake.next();
  await first.welcome(true);
  t.same(await first.grant(), ['a/#', 'b/+'], 'the session may be an older one with other topics');
  first.socket.destroy();
  const second = await fake.next();
  await second.welcome(true);
  second.publish(1);
  second.socket.end();
  t.equal(await second.next(), null, 'no SUBSCRIBE, and no acknowledgement of what is not stored');
  const third = await fake.next();
  await third.welcome(false);
  await third.expect('subscribe');
  third.socket.destroy();
  const fourth = await fake.next();
  await fourth.welcome(true);
  t.same(await fourth.grant(), ['a/#', 'b/+'], 'the last one was never answered');
});

t.test(
  'a subscription that is refused is said, and asked for again with the next connection',
  async (t) => {
    const fake = await startFakeBroker(t);
    const { client, sink, refused, logged } = startClient(
      t,
      fake.port,
      {},
      { filters: ['a', 'b', 'c'] },
    );
    const first = await fake.next();
    await first.welcome(false);
    await first.grant([1, 0x87, 0]);
    first.publish(1);
    await sink.arrived(1);
    t.same(client.problems().length, 1);
    t.match(client.problems()[0], /refuses the subscription to b \(0x87\)/);
    t.same(refused, ['broker_subscription']);
    t.match(logged.join('\n'), /quality of service 0 only/);
    first.socket.destroy();
    const second = await fake.next();
    await second.welcome(true);
    t.same(await second.grant([1]), ['b']);
    second.publish(2);
    await sink.arrived(1);
    t.same(client.problems(), []);
  },
);

t.test(
  'what could not be stored is not acknowledged, nor what came after it; it comes again',
  async (t) => {
    const fake = await startFakeBroker(t);
    const { sink } = startClient(t, fake.port);
    const first = await fake.next();
    await first.welcome(false);
    await first.grant();
    for (const id of [1, 2, 3]) first.publish(id);
    await sink.arrived(3);
    sink.taken[0]!.done(true);
    sink.taken[2]!.done(true);
    sink.taken[1]!.done(false);
    t.same(await acks(first, 2), ['puback 1'], 'and then the end');
    const second = await fake.next();
    await second.welcome(true);
    for (const id of [2, 3]) second.publish(id, 'x', { dup: true });
    await sink.arrived(2);
    for (const { done } of sink.taken.slice(3)) done(true);
    t.same(await acks(second, 2), ['puback 2', 'puback 3']);
  },
);

t.test('a message that comes again on the same connection is taken once', async (t) => {
  const fake = await startFakeBroker(t);
  const { sink } = startClient(t, fake.port);
  const broker = await fake.next();
  await broker.welcome(false);
  await broker.grant();
  broker.publish(1);
  broker.publish(1, 'x', { dup: true });
  broker.publish(2);
  await sink.arrived(2);
  for (const { done } of sink.taken) done(true);
  t.same(await acks(broker, 2), ['puback 1', 'puback 2']);
  t.equal(sink.taken.length, 2);
});

t.test(
  'nothing is read while the sink is full, and the broker is pinged all the same',
  async (t) => {
    const fake = await startFakeBroker(t);
    const { sink, client } = startClient(t, fake.port);
    const broker = await fake.next();
    await broker.welcome(false, { serverKeepAlive: 1 });
    await broker.grant();
    sink.isFull = true;
    broker.publish(1);
    await sink.arrived(1);
    broker.publish(2);
    for (let i = 0; i < 5; i++) await broker.expect('pingreq');
    t.equal(sink.taken.length, 1);
    t.ok(client.isConnected, 'what is not read is no silence');
    t.equal(sink.waiting, 1);
    // A connection made meanwhile is held from its first message on.
    broker.socket.destroy();
    sink.taken[0]!.done(true);
    const second = await fake.next();
    await second.welcome(true, { serverKeepAlive: 1 });
    second.publish(1);
    await second.expect('pingreq');
    t.equal(sink.taken.length, 1);
    t.equal(sink.waiting, 1, 'one call is awaited, not one for each connection');
    sink.drain();
    await sink.arrived(1);
  },
);

t.test('a broker that falls silent is left', async (t) => {
  const fake = await startFakeBroker(t);
  const { client } = startClient(t, fake.port);
  const first = await fake.next();
  await first.welcome(false, { serverKeepAlive: 1 });
  await first.grant();
  await first.expect('pingreq');
  await first.closed();
  await fake.next();
  t.match(client.problems()[0], /silent/);
});

t.test('the window: not more than in_flight_max wait, then half of them must go', async (t) => {
  const fake = await startFakeBroker(t);
  const { sink, client } = startClient(t, fake.port, {}, { inFlightMax: 4 });
  const broker = await fake.next();
  await broker.welcome(false);
  await broker.grant();
  for (const id of [1, 2, 3, 4, 5, 6]) broker.publish(id);
  await sink.arrived(4);
  sink.taken[0]!.done(true);
  t.same(await acks(broker, 1), ['puback 1']);
  t.equal(client.inFlight, 3);
  t.equal(sink.taken.length, 4);
  sink.taken[1]!.done(true);
  await sink.arrived(2);
  t.equal(sink.taken.length, 6);
});

t.test('a message over the limit is given out cut, and what follows is whole', async (t) => {
  const fake = await startFakeBroker(t);
  const { sink } = startClient(t, fake.port);
  const broker = await fake.next();
  await broker.welcome(false);
  await broker.grant();
  broker.publish(1, 'y'.repeat(3 * BROKER_PACKET_BYTES_MAX));
  broker.publish(2, 'small');
  await sink.arrived(2);
  t.equal(sink.taken[0]!.message.isCut, true);
  t.ok(sink.taken[0]!.message.payload.length <= BROKER_PACKET_BYTES_MAX);
  t.equal(sink.taken[1]!.message.payload.toString(), 'small');
});

t.test('a broker that breaks the rules is left and tried again', async (t) => {
  const wrong: [string, string, RegExp][] = [
    ['a packet type that no broker sends', '8200', /malformed/],
    ['a packet type that is none', '00', /malformed/],
    ['PUBLISH without a topic', '30020000', /malformed/],
    ['a broken length', '30ffffffff01', /malformed/],
    ['a second CONNACK', '2003000000', /unexpected connack/],
    ['SUBACK with an unknown code', '9004000100ff', /malformed/],
    ['DISCONNECT with a reason', 'e0018e', /disconnects: 0x8e/],
  ];
  const fake = await startFakeBroker(t);
  const { client } = startClient(t, fake.port);
  for (const [name, hex, reason] of wrong) {
    const broker = await fake.next();
    await broker.welcome(false);
    await broker.expect('subscribe');
    broker.socket.write(Buffer.from(hex.padEnd(4, '0'), 'hex'));
    await broker.closed();
    while (client.problems().length === 0) await turn();
    t.match(client.problems()[0], reason, name);
  }
});

t.test('stopping while connecting, while away, and while messages are never settled', async (t) => {
  const fake = await startFakeBroker(t);
  const first = startClient(t, fake.port);
  await (await fake.next()).expect('connect');
  await first.client.stop(NEVER);

  const away = startClient(t, 1);
  while (away.refused.length < 2) await turn();
  t.match(away.client.problems()[0], /127\.0\.0\.1:1 is not connected: .*ECONNREFUSED/);
  await away.client.stop(NEVER);

  const stuck = startClient(t, fake.port);
  const broker = await fake.next();
  await broker.welcome(false);
  await broker.grant();
  broker.publish(1);
  await stuck.sink.arrived(1);
  stuck.client.pauseReading();
  broker.publish(2);
  await stuck.client.stop(AbortSignal.timeout(50));
  t.equal(stuck.sink.taken.length, 1);
  t.same(await acks(broker, 1), ['disconnect'], 'without an acknowledgement');
});

import { generate, type IConnectPacket } from 'mqtt-packet';
import t from 'tap';
import {
  command,
  openRaw,
  openSession,
  PINGREQ,
  publishPacket,
  startListener,
  STORED,
  type RawClient,
  type Started,
} from './test-listener.ts';

const KEPT: Partial<IConnectPacket> = { clean: false };

function qos2(messageId: number, dup = false, payload = '{}'): Buffer {
  return generate({
    cmd: 'publish',
    topic: 'v1/devices/dev-1/fixes',
    payload,
    qos: 2,
    dup,
    retain: false,
    messageId,
  });
}

function subscribePacket(qos: 0 | 1 | 2): Buffer {
  const subscriptions = [{ topic: 'v1/devices/dev-1/commands', qos }];
  return generate({ cmd: 'subscribe', messageId: 1, subscriptions });
}

const release = (messageId: number): Buffer => generate({ cmd: 'pubrel', messageId });

async function lose({ metrics }: Started, client: RawClient): Promise<void> {
  const count = metrics.connectionCount;
  client.socket.resetAndDestroy();
  await metrics.untilConnections(count - 1);
}

t.test('a commit that comes after the client has gone is known when it is back', async (t) => {
  const started = await startListener(t);
  const { port, sink } = started;
  const first = await openSession(t, port, 4, KEPT);
  first.send(qos2(5), qos2(6));
  await sink.arrived(2);
  await lose(started, first);
  sink.taken[0]!.done(STORED);
  const second = await openSession(t, port, 4, KEPT);
  second.send(qos2(5, true), qos2(6, true), PINGREQ);
  t.match(await second.next(), { cmd: 'pubrec', messageId: 5 });
  t.match(await second.next(), { cmd: 'pingresp' }, 'the other one still waits');
  t.equal(sink.taken.length, 2, 'neither was handed over again');
  sink.taken[1]!.done(STORED);
  t.match(await second.next(), { cmd: 'pubrec', messageId: 6 });
  second.send(release(5), release(6));
  t.same(
    (await second.take(2)).map((answer) => [answer?.cmd, answer?.messageId]),
    [
      ['pubcomp', 5],
      ['pubcomp', 6],
    ],
  );
});

t.test(
  'a publish that fails after the client has come back closes its new connection',
  async (t) => {
    const started = await startListener(t);
    const { port, sink, metrics } = started;
    const first = await openSession(t, port, 4, KEPT);
    first.send(qos2(5));
    await sink.arrived(1);
    await lose(started, first);
    const second = await openSession(t, port, 4, KEPT);
    second.send(qos2(5, true), PINGREQ);
    t.match(await second.next(), { cmd: 'pingresp' });
    sink.taken[0]!.done({ kind: 'unavailable' });
    t.equal(await second.next(), null);
    t.equal(metrics.reasons.get('sink_unavailable'), 1);
    const third = await openSession(t, port, 4, KEPT);
    third.send(qos2(5, true));
    await sink.arrived(2);
    t.pass('the identifier was free again');
  },
);

t.test('a held identifier: what says that it is a repeat, or says the same, is one', async (t) => {
  const { port, sink } = await startListener(t);
  sink.answer = () => STORED;
  const client = await openSession(t, port, 4, KEPT);
  for (const [payload, dup, count] of [
    ['{"a":1}', false, 1],
    ['{"a":1}', true, 1],
    ['{"a":1}', false, 1],
    ['{"a":2}', false, 2],
    ['{"a":2}', false, 2],
    ['{"a":3}', true, 2],
  ] as const) {
    t.match(await client.send(qos2(5, dup, payload)).next(), { cmd: 'pubrec', messageId: 5 });
    t.equal(sink.taken.length, count, `${payload} ${dup}`);
  }
});

t.test(
  'a client that has lost its half of an exchange begins another with the same identifier',
  async (t) => {
    const started = await startListener(t);
    const { port, sink } = started;
    const first = await openSession(t, port, 4, KEPT);
    first.send(qos2(5, false, '{"a":1}'));
    await sink.arrived(1);
    await lose(started, first);
    const second = await openSession(t, port, 4, KEPT);
    second.send(qos2(5, false, '{"a":2}'));
    await sink.arrived(2);
    sink.taken[0]!.done({ kind: 'unavailable' });
    t.match(
      await second.send(PINGREQ).next(),
      { cmd: 'pingresp' },
      'of the old one nobody is told',
    );
    sink.taken[1]!.done(STORED);
    t.match(await second.next(), { cmd: 'pubrec', messageId: 5 });
    t.match(await second.send(qos2(5, true, '{"a":2}')).next(), { cmd: 'pubrec', messageId: 5 });
    t.equal(sink.taken.length, 2, 'the new one is held');
    t.match(await second.send(release(5)).next(), { cmd: 'pubcomp', messageId: 5 });
  },
);

t.test('PUBREL before PUBREC is a protocol error', async (t) => {
  const { port, sink, metrics } = await startListener(t);
  const client = await openSession(t, port, 5);
  const publish = Buffer.from([0x34, 6, 0, 1, 0x61, 0, 7, 0]);
  client.send(publish, Buffer.from([0x62, 2, 0, 7]));
  t.match(await client.next(), { cmd: 'disconnect', reasonCode: 0x82 });
  await sink.arrived(1);
  t.equal(metrics.reasons.get('protocol_error'), 1);
});

t.test('a session holds so many identifiers of quality 2, over connections', async (t) => {
  const started = await startListener(t, { limits: { heldIdsMax: 2 } });
  const { port, sink, metrics } = started;
  sink.answer = () => STORED;
  const first = await openSession(t, port, 4, KEPT);
  t.match(await first.send(qos2(1)).next(), { cmd: 'pubrec' });
  await lose(started, first);
  const second = await openSession(t, port, 4, KEPT);
  t.match(await second.send(qos2(2)).next(), { cmd: 'pubrec' });
  t.match(await second.send(qos2(1, true)).next(), { cmd: 'pubrec' }, 'a repeat takes no place');
  t.equal(await second.send(qos2(3)).next(), null);
  t.equal(metrics.reasons.get('receive_max'), 1);
});

t.test('3.1.1: quality 2 fills the window until its PUBRECs are due', async (t) => {
  const { port, sink } = await startListener(t, { limits: { inFlightMax: 2 } });
  const client = await openSession(t, port);
  const other = await openSession(t, port, 4, { username: 'dev-2' });
  client.send(...[1, 2, 3, 4].map((id) => qos2(id)));
  await sink.arrived(2);
  await other.send(PINGREQ).next();
  t.equal(sink.taken.length, 2);
  sink.answer = () => STORED;
  for (const { done } of sink.taken.slice()) done(STORED);
  const answers = await client.take(4);
  t.same(
    answers.map((answer) => answer?.messageId),
    [1, 2, 3, 4],
  );
});

t.test('a takeover in mid-exchange goes on with the session', async (t) => {
  const { port, sink } = await startListener(t);
  const first = await openSession(t, port, 4, KEPT);
  first.send(qos2(5));
  await sink.arrived(1);
  const second = await openRaw(t, port);
  second.send(
    generate({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: false, keepalive: 0 },
      ...{ clientId: 'tracker', username: 'dev-1', password: Buffer.from('correct horse') },
    }),
  );
  t.match(await second.next(), { cmd: 'connack', sessionPresent: true });
  second.send(qos2(5, true));
  sink.taken[0]!.done(STORED);
  t.match(await second.next(), { cmd: 'pubrec', messageId: 5 });
  t.equal(await first.next(), null);
});

t.test('a 5.0 client may take up a session of 3.1.1', async (t) => {
  const started = await startListener(t);
  const { port, sink, listener } = started;
  sink.answer = () => STORED;
  const first = await openSession(t, port, 4, KEPT);
  t.match(await first.send(subscribePacket(1)).next(), { cmd: 'suback' });
  await first.send(qos2(5)).next();
  const outcome = command(listener, 'go');
  t.match(await first.next(), { cmd: 'publish', dup: false });
  await lose(started, first);
  const second = await openSession(t, port, 5, KEPT);
  const repeated = await second.next();
  t.match(repeated, { cmd: 'publish', dup: true, payload: Buffer.from('go') });
  t.match(await second.send(release(5)).next(), { cmd: 'pubcomp', reasonCode: 0 });
  second.send(generate({ cmd: 'puback', messageId: repeated!.messageId! }));
  t.equal(await outcome, 'delivered');
});

t.test('commands: nobody there, nobody subscribed, gone, no room', async (t) => {
  const started = await startListener(t, { limits: { deliveriesMax: 2 } });
  const { port, listener, subscribed } = started;
  const payload = Buffer.from('x');
  const never = (): void => {
    throw new Error('done was called');
  };
  t.notOk(listener.sendCommand(1, payload, never), 'no such device');
  const client = await openSession(t, port, 4, KEPT);
  t.notOk(listener.sendCommand(1, payload, never), 'not subscribed');
  await client.send(subscribePacket(1)).next();
  t.same(subscribed.all, [1]);
  const outcomes = [command(listener, 'a'), command(listener, 'b')];
  t.notOk(listener.sendCommand(1, payload, never), 'no room');
  const publishes = await client.take(2);
  client.send(generate({ cmd: 'puback', messageId: publishes[0]!.messageId! }));
  t.equal(await outcomes[0], 'delivered');
  t.same(await subscribed.first(2), [1, 1], 'room again');
  await lose(started, client);
  t.notOk(listener.sendCommand(1, payload, never), 'away');
  listener.disconnectDevice(1);
  t.equal(await outcomes[1], 'gone');
});

t.test(
  'a command for a client that is away is given up when the device comes as another',
  async (t) => {
    const started = await startListener(t);
    const { port, listener, subscribed } = started;
    const first = await openSession(t, port, 4, { ...KEPT, clientId: 'first' });
    await first.send(subscribePacket(1)).next();
    const outcome = command(listener, 'x');
    t.match(await first.next(), { cmd: 'publish' });
    await lose(started, first);
    const second = await openSession(t, port, 4, { clientId: 'second' });
    await second.send(subscribePacket(1)).next();
    t.equal(await outcome, 'gone');
    t.same(subscribed.all, [1, 1]);
    const again = await openSession(t, port, 4, { ...KEPT, clientId: 'first' });
    const repeated = await again.next();
    t.match(repeated, { cmd: 'publish', dup: true }, 'it goes again nevertheless');
    again.send(generate({ cmd: 'puback', messageId: repeated!.messageId! }), PINGREQ);
    t.match(await again.next(), { cmd: 'pingresp' });
  },
);

t.test('a command goes to every subscribed client of a device, and is told of once', async (t) => {
  const { port, listener } = await startListener(t);
  const clients = await Promise.all(
    ['a', 'b', 'c'].map((clientId) => openSession(t, port, 4, { clientId })),
  );
  const stranger = await openSession(t, port, 4, { username: 'dev-2' });
  for (const client of clients.slice(0, 2)) await client.send(subscribePacket(1)).next();
  let told = 0;
  const outcome = new Promise((resolve) => {
    listener.sendCommand(1, Buffer.from('x'), (what) => {
      told++;
      resolve(what);
    });
  });
  clients[0]!.socket.resetAndDestroy();
  const publish = await clients[1]!.next();
  t.match(publish, { cmd: 'publish', topic: 'v1/devices/dev-1/commands' });
  clients[1]!.send(generate({ cmd: 'puback', messageId: publish!.messageId! }));
  t.equal(await outcome, 'delivered');
  for (const client of [clients[2]!, stranger]) {
    t.match(await client.send(PINGREQ).next(), { cmd: 'pingresp' });
  }
  t.equal(told, 1);
});

t.test('a command whose last client is gone is gone', async (t) => {
  const { port, listener, metrics } = await startListener(t);
  const clients = await Promise.all(
    ['a', 'b'].map((clientId) => openSession(t, port, 4, { clientId })),
  );
  for (const client of clients) await client.send(subscribePacket(1)).next();
  const outcome = command(listener, 'x');
  for (const client of clients) client.socket.resetAndDestroy();
  t.equal(await outcome, 'gone');
  await metrics.untilConnections(0);
});

t.test('the server stops: no will, no word of commands', async (t) => {
  const { port, listener, wills } = await startListener(t);
  const will = { topic: 'bye', payload: Buffer.from('x'), qos: 0, retain: false } as const;
  const client = await openSession(t, port, 4, { will });
  await client.send(subscribePacket(1)).next();
  const outcomes: string[] = [];
  listener.sendCommand(1, Buffer.from('x'), (outcome) => outcomes.push(outcome));
  await listener.close();
  t.same(wills.all, []);
  t.same(outcomes, []);
});

t.test('what a will says: who, when, why', async (t) => {
  const { port, wills } = await startListener(t);
  const will = { topic: 'bye', payload: Buffer.from('x'), qos: 0, retain: false } as const;
  const beforeMs = Date.now();
  const client = await openSession(t, port, 4, { will });
  client.send(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80]));
  const [told] = await wills.first(1);
  t.same(told, {
    identity: { deviceName: 'dev-1', iotDeviceId: 1, tenantId: 1 },
    clientId: 'tracker',
    topic: 'bye',
    payload: Buffer.from('x'),
    atMs: told!.atMs,
    cause: 'the client broke the protocol (malformed)',
  });
  t.ok(told!.atMs >= beforeMs && told!.atMs <= Date.now());
});

t.test('outcomes and acks of a session that was taken over do not mix', async (t) => {
  const { port, sink } = await startListener(t);
  const old = await openSession(t, port, 4, KEPT);
  old.send(publishPacket(4, 7));
  await sink.arrived(1);
  const next = await openSession(t, port, 4, KEPT);
  sink.taken[0]!.done(STORED);
  t.match(await next.send(PINGREQ).next(), { cmd: 'pingresp' });
  t.equal(await old.next(), null);
});

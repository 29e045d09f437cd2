import { generate } from 'mqtt-packet';
import t from 'tap';
import { MQTT_LIMITS_DEFAULT } from './limits.ts';
import { Guesses, networkOf } from './session/guesses.ts';
import { KeepAliveWheel, type Watched } from './session/keep-alive.ts';
import { Rate } from './session/rate.ts';
import type { MqttAuthenticate } from './sink.ts';
import {
  connectPacket,
  knownDevices,
  openRaw,
  openSession,
  PINGREQ,
  publishPacket,
  startListener,
  STORED,
} from './test-listener.ts';

t.test('a tenant has so many connections; who replaces himself takes no place', async (t) => {
  const { port, metrics } = await startListener(t, { limits: { tenantConnectionsMax: 2 } });
  await openSession(t, port, 4, { username: 'dev-1' });
  const second = await openSession(t, port, 5, { username: 'dev-2' });
  for (const [version, code] of [
    [4, { returnCode: 3 }],
    [5, { reasonCode: 0x97 }],
  ] as const) {
    const refused = await openRaw(t, port, version);
    refused.send(connectPacket(version, { username: 'dev-3' }));
    t.match(await refused.next(), code);
    t.equal(await refused.next(), null);
  }
  t.equal(metrics.reasons.get('connections_per_tenant'), 2);
  await openSession(t, port, 4, { username: 'dev-1' });
  second.socket.destroy();
  await metrics.untilConnections(1);
  await openSession(t, port, 4, { username: 'dev-3' });
});

const twoTenants: MqttAuthenticate = async (username, password, peer) => {
  const answer = await knownDevices(username, password, peer);
  if ('refused' in answer) return answer;
  return { ...answer, tenantId: answer.iotDeviceId < 10 ? 1 : 2 };
};

/** Longer than the shortest wait of a bucket, and shorter than what these have to earn. */
const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 200));

t.test('a device that sends faster than its rate is read slower, and loses nothing', async (t) => {
  const { port, sink } = await startListener(t, { limits: { deviceMessagesPerSMax: 3 } });
  sink.answer = () => STORED;
  const client = await openSession(t, port);
  const other = await openSession(t, port, 4, { username: 'dev-2' });
  const total = 6;
  client.send(...Array.from({ length: total }, (_, i) => publishPacket(4, i + 1)), PINGREQ);
  await sink.arrived(4);
  for (let i = 0; i < 3; i++) await other.send(PINGREQ).next();
  t.equal(sink.taken.length, 4, 'a burst of one second, and the one that found it spent');
  await quiet();
  t.equal(sink.taken.length, 4, 'and it takes time to earn the next');
  const acks = await client.take(total);
  t.same(
    acks.map((ack) => ack?.messageId),
    Array.from({ length: total }, (_, i) => i + 1),
  );
  t.match(await client.next(), { cmd: 'pingresp' });
});

t.test('coming back does not renew a rate', async (t) => {
  const { port, sink, metrics } = await startListener(t, {
    limits: { deviceMessagesPerSMax: 1, tenantMessagesPerSMax: 1 },
    authenticate: twoTenants,
  });
  sink.answer = () => STORED;
  const burst = Array.from({ length: 6 }, (_, i) => publishPacket(4, i + 1));
  const first = await openSession(t, port);
  await first.send(...burst).take(2);
  t.equal(sink.taken.length, 2, 'one, and the one that found it spent');
  const second = await openSession(t, port);
  await second.send(...burst).next();
  t.equal(sink.taken.length, 3, 'it is spent still');
  second.socket.resetAndDestroy();
  await metrics.untilConnections(0);
  const other = await openSession(t, port, 4, { username: 'dev-2' });
  await other.send(...burst).next();
  t.equal(sink.taken.length, 4, 'nor that of a tenant whose only device has gone');
  const brief = await openSession(t, port, 4, { username: 'dev-11' });
  await brief.send(publishPacket(4, 1), generate({ cmd: 'disconnect' })).closed;
  await (await openSession(t, port, 4, { username: 'dev-11' })).send(...burst).next();
  t.equal(sink.taken.length, 6, 'nor is what came with DISCONNECT forgotten');
});

t.test('whatever is answered with a packet of its own counts like a publish', async (t) => {
  const { port } = await startListener(t, { limits: { deviceMessagesPerSMax: 3 } });
  const subscribe = generate({
    cmd: 'subscribe',
    messageId: 1,
    subscriptions: [{ topic: 'x', qos: 0 }],
  });
  const unsubscribe = generate({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['x'] });
  for (const [i, packet] of [PINGREQ, subscribe, unsubscribe].entries()) {
    const client = await openSession(t, port, 4, { username: `dev-${i + 1}` });
    client.send(...Array.from({ length: 6 }, () => packet));
    await client.take(4);
    await quiet();
    t.equal(client.unread.length, 0, 'a burst of one second, and the one that found it spent');
    await client.take(2);
  }
  const client = await openSession(t, port, 4, { username: 'dev-9' });
  const pubrel = generate({ cmd: 'pubrel', messageId: 9 });
  client.send(...Array.from({ length: 6 }, () => pubrel));
  t.same(
    (await client.take(6)).map((packet) => packet?.cmd),
    Array(6).fill('pubcomp'),
  );
});

t.test(
  'the rate of a tenant holds for its devices together, and for no other tenant',
  async (t) => {
    const { port, sink } = await startListener(t, {
      limits: { tenantMessagesPerSMax: 2 },
      authenticate: twoTenants,
    });
    sink.answer = () => STORED;
    const one = await openSession(t, port, 4, { username: 'dev-1' });
    const two = await openSession(t, port, 4, { username: 'dev-2' });
    const other = await openSession(t, port, 4, { username: 'dev-11' });
    one.send(...[1, 2, 3, 4].map((id) => publishPacket(4, id)));
    await sink.arrived(3);
    two.send(publishPacket(4, 1), publishPacket(4, 2));
    await sink.arrived(4);
    t.match(await other.send(publishPacket(4, 1), PINGREQ).next(), { cmd: 'puback' });
    t.equal(sink.taken.length, 5, 'one of the second device, and no more');
    await quiet();
    t.equal(sink.taken.length, 5, 'and it takes time to earn the next');
    await sink.arrived(7);
    t.same(
      (await two.take(2)).map((ack) => ack?.messageId),
      [1, 2],
    );
  },
);

t.test('a held connection that closes is forgotten', async (t) => {
  const { port, sink, metrics } = await startListener(t, { limits: { deviceMessagesPerSMax: 1 } });
  const client = await openSession(t, port);
  const timers = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  client.send(publishPacket(4, 1), publishPacket(4, 2), publishPacket(4, 3));
  await sink.arrived(2);
  t.equal(timers(), before + 1);
  client.socket.resetAndDestroy();
  await metrics.untilConnections(0);
  t.equal(timers(), before, 'nobody waits for its rate');
  t.equal(sink.taken.length, 2);
});

t.test('a bucket: its burst, its rate, its debt', (t) => {
  const rate = new Rate(100);
  const nowMs = Date.now();
  t.equal(rate.available(nowMs), 100);
  rate.spend(100);
  t.equal(rate.isSpent, false);
  rate.spend(3);
  t.equal(rate.isSpent, true);
  t.equal(rate.available(nowMs + 20), 0, 'two tokens paid back, of a debt of three');
  t.equal(rate.available(nowMs + 55), 2);
  t.equal(rate.available(nowMs - 10_000), 2, 'a clock that was set back takes nothing away');
  t.equal(rate.available(nowMs + 3_600_000), 100, 'and a long rest gives no more than a burst');
  t.end();
});

t.test('who waits for a bucket is let go on in turn, as far as the tokens reach', async (t) => {
  // A token every quarter of a second: two of them are not there at once on a machine that halts for a moment.
  const busy = new Rate(4);
  busy.available(Date.now());
  busy.spend(4);
  const order: string[] = [];
  const atOnce: number[] = [];
  await new Promise<void>((resolve) => {
    const waiter = (name: string) => ({
      rateAllows: () => {
        order.push(name);
        busy.spend(1);
        if (order.length === 1) setImmediate(() => atOnce.push(order.length));
        if (order.length < 3) busy.wait(waiter(name));
        else resolve();
      },
    });
    const forgotten = waiter('forgotten');
    busy.wait(waiter('a'));
    busy.wait(forgotten);
    busy.wait(waiter('b'));
    busy.forget(forgotten);
  });
  t.same(order, ['a', 'b', 'a']);
  t.same(atOnce, [1], 'one token, one of them');
});

const GUESSING = { guessesMax: 2, guessDelayMs: 40, guessWaitingMax: 1 };

t.test(
  'an address that guesses is answered late, and one too many at once is turned away',
  async (t) => {
    let askedCount = 0;
    const { port, metrics } = await startListener(t, {
      limits: GUESSING,
      authenticate: (username, password, peer) => {
        askedCount++;
        return knownDevices(username, password, peer);
      },
    });
    const bystander = await openSession(t, port);
    for (let i = 0; i < 2; i++) {
      const guess = await openRaw(t, port);
      t.match(await guess.send(connectPacket(4, { password: Buffer.from(`${i}`) })).next(), {
        returnCode: 5,
      });
    }
    const late = await openRaw(t, port, 5);
    late.send(connectPacket(5, { clientId: 'late' }));
    const many = await openRaw(t, port, 5);
    t.match(await many.send(connectPacket(5)).next(), { reasonCode: 0x9f });
    t.equal(askedCount, 3, 'neither has been checked');
    t.match(await late.next(), { reasonCode: 0 }, 'the right token opens the door nevertheless');
    t.equal(metrics.reasons.get('connect_rate'), 1);
    const gone = await openRaw(t, port);
    gone.send(connectPacket(4, { clientId: 'gone' }));
    await bystander.send(PINGREQ).next();
    gone.socket.resetAndDestroy();
    await gone.closed;
    await metrics.untilConnections(2);
    const next = await openRaw(t, port);
    t.match(await next.send(connectPacket(4, { clientId: 'x' })).next(), { returnCode: 0 });
  },
);

t.test('a CONNECT without a password is no guess', async (t) => {
  const { port } = await startListener(t, { limits: GUESSING });
  const connect = {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    clientId: 'tracker',
    keepalive: 0,
    username: 'dev-1',
  } as const;
  for (let i = 0; i < 3; i++) {
    const client = await openRaw(t, port);
    t.match(await client.send(generate(connect)).next(), { returnCode: 5 });
  }
  const both = ['a', 'b'].map((clientId) => openSession(t, port, 4, { clientId }));
  await Promise.all(both);
  t.pass('neither waits, or one would have been turned away');
});

t.test('guesses are counted by network, within a window, and the oldest are forgotten', (t) => {
  let nowMs = 0;
  const limits = {
    ...MQTT_LIMITS_DEFAULT,
    ...GUESSING,
    guessWindowMs: 1_000,
    guessAddressesMax: 2,
  };
  const guesses = new Guesses(limits, () => nowMs);
  guesses.failed('2001:db8::1');
  t.equal(guesses.judge('2001:db8::2'), 'now');
  guesses.failed('2001:db8:0:0:5::9');
  t.equal(guesses.judge('2001:db8::2'), 'late');
  t.equal(guesses.judge('2001:db8::3'), 'refuse');
  guesses.waited('2001:db8::2');
  t.equal(guesses.judge('2001:db8::3'), 'late');
  guesses.waited('2001:db8::3');
  nowMs = 1_001;
  t.equal(guesses.judge('2001:db8::3'), 'now', 'the window is over');
  guesses.failed('2001:db8::3');
  t.equal(guesses.judge('2001:db8::3'), 'now', 'and a new one has begun');
  guesses.failed('2001:db8::3');
  guesses.failed('192.0.2.1');
  guesses.failed('192.0.2.2');
  t.equal(guesses.judge('2001:db8::3'), 'now', 'there was no room');
  t.end();
});

t.test('networks', (t) => {
  for (const [address, network] of [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '::ffff:192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8::5:6', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['', ''],
  ] as const) {
    t.equal(networkOf(address), network, address);
  }
  t.end();
});

t.test('the wheel of keep-alives', async (t) => {
  const wheel = new KeepAliveWheel();
  t.teardown(() => wheel.stop());
  const silent: string[] = [];
  const names = ['reset', 'busy', 'held', 'gone', 'silent'] as const;
  await new Promise<void>((resolve) => {
    const watched = Object.fromEntries(
      names.map((name) => {
        const one: Watched = {
          heardTick: 0,
          allowedTicks: 0,
          slotTick: 0,
          isRead: () => name !== 'held',
          silent: () => {
            silent.push(name);
            // What one silence leads to may end another connection in the same tick.
            if (name === 'reset') wheel.forget(watched.silent);
            if (name === 'busy') resolve();
          },
        };
        return [name, one];
      }),
    ) as Record<(typeof names)[number], Watched>;
    for (const name of names) wheel.watch(watched[name], 1);
    wheel.forget(watched.gone);
    setTimeout(() => (watched.busy.heardTick = wheel.tick), 1_200);
    // Keeps the process; the wheel itself does not.
    const keeper = setInterval(() => undefined, 1_000);
    t.teardown(() => clearInterval(keeper));
  });
  t.same(silent, ['reset', 'busy']);
});

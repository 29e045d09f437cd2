import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { IntakeMessage, MessageOutcome } from '../intake.ts';
import type { Knock } from '../knocking.ts';
import type { RegisteredDevice } from '../registry.ts';
import { createSubscriber, type Subscriber, type SubscriberConfig } from './subscriber.ts';
import { startFakeBroker } from './test-broker.ts';
import { readTopic } from './topics.ts';

interface House {
  readonly subscriber: Subscriber;
  readonly submitted: { message: IntakeMessage; done: (outcome: MessageOutcome) => void }[];
  readonly knocks: Knock[];
}

const STORED: MessageOutcome = { stored: true, accepted: 1, duplicates: 0, refused: [] };

const known: RegisteredDevice = {
  iotDeviceId: 1,
  deviceName: 'dev-1',
  tenantId: 7,
  tokenHash: null,
  previousToken: null,
  signInByName: false,
  link: null,
};

function newHouse(t: Test, config: Partial<SubscriberConfig> & { url: string }): House {
  const submitted: House['submitted'] = [];
  const knocks: Knock[] = [];
  const silent = (): void => undefined;
  const subscriber = createSubscriber({
    config: { topics: ['a'], shareGroup: '', clientId: 'milepost', inFlightMax: 10, ...config },
    intake: {
      isFull: false,
      onceDrained: silent,
      submit: (message, done) => void submitted.push({ message, done }),
    },
    registry: { deviceNamed: (name) => (name === 'dev-1' ? known : undefined) },
    metrics: { refused: silent },
    log: { info: silent, warn: silent, error: silent },
    knock: (knock) => knocks.push(knock),
  });
  subscriber.start();
  t.teardown(() => subscriber.stop(AbortSignal.abort()));
  return { subscriber, submitted, knocks };
}

t.test('who we are, from the URL', async (t) => {
  const rows: [string, string | undefined, string | undefined][] = [
    ['', undefined, undefined],
    ['mile@', 'mile', undefined],
    ['mile%20post:s%2Fcr%3At@', 'mile post', 's/cr:t'],
    [':secret@', '', 'secret'],
    ['a%zz:b%zz@', 'a%zz', 'b%zz'],
  ];
  for (const [user, username, password] of rows) {
    const fake = await startFakeBroker(t);
    const { subscriber } = newHouse(t, { url: `mqtt://${user}127.0.0.1:${fake.port}` });
    const connect = await (await fake.next()).welcome(false);
    t.same([connect.username, connect.password?.toString()], [username, password], user);
    await subscriber.stop(AbortSignal.abort());
  }
  t.throws(() => newHouse(t, { url: 'mqtt://127.0.0.1', clientId: '' }));
  const { subscriber } = newHouse(t, { url: 'mqtts://[::1]:1' });
  t.match(subscriber.notReady()[0], /the broker at ::1:1 is not connected/);
});

t.test('the topics that are asked for', async (t) => {
  const topics = ['a/+', 'b/#'];
  for (const [shareGroup, expected] of [
    ['', topics],
    ['fleet', ['$share/fleet/a/+', '$share/fleet/b/#']],
  ] as const) {
    const fake = await startFakeBroker(t);
    newHouse(t, { url: `mqtt://127.0.0.1:${fake.port}`, topics, shareGroup });
    const broker = await fake.next();
    await broker.welcome(false);
    t.same(await broker.grant(), expected);
  }
});

t.test('a device is who the topic says; what is not stored is not acknowledged', async (t) => {
  const fake = await startFakeBroker(t);
  const { subscriber, submitted, knocks } = newHouse(t, { url: `mqtt://127.0.0.1:${fake.port}` });
  const broker = await fake.next();
  await broker.welcome(false);
  await broker.grant();
  const publish = (messageId: number, topic: string, payload: string): void =>
    broker.send({ cmd: 'publish', topic, payload, qos: 1, messageId, dup: false, retain: true });
  const fix = JSON.stringify({ time: Date.now(), lat: 1, lon: 2 });
  publish(1, 'v1/devices/dev-1/fixes', fix);
  publish(2, 'v1/devices/dev-2/fixes', fix);
  publish(3, 'v1/nothing', fix);
  publish(4, 'v1/devices/dev-1/fixes', '');
  while (subscriber.inFlight < 3 || submitted.length < 3) await turn();
  const told = submitted.map(({ message: { source, topic, sender, decoded } }) => [
    source,
    topic,
    sender.kind,
    decoded.fixes.length,
    decoded.refusals.map(({ reason, device }) => `${reason} ${device}`).join(),
  ]);
  t.same(told, [
    ['broker', 'v1/devices/dev-1/fixes', 'device', 1, ''],
    ['broker', 'v1/devices/dev-2/fixes', 'relay', 0, 'unknown_device dev-2'],
    ['broker', 'v1/nothing', 'relay', 0, 'topic_unknown null'],
  ]);
  t.match(knocks, [{ protocol: 'broker', deviceName: 'dev-2', payload: Buffer.from(fix) }]);
  t.equal(broker.unread, 0, 'nothing is acknowledged yet, the empty one neither, as it came last');
  for (const { done } of submitted) done(STORED);
  const acknowledged: unknown[] = [];
  while (acknowledged.length < 4) acknowledged.push((await broker.expect('puback')).messageId);
  t.same(acknowledged, [1, 2, 3, 4]);
  publish(5, 'v1/devices/dev-1/fixes', fix);
  while (submitted.length < 4) await turn();
  submitted[3]!.done({ ...STORED, stored: false });
  t.equal(await broker.next(), null, 'so that it comes again');
});

t.test('a message that is too large is kept as a reject, whatever of it is large', async (t) => {
  const fake = await startFakeBroker(t);
  const { submitted } = newHouse(t, { url: `mqtt://127.0.0.1:${fake.port}` });
  const broker = await fake.next();
  await broker.welcome(false);
  await broker.grant();
  const large = 'x'.repeat(60_000);
  const userProperties = { large: Array.from({ length: 20 }, () => large) };
  const message = { topic: 'v1/devices/dev-1/fixes', qos: 1, dup: false, retain: false } as const;
  const publish = { cmd: 'publish', ...message } as const;
  broker.send({ ...publish, messageId: 1, payload: '{}', properties: { userProperties } });
  broker.send({ ...publish, messageId: 2, payload: large.repeat(20) });
  while (submitted.length < 2) await turn();
  for (const { message, done } of submitted) {
    t.match(message.decoded.refusals, [{ reason: 'message_too_large' }]);
    done(STORED);
  }
  t.equal((await broker.expect('puback')).messageId, 1);
  t.equal((await broker.expect('puback')).messageId, 2);
});

t.test('topics', (t) => {
  const rows: [string, string | null][] = [
    ['v1/devices/dev-1/fixes', 'dev-1'],
    ['v1/devices/dev-1/metrics', 'dev-1'],
    ['v1/devices/dev-1/commands', null],
    ['v1/devices/dev-1', null],
    ['v1/devices//fixes', null],
    ['v1/devices/a/b/fixes', null],
    ['owntracks/jane/phone', 'jane'],
    ['owntracks/jane/phone/event', 'jane'],
    ['owntracks/', null],
    ['owntracks//phone', null],
    ['', null],
    ['other/v1/devices/dev-1/fixes', null],
  ];
  for (const [topic, deviceName] of rows) {
    t.equal(readTopic(topic)?.deviceName ?? null, deviceName, topic);
  }
  t.end();
});

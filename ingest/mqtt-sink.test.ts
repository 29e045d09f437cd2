import t from 'tap';
import { createMqttSink } from './mqtt-sink.ts';
import type { Intake, IntakeMessage, MessageOutcome } from './intake.ts';
import type { PublishOutcome } from './mqtt/sink.ts';
import { Registry } from './registry.ts';
import { Turns } from './turns.ts';

const RECEIVED_MS = Date.parse('2026-06-15T12:00:00Z');
const IDENTITY = { deviceName: 'dev-1', iotDeviceId: 1, tenantId: 1 };
const FIX = { time: RECEIVED_MS, lat: 1, lon: 2 };
const LOCATION = { _type: 'location', lat: 1, lon: 2, tst: RECEIVED_MS / 1000 };

/** What the sink submits for a publish to `topic`, as counts of fixes, readings and events, and the reasons of refusals. */
function submitted(topic: string, said: object | string): [number, number, number, string[]] {
  const messages: IntakeMessage[] = [];
  const intake = {
    isFull: false,
    submit: (message: IntakeMessage, done: (outcome: MessageOutcome) => void) => {
      messages.push(message);
      done({ stored: true, accepted: 1, duplicates: 0, refused: [] });
    },
    // The short way is tried in ingest.db.test.ts.
    submitScanned: () => false,
    onceDrained: (resume: () => void) => resume(),
  };
  const registry = new Registry();
  registry.put({
    iotDeviceId: 1,
    deviceName: 'dev-1',
    tenantId: 1,
    tokenHash: null,
    previousToken: null,
    signInByName: false,
    link: null,
  });
  const text = typeof said === 'string' ? said : JSON.stringify(said);
  const payload = Buffer.from(text);
  const outcomes: PublishOutcome[] = [];
  createMqttSink(intake as unknown as Intake, registry, new Turns()).publish(
    {
      identity: IDENTITY,
      topic,
      payload,
      buffer: payload,
      payloadStart: 0,
      payloadEnd: payload.length,
      qos: 1,
      receivedMs: RECEIVED_MS,
    },
    { settled: (outcome) => outcomes.push(outcome) },
  );
  t.equal(messages.length, 1);
  t.same(outcomes, [{ kind: 'stored' }]);
  const { fixes, readings, events, refusals } = messages[0]!.decoded;
  t.equal(messages[0]!.topic, topic);
  return [fixes.length, readings.length, events.length, refusals.map(({ reason }) => reason)];
}

t.test('the topic says which format a publish is in', (t) => {
  t.same(submitted('v1/devices/dev-1/fixes', FIX), [1, 0, 0, []]);
  t.same(submitted('v1/devices/dev-1/metrics', { time: RECEIVED_MS, metrics: { a: 1 } }), [0, 1, 0, []]); // prettier-ignore
  t.same(submitted('owntracks/dev-1/phone', LOCATION), [1, 0, 0, []]);
  const transition = { _type: 'transition', event: 'leave', tst: RECEIVED_MS / 1000 };
  t.same(submitted('owntracks/dev-1/phone/event', transition), [0, 0, 1, []]);
  t.same(submitted('owntracks/dev-1/phone', ''), [0, 0, 0, []], 'a retained message taken back');
  t.same(submitted('owntracks/dev-2/phone', LOCATION), [0, 0, 0, ['foreign_topic']]);
  t.same(submitted('v1/devices/dev-2/fixes', FIX), [0, 0, 0, ['foreign_topic']]);
  t.same(submitted('osmand', FIX), [0, 0, 0, ['foreign_topic']]);
  t.end();
});

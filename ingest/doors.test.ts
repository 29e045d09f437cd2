import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { generate } from 'mqtt-packet';
import { Registry as PromRegistry } from 'prom-client';
import t, { type Test } from 'tap';
import { startFakeBroker } from './broker/test-broker.ts';
import { Doors } from './doors.ts';
import type { Intake } from './intake.ts';
import { IngestMetrics } from './metrics.ts';
import { digestOf, Registry } from './registry.ts';
import { encodeLogin } from './teltonika/test-frames.ts';
import { sha256, testDoors } from './test-fleet.ts';
import { Turns } from './turns.ts';

const IMEI = '352093086403655';
const TOKEN = 'correct horse';
const TOPIC = `v1/devices/${IMEI}/fixes`;
const HOST = '127.0.0.1';

t.test('the metrics tell of a tracker that is connected', async (t) => {
  const { ports, gauge } = await openDoors(t, null);
  t.equal(await gauge('milepost_teltonika_connections'), 0);
  const tracker = connect(ports.teltonika!, HOST);
  t.teardown(() => tracker.destroy());
  tracker.write(encodeLogin(IMEI));
  t.same(await once(tracker, 'data'), [Buffer.of(1)]);
  t.equal(await gauge('milepost_teltonika_connections'), 1);
});

t.test('the metrics tell of a session whose client is away', async (t) => {
  const { doors, ports, gauge } = await openDoors(t, null);
  const client = connect(ports.mqtt!, HOST);
  const password = Buffer.from(TOKEN);
  client.write(
    generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clientId: 'c',
      clean: false,
      username: IMEI,
      password,
    }),
  );
  t.same(await once(client, 'data'), [Buffer.of(0x20, 2, 0, 0)]);
  t.equal(await gauge('milepost_mqtt_away_sessions'), 0);
  client.end(generate({ cmd: 'disconnect' }));
  while (doors.mqttConnectionCount > 0) await turn();
  t.equal(await gauge('milepost_mqtt_away_sessions'), 1);
});

t.test('the metrics tell of messages that the broker has no answer to', async (t) => {
  const broker = await startFakeBroker(t);
  const { gauge, submitted } = await openDoors(t, `mqtt://${HOST}:${broker.port}`);
  const side = await broker.next();
  await side.welcome(false);
  await side.grant();
  t.equal(await gauge('milepost_broker_in_flight'), 0);
  const publish = { cmd: 'publish', topic: TOPIC, payload: '{}', dup: false } as const;
  side.send({ ...publish, qos: 1, retain: false, messageId: 1 });
  await submitted;
  t.equal(await gauge('milepost_broker_in_flight'), 1);
});

/** Doors before an intake that never answers, with one device known. */
async function openDoors(t: Test, brokerUrl: string | null) {
  const registry = new Registry();
  registry.put({
    iotDeviceId: 1,
    deviceName: IMEI,
    tenantId: 1,
    tokenHash: digestOf(sha256(TOKEN)),
    previousToken: null,
    signInByName: true,
    link: null,
  });
  let told = (): void => undefined;
  const submitted = new Promise<void>((resolve) => (told = resolve));
  const nothing = (): void => undefined;
  const intake = { isFull: false, submit: () => told(), onceDrained: nothing };
  const prometheus = new PromRegistry();
  const zero = (): number => 0;
  const gauges = { connections: zero, devices: zero, fences: zero, rules: zero };
  const doors = new Doors({
    config: {
      ...testDoors(),
      teltonika: { host: HOST, port: 0 },
      broker:
        brokerUrl === null
          ? null
          : { url: brokerUrl, topics: [TOPIC], shareGroup: '', clientId: 'c', inFlightMax: 10 },
    },
    registry,
    intake: intake as unknown as Intake,
    turns: new Turns(),
    metrics: new IngestMetrics(prometheus, { ...gauges, queuedRows: zero, queuedBytes: zero }),
    log: { info: nothing, warn: nothing, error: nothing },
    knock: nothing,
    onSubscribed: nothing,
  });
  const ports = await doors.open();
  t.teardown(async () => {
    doors.drain();
    await doors.close(AbortSignal.abort());
  });
  const gauge = async (name: string): Promise<number | undefined> => {
    const { values } = await prometheus.getSingleMetric(name)!.get();
    return values[0]?.value;
  };
  return { doors, ports, submitted, gauge };
}

import { execFile, spawnSync } from 'node:child_process';
import mqtt from 'mqtt';
import t from 'tap';
import { PASSWORD, STORED, ownTopicsOnly, startListener } from './test-listener.ts';

const TOPIC = 'v1/devices/dev-1/fixes';

function clientOptions(port: number, protocolVersion: 4 | 5): mqtt.IClientOptions {
  return {
    host: '127.0.0.1',
    port,
    protocolVersion,
    username: 'dev-1',
    password: PASSWORD,
    clientId: 'mqttjs',
    reconnectPeriod: 0,
  };
}

t.test('MQTT.js publishes and is acknowledged', async (t) => {
  for (const version of [4, 5] as const) {
    const { port, sink } = await startListener(t);
    sink.answer = () => STORED;
    const client = await mqtt.connectAsync(clientOptions(port, version));
    await Promise.all(
      Array.from({ length: 200 }, (_, i) => client.publishAsync(TOPIC, `{"seq":${i}}`, { qos: 1 })),
    );
    await client.publishAsync(TOPIC, '{}', { qos: 0 });
    await client.endAsync();
    await sink.arrived(201);
    t.equal(sink.taken.length, 201);
    t.equal(sink.taken[0]!.message.topic, TOPIC);
  }
});

t.test('MQTT.js 5.0 reports the reason code of a reject', async (t) => {
  const { port, sink } = await startListener(t);
  sink.answer = ownTopicsOnly;
  const client = await mqtt.connectAsync(clientOptions(port, 5));
  await t.rejects(client.publishAsync('v1/devices/dev-2/fixes', '{}', { qos: 1 }), { code: 0x87 });
  await client.endAsync();
});

t.test('MQTT.js is refused with a wrong password', async (t) => {
  const { port } = await startListener(t);
  for (const [version, code] of [
    [4, 5],
    [5, 0x86],
  ] as const) {
    const options: mqtt.IClientOptions = { ...clientOptions(port, version), password: 'wrong' };
    await t.rejects(mqtt.connectAsync(options), { code });
  }
});

t.test('MQTT.js sends again what was not acknowledged, though session present is 0', async (t) => {
  const { port, sink } = await startListener(t);
  const options: mqtt.IClientOptions = {
    ...clientOptions(port, 4),
    clean: false,
    reconnectPeriod: 1,
  };
  const client = await mqtt.connectAsync(options);
  const published = client.publishAsync(TOPIC, '{"seq":1}', { qos: 1 });
  await sink.arrived(1);
  sink.taken[0]!.done({ kind: 'unavailable' });
  await sink.arrived(2);
  t.equal(sink.taken[1]!.message.payload.toString(), '{"seq":1}');
  sink.taken[1]!.done(STORED);
  await published;
  await client.endAsync();
});

t.test('MQTT.js hears of a takeover', async (t) => {
  const { port } = await startListener(t);
  const first = await mqtt.connectAsync(clientOptions(port, 5));
  const told = new Promise<number | undefined>((resolve) => {
    first.once('disconnect', (packet) => resolve(packet.reasonCode));
  });
  const second = await mqtt.connectAsync(clientOptions(port, 5));
  t.equal(await told, 0x8e);
  await Promise.all([first.endAsync(true), second.endAsync()]);
});

const mosquitto = spawnSync('mosquitto_pub', ['--help']).error === undefined;

t.test(
  'mosquitto_pub',
  { skip: mosquitto ? false : 'mosquitto_pub is not installed (Debian: mosquitto-clients)' },
  async (t) => {
    const { port, sink } = await startListener(t);
    sink.answer = ownTopicsOnly;
    const run = (...args: string[]): Promise<{ code: unknown; output: string }> =>
      new Promise((resolve) => {
        const base = ['-h', '127.0.0.1', '-p', String(port), '-u', 'dev-1'];
        execFile('mosquitto_pub', [...base, ...args], (error, stdout, stderr) => {
          resolve({ code: error?.code ?? 0, output: stdout + stderr });
        });
      });
    for (const version of ['mqttv311', 'mqttv5']) {
      for (const qos of ['0', '1']) {
        const taken = sink.taken.length;
        const message = `{"lat":52,"qos":${qos}}`;
        const args = ['-V', version, '-P', PASSWORD, '-t', TOPIC, '-q', qos, '-m', message];
        t.same(await run(...args), { code: 0, output: '' }, `${version} QoS ${qos}`);
        await sink.arrived(taken + 1);
        t.equal(sink.taken.at(-1)!.message.payload.toString(), message);
      }
      const wrong = await run('-V', version, '-P', 'wrong', '-t', TOPIC, '-q', '1', '-m', 'x');
      t.not(wrong.code, 0);
      t.match(wrong.output, /not authori[sz]ed|bad user/i, version);
    }
    const args = ['-V', 'mqttv5', '-P', PASSWORD, '-t', 'v1/devices/dev-2/fixes', '-q', '1'];
    t.match((await run(...args, '-m', '{}')).output, /not authori[sz]ed/i, 'a foreign topic');
    const old = await run('-V', 'mqttv31', '-P', PASSWORD, '-t', TOPIC, '-m', '{}');
    t.match(old.output, /protocol version/i, '3.1');
    const unclean = ['-c', '-i', 'dev-1-box', '-P', PASSWORD, '-t', TOPIC, '-q', '1', '-m', '{}'];
    t.same(await run(...unclean), { code: 0, output: '' }, 'a persistent session');
  },
);

import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import mqtt from 'mqtt';
import t from 'tap';
import { command, ownTopicsOnly, PASSWORD, startListener, STORED } from './test-listener.ts';

const TOPIC = 'v1/devices/dev-1/fixes';
const COMMANDS = 'v1/devices/dev-1/commands';

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

t.test('MQTT.js sends again what was not acknowledged', async (t) => {
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

t.test('MQTT.js publishes with quality of service 2, over a lost connection', async (t) => {
  for (const version of [4, 5] as const) {
    const { port, sink, metrics } = await startListener(t);
    sink.answer = () => STORED;
    const options: mqtt.IClientOptions = {
      ...clientOptions(port, version),
      clean: false,
      reconnectPeriod: 1,
      ...(version === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}),
    };
    const client = await mqtt.connectAsync(options);
    const publish = (i: number) => client.publishAsync(TOPIC, `{"seq":${i}}`, { qos: 2 });
    await Promise.all(Array.from({ length: 100 }, (_, i) => publish(i)));
    sink.answer = null;
    const held = [publish(100), publish(101)];
    await sink.arrived(102);
    // It says that it is connected only when all that it sends again is acknowledged.
    const back = new Promise<boolean>((resolve) => {
      client.on('packetreceive', (packet) => {
        if (packet.cmd === 'connack') resolve(packet.sessionPresent);
      });
    });
    client.stream.destroy();
    t.equal(await back, true);
    for (const { done } of sink.taken.slice(100)) done(STORED);
    await Promise.all(held);
    t.equal(sink.taken.length, 102, 'each was handed over once');
    await client.endAsync();
    await metrics.untilConnections(0);
  }
});

t.test(
  'MQTT.js is sent commands with the quality it asked for, also after it was away',
  async (t) => {
    for (const version of [4, 5] as const) {
      const { port, listener, subscribed } = await startListener(t);
      const options: mqtt.IClientOptions = {
        ...clientOptions(port, version),
        clean: false,
        reconnectPeriod: 1,
        resubscribe: false,
        ...(version === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}),
      };
      const client = await mqtt.connectAsync(options);
      const told: string[] = [];
      client.on('message', (topic, payload, { qos }) =>
        told.push(`${topic} ${payload.toString()} ${qos}`),
      );
      for (const qos of [0, 1, 2] as const) {
        await client.subscribeAsync(COMMANDS, { qos });
        t.equal(await command(listener, `c${qos}`), 'delivered');
      }
      client.stream.destroy();
      await subscribed.first(4);
      t.equal(await command(listener, 'again'), 'delivered');
      t.same(told, [
        `${COMMANDS} c0 0`,
        `${COMMANDS} c1 1`,
        `${COMMANDS} c2 2`,
        `${COMMANDS} again 2`,
      ]);
      await t.rejects(client.subscribeAsync('v1/devices/+/commands'), {
        message: version === 5 ? /Wildcard/ : /Unspecified/,
      });
      await client.unsubscribeAsync(COMMANDS);
      t.notOk(listener.sendCommand(1, Buffer.from('x'), () => {}));
      await client.endAsync();
    }
  },
);

t.test('the will of MQTT.js is told of when it dies, and not when it leaves', async (t) => {
  const { port, wills, metrics } = await startListener(t);
  const will = { topic: 'v1/devices/dev-1/status', payload: Buffer.from('gone'), qos: 1 as const };
  for (const version of [4, 5] as const) {
    const options = { ...clientOptions(port, version), will: { ...will, retain: false } };
    await (await mqtt.connectAsync(options)).endAsync();
    const dying = await mqtt.connectAsync(options);
    dying.stream.destroy();
    await metrics.untilConnections(0);
    await dying.endAsync(true);
  }
  t.equal(wills.all.length, 2);
  t.match(wills.all[0], { topic: will.topic, clientId: 'mqttjs' });
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
      for (const qos of ['0', '1', '2']) {
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
    const alias = ['-V', 'mqttv5', '-P', PASSWORD, '-t', TOPIC, '-q', '1', '-m', '{}'];
    const repeated = ['--repeat', '3', '-D', 'publish', 'topic-alias', '3'];
    const taken = sink.taken.length;
    t.same(await run(...alias, ...repeated), { code: 0, output: '' }, 'a topic alias');
    await sink.arrived(taken + 3);
  },
);

t.test(
  'mosquitto_sub',
  { skip: mosquitto ? false : 'mosquitto_sub is not installed (Debian: mosquitto-clients)' },
  async (t) => {
    const { port, listener, subscribed } = await startListener(t);
    for (const [i, args] of [
      ['-V', 'mqttv311', '-q', '1'],
      ['-V', 'mqttv5', '-q', '2'],
    ].entries()) {
      const sub = spawn('mosquitto_sub', [
        ...['-h', '127.0.0.1', '-p', String(port), '-u', 'dev-1', '-P', PASSWORD],
        ...['-t', COMMANDS, '-C', '1', ...args],
      ]);
      let output = '';
      sub.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      const closed = once(sub, 'close');
      await subscribed.first(i + 1);
      t.equal(await command(listener, `{"reboot":${i}}`), 'delivered');
      await closed;
      t.equal(output.trim(), `{"reboot":${i}}`);
    }
  },
);

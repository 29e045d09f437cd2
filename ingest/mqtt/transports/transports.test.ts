import { execFile, spawnSync } from 'node:child_process';
import { once, type EventEmitter } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import mqtt, { type IClientOptions } from 'mqtt';
import { generate } from 'mqtt-packet';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import {
  connectPacket,
  PASSWORD,
  publishPacket,
  RawClient,
  STORED,
  startListener,
} from '../test-listener.ts';
import { Certificates } from './certificates.ts';
import { createTestAuthority } from './test-certificates.ts';
import { HOST, startTransports, writeFiles, type TransportHouse } from './test-transports.ts';
import { createTlsTransport } from './tls-transport.ts';
import { createTransports } from './transports.ts';

const TOPIC = 'v1/devices/dev-1/fixes';

/** Connects by URL, as a device that may trust our authority. */
async function connectMqtt(
  t: Test,
  url: string,
  options: IClientOptions,
): Promise<mqtt.MqttClient> {
  const base = { username: 'dev-1', password: PASSWORD, reconnectPeriod: 0 };
  const client = await mqtt.connectAsync(url, { ...base, ...options });
  t.teardown(() => client.endAsync(true));
  return client;
}

/** A TLS connection; rejects when the handshake fails. */
async function openTls(t: Test, port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({ host: HOST, port, ...options });
  t.teardown(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

/** What the server answers a CONNECT with; `null` when it closes instead. */
async function answerTo(socket: TLSSocket, version: 4 | 5 = 4): Promise<string | null> {
  const client = new RawClient(socket, version);
  client.send(connectPacket(version));
  const packet = await client.next();
  return packet === null ? null : packet.cmd;
}

/** Resolves when it has closed, with or without an error. */
function gone(socket: EventEmitter): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

async function openWebSocket(
  t: Test,
  url: string,
  protocols: string[] = ['mqtt'],
  options = {},
): Promise<WebSocket> {
  const socket = new WebSocket(url, protocols, options);
  t.teardown(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

const urls = (house: TransportHouse): string[] => [
  `mqtts://${HOST}:${house.tlsPort}`,
  `ws://${HOST}:${house.webSocketPort}/mqtt`,
  `wss://${HOST}:${house.webSocketTlsPort}/mqtt`,
];

t.test('MQTT.js over every transport: small, large and many', async (t) => {
  const house = await startTransports(t);
  house.sink.answer = () => STORED;
  for (const url of urls(house)) {
    for (const protocolVersion of [4, 5] as const) {
      const taken = house.sink.taken.length;
      const ca = house.authority.cert;
      const client = await connectMqtt(t, url, { ca, protocolVersion });
      await client.publishAsync(TOPIC, '{"n":1}', { qos: 1 });
      await client.publishAsync(TOPIC, Buffer.alloc(250_000, 'x'), { qos: 1 });
      const many = Array.from({ length: 300 }, (_, n) =>
        client.publishAsync(TOPIC, `{"n":${n}}`, { qos: 1 }),
      );
      await Promise.all(many);
      await client.publishAsync(TOPIC, '', { qos: 0 });
      await house.sink.arrived(taken + 303);
      t.equal(house.sink.taken.length, taken + 303, `${url} ${protocolVersion}`);
      t.equal(house.sink.taken[taken + 1]!.message.payload.length, 250_000);
      t.equal(house.listener.connectionCount, 1);
      await client.endAsync();
      await house.metrics.untilConnections(0);
    }
    const wrong = connectMqtt(t, url, { ca: house.authority.cert, password: 'wrong' });
    await t.rejects(wrong, /[Nn]ot authori[sz]ed/);
    await house.metrics.untilConnections(0);
  }
  await t.rejects(connectMqtt(t, urls(house)[0]!, {}), /certificate/, 'nobody vouches for it');
});

t.test('TLS: versions, other protocols, renegotiation, plain bytes', async (t) => {
  const house = await startTransports(t);
  const { tlsPort: port } = house;
  const ca = house.authority.cert;
  t.equal(await answerTo(await openTls(t, port, { ca, ALPNProtocols: ['mqtt'] })), 'connack');
  t.equal(await answerTo(await openTls(t, port, { ca, maxVersion: 'TLSv1.2' })), 'connack');
  const old = { ca, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' } as const;
  await t.rejects(openTls(t, port, { ...old, ciphers: 'DEFAULT@SECLEVEL=0' }));
  await t.rejects(openTls(t, port, { ca, ALPNProtocols: ['http/1.1'] }));
  await house.metrics.refusal('tls_handshake', 2);
  const plain = connectTcp({ host: HOST, port });
  t.teardown(() => plain.destroy());
  plain.on('error', () => undefined);
  plain.write(connectPacket(4));
  await house.metrics.refusal('tls_handshake', 3);
  plain.resume();
  await gone(plain);

  const socket = await openTls(t, port, { ca, maxVersion: 'TLSv1.2' });
  socket.on('error', () => undefined);
  const closed = gone(socket);
  socket.renegotiate({}, () => undefined);
  await closed;
  t.ok(house.metrics.reasons.has('socket_error'), 'no second handshake');
});

t.test('WebSocket: packets over messages, and several in one', async (t) => {
  const house = await startTransports(t);
  const socket = await openWebSocket(t, `ws://${HOST}:${house.webSocketPort}/mqtt?x=1`);
  t.equal(socket.protocol, 'mqtt');
  const answers: Buffer[] = [];
  socket.on('message', (data: Buffer, isBinary) => {
    t.ok(isBinary, 'binary');
    answers.push(data);
  });
  for (const byte of connectPacket(4)) socket.send(Buffer.from([byte]));
  const packets = [1, 2, 3].map((id) => publishPacket(4, id));
  socket.send(Buffer.concat(packets.slice(0, 2)));
  socket.send(Buffer.alloc(0));
  socket.send(packets[2]!.subarray(0, 7), { fin: false });
  socket.send(packets[2]!.subarray(7), { fin: true });
  await house.sink.arrived(3);
  for (const { done } of house.sink.taken) done(STORED);
  const expected = ['20020000', '40020001', '40020002', '40020003'].join('');
  while (Buffer.concat(answers).length < expected.length / 2) await once(socket, 'message');
  t.equal(Buffer.concat(answers).toString('hex'), expected);
  // A farewell as MQTT has it, and then as WebSocket has it.
  socket.send(generate({ cmd: 'disconnect' }));
  const [code] = (await once(socket, 'close')) as [number];
  t.equal(code, 1000);
  await house.metrics.untilConnections(0);
});

t.test('WebSocket: what is no MQTT over WebSocket is turned away', async (t) => {
  const house = await startTransports(t, { packetBytesMax: 100_000 });
  const url = `ws://${HOST}:${house.webSocketPort}`;
  const refusals: [string, string[], number][] = [
    [`${url}/mqtt`, [], 400],
    [`${url}/mqtt`, ['mqttv3.1', 'xmqtt'], 400],
    [`${url}/`, ['mqtt'], 404],
    [`${url}/mqtt/x`, ['mqtt'], 404],
  ];
  for (const [target, protocols, status] of refusals) {
    await t.rejects(openWebSocket(t, target, protocols), { message: new RegExp(`${status}`) });
  }
  await house.metrics.refusal('web_socket_request', refusals.length);
  t.equal((await openWebSocket(t, `${url}/mqtt`, ['other', 'mqtt'])).protocol, 'mqtt');
  const answer = await new Promise<number | undefined>((resolve) => {
    request(`http://${HOST}:${house.webSocketPort}/mqtt`, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).end();
  });
  t.equal(answer, 426);

  const closedFor = async (what: string, send: (socket: WebSocket) => void): Promise<void> => {
    const socket = await openWebSocket(t, `${url}/mqtt`);
    socket.on('error', () => undefined);
    send(socket);
    await gone(socket);
    t.pass(what);
  };
  await closedFor('text', (socket) => socket.send('text'));
  await house.metrics.refusal('text_message');
  await closedFor('a message over the limit', (socket) => {
    socket.send(connectPacket(4));
    socket.once('message', () => socket.send(publishPacket(4, 0, 'x'.repeat(100_001))));
  });
  await closedFor('much before anybody is known', (socket) => {
    socket.send(Buffer.alloc(10), { fin: false });
    for (let i = 0; i < 20; i++) socket.send(Buffer.alloc(5_000), { fin: false });
  });
  await house.metrics.refusal('early_bytes');
  await closedFor('another packet than CONNECT', (socket) => socket.send(publishPacket(4, 1)));
  await house.metrics.refusal('not_connect_first');
  t.equal(house.sink.taken.length, 0);
});

/** A client of bytes, whose backlog can be asked for. */
interface ByteClient {
  send(bytes: Buffer): void;
  /** Bytes that the kernel has not taken. */
  unsent(): number;
}

async function openBytes(t: Test, house: TransportHouse, index: number): Promise<ByteClient> {
  const ca = house.authority.cert;
  if (index === 0) {
    const socket = await openTls(t, house.tlsPort, { ca });
    socket.resume();
    return { send: (bytes) => socket.write(bytes), unsent: () => socket.writableLength };
  }
  const socket = await openWebSocket(t, urls(house)[index]!, ['mqtt'], { ca });
  return { send: (bytes) => socket.send(bytes), unsent: () => socket.bufferedAmount };
}

t.test('a sink that is full holds the reading of every transport', async (t) => {
  for (const index of [0, 1, 2]) {
    const house = await startTransports(t);
    const client = await openBytes(t, house, index);
    const clock = await connectMqtt(t, urls(house)[1]!, { username: 'dev-2' });
    house.sink.full = true;
    const count = 160;
    const publish = publishPacket(4, 0, 'x'.repeat(200_000));
    client.send(connectPacket(4));
    for (let i = 0; i < count; i++) client.send(publish);
    await house.sink.blocked(1);
    // Another device's pings tell the time: all that is read without a hold would be read by now.
    for (let i = 0; i < 200; i++) {
      const answered = new Promise((resolve) => clock.once('packetreceive', resolve));
      clock.sendPing();
      await answered;
    }
    const unsentShare = client.unsent() / (count * publish.length);
    t.ok(unsentShare > 0.5, `${Math.round(unsentShare * 100)} % wait at ${urls(house)[index]}`);
    t.equal(house.sink.taken.length, 1);
    house.sink.answer = () => STORED;
    house.sink.drain();
    await house.sink.arrived(count);
    t.equal(client.unsent(), 0);
  }
});

t.test('certificates of devices', async (t) => {
  const house = await startTransports(t, {
    authenticate: (username, password, peer) => {
      seen.push([username, password?.toString(), peer.certificateNames]);
      return Promise.resolve({ deviceName: 'dev-1', iotDeviceId: 1, tenantId: 1 });
    },
  });
  const seen: unknown[] = [];
  const ca = house.authority.cert;
  const ports = [
    `mqtts://${HOST}:${house.tlsPort}`,
    `wss://${HOST}:${house.webSocketTlsPort}/mqtt`,
  ];
  const known = house.devices.issue({ commonName: 'dev-1', uris: ['urn:dev-1'] });
  const nobody: IClientOptions = { username: undefined, password: undefined } as never;
  for (const url of ports) {
    await connectMqtt(t, url, { ca, ...known, ...nobody });
    await connectMqtt(t, url, { ca, ...known });
    await connectMqtt(t, url, { ca });
    t.same(seen.splice(0), [
      [undefined, undefined, ['dev-1', 'urn:dev-1']],
      ['dev-1', PASSWORD, ['dev-1', 'urn:dev-1']],
      ['dev-1', PASSWORD, null],
    ]);
  }
  const untrusted = [
    ['of another authority', createTestAuthority().issue({ commonName: 'dev-1' })],
    ['of the server itself', house.authority.issue({ commonName: 'dev-1' })],
    ['expired', house.devices.issue({ commonName: 'dev-1', daysFrom: -9, daysUntil: -1 })],
    ['not valid yet', house.devices.issue({ commonName: 'dev-1', daysFrom: 1 })],
  ] as const;
  let count = 0;
  for (const [what, certificate] of untrusted) {
    t.equal(await answerTo(await openTls(t, house.tlsPort, { ca, ...certificate })), null, what);
    const options = { ca, ...certificate };
    await t.rejects(openWebSocket(t, ports[1]!, ['mqtt'], options), what);
    await house.metrics.refusal('certificate_untrusted', (count += 2));
  }
  t.same(seen, [], 'nobody was asked');
});

t.test('a session that is resumed still says whose it is', async (t) => {
  const names: unknown[] = [];
  const house = await startTransports(t, {
    authenticate: (_username, _password, peer) => {
      names.push(peer.certificateNames);
      return Promise.resolve({ refused: 'bad_secret' });
    },
  });
  const ca = house.authority.cert;
  const known = house.devices.issue({ commonName: 'dev-1' });
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { ca, ...known, minVersion: version, maxVersion: version };
    const first = await openTls(t, house.tlsPort, options);
    let session = first.getSession();
    // 1.3 sends it when the handshake is over, and before anything else.
    first.on('session', (ticket) => (session = ticket));
    await answerTo(first);
    const again = await openTls(t, house.tlsPort, { ...options, session });
    t.equal(again.isSessionReused(), true);
    await answerTo(again);
    t.same(names.splice(0), [['dev-1'], ['dev-1']], version);
  }
});

t.test('without an authority of devices none is asked for a certificate', async (t) => {
  const house = await startTransports(t, { clientCa: false });
  const ca = house.authority.cert;
  const known = house.devices.issue({ commonName: 'dev-1' });
  for (const url of [urls(house)[0]!, urls(house)[2]!]) await connectMqtt(t, url, { ca, ...known });
  t.equal(house.listener.connectionCount, 2, 'and none is read');
});

t.test('a renewed certificate is shown to new connections; open ones go on', async (t) => {
  const authority = createTestAuthority();
  const first = authority.issue({ commonName: 'first', addresses: [HOST] });
  const second = authority.issue({ commonName: 'second', addresses: [HOST] });
  const paths = await writeFiles(t, { cert: first.cert, key: first.key });
  const { listener, metrics, sink } = await startListener(t);
  sink.answer = () => STORED;
  let say: (message: string) => void = () => undefined;
  const said = (): Promise<string> => new Promise((resolve) => (say = resolve));
  const log = {
    info: (_fields: object, message: string) => say(message),
    error: (_fields: object, message: string) => say(message),
  };
  const files = { certFile: paths.cert, keyFile: paths.key, clientCaFile: null };
  const transport = createTlsTransport({
    host: HOST,
    port: 0,
    certificates: new Certificates(files, log, 1),
    accept: (stream, peer) => listener.accept(stream, peer),
    refused: (reason) => metrics.refused(reason),
    log,
  });
  const { port } = await transport.start();
  t.teardown(async () => {
    await listener.close();
    await transport.close();
  });
  const shown = async (): Promise<unknown> =>
    (await openTls(t, port, { ca: authority.cert })).getPeerCertificate().subject.CN;
  const client = await connectMqtt(t, `mqtts://${HOST}:${port}`, { ca: authority.cert });
  t.equal(await shown(), 'first');
  const broken = said();
  await writeFile(paths.cert, second.cert);
  t.match(await broken, /cannot be used; the old one stays/);
  t.equal(await shown(), 'first');
  const renewed = said();
  await writeFile(paths.key, second.key);
  t.match(await renewed, /was renewed/);
  t.equal(await shown(), 'second');
  await client.publishAsync(TOPIC, '{}', { qos: 1 });
});

t.test('stopping: no new connections, open ones are the listener’s', async (t) => {
  const house = await startTransports(t);
  house.sink.answer = () => STORED;
  const ca = house.authority.cert;
  const clients = await Promise.all(urls(house).map((url) => connectMqtt(t, url, { ca })));
  // In the middle of its handshake.
  const half = connectTcp({ host: HOST, port: house.tlsPort });
  await once(half, 'connect');
  half.on('error', () => undefined);
  const ended = gone(half);
  // Connections are accepted in order, so the half one has been when this one is.
  (await openTls(t, house.tlsPort, { ca })).destroy();
  for (const transport of house.transports) transport.stopAccepting();
  await ended;
  t.notOk(house.metrics.reasons.has('handshake_timeout'), 'at once');
  for (const url of urls(house)) await t.rejects(connectMqtt(t, url, { ca }), /ECONNREFUSED/);
  await Promise.all(clients.map((client) => client.publishAsync(TOPIC, '{}', { qos: 1 })));
  const closed = Promise.all(house.transports.map((transport) => transport.close()));
  await house.listener.close();
  await closed;
  t.equal(house.listener.connectionCount, 0);
});

t.test('settings that cannot be', async (t) => {
  const config = {
    host: HOST,
    tlsPort: 0,
    webSocketPort: null,
    webSocketTlsPort: null,
    tls: null,
    packetBytesMax: 1,
  };
  const rest = {
    listener: { accept: () => undefined },
    metrics: { refused: () => undefined },
    log: { info: () => undefined, error: () => undefined },
  };
  t.throws(() => createTransports({ ...rest, config }), /needs a certificate/);
  t.same(createTransports({ ...rest, config: { ...config, tlsPort: null } }), []);
  const files = { certFile: '/nowhere.pem', keyFile: '/nowhere.pem', clientCaFile: null };
  const [transport] = createTransports({ ...rest, config: { ...config, tls: files } });
  await t.rejects(transport!.start(), /nowhere/);
  await transport!.close();
});

const mosquitto = spawnSync('mosquitto_pub', ['--help']).error === undefined;

t.test(
  'mosquitto_pub, over TLS, with a password and with a certificate',
  { skip: mosquitto ? false : 'mosquitto_pub is not installed (Debian: mosquitto-clients)' },
  async (t) => {
    const house = await startTransports(t, {
      authenticate: (username, password, peer) => {
        const isKnown = peer.certificateNames?.[0] === 'dev-1' || password?.toString() === PASSWORD;
        const identity = { deviceName: 'dev-1', iotDeviceId: 1, tenantId: 1 };
        return Promise.resolve(isKnown ? identity : { refused: 'bad_secret' });
      },
    });
    house.sink.answer = () => STORED;
    const own = house.devices.issue({ commonName: 'dev-1' });
    const paths = await writeFiles(t, { ca: house.authority.cert, cert: own.cert, key: own.key });
    const run = (...args: string[]): Promise<unknown> =>
      new Promise((resolve) => {
        const base = ['-h', HOST, '-p', String(house.tlsPort), '--cafile', paths.ca];
        const message = ['-t', TOPIC, '-q', '1', '-m', '{}'];
        execFile('mosquitto_pub', [...base, ...message, ...args], (error) =>
          resolve(error?.code ?? 0),
        );
      });
    const certificate = ['--cert', paths.cert, '--key', paths.key];
    t.equal(await run('-u', 'dev-1', '-P', PASSWORD), 0);
    t.equal(await run(...certificate), 0);
    t.equal(await run('--tls-alpn', 'mqtt', '-V', 'mqttv5', ...certificate), 0);
    t.not(await run('-u', 'dev-1', '-P', 'wrong'), 0);
    t.equal(house.sink.taken.length, 3);
  },
);

import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { generate } from 'mqtt-packet';
import t from 'tap';
import { MQTT_LIMITS_DEFAULT } from './limits.ts';
import type { MqttIdentity, MqttPeer } from './sink.ts';
import {
  STORED,
  connectPacket,
  knownDevices,
  openRaw,
  openSession,
  publishPacket,
  startListener,
} from './test-listener.ts';

t.test('3.1.1 is accepted with session present 0', async (t) => {
  const { port, metrics } = await startListener(t);
  const client = await openRaw(t, port);
  client.send(connectPacket(4, { clean: false }));
  t.match(await client.next(), { cmd: 'connack', returnCode: 0, sessionPresent: false });
  t.equal(metrics.connectionCount, 1);
});

t.test('5.0 is told everything the listener does not do', async (t) => {
  const { port } = await startListener(t);
  const client = await openRaw(t, port, 5);
  client.send(
    connectPacket(5, { clean: false, properties: { sessionExpiryInterval: 0xffffffff } }),
  );
  const connack = await client.next();
  t.match(connack, { cmd: 'connack', reasonCode: 0, sessionPresent: false });
  t.same(connack?.cmd === 'connack' && { ...connack.properties }, {
    sessionExpiryInterval: MQTT_LIMITS_DEFAULT.sessionExpirySMax,
    receiveMaximum: 1_000,
    retainAvailable: false,
    maximumPacketSize: 256 * 1024,
    topicAliasMaximum: 8,
    wildcardSubscriptionAvailable: false,
    sharedSubscriptionAvailable: false,
    serverKeepAlive: MQTT_LIMITS_DEFAULT.keepAliveSMax,
  });
});

t.test('server keep alive is only sent to those who ask for more', async (t) => {
  const { port } = await startListener(t, { limits: { keepAliveSMax: 100 } });
  for (const [keepalive, expected] of [
    [99, undefined],
    [100, undefined],
    [101, 100],
  ] as const) {
    const client = await openRaw(t, port, 5);
    client.send(connectPacket(5, { keepalive, clientId: `k${keepalive}` }));
    const connack = await client.next();
    t.equal(connack?.cmd === 'connack' && connack.properties?.serverKeepAlive, expected);
  }
});

t.test('unknown device, wrong password and no credentials are answered alike', async (t) => {
  const { port, metrics } = await startListener(t);
  const attempts = [
    { username: 'nobody' },
    { password: Buffer.from('wrong') },
    { username: undefined, password: undefined },
  ];
  for (const version of [4, 5] as const) {
    const answers: string[] = [];
    for (const attempt of attempts) {
      const client = await openRaw(t, port, version);
      client.send(connectPacket(version, attempt as object));
      const connack = await client.next();
      answers.push(JSON.stringify({ ...connack, properties: undefined }));
      t.match(connack, version === 4 ? { returnCode: 5 } : { reasonCode: 0x86 });
      t.equal(await client.next(), null, 'and closed');
    }
    t.equal(new Set(answers).size, 1);
  }
  t.same([...metrics.reasons].sort(), [
    ['bad_password', 2],
    ['unknown_device', 4],
  ]);
});

t.test('the check is told who is at the other end', async (t) => {
  const peers: MqttPeer[] = [];
  const { port } = await startListener(t, {
    authenticate: (username, password, peer) => {
      peers.push(peer);
      return knownDevices(username, password, peer);
    },
  });
  await openSession(t, port);
  t.same(peers, [{ remoteAddress: '127.0.0.1', certificateNames: null }]);
});

t.test('credentials that cannot be checked mean: come back later', async (t) => {
  const { port, metrics } = await startListener(t, {
    authenticate: () => Promise.reject(new Error('no database')),
  });
  const client4 = await openRaw(t, port);
  t.match(await client4.send(connectPacket(4)).next(), { returnCode: 3 });
  const client5 = await openRaw(t, port, 5);
  t.match(await client5.send(connectPacket(5)).next(), { reasonCode: 0x88 });
  await client4.closed;
  t.equal(metrics.reasons.get('authenticate_unavailable'), 2);
});

t.test('a check that takes too long ends the same way', async (t) => {
  const { port, metrics } = await startListener(t, {
    limits: { authenticateMsMax: 20 },
    authenticate: () => new Promise(() => {}),
  });
  const client = await openRaw(t, port);
  t.match(await client.send(connectPacket(4)).next(), { returnCode: 3 });
  await metrics.refusal('authenticate_timeout');
});

t.test('versions that are not spoken are refused in words they know', async (t) => {
  const { port, metrics } = await startListener(t);
  const old = await openRaw(t, port);
  old.send(connectPacket(4, { protocolId: 'MQIsdp', protocolVersion: 3 }));
  t.match(await old.next(), { cmd: 'connack', returnCode: 1 });
  t.equal(await old.next(), null);
  const future = connectPacket(5);
  future[8] = 6;
  const client = await openRaw(t, port, 5);
  t.match(await client.send(future).next(), { cmd: 'connack', reasonCode: 0x84 });
  t.equal(metrics.reasons.get('unsupported_version'), 2);
});

t.test('empty client ids', async (t) => {
  const { port } = await startListener(t);
  const unclean = Buffer.from([0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0, 0, 60, 0, 0]);
  const refused = await openRaw(t, port);
  t.match(await refused.send(unclean).next(), { returnCode: 2 });
  await openSession(t, port, 4, { clientId: '' });
  await openSession(t, port, 4, { clientId: '' });
  const client = await openRaw(t, port, 5);
  const connack = await client.send(connectPacket(5, { clientId: '' })).next();
  t.match(connack?.cmd === 'connack' && connack.properties?.assignedClientIdentifier, /^milepost-/);
});

t.test('wills: taken at every quality, refused in 5.0 where they could not be kept', async (t) => {
  const { port, sink, wills } = await startListener(t);
  const will = { topic: 'v1/devices/dev-1/gone', payload: Buffer.from('x'), retain: false };
  await openSession(t, port, 4, { will: { ...will, qos: 2, retain: true } });
  const client = await openSession(t, port, 5, { will: { ...will, qos: 1 }, clientId: 'w' });
  client.socket.resetAndDestroy();
  await wills.first(1);
  t.equal(sink.taken.length, 0, 'a will is no publish');
  for (const [changes, reasonCode] of [
    [{ retain: true }, 0x9a],
    [{ topic: 'a/#' }, 0x90],
    [{ payload: Buffer.from([0xff]), properties: { payloadFormatIndicator: true } }, 0x99],
  ] as const) {
    const refused = await openRaw(t, port, 5);
    refused.send(connectPacket(5, { will: { ...will, qos: 2, ...changes } }));
    t.match(await refused.next(), { cmd: 'connack', reasonCode });
  }
});

t.test('extended authentication is not offered', async (t) => {
  const { port } = await startListener(t);
  const client = await openRaw(t, port, 5);
  client.send(connectPacket(5, { properties: { authenticationMethod: 'SCRAM-SHA-1' } }));
  t.match(await client.next(), { reasonCode: 0x8c });
});

t.test('a client that takes no packet as large as CONNACK is told in a small one', async (t) => {
  const { port, metrics } = await startListener(t);
  const client = await openRaw(t, port, 5);
  client.send(connectPacket(5, { properties: { maximumPacketSize: 10 } }));
  t.match(await client.next(), { reasonCode: 0x95 });
  await metrics.refusal('client_packet_max');
});

t.test('the first packet must be CONNECT, and there is only one', async (t) => {
  const { port, metrics } = await startListener(t);
  const eager = await openRaw(t, port);
  eager.send(publishPacket(4, 1));
  t.equal(await eager.next(), null);
  const http = await openRaw(t, port);
  http.send(Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\n${'X-Pad: 1\r\n'.repeat(20)}\r\n`));
  t.equal(await http.next(), null);
  t.equal(metrics.reasons.get('not_connect_first'), 2);
  const twice5 = await openSession(t, port, 5);
  t.match(await twice5.send(connectPacket(5)).next(), { cmd: 'disconnect', reasonCode: 0x82 });
  t.equal(await twice5.next(), null);
  const twice4 = await openSession(t, port, 4, { clientId: 'b' });
  t.equal(await twice4.send(connectPacket(4)).next(), null);
  t.equal(metrics.reasons.get('second_connect'), 2);
});

t.test('CONNECT must come in time, whole', async (t) => {
  const { port, metrics } = await startListener(t, { limits: { connectMsMax: 30 } });
  const silent = await openRaw(t, port);
  const slow = await openRaw(t, port);
  slow.send(connectPacket(4).subarray(0, 10));
  await silent.closed;
  await slow.closed;
  t.equal(metrics.reasons.get('connect_timeout'), 2);
  await metrics.untilConnections(0);
});

t.test('a CONNECT over 8 KiB is refused by its header', async (t) => {
  const { port, metrics } = await startListener(t);
  const client = await openRaw(t, port);
  client.send(Buffer.from([0x10, 0xff, 0xff, 0x03]));
  t.equal(await client.next(), null);
  t.same([...metrics.reasons], [['connect_too_large', 1]]);
  const large = await openRaw(t, port);
  large.send(connectPacket(4, { password: Buffer.alloc(8_000) }));
  t.match(await large.next(), { returnCode: 5 }, 'just under it reaches the check');
});

/** An authenticator that answers when the test says so. */
function delayedAuthenticate() {
  let admit = (_: MqttIdentity): void => {};
  let hear = (): void => {};
  const asked = new Promise<void>((resolve) => {
    hear = resolve;
  });
  const authenticate = (): Promise<MqttIdentity> => {
    hear();
    return new Promise((resolve) => {
      admit = resolve;
    });
  };
  const identity: MqttIdentity = { deviceName: 'dev-1', iotDeviceId: 1, tenantId: 1 };
  return { authenticate, asked, admit: () => admit(identity) };
}

t.test('what comes behind CONNECT waits for the check', async (t) => {
  const { authenticate, asked, admit } = delayedAuthenticate();
  const { port, sink } = await startListener(t, { authenticate });
  sink.answer = () => STORED;
  const client = await openRaw(t, port);
  const ids = Array.from({ length: 50 }, (_, i) => i + 1);
  client.send(connectPacket(4), ...ids.map((id) => publishPacket(4, id)));
  await asked;
  t.equal(sink.taken.length, 0);
  admit();
  t.match(await client.next(), { cmd: 'connack', returnCode: 0 });
  const acks = await client.take(50);
  t.same(
    acks.map((ack) => ack?.messageId),
    ids,
  );
});

t.test('a check that answers after the client has gone changes nothing', async (t) => {
  const { authenticate, admit } = delayedAuthenticate();
  const { port, metrics, sink } = await startListener(t, {
    limits: { authenticateMsMax: 20 },
    authenticate,
  });
  const client = await openRaw(t, port);
  client.send(connectPacket(4), publishPacket(4, 1));
  t.match(await client.next(), { returnCode: 3 });
  await client.closed;
  await metrics.untilConnections(0);
  admit();
  await Promise.resolve();
  t.equal(sink.taken.length, 0);
});

t.test('takeover closes the old connection of the same device and client id', async (t) => {
  const { port, metrics } = await startListener(t);
  const old5 = await openSession(t, port, 5, { clientId: 'x' });
  const other = await openSession(t, port, 5, { clientId: 'x', username: 'dev-2' });
  const old4 = await openSession(t, port, 4, { clientId: 'x' });
  t.match(await old5.next(), { cmd: 'disconnect', reasonCode: 0x8e });
  t.equal(await old5.next(), null);
  const newest = await openSession(t, port, 4, { clientId: 'x' });
  t.equal(await old4.next(), null);
  t.equal(metrics.reasons.get('taken_over'), 2);
  t.equal(other.isClosed, false, 'another device with that client id is another session');
  t.equal(newest.isClosed, false);
});

t.test('outcomes for a connection that was taken over go nowhere', async (t) => {
  const { port, sink } = await startListener(t);
  const old = await openSession(t, port);
  old.send(publishPacket(4, 7));
  await sink.arrived(1);
  const next = await openSession(t, port);
  await old.closed;
  sink.taken[0]!.done(STORED);
  next.send(publishPacket(4, 8));
  await sink.arrived(2);
  sink.taken[1]!.done(STORED);
  t.match(await next.next(), { cmd: 'puback', messageId: 8 });
});

t.test('a device that is disconnected loses all its connections, others keep theirs', async (t) => {
  const { listener, port, metrics } = await startListener(t);
  const client5 = await openSession(t, port, 5, { clientId: 'a' });
  const client4 = await openSession(t, port, 4, { clientId: 'b' });
  const other = await openSession(t, port, 4, { username: 'dev-2' });
  t.equal(listener.connectionCount, 3);
  listener.disconnectDevice(1);
  listener.disconnectDevice(99);
  t.match(await client5.next(), { cmd: 'disconnect', reasonCode: 0x87 });
  t.equal(await client5.next(), null);
  t.equal(await client4.next(), null);
  await metrics.untilConnections(1);
  t.equal(listener.connectionCount, 1);
  t.equal(other.isClosed, false);
  t.equal(metrics.reasons.get('revoked'), 2);
});

t.test('bounds on connections', async (t) => {
  const { port, metrics } = await startListener(t, {
    limits: { connectionsMax: 3, connectionsPerDeviceMax: 2 },
  });
  const first = await openSession(t, port, 5, { clientId: 'a' });
  await openSession(t, port, 5, { clientId: 'b' });
  await openSession(t, port, 5, { clientId: 'c' });
  t.match(await first.next(), { cmd: 'disconnect', reasonCode: 0x97 });
  await first.closed;
  await metrics.untilConnections(2);
  await openRaw(t, port);
  const refused = connectTcp({ host: '127.0.0.1', port });
  refused.on('error', () => {});
  await once(refused, 'close');
  t.equal(metrics.reasons.get('connections'), 1);
  t.equal(metrics.connectionCount, 3);
});

t.test('bound on connections from one address', async (t) => {
  const { port, metrics } = await startListener(t, { limits: { connectionsPerAddressMax: 1 } });
  const first = await openSession(t, port);
  const second = connectTcp({ host: '127.0.0.1', port });
  second.on('error', () => {});
  await once(second, 'close');
  t.equal(metrics.reasons.get('connections_per_address'), 1);
  first.socket.destroy();
  await metrics.untilConnections(0);
  await openSession(t, port);
});

t.test('limits out of range throw at once', async (t) => {
  await t.rejects(startListener(t, { limits: { inFlightMax: 70_000 } }), /inFlightMax/);
  await t.rejects(startListener(t, { limits: { packetBytesMax: 0 } }), /packetBytesMax/);
});

t.test('DISCONNECT closes, in both versions', async (t) => {
  const { port, metrics } = await startListener(t, { authenticate: knownDevices });
  for (const version of [4, 5] as const) {
    const client = await openSession(t, port, version);
    client.send(generate({ cmd: 'disconnect', reasonCode: 0 }, { protocolVersion: version }));
    t.equal(await client.next(), null);
  }
  await metrics.untilConnections(0);
  t.equal(metrics.reasons.size, 0);
});

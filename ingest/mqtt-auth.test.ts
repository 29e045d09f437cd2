import { createHash } from 'node:crypto';
import mqtt from 'mqtt';
import t from 'tap';
import type { Knock } from './knocking.ts';
import { createAuthenticate } from './mqtt-auth.ts';
import { HOST, startTransports } from './mqtt/transports/test-transports.ts';
import { digestOf, Registry, type RegisteredDevice } from './registry.ts';

function newRegistry(): Registry {
  const registry = new Registry();
  for (const [i, deviceName] of ['dev-1', 'dev-2', 'urn:dev-3', 'no-secret'].entries()) {
    const secret = deviceName === 'no-secret' ? null : `secret of ${deviceName}`;
    const device: RegisteredDevice = {
      iotDeviceId: i + 1,
      deviceName,
      tenantId: 7,
      tokenHash: secret === null ? null : digestOf(createHash('sha256').update(secret).digest()),
      previousToken: null,
      signInByName: true,
      link: null,
    };
    registry.put(device);
  }
  return registry;
}

/** Certificate names, user name, password → the device, or the refusal; and who knocked. */
type Row = [
  names: string[] | null,
  username: string | undefined,
  password: string | undefined,
  answer: string,
  knocked?: string,
];

const rows: Row[] = [
  // By secret.
  [null, 'dev-1', 'secret of dev-1', 'dev-1'],
  [null, 'dev-1', 'secret of dev-2', '!bad_secret'],
  [null, 'dev-1', undefined, '!credentials_missing'],
  [null, undefined, 'secret of dev-1', '!credentials_missing'],
  [null, undefined, undefined, '!credentials_missing'],
  [null, '', 'secret of dev-1', '!credentials_missing'],
  [null, 'no-secret', '', '!bad_secret'],
  [null, 'dev-9', 'anything', '!unknown_device', 'dev-9'],
  // By certificate.
  [['dev-1'], undefined, undefined, 'dev-1'],
  [['dev-1'], '', undefined, 'dev-1'],
  [['dev-1'], 'dev-1', undefined, 'dev-1'],
  [['no-secret'], undefined, undefined, 'no-secret'],
  [['host.example', 'urn:dev-3'], undefined, undefined, 'urn:dev-3'],
  [['dev-9'], undefined, undefined, '!certificate_unknown', 'dev-9'],
  [['dev-9'], 'dev-9', 'anything', '!certificate_unknown', 'dev-9'],
  [[], undefined, undefined, '!certificate_unknown'],
  [[], 'dev-1', 'secret of dev-1', '!certificate_mismatch'],
  [['dev-1'], 'dev-2', undefined, '!certificate_mismatch'],
  [['dev-1', 'dev-2'], undefined, undefined, '!certificate_ambiguous'],
  [['dev-1', 'dev-2'], 'dev-2', undefined, 'dev-2'],
  // By both.
  [['dev-1'], 'dev-1', 'secret of dev-1', 'dev-1'],
  [['dev-1'], undefined, 'secret of dev-1', 'dev-1'],
  [['dev-1'], 'dev-1', 'secret of dev-2', '!bad_secret'],
  [['dev-1'], 'dev-2', 'secret of dev-2', '!certificate_mismatch'],
  [['no-secret'], 'no-secret', 'anything', '!bad_secret'],
];

t.test('names, secrets and certificates', async (t) => {
  const knocks: Knock[] = [];
  const authenticate = createAuthenticate(newRegistry(), (knock) => knocks.push(knock));
  for (const [names, username, password, answer, knocked] of rows) {
    const peer = { remoteAddress: '192.0.2.1', certificateNames: names };
    const secret = password === undefined ? undefined : Buffer.from(password);
    const found = await authenticate(username, secret, peer);
    const told = 'refused' in found ? `!${found.refused}` : found.deviceName;
    t.equal(told, answer, JSON.stringify([names, username, password]));
    if (!('refused' in found)) t.equal(found.tenantId, 7);
    const expected = {
      protocol: 'mqtt',
      tenantId: null,
      payload: null,
      remoteAddress: '192.0.2.1',
    };
    const who = knocked === undefined ? [] : [{ ...expected, deviceName: knocked }];
    t.same(knocks.splice(0), who);
  }
});

t.test('a device signs in by its certificate, and with it by no other name', async (t) => {
  const house = await startTransports(t, {
    authenticate: createAuthenticate(newRegistry(), () => undefined),
  });
  const ca = house.authority.cert;
  const own = house.devices.issue({ dnsNames: ['dev-1'] });
  const stranger = house.devices.issue({ commonName: 'dev-9' });
  const connect = (options: mqtt.IClientOptions): Promise<mqtt.MqttClient> =>
    mqtt.connectAsync(`mqtts://${HOST}:${house.tlsPort}`, { ca, reconnectPeriod: 0, ...options });
  const topic = 'v1/devices/dev-1/fixes';
  for (const protocolVersion of [4, 5] as const) {
    const client = await connect({ ...own, protocolVersion });
    const published = client.publishAsync(topic, '{}', { qos: 1 });
    await house.sink.arrived(1);
    t.equal(house.sink.taken[0]!.message.identity.deviceName, 'dev-1');
    house.sink.taken.shift()!.done({ kind: 'stored' });
    await published;
    await client.endAsync();
    await t.rejects(connect({ ...stranger, protocolVersion }), /authori[sz]ed|password/i);
    await t.rejects(
      connect({ ...own, protocolVersion, username: 'dev-2', password: 'secret of dev-2' }),
      /authori[sz]ed|password/i,
    );
  }
  t.equal(house.metrics.reasons.get('certificate_unknown'), 2);
  t.equal(house.metrics.reasons.get('certificate_mismatch'), 2);
});

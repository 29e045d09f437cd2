import t from 'tap';
import { readConfig, readDemoConfig } from './config.ts';

const complete = {
  DATABASE_URL: 'postgres://milepost:secret@db:5432/milepost',
  AUTH_ISSUER: 'https://issuer.example/',
  AUTH_AUDIENCE: 'milepost',
  AUTH_JWKS_URL: 'https://issuer.example/jwks.json',
};

t.test('every missing setting is named at once', (t) => {
  const read = readConfig({});
  t.match(read, {
    ok: false,
    problems: ['DATABASE_URL is required', 'AUTH_ISSUER is required', 'AUTH_AUDIENCE is required', 'AUTH_JWKS_URL is required'],
  }); // prettier-ignore
  t.end();
});

t.test('bad values are named with what they want, secrets are not repeated', (t) => {
  const read = readConfig({
    ...complete,
    DATABASE_URL: 'mysql://milepost:hunter2@db/x',
    MQTT_PORT: '70000',
    INGEST_PARTITIONS: 'many',
    LIVE_TRANSPORT: 'smoke',
    CURSOR_SECRET: 'short',
    LIVE_PUBLIC_URL: 'live.example',
    LIVE_ALLOWED_ORIGINS: 'https://map.example/page',
  });
  t.equal(read.ok, false);
  const told = read.ok ? '' : read.problems.join('\n');
  for (const name of [
    'DATABASE_URL',
    'MQTT_PORT',
    'INGEST_PARTITIONS',
    'LIVE_TRANSPORT',
    'CURSOR_SECRET',
    'LIVE_PUBLIC_URL',
    'LIVE_ALLOWED_ORIGINS',
  ]) {
    t.match(told, name);
  }
  t.match(told, '0 to 65535');
  t.notMatch(told, 'hunter2');
  t.notMatch(told, 'short');
  t.end();
});

t.test('the rest has defaults; roles share the database unless told otherwise', (t) => {
  const read = readConfig(complete);
  t.match(read, {
    ok: true,
    config: {
      databaseApiUrl: complete.DATABASE_URL,
      databaseIngestUrl: complete.DATABASE_URL,
      http: { host: '0.0.0.0', port: 8080, trustProxy: [] },
      ingest: { partitionCount: 2, batchRowsMax: 5_000 },
    },
  });
  t.match(readDemoConfig({}), { ok: true, config: { server: { http: { host: '127.0.0.1' } } } });
  t.match(read, { config: { attachments: { dir: '.milepost/attachments' } } });
  t.match(readDemoConfig({ DATA_DIR: '/demo' }), {
    config: { server: { attachments: { dir: '/demo/attachments' } } },
  });
  t.match(readConfig({ ...complete, ATTACHMENT_DIR: '/files' }), {
    config: { attachments: { dir: '/files' } },
  });
  t.match(readConfig({ ...complete, LIVE_ALLOWED_ORIGINS: 'https://map.example/, http://x:1' }), {
    config: { live: { allowedOrigins: ['https://map.example', 'http://x:1'] } },
  });
  t.match(readConfig({ ...complete, TRUST_PROXY: '10.0.0.0/8, 192.168.0.0/16' }), {
    config: { http: { trustProxy: ['10.0.0.0/8', '192.168.0.0/16'] } },
  });
  t.end();
});

t.test('the identity provider is told of all together, or not at all', (t) => {
  const auth0 = {
    AUTH0_MANAGEMENT_URL: 'https://example.eu.auth0.com/',
    AUTH0_MANAGEMENT_CLIENT_ID: 'client',
    AUTH0_MANAGEMENT_CLIENT_SECRET: 'hunter2',
  };
  t.match(readConfig(complete), { ok: true, config: { identity: null } });
  t.match(readConfig({ ...complete, AUTH0_CONNECTION: 'staff' }), { config: { identity: null } });
  t.match(readConfig({ ...complete, ...auth0 }), {
    config: {
      identity: {
        url: 'https://example.eu.auth0.com/',
        clientId: 'client',
        clientSecret: 'hunter2',
        connection: 'Username-Password-Authentication',
      },
    },
  });
  for (const name of Object.keys(auth0)) {
    const read = readConfig({ ...complete, ...auth0, [name]: '' });
    t.same(read, { ok: false, problems: [`${name} is required`] });
  }
  const rows: [string, boolean][] = [
    ['https://example.eu.auth0.com', true],
    ['http://127.0.0.1:4010/', true],
    ['http://localhost:4010', true],
    ['http://example.eu.auth0.com/', false],
    ['http://localhost.example.com/', false],
    ['https://example.eu.auth0.com/api/v2/', false],
    ['https://user:password@example.eu.auth0.com/', false],
    ['https://example.eu.auth0.com/?x=1', false],
    ['example.eu.auth0.com', false],
  ];
  for (const [url, isGood] of rows) {
    const read = readConfig({ ...complete, ...auth0, AUTH0_MANAGEMENT_URL: url });
    t.equal(read.ok, isGood, url);
    if (!read.ok) t.notMatch(read.problems.join('\n'), /hunter2|password@/);
  }
  t.end();
});

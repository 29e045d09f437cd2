/**
 * For the tests of this room: a portal over a fresh database, with a real issuer whose key set is fetched over HTTP, and
 * two tenants. Everything of the second tenant carries `CANARY`, so that a leak shows in any response.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance, InjectOptions } from 'fastify';
import type pg from 'pg';
import { createPool } from '../db/pools.ts';
import { administer, createTestDatabase, testServerUrl } from '../db/test-database.ts';
import { openDiskStore } from './attachments/disk-store.ts';
import { createAuthenticate, type Authenticate } from './auth/authenticate.ts';
import { DEMO_JWKS_PATH } from './auth/demo-routes.ts';
import { createLocalIssuer, type LocalIssuer } from './auth/local-issuer.ts';
import { hashPassword } from './auth/password.ts';
import { PERMISSIONS, rolePermissionOf } from './auth/permissions.ts';
import { createPrincipals, type Principals } from './auth/principal.ts';
import { createVerifier } from './auth/verifier.ts';
import { buildServer, type ServerOptions } from './server.ts';

/** In every text of the second tenant. */
export const CANARY = 'canary-9c1f';
export const PASSWORD = 'correct horse';
/** The minute at which the clock of the portal under test stands: the database keeps no other times than near ones. */
export const NOW_MS = Math.floor(Date.now() / 60_000) * 60_000;

const NAMES = { issuer: 'http://issuer.test/', audience: 'milepost' };

export type Who = 'admin' | 'held' | 'bare' | 'foreign';

export interface TestPortal {
  readonly app: FastifyInstance;
  readonly owner: pg.Pool;
  readonly apiPool: pg.Pool;
  readonly runnerPool: pg.Pool;
  readonly issuer: LocalIssuer;
  readonly principals: Principals;
  readonly seed: Seed;
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  /** The directory of its attachments, unless the test has given a store of its own. */
  readonly attachmentDir: string;
  /** The headers of a request by one of the users. */
  headersOf(who: Who): { authorization: string };
  /** Cuts the portal off from its database, until the end of the test. */
  shutOff(): Promise<void>;
  /** A request by one of the users: `admin` may all, `held` may all but only in one account, `bare` may nothing. */
  as(who: Who, request: InjectOptions): Promise<TestAnswer>;
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  /** The JSON body; which of the fields are there is for the test to know. */
  readonly body: TestBody;
  readonly text: string;
}

export interface TestRow {
  readonly equipment_id: number;
  readonly equipment_has_iot_device_id: number;
  readonly geofence_id: number;
  readonly telematic_alert_id: number;
  readonly alert_type_lookup_id: number;
  readonly activity_feed_id: number;
  readonly iot_device_id: number;
  readonly iot_device_event_id: number;
  readonly iot_device_command_id: number;
  readonly gateway_token_id: number;
  readonly attachment_id: number;
  readonly knocking_device_id: number;
  readonly device_identifier: string;
  readonly token: string;
  readonly status: string;
  readonly latitude: number;
  readonly metric_value: number;
  readonly metric_code: string;
  readonly event_time: string;
  readonly event_name: string;
  readonly version: number;
}

export interface TestBody extends TestRow {
  readonly data: TestRow[];
  readonly page: { next_cursor: string | null; has_more: boolean };
  readonly permissions: string[];
  readonly account_ids: number[] | null;
  readonly requestId: string;
}

/** Ids of what was made. */
export interface Seed {
  readonly mine: TenantSeed;
  readonly foreign: TenantSeed;
}

export interface TenantSeed {
  readonly customerId: number;
  /** North and south. */
  readonly accountIds: [number, number];
  /** Of north, of south, of no account. */
  readonly equipmentIds: [number, number, number];
  readonly deviceIds: [number, number, number];
  /** The devices themselves, where `deviceIds` are their mounts. */
  readonly iotDeviceIds: [number, number, number];
  readonly commandIds: [number, number, number];
  readonly gatewayTokenId: number;
  readonly geofenceIds: [number, number, number];
  readonly alertIds: [number, number, number];
  /** Each on the unit at the same place; there are no bytes to them. */
  readonly attachmentIds: [number, number, number];
}

type Answered = Awaited<ReturnType<FastifyInstance['inject']>>;

interface Tearable {
  teardown(work: () => Promise<unknown>): unknown;
}

/** Builds it and listens on a free port; all is gone at the teardown of `t`. */
export async function startTestPortal(
  t: Tearable,
  options: Partial<ServerOptions> = {},
  statementTimeoutMs = 10_000,
): Promise<TestPortal> {
  const { ownerUrl } = await createTestDatabase(t);
  const connect = (role: 'owner' | 'milepost_api' | 'milepost_runner') =>
    createPool({
      connectionString: ownerUrl,
      role,
      max: 4,
      applicationName: 'api test',
      statementTimeoutMs,
    });
  const owner = connect('owner');
  const apiPool = connect('milepost_api');
  const runnerPool = connect('milepost_runner');
  const seed = await makeSeed(owner);
  const issuer = await getTestIssuer(NAMES);
  const principals = createPrincipals({ pool: apiPool });
  let authenticate: Authenticate | null = null;
  const attachmentDir = await mkdtemp(join(tmpdir(), 'milepost-attachments-'));
  const app = await buildServer({
    pool: apiPool,
    runnerPool,
    authenticate: (token) => authenticate!(token),
    fencesAt: () => [],
    attachmentStore: await openDiskStore(attachmentDir),
    cursorKey: randomBytes(32),
    trustProxy: [],
    log: { level: 'silent' },
    version: '0.0.0',
    liveUrl: 'ws://127.0.0.1:4001/live',
    demoIssuer: issuer,
    readiness: () => ({ ready: true, reasons: [] }),
    renderMetrics: () => 'milepost_up 1\n',
    now: () => NOW_MS,
    ...options,
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(async () => {
    await app.close();
    await Promise.all([owner.end(), apiPool.end(), runnerPool.end()]);
    await rm(attachmentDir, { recursive: true, force: true });
  });
  const { port } = app.server.address() as AddressInfo;
  const jwksUrl = `http://127.0.0.1:${port}${DEMO_JWKS_PATH}`;
  authenticate = createAuthenticate(createVerifier({ ...NAMES, jwksUrl }), principals);
  const headersOf = await issueHeaders(issuer);
  return {
    app,
    owner,
    apiPool,
    runnerPool,
    issuer,
    principals,
    seed,
    url: `http://127.0.0.1:${port}`,
    attachmentDir,
    headersOf,
    shutOff: () => shutOff(ownerUrl),
    async as(who, request) {
      const headers = { ...headersOf(who), ...request.headers };
      return toAnswer(who, request, await app.inject({ ...request, headers }));
    },
  };
}

function toAnswer(who: Who, request: InjectOptions, answer: Answered): TestAnswer {
  if (who !== 'foreign' && answer.body.includes(CANARY)) {
    throw new Error(
      `${request.method ?? 'GET'} ${JSON.stringify(request.url)} leaks another tenant`,
    );
  }
  const isJson = /json/.test(String(answer.headers['content-type']));
  const body = (isJson && answer.body !== '' ? JSON.parse(answer.body) : null) as TestBody;
  return { status: answer.statusCode, headers: answer.headers, body, text: answer.body };
}

async function issueHeaders(issuer: LocalIssuer): Promise<TestPortal['headersOf']> {
  const tokens = new Map<Who, string>();
  for (const who of ['admin', 'held', 'bare', 'foreign'] as const) {
    tokens.set(who, (await issuer.issue(`test|${who}`)).access_token);
  }
  return (who) => ({ authorization: `Bearer ${tokens.get(who)}` });
}

async function shutOff(ownerUrl: string): Promise<void> {
  const name = new URL(ownerUrl).pathname.slice(1);
  const serverUrl = testServerUrl();
  await administer(serverUrl, `alter database ${name} with allow_connections false`);
  await administer(
    serverUrl,
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${name}'`,
  );
}

/** One key pair for all portals of a test file: making one takes a while. */
let sharedIssuer: Promise<LocalIssuer> | null = null;

function getTestIssuer(names: { issuer: string; audience: string }): Promise<LocalIssuer> {
  sharedIssuer ??= createTestIssuer(names);
  return sharedIssuer;
}

let sharedKey: string | null = null;

/** A token that was good two hours ago. */
export async function issueExpired(subject: string): Promise<string> {
  const past = await createTestIssuer(NAMES, () => Date.now() - 7_200_000);
  return (await past.issue(subject)).access_token;
}

async function createTestIssuer(
  names: { issuer: string; audience: string },
  now: () => number = Date.now,
): Promise<LocalIssuer> {
  const passwordHash = await hashPassword(PASSWORD);
  return createLocalIssuer({
    ...names,
    now,
    storage: {
      load: () => Promise.resolve(sharedKey),
      save: (pem) => {
        sharedKey = pem;
        return Promise.resolve();
      },
    },
    findUser: (email) =>
      email === 'admin@acme.test' ? { subject: 'test|admin', passwordHash } : null,
  });
}

async function makeSeed(owner: pg.Pool): Promise<Seed> {
  const mine = await makeTenant(owner, 'acme', 'acme');
  const foreign = await makeTenant(owner, CANARY, 'rival');
  const all = rolePermissionOf(PERMISSIONS);
  await makeUser(owner, mine.customerId, 'admin', 'acme', all);
  await makeUser(owner, mine.customerId, 'held', 'acme', all, [mine.accountIds[0]]);
  await makeUser(owner, mine.customerId, 'bare', 'acme', {});
  await makeUser(owner, foreign.customerId, 'foreign', 'rival', all);
  return { mine, foreign };
}

async function insert(owner: pg.Pool, text: string, values: unknown[]): Promise<number> {
  const { rows } = await owner.query<{ id: number }>(`${text} as id`, values);
  return rows[0]!.id;
}

async function makeUser(
  owner: pg.Pool,
  customerId: number,
  name: string,
  domain: string,
  ...[permission, accountIds = []]: [unknown, number[]?]
): Promise<void> {
  const roleId = await insert(
    owner,
    `insert into user_role (customer_id, name, role_permission) values ($1, $2, $3) returning user_role_id`,
    [customerId, `${name} role`, JSON.stringify(permission)],
  );
  await insert(
    owner,
    `insert into "user" (customer_id, user_role_id, email, auth_0_reference_id, assigned_account_ids)
     values ($1, $2, $3, $4, $5) returning user_id`,
    [customerId, roleId, `${name}@${domain}.test`, `test|${name}`, accountIds],
  );
}

async function makeTenant(owner: pg.Pool, word: string, key: string): Promise<TenantSeed> {
  const customerId = await insert(
    owner,
    `insert into customer (customer_name, time_zone) values ($1, 'Europe/Berlin') returning customer_id`,
    [`${word} company`],
  );
  const accountIds = [];
  for (const place of ['north', 'south']) {
    accountIds.push(
      await insert(
        owner,
        `insert into account (customer_id, account_name, account_number, account_type)
         values ($1, $2, $3, 'REGIONAL') returning account_id`,
        [customerId, `${word} ${place}`, `${key}-${place}`],
      ),
    );
  }
  const seed = {
    equipmentIds: [],
    deviceIds: [],
    iotDeviceIds: [],
    commandIds: [],
    geofenceIds: [],
    alertIds: [],
    attachmentIds: [],
  } as {
    [name: string]: number[];
  };
  for (const [i, accountId] of [accountIds[0]!, accountIds[1]!, null].entries()) {
    const row = { owner, customerId, accountId, word, i };
    const equipmentId = await insert(
      owner,
      `insert into equipment (customer_id, account_id, unit_number, vin)
       values ($1, $2, $3, $4) returning equipment_id`,
      [customerId, accountId, `${word} ${i}`, `${key}-vin-${i}`],
    );
    seed['equipmentIds']!.push(equipmentId);
    const device = await makeDevice({ ...row, equipmentId, key: `${key}-${i}` });
    seed['deviceIds']!.push(device.deviceId);
    seed['iotDeviceIds']!.push(device.iotDeviceId);
    seed['commandIds']!.push(await makeDeviceWords(row, device.iotDeviceId, equipmentId));
    seed['geofenceIds']!.push(await makeGeofence(row));
    seed['alertIds']!.push(await makeAlert(row));
    seed['attachmentIds']!.push(await makeAttachment({ ...row, equipmentId, key }));
  }
  const gatewayTokenId = await makeGateway(owner, customerId, word);
  return { customerId, accountIds, gatewayTokenId, ...seed } as unknown as TenantSeed;
}

/** A gateway, and two devices that it vouches for. */
async function makeGateway(owner: pg.Pool, customerId: number, word: string): Promise<number> {
  await owner.query(
    `insert into knocking_device (customer_id, protocol, device_identifier, first_seen_at, last_seen_at, knock_count,
       last_payload, last_payload_bytes, remote_address)
     select $1, 'http', $2 || '-knock-' || n, $3, $3, n, $4, 2, '192.0.2.1' from generate_series(1, 2) n`,
    [customerId, word, new Date(NOW_MS), Buffer.from('{}')],
  );
  return insert(
    owner,
    `insert into gateway_token (customer_id, name, token_hash) values ($1, $2::text, sha256($2::text::bytea))
     returning gateway_token_id`,
    [customerId, `${word} gateway`],
  );
}

/** What a device said, and what it is to be told; gives the id of the latter. */
async function makeDeviceWords(
  { owner, customerId, word }: RowSeed,
  iotDeviceId: number,
  equipmentId: number,
): Promise<number> {
  await owner.query(
    `insert into iot_device_event (event_key, customer_id, iot_device_id, equipment_id, event_kind, recorded_at,
       received_at, latitude, longitude, detail)
     values (gen_random_uuid(), $1, $2, $3, 'region_enter', $4, $4, 50, 10, $5)`,
    [customerId, iotDeviceId, equipmentId, new Date(NOW_MS), JSON.stringify({ desc: word })],
  );
  return insert(
    owner,
    `insert into iot_device_command (customer_id, iot_device_id, payload, expires_at)
     values ($1, $2, $3, now() + interval '1 day') returning iot_device_command_id`,
    [customerId, iotDeviceId, `${word} report`],
  );
}

interface RowSeed {
  owner: pg.Pool;
  customerId: number;
  accountId: number | null;
  word: string;
  i: number;
}

async function makeDevice(
  row: RowSeed & { equipmentId: number; key: string },
): Promise<{ deviceId: number; iotDeviceId: number }> {
  const { owner, customerId, equipmentId } = row;
  const iotDeviceId = await insert(
    owner,
    `insert into iot_device (customer_id, device_identifier, device_type) values ($1, $2, 'tracker')
     returning iot_device_id`,
    [customerId, `${row.word}-${row.key}`],
  );
  const deviceId = await insert(
    owner,
    `insert into equipment_has_iot_device (customer_id, equipment_id, iot_device_id)
     values ($1, $2, $3) returning equipment_has_iot_device_id`,
    [customerId, equipmentId, iotDeviceId],
  );
  const at = new Date(NOW_MS);
  await owner.query(
    `insert into telematics (customer_id, account_id, equipment_id, unit_number, equipment_has_iot_device_id,
       recorded_at, received_at, latitude, longitude, speed, motion_status)
     values ($1, $2, $3, $4, $5, $6, $6, 50, 10, 12.5, $7)`,
    [customerId, row.accountId, equipmentId, `${row.word} ${row.i}`, deviceId, at, row.word],
  );
  await owner.query(
    `insert into ingest_reject (customer_id, iot_device_id, device_identifier, source, reason, payload,
       payload_bytes, received_at) values ($1, $2, $3, 'mqtt', 'lat_range', $4, 2, $5)`,
    [customerId, iotDeviceId, `${row.word}-${row.key}`, Buffer.from('{}'), at],
  );
  return { deviceId, iotDeviceId };
}

function makeGeofence({ owner, customerId, accountId, word, i }: RowSeed): Promise<number> {
  return insert(
    owner,
    `insert into geofence (customer_id, account_id, geofence_name, shape_type, center_lat, center_lng, radius_m)
     values ($1, $2, $3, 'circle', 50, 10, 100) returning geofence_id`,
    [customerId, accountId, `${word} fence ${i}`],
  );
}

function makeAlert({ owner, customerId, accountId, word, i }: RowSeed): Promise<number> {
  return insert(
    owner,
    `insert into telematic_alert (customer_id, account_id, alert_name, metric_code, operator, operator_value)
     values ($1, $2, $3, 'speed_mps', '>', 25) returning telematic_alert_id`,
    [customerId, accountId, `${word} rule ${i}`],
  );
}

async function makeAttachment(
  row: RowSeed & { equipmentId: number; key: string },
): Promise<number> {
  const { owner, customerId, equipmentId } = row;
  const attachmentId = await insert(
    owner,
    `insert into attachment (customer_id, account_id, name, mime_type, description, url, storage_key, size_bytes, sha256)
     values ($1, $2, $3, 'application/pdf', $3, '', $4, 9, sha256($4::text::bytea)) returning attachment_id`,
    [customerId, row.accountId, `${row.word} ${row.i}.pdf`, `seed/${row.key}/${row.i}`],
  );
  await owner.query(
    'insert into equipment_has_attachment (customer_id, equipment_id, attachment_id) values ($1, $2, $3)',
    [customerId, equipmentId, attachmentId],
  );
  return attachmentId;
}

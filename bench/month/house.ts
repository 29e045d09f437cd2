/**
 * A whole Milepost in one process, whose clock the test moves: ingestion with its MQTT door, and the portal over HTTP, on
 * one database. Two tenants are there, each with somebody who may everything, and nothing else: all else is asked of
 * the API.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type pg from 'pg';
import mqtt from 'mqtt';
import { openDiskStore } from '../../api/attachments/disk-store.ts';
import { createAuthenticate } from '../../api/auth/authenticate.ts';
import { PERMISSIONS, rolePermissionOf } from '../../api/auth/permissions.ts';
import { createPrincipals } from '../../api/auth/principal.ts';
import { createVerifier } from '../../api/auth/verifier.ts';
import { buildServer } from '../../api/server.ts';
import { createPool } from '../../db/pools.ts';
import { createTestDatabase, openOwnerPool } from '../../db/test-database.ts';
import { createIngest } from '../../ingest/ingest.ts';
import { testIngestOptions } from '../../ingest/test-fleet.ts';
import { openIssuer, type Issuer } from '../proof/issuer.ts';

/** An answer of the API, whatever its status. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: unknown;
}

/** Somebody of a tenant who may everything. */
export interface Person {
  readonly customerId: number;
  get(path: string): Promise<Answer>;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Of whatever version there is. */
  patch(path: string, body: unknown): Promise<Answer>;
  put(path: string, body: unknown): Promise<Answer>;
  remove(path: string): Promise<Answer>;
}

export interface Device {
  readonly identifier: string;
  readonly token: string;
}

export interface House {
  readonly owner: pg.Pool;
  readonly runnerPool: pg.Pool;
  /** Epoch milliseconds; the portal's clock until it is set anew. */
  nowMs: number;
  person(name: string): Person;
  /** Publishes records to the device's topic over MQTT and resolves when each is acknowledged: committed. */
  publish(device: Device, kind: 'fixes' | 'metrics', records: readonly object[]): Promise<void>;
}

/** A month is told in a minute: no limit of requests is to be met. */
const REQUESTS_MAX = 1_000_000;

/** Starts it; all is gone at the teardown of `t`. */
export async function openHouse(
  t: Test,
  tenants: readonly { readonly name: string; readonly timeZone: string }[],
): Promise<House> {
  const { ownerUrl } = await createTestDatabase(t);
  const owner = openOwnerPool(t, ownerUrl, 4);
  const issuer = await openIssuer(t);
  const clock = { nowMs: Date.now() };
  const ingest = createIngest(testIngestOptions(ownerUrl));
  await ingest.load();
  const ports = await ingest.start();
  t.teardown(() => ingest.stop(AbortSignal.timeout(5_000)));
  const { url, runnerPool } = await openPortal(t, ownerUrl, issuer, () => clock.nowMs);
  const people = new Map<string, Person>();
  for (const { name, timeZone } of tenants) {
    const customerId = await addTenant(owner, name, timeZone);
    people.set(name, await openPerson(url, issuer, name, customerId));
  }
  return {
    owner,
    runnerPool,
    get nowMs() {
      return clock.nowMs;
    },
    set nowMs(value) {
      clock.nowMs = value;
    },
    person: (name) => people.get(name)!,
    publish: (device, kind, records) => publish(ports.mqtt!, device, kind, records),
  };
}

async function openPortal(
  t: Test,
  ownerUrl: string,
  issuer: Issuer,
  now: () => number,
): Promise<{ url: string; runnerPool: pg.Pool }> {
  const connect = (role: 'milepost_api' | 'milepost_runner') =>
    createPool({
      connectionString: ownerUrl,
      role,
      max: 8,
      applicationName: 'month',
      statementTimeoutMs: 30_000,
    });
  const pool = connect('milepost_api');
  const runnerPool = connect('milepost_runner');
  const { AUTH_ISSUER, AUTH_AUDIENCE, AUTH_JWKS_URL } = issuer.settings;
  const verifier = createVerifier({
    issuer: AUTH_ISSUER,
    audience: AUTH_AUDIENCE,
    jwksUrl: AUTH_JWKS_URL,
  });
  const dir = await mkdtemp(join(tmpdir(), 'milepost-month-'));
  const app = await buildServer({
    pool,
    runnerPool,
    authenticate: createAuthenticate(verifier, createPrincipals({ pool })),
    fencesAt: () => [],
    attachmentStore: await openDiskStore(dir),
    cursorKey: randomBytes(32),
    trustProxy: [],
    log: { level: 'silent' },
    version: '0.0.0',
    readiness: () => ({ ready: true, reasons: [] }),
    renderMetrics: () => '',
    now,
    rateLimits: {
      perAddressMax: REQUESTS_MAX,
      perUserMax: REQUESTS_MAX,
      perTenantMax: REQUESTS_MAX,
    },
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(async () => {
    await app.close();
    await Promise.all([pool.end(), runnerPool.end()]);
    await rm(dir, { recursive: true, force: true });
  });
  const { port } = app.server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, runnerPool };
}

async function addTenant(owner: pg.Pool, name: string, timeZone: string): Promise<number> {
  const { rows } = await owner.query<{ id: number }>(
    `with made as (
       insert into customer (customer_name, time_zone) values ($1, $2) returning customer_id),
     role as (
       insert into user_role (customer_id, name, role_permission)
       select customer_id, 'Everything', $3::jsonb from made returning customer_id, user_role_id)
     insert into "user" (customer_id, user_role_id, email, auth_0_reference_id)
     select customer_id, user_role_id, $4, $5 from role returning customer_id as id`,
    [
      name,
      timeZone,
      JSON.stringify(rolePermissionOf(PERMISSIONS)),
      `boss@${name}.test`,
      `month|${name}`,
    ],
  );
  return rows[0]!.id;
}

async function openPerson(
  url: string,
  issuer: Issuer,
  name: string,
  customerId: number,
): Promise<Person> {
  const token = await issuer.tokenOf(`month|${name}`);
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const response = await fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    const parsed: unknown = isJson && text !== '' ? JSON.parse(text) : null;
    return { status: response.status, headers: response.headers, text, body: parsed };
  };
  return {
    customerId,
    get: (path) => ask('GET', path),
    post: (path, body = {}, headers = {}) => ask('POST', path, body, headers),
    patch: (path, body) => ask('PATCH', path, body, { 'if-match': '*' }),
    put: (path, body) => ask('PUT', path, body),
    remove: (path) => ask('DELETE', path, undefined, { 'if-match': '*' }),
  };
}

async function publish(
  port: number,
  { identifier, token }: Device,
  kind: 'fixes' | 'metrics',
  records: readonly object[],
): Promise<void> {
  const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
    clientId: identifier,
    username: identifier,
    password: token,
    reconnectPeriod: 0,
  });
  const failed = new Promise<never>((_, reject) => client.on('error', reject));
  const work = async () => {
    for (const record of records) {
      const topic = `v1/devices/${identifier}/${kind}`;
      await client.publishAsync(topic, JSON.stringify(record), { qos: 1 });
    }
  };
  try {
    await Promise.race([work(), failed]);
  } finally {
    await client.endAsync(true);
  }
}

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
import { createPrincipals, type Principals } from './auth/principal.ts';
import { createVerifier } from './auth/verifier.ts';
import { buildServer, type ServerOptions } from './server.ts';
import { CANARY, makeSeed, NOW_MS, type Seed } from './test-seed.ts';

/** A test takes what it needs from here. */
export { CANARY, NOW_MS };
export const PASSWORD = 'correct horse';

const NAMES = { issuer: 'http://issuer.test/', audience: 'milepost' };

export type Who = 'admin' | 'held' | 'bare' | 'foreign';

export interface TestPortal {
  readonly app: FastifyInstance;
  readonly owner: pg.Pool;
  readonly apiPool: pg.Pool;
  readonly runnerPool: pg.Pool;
  readonly issuer: LocalIssuer;
  readonly principals: Principals;
  readonly authenticate: Authenticate;
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
    authenticate,
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

/**
 * Databases for tests: each test file gets its own, cloned from a migrated template on the server under test. The
 * server, embedded or TimescaleDB, is started by `scripts/test.ts`, which tells where in TEST_DATABASE_URL.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { valueTypes } from './pools.ts';

/** The migrated database that is cloned. It takes no connections, for a database in use cannot be cloned. */
export const TEMPLATE_DATABASE = 'milepost_template';

export interface TestDatabase {
  /** Signs in as the owner of the tables, a superuser. Pools for other roles are made from it by `createPool`. */
  readonly ownerUrl: string;
}

/**
 * Clones a fresh database and drops it, with whoever is still connected, at the teardown of `t`. Roles belong to the
 * server and are shared by all test databases. Costs about 100 ms. Rejects, saying how tests are run, when there is no server
 * under test.
 */
export async function createTestDatabase(t: {
  teardown(work: () => Promise<unknown>): unknown;
}): Promise<TestDatabase> {
  const serverUrl = testServerUrl();
  const name = `test_${process.pid}_${randomBytes(6).toString('hex')}`;
  // To copy the files takes a tenth of the time that it takes to log each page of hundreds of relations.
  const from = `template ${TEMPLATE_DATABASE} strategy file_copy`;
  await administer(serverUrl, `create database ${name} ${from}`);
  t.teardown(() => administer(serverUrl, `drop database if exists ${name} with (force)`));
  return { ownerUrl: databaseUrl(serverUrl, name) };
}

/** One connection that reads values as the pools do, and ends with the test. `queryTimeoutMs` 0: it waits for ever. */
export async function connectTestClient(
  t: { teardown(work: () => Promise<unknown>): unknown },
  url: string,
  queryTimeoutMs = 0,
): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    types: valueTypes,
    query_timeout: queryTimeoutMs,
  });
  client.on('error', () => undefined);
  await client.connect();
  t.teardown(() => client.end());
  return client;
}

/** A pool of the database's owner that reads values as ours do, and ends with the test. */
export function openOwnerPool(
  t: { teardown(work: () => Promise<unknown>): unknown },
  ownerUrl: string,
  max: number,
): pg.Pool {
  const pool = new pg.Pool({ connectionString: ownerUrl, max, types: valueTypes });
  // The database may be dropped while the last connection is still on its way out.
  pool.on('connect', (client) => client.on('error', () => undefined));
  pool.on('error', () => undefined);
  t.teardown(() => pool.end());
  return pool;
}

/**
 * The server under test, as a connection string to its administrative database. Throws, saying how tests are run, when
 * there is none.
 */
export function testServerUrl(): string {
  // eslint-disable-next-line no-restricted-properties -- handed over by the test runner, no setting of Milepost
  const url = process.env['TEST_DATABASE_URL'];
  if (url !== undefined && url !== '') return url;
  throw new Error(
    'This test needs a database server. Run it as `npm test -- path/to/the.test.ts`, ' +
      'or on TimescaleDB as `npm run test:timescale -- path/to/the.db.test.ts`.',
  );
}

/** The same server and user, another database. */
export function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** Runs one statement on a connection of its own. */
export async function administer(connectionString: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

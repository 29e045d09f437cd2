/** Export jobs from the queue to the file and its end, against a real database and a store in memory. */
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { Readable } from 'node:stream';
import type pg from 'pg';
import t from 'tap';
import { createPool } from '../../db/pools.ts';
import type { exportJob } from '../../db/schema.ts';
import { withTenant } from '../../db/tenancy.ts';
import { watchChanges } from '../../db/test-changes.ts';
import { connectTestClient, createTestDatabase } from '../../db/test-database.ts';
import { seedTenant, type TestTenant } from '../../db/test-tenant.ts';
import type { ExportPages } from './columns.ts';
import type { AttachmentStore } from '../attachments/store.ts';
import { cancelExportJob, takeExportJob, type ExportJob } from './job-rows.ts';
import { createExportRunner, type ExportRunnerOptions, type ExportSource } from './jobs.ts';
import { bytesOf, columnOf, endlessPages, pagesOf, turns } from './test-rows.ts';

type Test = Parameters<typeof createTestDatabase>[0];
type Row = typeof exportJob.$inferSelect;

const DAY_MS = 86_400_000;

class MemoryStore implements AttachmentStore {
  readonly files = new Map<string, Buffer>();
  isBroken = false;

  async put(key: string, stream: AsyncIterable<Uint8Array>, { sizeMax }: { sizeMax: number }) {
    if (this.isBroken) throw new Error('the disk is full');
    const bytes = await bytesOf(stream as Readable);
    if (bytes.length > sizeMax) throw new Error('larger than promised');
    this.files.set(key, bytes);
    return { sizeBytes: bytes.length, sha256: Buffer.alloc(32) };
  }

  open(): Promise<Readable> {
    return Promise.reject(new Error('nobody reads here'));
  }

  remove(key: string): Promise<void> {
    this.files.delete(key);
    return Promise.resolve();
  }
}

async function openHouse(t: Test) {
  const { ownerUrl } = await createTestDatabase(t);
  const owner = await connectTestClient(t, ownerUrl);
  const pool = createPool({
    connectionString: ownerUrl,
    role: 'milepost_runner',
    max: 6,
    applicationName: 'test',
    statementTimeoutMs: 10_000,
  });
  t.teardown(() => pool.end());
  const tenant = await seedTenant(owner, 'first');
  const store = new MemoryStore();
  const errors: Error[] = [];

  const jobRow = async (id: number): Promise<Row> => {
    const { rows } = await owner.query<Row>('select * from export_job where export_job_id = $1', [
      id,
    ]);
    return rows[0]!;
  };
  const add = (of: TestTenant = tenant, values: Record<string, unknown> = {}) =>
    addJob(owner, of, values);
  const changes = await watchChanges(owner, ['export_job']);
  const reaches = (id: number, isThere: (row: Row) => boolean): Promise<Row> =>
    changes.until(async () => {
      const row = await jobRow(id);
      return isThere(row) && row;
    });
  /** Starts a runner with short waits; what it gives stops it. */
  const start = (
    runQuery: ExportRunnerOptions['runQuery'],
    options: Partial<ExportRunnerOptions> = {},
  ) => {
    const stop = new AbortController();
    const runner = createExportRunner({
      pool,
      store,
      runQuery,
      concurrencyMax: 2,
      perTenantMax: 2,
      ageMsMax: DAY_MS,
      onError: (error) => errors.push(error),
      ...options,
      limits: { progressMs: 10, pollMs: 10, ...options.limits },
    });
    const over = runner.run(stop.signal);
    const end = async () => {
      stop.abort();
      await over;
    };
    t.teardown(end);
    return { end, runner };
  };
  return { owner, pool, tenant, store, errors, jobRow, add, reaches, start };
}

async function addJob(owner: pg.Client, tenant: TestTenant, values: Record<string, unknown>) {
  const given = { resource: 'equipment', format: 'csv', account_ids: null, ...values };
  const { rows } = await owner.query<{ id: number }>(
    `insert into export_job (customer_id, user_id, resource, format, account_ids, query)
     select customer_id, user_id, $2, $3, $4, '{"filter": {"status": {"eq": "active"}}}'
     from "user" where customer_id = $1 order by user_id limit 1
     returning export_job_id as id`,
    [tenant.customerId, given.resource, given.format, given.account_ids],
  );
  return rows[0]!.id;
}

const COLUMNS = [columnOf('text', 'unit_number')];
const sourceOf = (pages: ExportPages): ExportSource => ({
  columns: COLUMNS,
  pages,
  title: 'Units',
});
const twoRows = () => sourceOf(pagesOf([{ unit_number: 'T-1' }], [{ unit_number: 'T-2' }]));

t.test('a job is written, and what is asked for is what is run', async (t) => {
  const { tenant, store, errors, add, reaches, start, owner } = await openHouse(t);
  const seen: ExportJob[] = [];
  const { end } = start((job) => {
    seen.push(job);
    return twoRows();
  });
  const id = await add(tenant, { account_ids: [tenant.firstAccountId] });
  const row = await reaches(id, ({ status }) => status === 'ready');
  t.match(seen[0], {
    exportJobId: id,
    customerId: tenant.customerId,
    accountIds: [tenant.firstAccountId],
    resource: 'equipment',
    format: 'csv',
    query: { filter: { status: { eq: 'active' } } },
    tryCount: 1,
  });
  t.equal(row.rows_done, 2);
  t.equal(row.error_code, null);
  t.equal(row.expires_at!.getTime() - row.finished_at!.getTime(), DAY_MS);
  const file = store.files.get(row.storage_key!)!;
  t.equal(file.toString(), '\ufeffunit_number\r\nT-1\r\nT-2\r\n');
  t.equal(row.size_bytes, file.length);

  const workbook = await reaches(
    await add(tenant, { format: 'xlsx' }),
    ({ status }) => status === 'ready',
  );
  t.equal(store.files.get(workbook.storage_key!)!.toString('latin1', 0, 2), 'PK');
  await end();
  t.same(errors, []);
  const { rows: trail } = await owner.query<{ after: Record<string, unknown> }>(
    `select after from activity_feed where entity_type = 'export_job' and entity_id = $1`,
    [String(id)],
  );
  t.equal(trail.length, 1, 'progress is no news, the end is');
  t.equal(trail[0]!.after['status'], 'ready');
  t.notOk('storage_key' in trail[0]!.after);
});

t.test('a user sees the jobs of nobody else, and none from when more was allowed', async (t) => {
  const { owner, pool, tenant, add } = await openHouse(t);
  const other = await seedTenant(owner, 'other');
  const whole = await add();
  const narrow = await add(tenant, { account_ids: [tenant.firstAccountId] });
  await add(other);
  const { rows } = await owner.query<{ user_id: number }>(
    'select user_id from "user" where customer_id = $1',
    [tenant.customerId],
  );
  const userId = rows[0]!.user_id;
  const colleague = await addColleague(owner, tenant);
  const asUser = <T>(
    user: number,
    accountIds: number[] | null,
    work: (client: pg.PoolClient) => Promise<T>,
  ) =>
    withTenant(pool, { customerId: tenant.customerId, accountIds }, async (_db, client) => {
      await client.query(`select set_config('app.user_id', $1, true)`, [String(user)]);
      return work(client);
    });
  const list = (user: number, accountIds: number[] | null) =>
    asUser(user, accountIds, async (client) => {
      const found = await client.query<{ id: number }>(
        `select export_job_id as id from export_job where status <> 'cancelled' order by 1`,
      );
      return found.rows.map((row) => row.id);
    });
  const { firstAccountId: first, secondAccountId: second } = tenant;
  t.same(await list(userId, null), [whole, narrow]);
  t.same(await list(userId, [first, second]), [narrow]);
  t.same(await list(userId, [second]), []);
  t.same(await list(colleague, null), []);
  const insert = (user: number, accounts: number[] | null) => (client: pg.PoolClient) =>
    client.query(
      `insert into export_job (customer_id, user_id, resource, format, account_ids)
       values ($1, $2, 'equipment', 'csv', $3)`,
      [tenant.customerId, user, accounts],
    );
  const refused = { code: '42501' };
  await t.rejects(asUser(colleague, null, insert(userId, null)), refused, 'not for another');
  await t.rejects(asUser(userId, [first], insert(userId, null)), refused, 'not for every account');
  await t.rejects(asUser(userId, [first], insert(userId, [second])), refused);
  await asUser(userId, [first], insert(userId, [first]));
  await t.rejects(
    asUser(userId, null, (client) => client.query('delete from export_job')),
    refused,
  );
});

async function addColleague(owner: pg.Client, { customerId }: TestTenant): Promise<number> {
  const { rows } = await owner.query<{ user_id: number }>(
    `insert into "user" (customer_id, user_role_id, email, auth_0_reference_id)
     select customer_id, user_role_id, 'colleague@example.com', 'local|colleague' from user_role where customer_id = $1
     returning user_id`,
    [customerId],
  );
  return rows[0]!.user_id;
}

t.test('limits for the runner and for each tenant, first come first served', async (t) => {
  const { owner, tenant, add, reaches, start } = await openHouse(t);
  const other = await seedTenant(owner, 'other');
  const running = new Map<number, () => void>();
  const begun: number[] = [];
  const asked = new EventEmitter();
  const begins = async (id: number) => {
    while (!running.has(id)) await once(asked, 'rows');
  };
  start(
    async (job) => {
      begun.push(job.exportJobId);
      await new Promise<void>((resolve) => {
        running.set(job.exportJobId, resolve);
        asked.emit('rows');
      });
      return twoRows();
    },
    { concurrencyMax: 2, perTenantMax: 1 },
  );
  const [a, b] = [await add(), await add()];
  const [c, d] = [await add(other), await add(other)];
  await begins(a);
  await begins(c);
  t.same(begun, [a, c], 'the second of a tenant waits');
  running.get(a)!();
  await begins(b);
  t.same(begun, [a, c, b]);
  running.get(c)!();
  running.get(b)!();
  await begins(d);
  running.get(d)!();
  for (const id of [a, b, c, d]) await reaches(id, ({ status }) => status === 'ready');
  t.same(begun, [a, c, b, d]);
  t.equal((await owner.query('select from export_job where status = $1', ['ready'])).rowCount, 4);
  t.equal(tenant.customerId === other.customerId, false);
});

t.test('a job tells how far it is, and can be cancelled', async (t) => {
  const { pool, tenant, store, errors, add, reaches, start } = await openHouse(t);
  const { state, pages } = endlessPages(() => [{ unit_number: 'T-1' }, { unit_number: 'T-2' }]);
  const signals: AbortSignal[] = [];
  const { end } = start((_job, signal) => {
    signals.push(signal);
    return sourceOf(slowly(pages));
  });
  const id = await add();
  const under = await reaches(id, ({ rows_done }) => rows_done > 0);
  t.equal(under.status, 'running');
  t.equal(under.version, 2, 'progress is no new version');
  const cancel = (customerId: number) =>
    withTenant(pool, { customerId, accountIds: null }, (db) => cancelExportJob(db, id));
  t.equal(await cancel(tenant.customerId + 1), false, 'not by another tenant');
  t.equal(await cancel(tenant.customerId), true);
  const row = await reaches(id, ({ storage_key }) => storage_key === null);
  t.equal(row.status, 'cancelled');
  t.ok(row.finished_at);
  t.equal(await cancel(tenant.customerId), false, 'it is over');
  await end();
  t.equal(signals[0]!.aborted, true);
  await ended(state);
  t.equal(store.files.size, 0);
  t.same(errors, []);
});

/** The page that was being waited for comes first, so that it may be a little later. */
async function ended(state: { readonly isEnded: boolean }): Promise<void> {
  while (!state.isEnded) await turns(1);
}

async function* slowly(pages: ExportPages): ExportPages {
  for await (const page of pages) {
    await turns(1);
    yield page;
  }
}

t.test('a runner that stops gives its jobs back', async (t) => {
  const { store, errors, add, jobRow, reaches, start } = await openHouse(t);
  const { state, pages } = endlessPages(() => [{ unit_number: 'T-1' }]);
  const first = start(() => sourceOf(slowly(pages)));
  const id = await add();
  await reaches(id, ({ rows_done }) => rows_done > 0);
  await first.end();
  const row = await jobRow(id);
  const left = { status: 'queued', try_count: 0, rows_done: 0, storage_key: null, runner_id: null };
  t.match(row, left);
  await ended(state);
  t.equal(store.files.size, 0);
  start(twoRows);
  await reaches(id, ({ status }) => status === 'ready');
  t.same(errors, []);
});

t.test('jobs of a runner that died are taken up again, but not for ever', async (t) => {
  const { owner, pool, store, errors, add, reaches, start } = await openHouse(t);
  const DEAD = '00000000-0000-4000-8000-000000000000';
  const id = await add();
  const { storageKey } = (await takeExportJob(pool, DEAD, 1))!;
  store.files.set(storageKey, Buffer.from('half a file'));
  await owner.query(`update export_job set beat_at = now() - interval '1 hour'`);
  const { end } = start(twoRows);
  const row = await reaches(id, ({ status }) => status === 'ready');
  t.equal(row.try_count, 2);
  t.not(row.storage_key, storageKey);
  t.same([...store.files.keys()], [row.storage_key], 'what the dead one wrote is gone');

  await owner.query(
    `update export_job set status = 'running', try_count = 3, runner_id = $1, beat_at = now() - interval '1 hour'
     where export_job_id = $2`,
    [DEAD, id],
  );
  const failed = await reaches(id, ({ storage_key }) => storage_key === null);
  t.match(failed, { status: 'failed', error_code: 'EXPORT_RUNNER_LOST', runner_id: null });
  t.ok(failed.finished_at);
  t.equal(store.files.size, 0);
  await end();
  t.same(errors, []);
});

t.test('a try that was given up elsewhere leaves the newer one alone', async (t) => {
  const { owner, store, add, reaches, start } = await openHouse(t);
  let tries = 0;
  const { pages } = endlessPages(() => [{ unit_number: 'old' }]);
  start(() => (++tries === 1 ? sourceOf(slowly(pages)) : twoRows()), { perTenantMax: 1 });
  const id = await add();
  const { storage_key } = await reaches(id, ({ rows_done }) => rows_done > 0);
  // As a sweep does that had not seen it for long.
  await owner.query(
    `update export_job set status = 'queued', runner_id = null, beat_at = null where export_job_id = $1`,
    [id],
  );
  const row = await reaches(id, ({ status }) => status === 'ready');
  t.not(row.storage_key, storage_key);
  t.equal(row.rows_done, 2);
  t.same([...store.files.keys()], [row.storage_key]);
});

t.test('failures by their codes', async (t) => {
  const { store, errors, add, reaches, start } = await openHouse(t);
  async function* failing(): ExportPages {
    yield [{ unit_number: 'T-1' }];
    await Promise.resolve();
    throw new Error('no such column');
  }
  const sources: ReturnType<typeof endlessPages>[] = [];
  const endless = () => {
    // As good as not to be compressed.
    const source = endlessPages(() => [{ unit_number: randomBytes(1_000).toString('hex') }]);
    sources.push(source);
    return source.pages;
  };
  const never = new Promise<ExportSource>(() => undefined);
  const queries: Record<string, () => Promise<ExportSource> | ExportSource> = {
    refused: () => {
      throw Object.assign(new Error('no'), { code: 'EXPORT_NOT_ALLOWED' });
    },
    rejected: () => Promise.reject(new Error('no database')),
    failing: () => sourceOf(failing()),
    endless: () => sourceOf(endless()),
    stuck: () => sourceOf({ [Symbol.asyncIterator]: () => ({ next: () => never as never }) }),
    broken: () => {
      store.isBroken = true;
      return twoRows();
    },
  };
  start((job) => queries[job.resource]!(), {
    concurrencyMax: 1,
    limits: { sizeBytesMax: 100_000, durationMsMax: 500, progressMs: 10, pollMs: 10 },
  });
  const expected: [resource: string, code: string][] = [
    ['refused', 'EXPORT_NOT_ALLOWED'],
    ['rejected', 'EXPORT_QUERY_FAILED'],
    ['failing', 'EXPORT_QUERY_FAILED'],
    ['endless', 'EXPORT_TOO_LARGE'],
    ['stuck', 'EXPORT_TIMEOUT'],
    ['broken', 'EXPORT_STORE_FAILED'],
  ];
  for (const [resource, code] of expected) {
    for (const format of ['csv', 'xlsx']) {
      const id = await add(undefined, { resource, format });
      const row = await reaches(id, ({ finished_at }) => finished_at !== null);
      t.match(
        row,
        { status: 'failed', error_code: code, storage_key: null },
        `${resource} ${format}`,
      );
    }
  }
  for (const { state } of sources) await ended(state);
  t.equal(store.files.size, 0);
  t.equal(errors.length, 10, 'all but those that were too slow have a cause');
});

t.test('files expire, and a store that is away for a while is asked again', async (t) => {
  const { owner, store, errors, add, jobRow, reaches, start } = await openHouse(t);
  const { end } = start(twoRows);
  const [id, kept] = [await add(), await add()];
  await reaches(id, ({ status }) => status === 'ready');
  await reaches(kept, ({ status }) => status === 'ready');
  const remove = store.remove.bind(store);
  store.remove = () => {
    store.remove = remove;
    return Promise.reject(new Error('the store is away'));
  };
  await owner.query(`update export_job set expires_at = now() where export_job_id = $1`, [id]);
  const row = await reaches(id, ({ storage_key }) => storage_key === null);
  t.equal(row.status, 'expired');
  t.same([...store.files.keys()], [(await jobRow(kept)).storage_key]);
  await end();
  t.same(
    errors.map(({ message }) => message),
    ['the store is away'],
  );
});

t.test('a runner without a database goes on trying, and still stops', async (t) => {
  const { pool, store } = await openHouse(t);
  const errors: Error[] = [];
  const broken = { query: () => Promise.reject(new Error('no database')) } as unknown as pg.Pool;
  const stop = new AbortController();
  const options = { store, runQuery: twoRows, concurrencyMax: 1, perTenantMax: 1, ageMsMax: 1 };
  const runner = createExportRunner({
    ...options,
    pool: broken,
    onError: (error) => {
      errors.push(error);
      if (errors.length === 3) stop.abort();
      else runner.wake();
    },
    limits: { pollMs: 600_000 },
  });
  await runner.run(stop.signal);
  t.equal(errors.length, 3);
  await t.rejects(runner.run(stop.signal), /once/);
  t.throws(() => createExportRunner({ ...options, pool, concurrencyMax: 0 }), /positive/);
});

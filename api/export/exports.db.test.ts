/** Exports over a real socket: what is in the file, who gets it, and what a reader who does not read costs. */
import { connect } from 'node:net';
import t from 'tap';
import { startTestPortal, type Who } from '../test-portal.ts';
import { openDiskStore } from '../attachments/disk-store.ts';
import { EXPORTS_PER_TENANT_MAX } from '../resources/export.ts';
import { EXPORT_JOBS_OPEN_MAX } from './routes.ts';

const ROWS = 2_500;

// Waiting is asking again.
const many = 10_000_000;
const portal = await startTestPortal(t, {
  rateLimits: { perAddressMax: many, perUserMax: many, perTenantMax: many },
});
const { owner, seed, url: base } = portal;
const { mine } = seed;

await owner.query(
  `insert into tag_lookup (customer_id, tag_name) select $1, 'tag ' || lpad(n::text, 5, '0') from generate_series(1, $2) n`,
  [mine.customerId, ROWS],
);
await owner.query(
  `insert into tag_lookup (customer_id, tag_name) values ($1, '=cmd|'' /C calc''!A0'), ($1, '+1'), ($1, '-1'), ($1, '@x'), ($1, 'a,"b"')`,
  [mine.customerId],
);

interface JobBody {
  readonly export_job_id: number;
  readonly status: string;
  readonly rows_done: number;
  readonly size_bytes: number;
  readonly error_code: string | null;
}

const as = async (who: Who, path: string, init: RequestInit = {}) =>
  fetch(`${base}${path}`, { ...init, headers: { ...portal.headersOf(who), ...init.headers } });
const ask = (who: Who, body: object, headers: Record<string, string> = {}) =>
  as(who, '/v1/exports', {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });

/** The job once it is over. */
async function settled(who: Who, id: number): Promise<JobBody> {
  for (;;) {
    const job = (await (await as(who, `/v1/exports/${id}`)).json()) as JobBody;
    if (!['queued', 'running'].includes(job.status)) return job;
    await new Promise(setImmediate);
  }
}

t.test('a list as CSV: all of it, filtered, in order, and harmless', async (t) => {
  const whole = await as('admin', '/v1/tags/export?format=csv&sort=tag_name&fields=tag_name');
  t.equal(whole.status, 200);
  t.equal(whole.headers.get('content-type'), 'text/csv; charset=utf-8');
  t.match(
    whole.headers.get('content-disposition'),
    /^attachment; filename="tags-\d{4}-\d\d-\d\d\.csv"$/,
  );
  const lines = (await whole.text()).split('\r\n');
  t.equal(lines.length, ROWS + 5 + 2, 'every row, a header, and the end of the last line');
  t.equal(lines[0], 'Tag lookup ID,Tag name');
  const names = lines.slice(1, -1).map((line) => line.slice(line.indexOf(',') + 1));
  for (const name of [`'=cmd|' /C calc'!A0`, `'+1`, `'-1`, `'@x`, '"a,""b"""']) {
    t.ok(names.includes(name), name);
  }
  const some = await as(
    'admin',
    '/v1/tags/export?format=csv&filter[tag_name][contains]=0001&sort=-tag_name&fields=tag_name',
  );
  const found = (await some.text())
    .split('\r\n')
    .slice(1, -1)
    .map((line) => line.split(',')[1]);
  t.same(found, [
    'tag 00019',
    'tag 00018',
    'tag 00017',
    'tag 00016',
    'tag 00015',
    'tag 00014',
    'tag 00013',
    'tag 00012',
    'tag 00011',
    'tag 00010',
    'tag 00001',
  ]);
  const sheet = await as('admin', '/v1/tags/export?format=xlsx');
  t.match(
    Buffer.from(await sheet.arrayBuffer())
      .subarray(0, 2)
      .toString(),
    'PK',
  );
  for (const query of [
    '',
    '?format=pdf',
    '?format=csv&sort=nothing',
    '?format=csv&filter[nothing]=1',
    '?format=csv&limit=1',
  ]) {
    t.equal((await as('admin', `/v1/tags/export${query}`)).status, 400, query);
  }
});

t.test('a job: asked for, written, fetched', async (t) => {
  const answer = await ask('admin', {
    resource: 'tags',
    format: 'csv',
    query: { sort: 'tag_name', fields: 'tag_name' },
  });
  t.equal(answer.status, 202);
  const { export_job_id: id } = (await answer.json()) as JobBody;
  t.equal(answer.headers.get('location'), `/v1/exports/${id}`);
  const job = await settled('admin', id);
  t.match(job, { status: 'ready', rows_done: ROWS + 5, error_code: null });
  const file = await as('admin', `/v1/exports/${id}/content`);
  const bytes = Buffer.from(await file.arrayBuffer());
  t.equal(bytes.length, job.size_bytes);
  const direct = await as('admin', '/v1/tags/export?format=csv&sort=tag_name&fields=tag_name');
  t.same(bytes, Buffer.from(await direct.arrayBuffer()), 'the same as the direct export');
  const list = (await (await as('admin', '/v1/exports')).json()) as { data: JobBody[] };
  t.equal(list.data[0]!.export_job_id, id);

  for (const who of ['held', 'bare', 'foreign'] as const) {
    for (const path of [`/v1/exports/${id}`, `/v1/exports/${id}/content`]) {
      t.equal((await as(who, path)).status, 404, `${path} by ${who}`);
    }
    t.equal((await as(who, `/v1/exports/${id}`, { method: 'DELETE' })).status, 404);
    t.same(((await (await as(who, '/v1/exports')).json()) as { data: unknown[] }).data, [], who);
  }
  t.equal(
    (await as('admin', `/v1/exports/${id}`, { method: 'DELETE' })).status,
    409,
    'it is ready already',
  );
});

t.test('a job is asked for once under one key', async (t) => {
  const key = { 'idempotency-key': 'export-1' };
  const body = {
    resource: 'tags',
    format: 'csv',
    query: { filter: { tag_name: { eq: 'tag 00001' } } },
  };
  const first = await ask('admin', body, key);
  t.equal(first.status, 202);
  const job = (await first.json()) as JobBody;
  await settled('admin', job.export_job_id);
  const again = await ask('admin', body, key);
  t.equal(again.status, 202);
  t.equal(again.headers.get('idempotency-replayed'), 'true');
  t.equal(again.headers.get('location'), first.headers.get('location'));
  t.same(await again.json(), job, 'as it was answered the first time');
  const other = await ask('admin', { ...body, format: 'xlsx' }, key);
  t.match(
    { status: other.status, body: await other.json() },
    { status: 422, body: { errors: [{ in: 'header', pointer: '/idempotency-key' }] } },
  );

  const answers = await Promise.all(
    Array.from({ length: 6 }, () => ask('admin', body, { 'idempotency-key': 'export-2' })),
  );
  const ids = await Promise.all(
    answers.map(async (answer) => ((await answer.json()) as JobBody).export_job_id),
  );
  t.same(new Set(answers.map(({ status }) => status)), new Set([202]));
  t.equal(new Set(ids).size, 1, 'of those at once, one makes the job');
});

t.test('a job shows what its owner may see', async (t) => {
  const { export_job_id: id } = (await (
    await ask('held', { resource: 'equipment', format: 'csv' })
  ).json()) as JobBody;
  t.match(await settled('held', id), { status: 'ready', rows_done: 2 });
  const text = await (await as('held', `/v1/exports/${id}/content`)).text();
  t.match(text, /acme 0/);
  t.notMatch(text, /acme 1/);
  await owner.query(
    `update "user" set assigned_account_ids = array[$1::bigint] where email = 'held@acme.test'`,
    [mine.accountIds[1]],
  );
  portal.principals.invalidate();
  t.equal(
    (await as('held', `/v1/exports/${id}/content`)).status,
    404,
    'held to other accounts since',
  );
  await owner.query(
    `update "user" set assigned_account_ids = array[$1::bigint] where email = 'held@acme.test'`,
    [mine.accountIds[0]],
  );
  portal.principals.invalidate();

  t.equal((await ask('bare', { resource: 'tags', format: 'csv' })).status, 403);
  const refused: [object, string][] = [
    [{ resource: 'nothing', format: 'csv' }, '/resource'],
    [{ resource: 'tags', format: 'pdf' }, '/format'],
    [
      { resource: 'tags', format: 'csv', query: { filter: { nothing: { eq: '1' } } } },
      '/query/filter/nothing',
    ],
    [{ resource: 'tags', format: 'csv', query: { limit: 1 } }, '/query/limit'],
    [{ resource: 'tags', format: 'csv', query: { sort: 'nothing' } }, '/query/sort'],
    [{ resource: 'tags', format: 'csv', query: { fields: 'nothing' } }, '/query/fields'],
    [
      { resource: 'tags', format: 'csv', query: { filter: { tag_lookup_id: { eq: 'x' } } } },
      '/query/filter/tag_lookup_id/eq',
    ],
  ];
  for (const [body, pointer] of refused) {
    const answer = await ask('admin', body);
    t.match(
      { status: answer.status, body: await answer.json() },
      { status: 400, body: { errors: [{ in: 'body', pointer }] } },
    );
  }
});

t.test('a user who lost the right gets no file', async (t) => {
  await owner.query(`update export_job set status = 'cancelled' where status = 'queued'`);
  await owner.query(
    `insert into export_job (customer_id, user_id, resource, format)
     select customer_id, user_id, 'tags', 'csv' from "user" where email = 'bare@acme.test'`,
  );
  const { rows } = await owner.query<{ id: number }>(
    'select max(export_job_id)::int as id from export_job',
  );
  await ask('admin', { resource: 'tags', format: 'csv' });
  t.match(await settled('bare', rows[0]!.id), { status: 'failed', error_code: 'EXPORT_FORBIDDEN' });
});

t.test(
  'a reader who does not read holds neither a connection of the database nor the others',
  async (t) => {
    // More than the buffers of a connection hold.
    await owner.query(
      `insert into tag_lookup (customer_id, tag_name) select $1, 'more ' || n from generate_series(1, 150000) n`,
      [mine.customerId],
    );
    const { hostname, port } = new URL(base);
    const sockets = Array.from({ length: EXPORTS_PER_TENANT_MAX }, () => {
      const socket = connect({ host: hostname, port: Number(port) });
      socket.pause();
      const headers = Object.entries(portal.headersOf('admin'))
        .map(([name, value]) => `${name}: ${String(value)}\r\n`)
        .join('');
      socket.write(`GET /v1/tags/export?format=csv HTTP/1.1\r\nhost: x\r\n${headers}\r\n`);
      return socket;
    });
    // As many as a tenant may have: one more is refused until one of them goes.
    // Several at once: one of the sockets may itself have been refused for an export that was only just over.
    for (let refused: Response | undefined; refused === undefined;) {
      const asked = Array.from({ length: EXPORTS_PER_TENANT_MAX + 1 }, async () => {
        const one = await as('admin', '/v1/tags/export?format=csv&filter[tag_name]=x');
        await one.arrayBuffer();
        return one;
      });
      refused = (await Promise.all(asked)).find(({ status }) => status === 503);
      if (refused) t.ok(refused.headers.get('retry-after'));
    }
    t.equal(
      (await as('foreign', '/v1/tags/export?format=csv')).status,
      200,
      'another tenant is served',
    );
    // They read until the buffers between them and their reader are full, and then no more.
    while (portal.apiPool.idleCount < portal.apiPool.totalCount) await new Promise(setImmediate);
    t.pass('no connection of the database is held');
    for (const socket of sockets) socket.destroy();

    for (;;) {
      const one = await as('admin', '/v1/tags/export?format=csv&filter[tag_name]=x');
      await one.arrayBuffer();
      if (one.status === 200) break;
    }
    t.pass('and the slots are free again');
  },
);

t.test('no user asks for more than so many', async (t) => {
  // No job ends while they ask.
  let giveUp: (error: Error) => void;
  const held = new Promise<never>((_resolve, reject) => (giveUp = reject));
  held.catch(() => undefined);
  const own = await startTestPortal(t, {
    attachmentStore: { ...(await openDiskStore(t.testdir())), put: () => held },
  });
  const email = 'admin@acme.test';
  await own.owner.query(
    `insert into export_job (customer_id, user_id, resource, format)
     select u.customer_id, u.user_id, 'tags', 'csv' from "user" u, generate_series(2, $2) where u.email = $1`,
    [email, EXPORT_JOBS_OPEN_MAX],
  );
  // Jobs are counted, and none is made: those who see the last place free see it at the same time.
  const lock = await own.owner.connect();
  await lock.query('begin; lock table export_job in share mode');
  const asked = Array.from({ length: 8 }, async () => {
    const headers = { ...own.headersOf('admin'), 'content-type': 'application/json' };
    const body = JSON.stringify({ resource: 'tags', format: 'csv' });
    const answer = await fetch(`${own.url}/v1/exports`, { method: 'POST', headers, body });
    await answer.text();
    return answer.status;
  });
  for (let waiting = 0; waiting < 2;) {
    const { rows } = await own.owner.query<{ waiting: number }>(
      `select count(*)::int as waiting from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'
         and (query like 'insert into "export_job"%' or query like '%pg_advisory_xact_lock%')`,
    );
    waiting = rows[0]!.waiting;
  }
  await lock.query('commit');
  lock.release();
  const statuses = (await Promise.all(asked)).sort();
  t.same(statuses, [202, 409, 409, 409, 409, 409, 409, 409], 'the last place is taken once');
  giveUp!(new Error('enough'));
});

/** Attachments over a real socket: uploads, downloads, who may, and what is left when something fails. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { rolePermissionOf, type Permission } from '../auth/permissions.ts';
import { CANARY, startTestPortal, type TestPortal } from '../test-portal.ts';
import { openDiskStore } from './disk-store.ts';
import { ATTACHMENT_LIMITS } from './limits.ts';
import { StoreError } from './store.ts';
import { sweepAttachments } from './sweeper.ts';
import { DOCX_PARTS, FILES, pdf, zip } from './test-files.ts';

type Who = 'admin' | 'held' | 'bare' | 'foreign';
type Part = readonly [bytes: Buffer, name: string, type?: string];

interface Answer {
  status: number;
  headers: Headers;
  bytes: Buffer;
  body: Row & { data: Row[]; page: { next_cursor: string | null }; code: string; detail: string };
}

interface Row {
  attachment_id: number;
  account_id: number | null;
  name: string;
  mime_type: string;
  size_bytes: number;
  sha256: string;
  url: string;
  is_expired: boolean;
  version: number;
  errors: { pointer: string; detail: string }[];
}

const portal = await startTestPortal(t);
const { seed } = portal;
const [northUnit, southUnit, sharedUnit] = seed.mine.equipmentIds;

async function ask(
  on: TestPortal,
  who: Who,
  path: string,
  init: RequestInit & { headers?: Record<string, string> } = {},
): Promise<Answer> {
  const headers = { ...on.headersOf(who), ...init.headers };
  const answer = await fetch(`${on.url}${path}`, { ...init, headers });
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (who !== 'foreign') t.notMatch(bytes.toString('latin1'), CANARY);
  const isJson = /json/.test(answer.headers.get('content-type') ?? '');
  const body = (isJson ? JSON.parse(bytes.toString()) : null) as Answer['body'];
  return { status: answer.status, headers: answer.headers, bytes, body };
}

function formOf(parts: readonly Part[], fields: Record<string, string> = {}): FormData {
  const form = new FormData();
  for (const [bytes, name, type = ''] of parts) {
    form.append('file', new Blob([new Uint8Array(bytes)], { type }), name);
  }
  // After the files: nothing may depend on the order.
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return form;
}

function upload(
  parts: readonly Part[],
  fields: Record<string, string> = {},
  options: { on?: TestPortal; who?: Who; path?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { on = portal, who = 'admin', path = `/v1/equipment/${northUnit}/attachments` } = options;
  const { headers = {} } = options;
  return ask(on, who, path, { method: 'POST', body: formOf(parts, fields), headers });
}

async function filesOn(on: TestPortal = portal): Promise<string[]> {
  const entries = await readdir(on.attachmentDir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

async function count(sql: string, on: TestPortal = portal): Promise<number> {
  const client = await on.owner.connect();
  try {
    await client.query(
      `begin; select set_config('app.customer_id', $$${seed.mine.customerId}$$, true)`,
    );
    const { rows } = await client.query<{ n: string }>(`select count(*) as n from ${sql}`);
    return Number(rows[0]!.n);
  } finally {
    await client.query('rollback');
    client.release();
  }
}

/** What there is of files: on the disk, noted, and as rows. */
async function state(on: TestPortal = portal): Promise<number[]> {
  const files = await filesOn(on);
  return [files.length, await count('attachment_content', on), await count('attachment', on)];
}

/** Runs `work` and holds that it leaves nothing. */
async function leavesNothing(t: Test, what: string, work: () => Promise<unknown>): Promise<void> {
  const before = await state();
  await work();
  let after = await state();
  for (let i = 0; i < 100 && String(after) !== String(before); i++) {
    await wait(20);
    after = await state();
  }
  t.same(after, before, `${what} leaves nothing`);
}

async function setRole(who: Who, permissions: readonly Permission[]): Promise<() => Promise<void>> {
  const write = async (json: unknown) => {
    const { rows } = await portal.owner.query<{ was: unknown }>(
      `update user_role r set role_permission = $2 from (select user_role_id, role_permission as was from user_role
         where name = $1) o where r.user_role_id = o.user_role_id returning o.was`,
      [`${who} role`, JSON.stringify(json)],
    );
    portal.principals.invalidate();
    return rows[0]!.was;
  };
  const was = await write(rolePermissionOf(permissions));
  return async () => void (await write(was));
}

t.test('a file goes up, is listed, comes down and goes', async (t) => {
  const bytes = pdf(300_000, 'the file');
  const fields = {
    document_category_type: 'insurance',
    description: 'Cover note',
    expiration_date: '2031-03-31',
  };
  const made = await upload([[bytes, 'Größe "1".pdf', 'application/pdf']], fields);
  t.equal(made.status, 201);
  const row = made.body.data[0]!;
  t.match(row, {
    ...fields,
    account_id: seed.mine.accountIds[0],
    name: 'Größe "1".pdf',
    mime_type: 'application/pdf',
    size_bytes: 300_000,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    url: `/v1/attachments/${row.attachment_id}/content`,
    is_expired: false,
    version: 1,
  });
  t.notOk('storage_key' in row);

  const listed = await ask(portal, 'admin', `/v1/equipment/${northUnit}/attachments`);
  t.same(listed.body.data.at(-1), row);
  const path = `/v1/attachments/${row.attachment_id}`;
  const shown = await ask(portal, 'held', path);
  t.match(shown.body, { ...row, parents: [{ parent_type: 'equipment', parent_id: northUnit }] });
  const known = { 'if-none-match': shown.headers.get('etag')! };
  t.equal((await ask(portal, 'admin', path, { headers: known })).status, 304);

  const down = await ask(portal, 'held', row.url);
  t.equal(down.status, 200);
  t.ok(down.bytes.equals(bytes));
  t.match(Object.fromEntries(down.headers), {
    'content-type': 'application/pdf',
    'content-length': '300000',
    'content-disposition': `attachment; filename="Gr__e _1_.pdf"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%221%22.pdf`,
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
    'cache-control': 'private, no-store',
    'accept-ranges': 'bytes',
    etag: `"${row.sha256}"`,
  });

  const stale = { 'if-match': '"7"' };
  t.equal((await ask(portal, 'admin', path, { method: 'DELETE', headers: stale })).status, 412);
  t.equal((await ask(portal, 'admin', path, { method: 'DELETE' })).status, 204);
  for (const [gone, method] of [
    [path, 'GET'],
    [row.url, 'GET'],
    [path, 'DELETE'],
  ] as const) {
    t.equal((await ask(portal, 'admin', gone, { method })).status, 404, `${method} ${gone}`);
  }
  const after = await ask(portal, 'admin', `/v1/equipment/${northUnit}/attachments`);
  t.notOk(after.body.data.some((one) => one.attachment_id === row.attachment_id));
  const evidence = `attachment where attachment_id = ${row.attachment_id} and deleted_at is not null and deleted_by is not null`;
  t.equal(await count(evidence), 1, 'the row stays as evidence');
});

t.test('ranges and conditions of a download', async (t) => {
  const bytes = Buffer.from('0123456789');
  const made = await upload([[bytes, 'digits.txt', 'text/plain']]);
  const { url, sha256 } = made.body.data[0]!;
  const get = (headers: Record<string, string>, method = 'GET') =>
    ask(portal, 'admin', url, { headers, method });
  const part = await get({ range: 'bytes=2-4' });
  t.equal(part.status, 206);
  t.equal(part.bytes.toString(), '234');
  t.match(Object.fromEntries(part.headers), {
    'content-range': 'bytes 2-4/10',
    'content-length': '3',
    'content-type': 'text/plain; charset=utf-8',
  });
  t.equal((await get({ range: 'bytes=-1' })).bytes.toString(), '9');
  const beyond = await get({ range: 'bytes=10-' });
  t.equal(beyond.status, 416);
  t.equal(beyond.headers.get('content-range'), 'bytes */10');
  t.equal(beyond.body.code, 'range_not_satisfiable');
  t.equal((await get({ range: 'bytes=0-1,3-4' })).bytes.length, 10, 'several are not served');
  t.equal((await get({ range: 'bytes=0-1', 'if-range': `"${sha256}"` })).status, 206);
  t.equal((await get({ range: 'bytes=0-1', 'if-range': '"other"' })).status, 200);
  t.equal((await get({ 'if-none-match': `W/"${sha256}"` })).status, 304);
  t.equal((await get({ 'if-none-match': '"other"' })).status, 200);
  const head = await get({}, 'HEAD');
  t.equal(head.status, 200);
  t.equal(head.headers.get('content-length'), '10');
  t.equal(head.bytes.length, 0);
});

t.test('several files at once, in pages and by category', async (t) => {
  const path = `/v1/equipment/${southUnit}/attachments`;
  const docx = await zip(DOCX_PARTS);
  const parts: Part[] = [
    [pdf(), 'a.pdf'],
    [FILES.png, 'b.png', 'image/png'],
    [docx, 'c.docx'],
    [Buffer.from('unit;km\n7;12\n'), 'd.csv', 'text/csv'],
  ];
  const made = await upload(parts, { document_category_type: 'repair' }, { path });
  t.equal(made.status, 201);
  t.same(
    made.body.data.map(({ name, mime_type }) => `${name} ${mime_type}`),
    [
      'a.pdf application/pdf',
      'b.png image/png',
      'c.docx application/vnd.openxmlformats-officedocument.wordprocessingml.document',
      'd.csv text/csv',
    ],
  );
  const names: string[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
    const page = await ask(
      portal,
      'admin',
      `${path}?limit=2&document_category_type=repair${query}`,
    );
    names.push(...page.body.data.map(({ name }) => name));
    cursor = page.body.page.next_cursor;
  }
  t.same(names, ['a.pdf', 'b.png', 'c.docx', 'd.csv']);
  const down = await ask(portal, 'admin', made.body.data[2]!.url);
  t.ok(down.bytes.equals(docx));
});

t.test('what is refused, with nothing left of it', async (t) => {
  const good: Part = [pdf(), 'good.pdf'];
  const rows: [string, readonly Part[], Record<string, string>, number, string][] = [
    ['a program that calls itself a PDF', [good, [FILES.exe, 'a.pdf', 'application/pdf']], {}, 415, '/file'],
    ['a page that begins as a PDF', [[Buffer.concat([pdf(), FILES.html]), 'a.pdf']], {}, 415, '/file'],
    ['a picture that runs scripts', [[FILES.svg, 'a.svg', 'image/svg+xml']], {}, 415, '/file'],
    ['an archive', [good, [await zip({ 'a.txt': 'a' }), 'a.docx']], {}, 415, '/file'],
    ['a type that is not so', [[pdf(), 'a.pdf', 'image/png']], {}, 422, '/file'],
    ['an ending that is not so', [[pdf(), 'a.docx']], {}, 422, '/file'],
    ['text that is none later on', [[Buffer.concat([Buffer.alloc(9_000, 'a'), Buffer.from([0])]), 'a.txt', 'text/plain']], {}, 422, '/file'],
    ['an empty file', [[Buffer.alloc(0), 'a.txt']], {}, 422, '/file'],
    ['no file', [], { description: 'x' }, 400, '/file'],
    ['an unknown field', [good], { customer_id: '2' }, 400, '/customer_id'],
    ['an unknown category', [good], { document_category_type: 'x' }, 400, '/document_category_type'],
    ['a day that is none', [good], { expiration_date: '2031-02-30' }, 400, '/expiration_date'],
    ['a day that is past', [good], { expiration_date: '2001-01-01' }, 422, '/expiration_date'],
    ['one name for two', [good, good], { name: 'x' }, 422, '/name'],
    ['a long text', [good], { description: 'x'.repeat(2_001) }, 400, '/description'],
    ['a very long text', [good], { description: 'x'.repeat(9_000) }, 400, '/description'],
    ['NUL in text', [good], { description: 'x\0' }, 400, '/description'],
  ]; // prettier-ignore
  for (const [what, parts, fields, status, pointer] of rows) {
    await leavesNothing(t, what, async () => {
      const answer = await upload(parts, fields);
      t.equal(answer.status, status, `${what}: ${answer.body.detail}`);
      t.equal(answer.body.errors[0]?.pointer, pointer, what);
    });
  }
});

t.test('an upload under one key is kept once', async (t) => {
  const headers = { 'idempotency-key': 'cover-note-7' };
  const parts: Part[] = [[pdf(9_000, 'one'), 'one.pdf']];
  const fields = { description: 'Cover note', document_category_type: 'insurance' };
  const before = await state();
  const first = await upload(parts, fields, { headers });
  t.equal(first.status, 201);
  t.equal(first.headers.get('idempotency-replayed'), null);
  const kept = before.map((count) => count + 1);
  t.same(await state(), kept);

  const turned = { document_category_type: 'insurance', description: 'Cover note' };
  const again = await upload(parts, turned, { headers });
  t.equal(again.status, 201);
  t.equal(again.headers.get('idempotency-replayed'), 'true');
  t.same(again.body, first.body);
  t.same(await state(), kept, 'what was sent again is gone from the disk');

  const others: [string, Part[], Record<string, string>, string?][] = [
    ['other bytes', [[pdf(9_000, 'two'), 'one.pdf']], fields],
    ['another name', [[pdf(9_000, 'one'), 'two.pdf']], fields],
    ['another field', parts, { ...fields, description: 'Another note' }],
    ['another unit', parts, fields, `/v1/equipment/${southUnit}/attachments`],
  ];
  for (const [what, given, words, path] of others) {
    const other = await upload(given, words, { headers, ...(path && { path }) });
    t.match(
      { status: other.status, body: other.body },
      { status: 422, body: { errors: [{ in: 'header', pointer: '/idempotency-key' }] } },
      what,
    );
    t.same(await state(), kept, what);
  }
  t.equal((await upload(parts, fields, { headers, who: 'held' })).status, 201, 'another user');

  const path = `/v1/attachments/${first.body.data[0]!.attachment_id}`;
  const removed = await ask(portal, 'admin', path, {
    method: 'DELETE',
    headers: { 'if-match': '*' },
  });
  t.equal(removed.status, 204);
  const late = await upload(parts, fields, { headers });
  t.same([late.status, late.body], [201, first.body], 'what was, also when it is gone since');
  t.equal((await ask(portal, 'admin', path)).status, 404);
});

t.test('uploads at once under one key leave one file and one row', async (t) => {
  const headers = { 'idempotency-key': 'together' };
  const before = await state();
  const answers = await Promise.all(
    Array.from({ length: 4 }, () => upload([[pdf(50_000, 'once'), 'once.pdf']], {}, { headers })),
  );
  t.same(
    answers.map(({ status }) => status),
    [201, 201, 201, 201],
  );
  t.equal(new Set(answers.map(({ body }) => body.data[0]!.attachment_id)).size, 1);
  t.equal(answers.filter((one) => one.headers.has('idempotency-replayed')).length, 3);
  t.same(
    await state(),
    before.map((count) => count + 1),
  );
});

t.test('forms that are none', async (t) => {
  const path = `/v1/equipment/${northUnit}/attachments`;
  const post = (type: string, body: string | Buffer) =>
    ask(portal, 'admin', path, {
      method: 'POST',
      headers: { 'content-type': type },
      body: typeof body === 'string' ? body : new Uint8Array(body),
    });
  const part = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nabc';
  const rows: [string, string, string, number][] = [
    ['JSON', 'application/json', '{}', 415],
    ['plain text', 'text/plain', 'x', 415],
    ['no boundary', 'multipart/form-data', part, 400],
    ['no end', 'multipart/form-data; boundary=x', part, 400],
    ['nothing', 'multipart/form-data; boundary=x', '', 400],
    ['rubbish', 'multipart/form-data; boundary=x', 'rubbish', 400],
    ['a prototype', 'multipart/form-data; boundary=x',
      `--x\r\nContent-Disposition: form-data; name="__proto__"\r\n\r\n1\r\n${part}\r\n--x--\r\n`, 400],
    ['a file of another name', 'multipart/form-data; boundary=x',
      `${part.replace('"file"', '"other"')}\r\n--x--\r\n`, 400],
    ['a file without a filename', 'multipart/form-data; boundary=x',
      `${part.replace('; filename="a.txt"', '')}\r\n--x--\r\n`, 400],
    ['a field twice', 'multipart/form-data; boundary=x',
      `--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n1\r\n`.repeat(2) + `${part}\r\n--x--\r\n`, 400],
    ['as it should be', 'multipart/form-data; boundary=x', `${part}\r\n--x--\r\n`, 201],
  ]; // prettier-ignore
  for (const [what, type, body, status] of rows) {
    const run = async () => {
      const answer = await post(type, body);
      t.equal(answer.status, status, `${what}: ${answer.body?.detail}`);
    };
    if (status === 201) await run();
    else await leavesNothing(t, what, run);
  }
  const form = await ask(portal, 'admin', '/v1/geofences', { method: 'POST', body: formOf([]) });
  t.equal(form.status, 415, 'other routes take no forms');
});

t.test('an upload that breaks off', async (t) => {
  const { port } = new URL(portal.url);
  const { authorization } = portal.headersOf('admin');
  const head = [
    `POST /v1/equipment/${northUnit}/attachments HTTP/1.1`,
    'Host: x',
    `Authorization: ${authorization}`,
    'Content-Type: multipart/form-data; boundary=x',
    'Content-Length: 900000',
    '',
    '--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\nContent-Type: application/pdf\r\n\r\n',
  ].join('\r\n');
  await leavesNothing(t, 'it', async () => {
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(head);
    socket.write(pdf(400_000));
    for (let i = 0; i < 100 && (await filesOn()).length === 0; i++) await wait(20);
    t.ok((await filesOn()).length > 0, 'it had begun');
    socket.destroy();
    await once(socket, 'close');
  });
});

t.test('no transaction is open while bytes arrive, and nobody is kept out by them', async (t) => {
  const own = await startTestPortal(t, {
    attachmentLimits: { uploadsMax: 2, uploadsPerTenantMax: 1, uploadMsMax: 6_000 },
    // A server that gives other requests less time than this one takes.
    httpLimits: { requestMsMax: 3_000, headersMsMax: 2_000, checkMs: 50 },
  });
  const { port } = new URL(own.url);
  const unit = own.seed.mine.equipmentIds[0];
  const begin = () => {
    const socket = connect(Number(port), '127.0.0.1').setEncoding('utf8');
    let answer = '';
    socket.on('data', (text: string) => (answer += text));
    socket.write(
      `POST /v1/equipment/${unit}/attachments HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n` +
        `Authorization: ${own.headersOf('admin').authorization}\r\n` +
        'Content-Type: multipart/form-data; boundary=x\r\n\r\n' +
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\nContent-Type: application/pdf\r\n\r\n%PDF-1.7\n',
    );
    socket.write(pdf(8_000));
    const answered = once(socket, 'data');
    return { socket, answered, closed: once(socket, 'close'), answer: () => answer };
  };
  const slow = begin();
  const isIn = async () => (await filesOn(own)).length === 1;
  for (let i = 0; i < 500 && !(await isIn()); i++) await wait(10);
  t.ok(await isIn(), 'it is being received');
  const { rows } = await own.owner.query<{ n: number }>(
    `select count(*)::int as n from pg_stat_activity
     where datname = current_database() and state like 'idle in transaction%'`,
  );
  t.equal(rows[0]!.n, 0);
  const busy = await upload([[pdf(), 'a.pdf']], {}, { on: own });
  t.equal(busy.status, 503);
  t.match(busy.headers.get('retry-after'), /^\d+$/);
  const path = `/v1/equipment/${own.seed.foreign.equipmentIds[0]}/attachments`;
  t.equal((await upload([[pdf(), 'a.pdf']], {}, { on: own, who: 'foreign', path })).status, 201);
  await slow.answered;
  t.match(
    slow.answer(),
    /^HTTP\/1.1 408 .*"detail":"send it within 6 s"/s,
    'by its own limit alone',
  );
  slow.socket.destroy();
  await slow.closed;
  for (let i = 0; i < 100 && (await filesOn(own)).length > 1; i++) await wait(20);
  t.equal((await filesOn(own)).length, 1);
  t.equal(
    (await upload([[pdf(), 'a.pdf']], {}, { on: own })).status,
    201,
    'the place is free again',
  );
});

t.test('limits', async (t) => {
  const own = await startTestPortal(t, {
    attachmentLimits: { fileBytesMax: 20_000, filesMax: 2 },
    quotas: { attachmentsPerParentMax: 4 },
  });
  const good: Part = [pdf(20_000), 'a.pdf'];
  const refused = async (parts: readonly Part[], status: number, detail: RegExp) => {
    const answer = await upload(parts, {}, { on: own });
    t.equal(answer.status, status);
    t.match(answer.body.detail, detail);
    t.same(await filesOn(own), []);
    t.equal(await count('attachment_content', own), 0);
  };
  await refused([[pdf(20_001), 'a.pdf']], 413, /20000 bytes/);
  await refused([good, [pdf(80_000), 'b.pdf']], 413, /20000 bytes/);
  await refused([good, good, good], 413, /2 times|2 files/);
  await refused([[pdf(5_000_000), 'a.pdf']], 413, /2 files/);
  const fields = Object.fromEntries([...Array(9).keys()].map((i) => [`f${i}`, 'x']));
  t.equal((await upload([good], fields, { on: own })).status, 413);
  t.equal((await upload([good, good], {}, { on: own })).status, 201);
  const full = await upload([good, good], {}, { on: own });
  t.equal(full.status, 409, 'with the one that was there');
  t.equal((await filesOn(own)).length, 2);
  t.equal((await upload([good], {}, { on: own })).status, 201);
});

t.test('who may: rights, accounts, tenants', async (t) => {
  const foreign = seed.foreign.equipmentIds[0];
  const foreignFile = seed.foreign.attachmentIds[0];
  const made = await upload(
    [[pdf(), 'south.pdf']],
    {},
    { path: `/v1/equipment/${southUnit}/attachments` },
  );
  const south = made.body.data[0]!;
  const ofAll = await upload(
    [[pdf(), 'all.pdf']],
    {},
    { path: `/v1/equipment/${sharedUnit}/attachments` },
  );
  const shared = ofAll.body.data[0]!;

  for (const [who, unit] of [
    ['admin', foreign],
    ['held', foreign],
    ['held', southUnit],
  ] as const) {
    const path = `/v1/equipment/${unit}/attachments`;
    await leavesNothing(t, 'a foreign unit', async () =>
      t.equal((await upload([[pdf(), 'a.pdf']], {}, { who, path })).status, 404),
    );
    t.equal((await ask(portal, who, path)).status, 404);
  }
  for (const [who, id] of [
    ['admin', foreignFile],
    ['held', foreignFile],
    ['held', south.attachment_id],
  ] as const) {
    t.equal((await ask(portal, who, `/v1/attachments/${id}`)).status, 404);
    t.equal((await ask(portal, who, `/v1/attachments/${id}/content`)).status, 404);
    t.equal((await ask(portal, who, `/v1/attachments/${id}`, { method: 'DELETE' })).status, 404);
  }
  t.equal(
    (await ask(portal, 'held', shared.url)).status,
    200,
    'what belongs to all is shown to all',
  );
  const all = `/v1/attachments/${shared.attachment_id}`;
  t.equal((await ask(portal, 'held', all, { method: 'DELETE' })).status, 403);
  const toAll = `/v1/equipment/${sharedUnit}/attachments`;
  t.equal((await upload([[pdf(), 'a.pdf']], {}, { who: 'held', path: toAll })).status, 403);
  t.equal((await upload([[pdf(), 'a.pdf']], {}, { who: 'held' })).status, 201);
  t.equal((await ask(portal, 'bare', shared.url)).status, 403);
  t.equal((await upload([[pdf(), 'a.pdf']], {}, { who: 'bare' })).status, 403);

  // The link alone shows nothing: the unit itself has to be seen.
  const moved = await upload([[pdf(), 'moved.pdf']]);
  const { url } = moved.body.data[0]!;
  t.equal((await ask(portal, 'held', url)).status, 200);
  const move = (accountId: number) =>
    portal.owner.query(
      `update equipment set account_id = ${accountId} where equipment_id = ${northUnit}`,
    );
  await move(seed.mine.accountIds[1]);
  t.equal((await ask(portal, 'held', url)).status, 404);
  await move(seed.mine.accountIds[0]);
  await portal.owner.query(
    `delete from equipment_has_attachment where attachment_id = ${moved.body.data[0]!.attachment_id}`,
  );
  t.equal((await ask(portal, 'admin', url)).status, 404, 'a file that is linked to nothing');
});

t.test(
  'the right to the attachment is not enough without the right to what it hangs on',
  async (t) => {
    const made = await upload([[pdf(), 'a.pdf']]);
    const { attachment_id, url } = made.body.data[0]!;
    const path = `/v1/attachments/${attachment_id}`;
    const listing = `/v1/equipment/${northUnit}/attachments`;
    const rights = async (permissions: Permission[]) => {
      const restore = await setRole('bare', permissions);
      const statuses = [
        (await ask(portal, 'bare', path)).status,
        (await ask(portal, 'bare', url)).status,
        (await ask(portal, 'bare', listing)).status,
        (await upload([[pdf(), 'b.pdf']], {}, { who: 'bare' })).status,
        (await ask(portal, 'bare', path, { method: 'DELETE' })).status,
      ];
      await restore();
      return statuses;
    };
    t.same(await rights(['attachment:read', 'attachment:write']), [403, 403, 403, 403, 403]);
    t.same(await rights(['attachment:read', 'workorder:read']), [403, 403, 403, 403, 403]);
    t.same(await rights(['equipment:read', 'equipment:write']), [403, 403, 200, 201, 403]);
    t.same(await rights(['attachment:read', 'equipment:read']), [200, 200, 200, 403, 403]);
    t.same(
      await rights(['attachment:read', 'attachment:write', 'equipment:read']),
      [200, 200, 200, 403, 403],
    );
    t.same(
      await rights(['attachment:read', 'attachment:write', 'equipment:read', 'equipment:write']),
      [200, 200, 200, 201, 204],
    );
  },
);

t.test('files that expire soon', async (t) => {
  let nowMs = Date.parse('2030-06-30T21:59:59Z');
  const own = await startTestPortal(t, { now: () => nowMs });
  const [unit] = own.seed.mine.equipmentIds;
  // In Berlin, it is two hours later.
  for (const [name, expiration_date] of [
    ['today', '2030-06-30'],
    ['tomorrow', '2030-07-01'],
    ['later', '2030-07-30'],
  ]) {
    const made = await upload(
      [[pdf(60, name), `${name}.pdf`]],
      { expiration_date: expiration_date! },
      { on: own },
    );
    t.equal(made.status, 201);
  }
  const listed = async (days: number | string) => {
    const path = `/v1/equipment/${unit}/attachments?expires_within_days=${days}`;
    const { status, body } = await ask(own, 'admin', path);
    const rows = body.data as unknown as { name: string; days_left: number }[] | undefined;
    return rows ? rows.map(({ name, days_left }) => `${name} ${days_left}`) : status;
  };
  t.same(await listed(0), ['today.pdf 0']);
  t.same(await listed(1), ['today.pdf 0', 'tomorrow.pdf 1']);
  t.same(await listed(29), ['today.pdf 0', 'tomorrow.pdf 1']);
  t.same(await listed(30), ['today.pdf 0', 'tomorrow.pdf 1', 'later.pdf 30']);
  nowMs += 1_000;
  t.same(await listed(0), ['tomorrow.pdf 0'], 'what has expired is none of them');
  const all = await ask(own, 'admin', `/v1/equipment/${unit}/attachments`);
  const left = all.body.data.map(
    (row) => (row as unknown as { days_left: number | null }).days_left,
  );
  t.same(left, [null, -1, 0, 29]);
  for (const days of [-1, 3_651, 'x', '']) t.equal(await listed(days), 400);
});

t.test('the sweeper takes what nobody needs, and the rest stays', async (t) => {
  const own = await startTestPortal(t);
  const store = await openDiskStore(own.attachmentDir);
  const names = ['kept', 'expired', 'deleted', 'just-deleted'];
  const parts = names.map((name): Part => [pdf(60, name), `${name}.pdf`]);
  const made = await upload(parts, { expiration_date: '2999-01-01' }, { on: own });
  const [kept, expired, deleted, just] = made.body.data.map(({ attachment_id }) => attachment_id);
  for (const id of [deleted, just]) {
    t.equal((await ask(own, 'admin', `/v1/attachments/${id}`, { method: 'DELETE' })).status, 204);
  }
  const set = (text: string) => own.owner.query(text);
  await set(
    `update attachment set expiration_date = current_date - 3 where attachment_id = ${expired}`,
  );
  await set(
    `update attachment set deleted_at = now() - interval '31 days' where attachment_id = ${deleted}`,
  );
  await store.put('1/aa/late', [Buffer.from('x')] as unknown as AsyncIterable<Buffer>, {
    sizeMax: 9,
  });
  await store.put('1/aa/soon', [Buffer.from('x')] as unknown as AsyncIterable<Buffer>, {
    sizeMax: 9,
  });
  const note = (key: string, age: string) =>
    set(`insert into attachment_content (storage_key, customer_id, noted_at)
         values ('${key}', ${own.seed.mine.customerId}, now() - interval '${age}')`);
  await note('1/aa/late', '2 hours');
  await note('1/aa/soon', '10 minutes');

  const gone = await ask(own, 'admin', `/v1/attachments/${expired}/content`);
  t.equal(gone.status, 410);
  t.equal(gone.body.code, 'gone');
  const shown = await ask(own, 'admin', `/v1/attachments/${expired}`);
  t.match(shown.body, { is_expired: true }, 'what is known of it stays');

  const errors: unknown[] = [];
  const sweep = (over = store, rowsMax = 2) =>
    sweepAttachments({
      pool: own.runnerPool,
      store: over,
      limits: { ...ATTACHMENT_LIMITS, sweepRowsMax: rowsMax },
      onError: (error) => errors.push(error),
    });
  const broken = { ...store, remove: () => Promise.reject(new StoreError('failed')) };
  t.equal(await sweep(broken), 0);
  t.equal(errors.length, 2);
  t.equal((await filesOn(own)).length, 6);
  t.equal(await sweep(), 3);
  t.equal(await sweep(), 0);
  t.equal((await filesOn(own)).length, 3);
  t.equal((await ask(own, 'admin', `/v1/attachments/${kept}/content`)).status, 200);
  t.equal((await ask(own, 'admin', `/v1/attachments/${expired}/content`)).status, 410);
  t.equal(errors.length, 2);
});

t.test('a store or a database that fails', async (t) => {
  const broken = await openDiskStore(t.testdir());
  const own = await startTestPortal(t, {
    attachmentStore: {
      ...broken,
      put: () => Promise.reject(new StoreError('failed', 'disk full')),
    },
  });
  const answer = await upload([[pdf(), 'a.pdf']], {}, { on: own });
  t.equal(answer.status, 503);
  t.notMatch(JSON.stringify(answer.body), /disk full/);
  t.match(answer.headers.get('retry-after'), /^\d+$/);
  t.equal(await count('attachment_content', own), 0);

  // The row fails when the bytes are there already.
  await portal.owner.query(
    `alter table equipment_has_attachment add constraint refused check (attachment_id < 0) not valid`,
  );
  await leavesNothing(t, 'a row that is refused', async () =>
    t.equal((await upload([[pdf(), 'a.pdf']])).status, 422),
  );
  await portal.owner.query('alter table equipment_has_attachment drop constraint refused');

  const made = await upload([[pdf(), 'lost.pdf']]);
  const { url } = made.body.data[0]!;
  await rm(portal.attachmentDir, { recursive: true });
  const lost = await ask(portal, 'admin', url);
  t.equal(lost.status, 500);
  t.notMatch(lost.bytes.toString(), /objects|ENOENT/);
  await openDiskStore(portal.attachmentDir);
});

t.test('other kinds of parents', async (t) => {
  const { customerId, accountIds } = seed.mine;
  const { rows } = await portal.owner.query<{ id: number }>(
    `insert into workorder (customer_id, account_id, equipment_id, workorder_description, currency_code)
     values (${customerId}, ${accountIds[0]}, ${northUnit}, 'a tyre', 'EUR') returning workorder_id as id`,
  );
  const path = `/v1/workorders/${rows[0]!.id}/attachments`;
  const made = await upload([[FILES.jpeg, 'tyre.jpg', 'image/jpeg']], {}, { path, who: 'held' });
  t.equal(made.status, 201);
  const { url, attachment_id } = made.body.data[0]!;
  const shown = await ask(portal, 'admin', `/v1/attachments/${attachment_id}`);
  t.match(shown.body, { parents: [{ parent_type: 'workorder', parent_id: rows[0]!.id }] });
  await portal.owner.query(
    `update workorder set deleted_at = now() where workorder_id = ${rows[0]!.id}`,
  );
  t.equal((await ask(portal, 'admin', url)).status, 404, 'with what it hangs on');
  t.equal((await ask(portal, 'admin', path)).status, 404);
});

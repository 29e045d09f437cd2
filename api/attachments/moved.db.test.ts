/** A file follows what it hangs on: whoever sees that sees the file, also after it went to another account. */
import t from 'tap';
import { RowMaker, type TestValues } from '../../db/test-rows.ts';
import { startTestPortal } from '../test-portal.ts';
import { ATTACHMENT_PARENTS } from './parents.ts';
import { pdf } from './test-files.ts';

const portal = await startTestPortal(t);
const { mine } = portal.seed;
const [north, south] = mine.accountIds;
const client = await portal.owner.connect();
t.teardown(() => client.release());
const maker = await RowMaker.open(client);

const move = (path: string, id: unknown, account_id: number | null) =>
  portal.as('admin', {
    method: 'PATCH',
    url: `/v1/${path}/${String(id)}`,
    payload: { account_id },
    headers: { 'if-match': '*' },
  });
const statusFor = async (who: 'admin' | 'held', id: unknown) =>
  (await portal.as(who, { url: `/v1/attachments/${String(id)}` })).status;

/** A schedule goes to another account where its master agreement is of all of them. */
async function underAll(type: string): Promise<TestValues> {
  if (type !== 'schedule_agreement') return {};
  const owner = { customerId: mine.customerId, accountId: null, word: 'moved' };
  const { master_agreement_id } = await maker.make('master_agreement', owner);
  return { master_agreement_id };
}

for (const { type, path, key } of ATTACHMENT_PARENTS) {
  t.test(type, async (t) => {
    const ofSouth = { customerId: mine.customerId, accountId: south, word: 'moved' };
    const parent = await maker.make(type, ofSouth, await underAll(type));
    const file = await maker.make('attachment', ofSouth);
    const id = file['attachment_id'];
    await maker.make(`${type}_has_attachment`, ofSouth, { [key]: parent[key], attachment_id: id });
    t.equal(await statusFor('held', id), 404, 'of an account that they do not see');
    t.equal((await move(path, parent[key], north)).status, 200);
    t.equal(await statusFor('held', id), 200, 'it has come to them');
    const list = await portal.as('held', { url: `/v1/${path}/${String(parent[key])}/attachments` });
    t.match(list.body.data, [{ attachment_id: id, account_id: north }]);
    t.equal((await move(path, parent[key], south)).status, 200);
    t.equal(await statusFor('held', id), 404, 'and gone again');
    t.equal(await statusFor('admin', id), 200);
    t.equal((await move(path, parent[key], north)).status, 200);
    const removed = await portal.as('held', {
      method: 'DELETE',
      url: `/v1/attachments/${String(id)}`,
      headers: { 'if-match': '*' },
    });
    t.equal(removed.status, 204, 'theirs to delete as well');
  });
}

t.test('a file on units of two accounts is seen by those who see one of them', async (t) => {
  const ofSouth = { customerId: mine.customerId, accountId: south, word: 'twice' };
  const order = await maker.make('workorder', { ...ofSouth, accountId: north });
  const unit = await maker.make('equipment', ofSouth);
  const { attachment_id } = await maker.make('attachment', ofSouth);
  const link = { attachment_id };
  await maker.make('workorder_has_attachment', ofSouth, {
    ...link,
    workorder_id: order['workorder_id'],
  });
  await maker.make('equipment_has_attachment', ofSouth, {
    ...link,
    equipment_id: unit['equipment_id'],
  });
  t.equal(await statusFor('held', attachment_id), 200);
  const removed = await portal.as('held', {
    method: 'DELETE',
    url: `/v1/attachments/${String(attachment_id)}`,
    headers: { 'if-match': '*' },
  });
  t.equal(removed.status, 403, 'and deleted by those alone whose file it is');
});

t.test('a file that comes while its unit moves goes along', async (t) => {
  const unit = await maker.make('equipment', {
    customerId: mine.customerId,
    accountId: south,
    word: 'on its way',
  });
  const mover = await portal.owner.connect();
  t.teardown(() => mover.release());
  const { rows } = await mover.query<{ pid: number }>('select pg_backend_pid() as pid');
  await mover.query('begin');
  await mover.query('update equipment set account_id = $1 where equipment_id = $2', [
    north,
    unit['equipment_id'],
  ]);
  const form = new FormData();
  form.append('file', new Blob([new Uint8Array(pdf())]), 'a.pdf');
  let isAnswered = false;
  const sent = fetch(`${portal.url}/v1/equipment/${String(unit['equipment_id'])}/attachments`, {
    method: 'POST',
    body: form,
    headers: portal.headersOf('admin'),
  }).finally(() => (isAnswered = true));
  for (let isWaiting = false; !isWaiting && !isAnswered;) {
    const found = await portal.owner.query(
      'select from pg_stat_activity where $1 = any (pg_blocking_pids(pid))',
      [rows[0]!.pid],
    );
    isWaiting = found.rows.length > 0;
  }
  await mover.query('commit');
  const answer = await sent;
  t.equal(answer.status, 201);
  const { data } = (await answer.json()) as { data: { attachment_id: number }[] };
  t.equal(await statusFor('held', data[0]!.attachment_id), 200, 'it is where the unit is');
  const stored = await portal.owner.query<{ account_id: string }>(
    'select account_id from attachment where attachment_id = $1',
    [data[0]!.attachment_id],
  );
  t.equal(Number(stored.rows[0]!.account_id), north);
});

t.test('what is written of a file is of the writer’s accounts', async (t) => {
  const writer = await portal.owner.connect();
  t.teardown(() => writer.release());
  const ofNorth = { customerId: mine.customerId, accountId: north, word: 'kept' };
  const unit = await maker.make('equipment', ofNorth);
  const { attachment_id } = await maker.make('attachment', ofNorth);
  await maker.make('equipment_has_attachment', ofNorth, {
    equipment_id: unit['equipment_id'],
    attachment_id,
  });
  await writer.query('begin');
  t.teardown(() => writer.query('rollback'));
  await writer.query('set local role milepost_api');
  await writer.query(
    `select set_config('app.customer_id', $1, true), set_config('app.account_ids', $2, true)`,
    [String(mine.customerId), `{${north}}`],
  );
  const give = 'update attachment set account_id = $1 where attachment_id = $2';
  t.equal((await writer.query(give, [north, attachment_id])).rowCount, 1);
  await t.rejects(writer.query(give, [south, attachment_id]), { code: '42501' });
});

/** A file follows what it hangs on: whoever sees that sees the file, also after it went to another account. */
import t from 'tap';
import { RowMaker } from '../../db/test-rows.ts';
import { startTestPortal } from '../test-portal.ts';
import { ATTACHMENT_PARENTS } from './parents.ts';

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

for (const { type, path, key } of ATTACHMENT_PARENTS) {
  t.test(type, async (t) => {
    const ofSouth = { customerId: mine.customerId, accountId: south, word: 'moved' };
    const parent = await maker.make(type, ofSouth);
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
});

/** A row can be made in every table, so that tests of isolation leave none out. */
import t from 'tap';
import { connectTestClient, createTestDatabase } from './test-database.ts';
import { RowMaker } from './test-rows.ts';

t.test('every table of tenants takes a row', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl);
  const { rows } = await client.query<{ customer_id: number }>(
    `insert into customer (customer_name) values ('rows') returning customer_id`,
  );
  const customerId = rows[0]!.customer_id;
  const account = await client.query<{ account_id: number }>(
    `insert into account (customer_id, account_name, account_number, account_type)
     values ($1, 'first', '1', 'REGIONAL') returning account_id`,
    [customerId],
  );
  const maker = await RowMaker.open(client);
  const owner = { customerId, accountId: account.rows[0]!.account_id, word: 'said' };
  const wrong: string[] = [];
  for (const { table, columns } of maker.tables) {
    if (!columns.some(({ name }) => name === 'customer_id') || table === 'customer') continue;
    await maker.ensure(table, owner).catch((error: Error & { detail?: string }) => {
      wrong.push(`${table}: ${error.message} ${error.detail ?? ''}`);
    });
  }
  t.same(wrong, []);
});

/** Databases with rows that were right once: what the guide for upgrading says helps, and what moves by itself moves. */
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import t from 'tap';
import { administer, connectTestClient, databaseUrl, testServerUrl } from '../db/test-database.ts';
import { migrate, migrationsDir } from './run.ts';

type Test = { teardown(work: () => Promise<unknown>): unknown };

/** A database at this version, and its owner's connection. */
async function openAt(t: Test, version: number): Promise<{ url: string; client: pg.Client }> {
  const name = `upgrade_${process.pid}_${randomBytes(6).toString('hex')}`;
  await administer(testServerUrl(), `create database ${name}`);
  t.teardown(() => administer(testServerUrl(), `drop database if exists ${name} with (force)`));
  const url = databaseUrl(testServerUrl(), name);
  const dir = await mkdtemp(join(tmpdir(), 'milepost-upgrade-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  for (const file of await readdir(migrationsDir)) {
    if (Number.parseInt(file, 10) <= version) await cp(join(migrationsDir, file), join(dir, file));
  }
  await migrate(url, undefined, dir);
  return { url, client: await connectTestClient(t, url) };
}

const valueOf = async (client: pg.Client, text: string, values: unknown[] = []) =>
  (await client.query<{ value: unknown }>(text, values)).rows[0]!.value;

/** Statements of the guide, in their order: two that look and two that mend. */
async function guided(): Promise<string[]> {
  const guide = await readFile(join(migrationsDir, '../docs/operations.md'), 'utf8');
  const part = guide.slice(
    guide.indexOf('**From a database at 0009'),
    guide.indexOf('**To 0029.**'),
  );
  return [...part.matchAll(/```sql\n([^`]*)```/g)].flatMap(([, block]) => block!.match(/[^;]+;/g)!);
}

t.test('from 0009, with a role that is a list and users of very many accounts', async (t) => {
  const { url, client } = await openAt(t, 9);
  const customer = await valueOf(
    client,
    `insert into customer (customer_name) values ('old') returning customer_id as value`,
  );
  const role = await valueOf(
    client,
    `insert into user_role (customer_id, name, role_permission) values ($1, 'list', '[]') returning user_role_id as value`,
    [customer],
  );
  const users: [string, string][] = [
    ['many', `array(select generate_series(1, 1001)::bigint)`],
    ['holes', `'{7,null,9}'`],
    ['none', `'{null}'`],
    ['plain', `'{7}'`],
  ];
  for (const [name, accounts] of users) {
    await client.query(
      `insert into "user" (customer_id, user_role_id, email, auth_0_reference_id, assigned_account_ids)
       values ($1, $2, $3 || '@old.test', $3, ${accounts})`,
      [customer, role, name],
    );
  }
  await t.rejects(migrate(url), { code: 'MIGRATION_FAILED', message: /0013/ });
  const [badRoles, badUsers, ...mends] = await guided();
  t.equal((await client.query(badRoles!)).rowCount, 1);
  t.equal((await client.query(badUsers!)).rowCount, 3);
  t.equal(mends.length, 2);
  for (const statement of mends) await client.query(statement);
  t.ok((await migrate(url)).length > 0, 'it goes on from where it stopped');
  const { rows } = await client.query(
    `select email, cardinality(assigned_account_ids) as count, status from "user" order by user_id`,
  );
  t.same(rows, [
    { email: 'many@old.test', count: 1_000, status: 'active' },
    { email: 'holes@old.test', count: 2, status: 'active' },
    { email: 'none@old.test', count: 0, status: 'disabled' },
    { email: 'plain@old.test', count: 1, status: 'active' },
  ]);
  t.same(await valueOf(client, 'select role_permission as value from user_role'), {});
});

t.test('from 0028, with files that stayed behind and amounts that were kept', async (t) => {
  const { url, client } = await openAt(t, 28);
  const customer = await valueOf(
    client,
    `insert into customer (customer_name) values ('old') returning customer_id as value`,
  );
  const accounts: unknown[] = [];
  for (const name of ['a', 'b']) {
    accounts.push(
      await valueOf(
        client,
        `insert into account (customer_id, account_name, account_number, account_type)
         values ($1, $2, $2, 'REGIONAL') returning account_id as value`,
        [customer, name],
      ),
    );
  }
  const unit = await valueOf(
    client,
    `insert into equipment (customer_id, account_id, unit_number) values ($1, $2, 'u') returning equipment_id as value`,
    [customer, accounts[1]],
  );
  const file = await valueOf(
    client,
    `insert into attachment (customer_id, account_id, name, mime_type, url, storage_key, size_bytes, sha256)
     values ($1, $2, 'f', 'application/pdf', '', 'f', 1, sha256('f')) returning attachment_id as value`,
    [customer, accounts[0]],
  );
  await client.query(
    'insert into equipment_has_attachment (customer_id, equipment_id, attachment_id) values ($1, $2, $3)',
    [customer, unit, file],
  );
  await client.query(
    `insert into invoice (customer_id, account_id, due_date, currency_code, subtotal_amount, total_amount, applied_amount)
     values ($1, $2, '2099-01-01', 'USD', 999999999999.99, 999999999999.99, 0.01)`,
    [customer, accounts[0]],
  );
  await migrate(url);
  t.equal(await valueOf(client, 'select account_id as value from attachment'), accounts[1]);
  t.equal(
    await valueOf(client, 'select trim_scale(balance_amount)::text as value from invoice'),
    '999999999999.98',
  );
});

/** From 0037, with papers that were renewed and a link that would not be taken any more. */
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import t from 'tap';
import { administer, connectTestClient, databaseUrl, testServerUrl } from '../db/test-database.ts';
import { RowMaker } from '../db/test-rows.ts';
import { migrate, migrationsDir } from './run.ts';

async function openBefore(t: Tap): Promise<{ url: string; client: pg.Client }> {
  const name = `lists_${process.pid}_${randomBytes(6).toString('hex')}`;
  await administer(testServerUrl(), `create database ${name}`);
  t.teardown(() => administer(testServerUrl(), `drop database if exists ${name} with (force)`));
  const url = databaseUrl(testServerUrl(), name);
  const dir = await mkdtemp(join(tmpdir(), 'milepost-lists-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  for (const file of await readdir(migrationsDir)) {
    if (Number.parseInt(file, 10) < 38) await cp(join(migrationsDir, file), join(dir, file));
  }
  await migrate(url, undefined, dir);
  return { url, client: await connectTestClient(t, url) };
}

type Tap = { teardown(work: () => Promise<unknown>): unknown };

t.test('rows of before', async (t) => {
  const { url, client } = await openBefore(t);
  const maker = await RowMaker.open(client);
  const nobody = { customerId: 0, accountId: null, word: 'old' };
  const { customer_id } = await maker.make('customer', nobody);
  const tenant = { customerId: Number(customer_id), accountId: null as number | null, word: 'old' };
  tenant.accountId = Number(
    (await maker.make('account', tenant, { currency_code: null }))['account_id'],
  );
  const vehicle = (await maker.make('vehicle_basic_information_hdr', tenant))[
    'vehicle_id_code_hdr'
  ];
  const unit = (await maker.make('equipment', tenant))['equipment_id'];
  const blank = {
    vehicle_id_code: vehicle,
    vehicle_maintenance_id: null,
    permit_category: null,
    permit_code: null,
  };
  const document = (valid_to: string, more: object = {}) =>
    maker.make('vehicle_documents', tenant, {
      ...blank,
      valid_from: '2020-01-01',
      valid_to,
      ...more,
    });
  await document('2021-01-01');
  await document('2023-01-01');
  await document('2022-01-01');
  await document('2024-01-01', { deleted_at: new Date() });
  await document('2020-06-01', { permit_category: 'state' });
  const permit = (permit_expiry_date: string | null) =>
    maker.make('vehicle_special_permit', tenant, {
      vehicle_id_code_hdr: vehicle,
      permit_category: 'c',
      permit_code: null,
      permit_expiry_date,
    });
  await permit('2031-01-01');
  await permit(null);
  const inspection = (inspection_date: string, inspection_result: string) =>
    maker.make('dot_inspection', tenant, {
      equipment_id: unit,
      inspection_kind: 'annual',
      inspection_date,
      inspection_result,
    });
  await inspection('2021-01-01', 'pass');
  await inspection('2022-01-01', 'pass');
  await inspection('2023-01-01', 'fail');
  await client.query(
    `insert into ten_quick_link (customer_id, name, link) values ($1, 'old', 'https://me@old.example/')`,
    [customer_id],
  );
  await migrate(url);

  const marked = async (text: string) =>
    (await client.query<{ said: string }>(text)).rows.map(({ said }) => said);
  t.same(
    await marked(
      'select valid_to::text as said from vehicle_documents where is_superseded order by 1',
    ),
    ['2021-01-01', '2022-01-01'],
  );
  t.same(
    await marked(
      `select permit_expiry_date::text as said from vehicle_special_permit where is_superseded`,
    ),
    ['2031-01-01'],
  );
  t.same(
    await marked('select inspection_date::text as said from dot_inspection where is_superseded'),
    ['2021-01-01'],
  );
  t.same(await marked('select distinct version::text as said from vehicle_documents'), ['1']);
  const { rows } = await client.query('select distinct tag_lookup_ids from equipment');
  t.same(rows, [{ tag_lookup_ids: [] }]);
  await t.rejects(client.query(`update ten_quick_link set sort_order = 1`), /check_plain/);
  await client.query(`update ten_quick_link set link = 'https://old.example/', sort_order = 1`);
});

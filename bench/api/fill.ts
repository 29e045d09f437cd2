/**
 * The database of the bench: customers, accounts, users, units with a tracker each, invoices, and fixes. Made by statements
 * over whole sets, from nothing but the parameters, so that it is the same every time but for where in time the fixes lie,
 * and for how long open invoices are open.
 * What belongs to customer c of n has the numbers c, c + n, c + 2 n, …: rows of one are scattered among those of all, as they
 * are where all write at once. The big customer comes last, and has invoices alone.
 */
import pg from 'pg';
import { PERMISSIONS, rolePermissionOf } from '../../api/auth/permissions.ts';
import { valueTypes } from '../../db/pools.ts';

export interface FillParams {
  readonly seed: number;
  readonly customers: number;
  readonly units: number;
  readonly invoices: number;
  /** Of the big customer, in addition. */
  readonly invoicesBig: number;
  readonly fixes: number;
  /** Fixes of each unit that has any: the first units are heard from, the others never were. */
  readonly fixesPerUnit: number;
}

/** Accounts of each customer. */
export const ACCOUNTS = 5;
/** Days that the fixes span. */
const FIX_DAYS = 5;
const DAY_MS = 86_400_000;

/** Words of descriptions, for the search. */
export const WORDS = ['reefer', 'flatbed', 'tanker', 'container', 'lowboy', 'hopper', 'curtain'];

/** Tables that are filled so far that it pays to make their indexes afterwards. */
const LARGE_TABLES = ['equipment', 'invoice', 'payment', 'payment_invoice'];

export interface Filled {
  /** Seconds that it took; 0 where it was there. */
  readonly seconds: number;
  /** Epoch milliseconds after the newest fix. */
  readonly endMs: number;
}

/** Fills a migrated database, or finds that it was filled by the same parameters. Throws when it was by others. */
export async function fill(ownerUrl: string, params: FillParams): Promise<Filled> {
  const client = new pg.Client({ connectionString: ownerUrl, types: valueTypes });
  await client.connect();
  try {
    const said = JSON.stringify(params);
    await client.query('create table if not exists bench_fill (params text, end_at timestamptz)');
    const found = await client.query<{ params: string; end_at: Date }>('select * from bench_fill');
    const kept = found.rows[0];
    if (kept !== undefined) {
      if (kept.params === said) return { seconds: 0, endMs: kept.end_at.getTime() };
      throw new Error(`the database was filled by other parameters: ${kept.params}`);
    }
    const startedMs = performance.now();
    const endMs = Math.floor(Date.now() / DAY_MS) * DAY_MS;
    await fillTables(client, params, endMs);
    await client.query('insert into bench_fill values ($1, $2)', [said, new Date(endMs)]);
    return { seconds: (performance.now() - startedMs) / 1000, endMs };
  } finally {
    await client.end();
  }
}

async function fillTables(client: pg.Client, params: FillParams, endMs: number): Promise<void> {
  // Without triggers and keys to other tables, which would take most of the time; checks of values stay.
  await client.query(`set session_replication_role = replica; set maintenance_work_mem = '512MB'`);
  const indexes = await dropIndexes(client);
  await fillPeople(client, params);
  await fillUnits(client, params);
  await fillInvoices(client, params, endMs);
  for (const index of indexes) await client.query(index);
  await fillFixes(client, params, endMs);
  await client.query('set session_replication_role = origin');
  await client.query('vacuum (analyze)');
  await client.query('checkpoint');
}

async function dropIndexes(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string; made: string }>(
    `select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as made from pg_index i
     where i.indrelid = any ($1::regclass[]) and not i.indisunique`,
    [LARGE_TABLES],
  );
  for (const { name } of rows) await client.query(`drop index ${name}`);
  return rows.map(({ made }) => made);
}

async function fillPeople(client: pg.Client, { customers }: FillParams): Promise<void> {
  const all = customers + 1;
  await client.query(
    `insert into customer (customer_id, customer_name) select c, 'Customer ' || c from generate_series(1, $1::int) c`,
    [all],
  );
  await client.query(
    `insert into account (account_id, customer_id, account_name, account_number, account_type)
     select (c - 1) * $2 + a, c, 'Account ' || a || ' of ' || c, 'A' || a, 'REGIONAL'
     from generate_series(1, $1::int) c, generate_series(1, $2::int) a`,
    [all, ACCOUNTS],
  );
  await client.query(
    `insert into user_role (user_role_id, customer_id, name, role_permission)
     select c, c, 'all', $2::jsonb from generate_series(1, $1::int) c`,
    [all, rolePermissionOf(PERMISSIONS)],
  );
  // One who may see all, and one who is held to the customer's first account.
  await client.query(
    `insert into "user" (customer_id, user_role_id, email, auth_0_reference_id, first_name, last_name, assigned_account_ids)
     select c, c, who || c || '@bench.test', who || '|' || c, who, 'of ' || c,
       case who when 'held' then array[(c - 1) * $2 + 1] else '{}' end
     from generate_series(1, $1::int) c, unnest(array['all', 'held']) who`,
    [all, ACCOUNTS],
  );
}

/** A number from 0 to `end` − 1 that looks as though by chance; SQL. */
function chance(of: string, salt: number, end: number | string): string {
  return `((hashint8extended(${of}, ${salt}) & 2147483647) % ${end})`;
}

/** The account of row `n` of customer `c`; SQL. */
function accountOf(c: string, n: string, salt: number): string {
  return `(${c} - 1) * ${ACCOUNTS} + 1 + ${chance(n, salt, ACCOUNTS)}`;
}

async function fillUnits(client: pg.Client, params: FillParams): Promise<void> {
  const { seed, customers, units } = params;
  const words = `(array['${WORDS.join("', '")}'])[1 + ${chance('n', seed + 1, WORDS.length)}]`;
  await client.query(
    `insert into equipment (equipment_id, customer_id, account_id, unit_number, description, vin, status, model_year,
       color, ownership, fuel_type, axle_count, gvwr_kg, in_service_on, created_at, updated_at)
     select n, c, ${accountOf('c', 'n', seed)}, 'UNIT-' || lpad(n::text, 7, '0'), ${words} || ' trailer of the yard',
       'VIN' || lpad(n::text, 14, '0'), 'active', 2010 + ${chance('n', seed + 2, 15)}, 'white', 'owned', 'diesel',
       2 + ${chance('n', seed + 3, 3)}, 36000, date '2020-01-01' + ${chance('n', seed + 4, 2_000)}::int,
       timestamptz '2025-01-01', timestamptz '2025-06-01'
     from (select n, 1 + (n - 1) % $2 as c from generate_series(1, $1::bigint) n) as row`,
    [units, customers],
  );
  await client.query(
    `insert into iot_device (iot_device_id, customer_id, device_identifier, device_type)
     select equipment_id, customer_id, 'bench-' || equipment_id, 'tracker' from equipment order by 1`,
  );
  await client.query(
    `insert into equipment_has_iot_device (equipment_has_iot_device_id, customer_id, equipment_id, iot_device_id)
     select equipment_id, customer_id, equipment_id, equipment_id from equipment order by 1`,
  );
}

/** Days for which what is not paid yet is at most still to be paid, after the newest fix. */
const OPEN_DAYS = 60;

/** The statuses are those that the rules of billing would keep: what is overdue is kept as open, and is due. */
async function fillInvoices(
  client: pg.Client,
  { seed, customers, invoices, invoicesBig }: FillParams,
  endMs: number,
): Promise<void> {
  const status = `case when dice < 70 then 'paid' when dice < 90 then 'open' when dice < 94 then 'draft'
    when dice < 97 then 'partial' when dice < 99 then 'disputed' else 'void' end`;
  const isDue = 'not (dice between 70 and 81 or dice between 94 and 96)';
  const total = 'net + round(net * 0.07, 2)';
  const applied = `case when dice < 70 then ${total} when dice between 94 and 96 then round(net / 2, 2) else 0 end`;
  const when = (is: string, then: string) => `case when ${is} then ${then} end`;
  await client.query(
    `insert into invoice (id, customer_id, account_id, invoice_number, invoice_type, date, due_date, payment_terms_days,
       currency_code, subtotal_amount, tax_amount, total_amount, applied_amount, status, purchase_order_number,
       billing_period_from, billing_period_to, issued_at, paid_at, disputed_at, dispute_reason, voided_at, void_reason, notes,
       created_at, updated_at)
     select n, c, account, 'INV-' || lpad(n::text, 8, '0'), 'rental', day,
       case when ${isDue} then day + 30
         else greatest(day + 30, $4::date + 1 + ${chance('n', seed + 12, OPEN_DAYS)}::int) end, 30, 'USD', net,
       round(net * 0.07, 2), ${total}, ${applied}, ${status}, 'PO-' || ${chance('n', seed + 5, 100_000)}, day - 30, day - 1,
       ${when('dice not between 90 and 93', 'day::timestamptz')},
       ${when('dice < 70', `day::timestamptz + interval '20 days'`)},
       ${when('dice between 97 and 98', `day::timestamptz + interval '10 days'`)},
       case when dice between 97 and 98 then 'hours' else '' end,
       ${when('dice = 99', `day::timestamptz + interval '10 days'`)}, case when dice = 99 then 'issued twice' else '' end,
       'monthly rental of the unit', day::timestamptz, day::timestamptz + interval '1 day'
     from (select n, c, ${accountOf('c', 'n', seed + 6)} as account, ${chance('n', seed + 7, 100)} as dice,
         date '2024-01-01' + ${chance('n', seed + 8, 730)}::int as day, 100 + ${chance('n', seed + 9, 900_000)} / 100.0 as net
       from (select n, case when n > $1 then $2 + 1 else 1 + (n - 1) % $2 end as c
         from generate_series(1, $1::bigint + $3::bigint) n) as number) as row`,
    [invoices, customers, invoicesBig, new Date(endMs).toISOString().slice(0, 10)],
  );
  await fillPayments(client);
}

/** A payment for each invoice of which something is paid. */
async function fillPayments(client: pg.Client): Promise<void> {
  await client.query(
    `insert into payment (id, customer_id, account_id, payment_id, payment_date, payment_method, payment_amount,
       currency_code, status, applied_amount, settled_at, created_at, updated_at)
     select id, customer_id, account_id, 'PAY-' || lpad(id::text, 8, '0'), date + 20, 'ach', applied_amount, currency_code,
       'settled', applied_amount, date::timestamptz + interval '20 days', created_at, updated_at
     from invoice where applied_amount > 0`,
  );
  await client.query(
    `insert into payment_invoice (id, customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code, applied_at)
     select id, customer_id, id, id, account_id, applied_amount, currency_code, settled_at from payment`,
  );
}

/** In the order in which they come in: one of every unit, then the next of every unit. */
async function fillFixes(client: pg.Client, params: FillParams, endMs: number): Promise<void> {
  const { seed, fixesPerUnit } = params;
  const stepMs = Math.floor((FIX_DAYS * DAY_MS) / fixesPerUnit);
  const startMs = endMs - stepMs * fixesPerUnit;
  await client.query('select ensure_time_partitions($1, $2)', [
    new Date(startMs),
    new Date(endMs - 1),
  ]);
  await client.query(
    `insert into equipment_gps_location (equipment_has_iot_device_id, recorded_at, received_at, latitude, longitude, altitude_m,
       speed_mps, heading_deg, accuracy_m, odometer_m, satellites, ignition, motion_status)
     select u, at, at + interval '2 seconds', 30 + (u % 1500) / 100.0 + k * 0.0001, -110 + (u % 3000) / 100.0 + k * 0.0002,
       200, 15 + ${chance('k', seed + 10, 10)}, ${chance('u + k', seed + 11, 360)}, 5, k * 400, 9, true, 'moving'
     from (select k, u, $1::timestamptz + make_interval(secs => (k * $2::bigint + u % $2::bigint) / 1000.0) as at
       from generate_series(0, $3::bigint - 1) k, generate_series(1, $4::bigint) u) as row`,
    [new Date(startMs), stepMs, fixesPerUnit, trackedUnits(params)],
  );
}

/** Units that have fixes: the first so many. */
export function trackedUnits({ fixes, fixesPerUnit }: FillParams): number {
  return Math.floor(fixes / fixesPerUnit);
}

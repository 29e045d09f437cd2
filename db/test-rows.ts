/**
 * For tests: a row in any table, made from what the catalog says of it. Every text that may say anything says `word`, so
 * that a leak shows; rows that it must refer to are made first, or taken from what is shipped.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type pg from 'pg';
import { describeDatabase, type ForeignKey, type Relation } from './describe.ts';

/** A row by the names of its columns; numbers as text where `pg` gives them so. */
export type TestValues = Record<string, unknown>;

/** Whose rows they are. */
export interface RowOwner {
  readonly customerId: number;
  /** Of rows that have an account; null: they belong to the whole customer where they may. */
  readonly accountId: number | null;
  readonly word: string;
}

/** Values where a CHECK leaves no room for words: `table.column` or `column`. */
const VALUES: Readonly<Record<string, (serial: number) => unknown>> = {
  email: (n) => `person-${n}@example.test`,
  vin_chassis_no: (n) => `CHASSIS${String(n).padStart(10, '0')}`,
  gps_tracker_imei_number: (n) => String(100_000_000_000_000 + n),
  manufacturing_month_year: () => '2024-05',
  device_identifier: (n) => `device-${n}`,
  storage_key: (n) => `test/${n}`,
  mime_type: () => 'application/pdf',
  event_kind: () => 'status',
  vmrs_code: (n) => String(n % 1_000).padStart(3, '0'),
  color: () => '#336699',
  line_number: (n) => n,
  link: () => 'https://example.test/',
  'ten_quick_link.link': () => 'https://example.test/',
};

/** Values of a table that its rules over several columns ask for; a function of the row's number where they must differ. */
const RULED: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  alert_recipients: { email: 'someone@example.test' },
  column_preferences: { selected_columns: '["account_id"]' },
  // Reports that need not be kept any longer, and make no unit unfit.
  dot_inspection: { inspection_kind: 'roadside', inspection_date: '2020-01-15' },
  equipment_reading: { void_reason: null },
  // Agreements in force, with room for many units.
  equipment_type_allocation: { units_allowed: 1_000, effective_date: '2020-01-01' },
  ers: { replacement_equipment_id: null },
  export_job: { resource: 'facilities', storage_key: null, error_code: null },
  geofence: { shape_type: 'circle', center_lat: 1, center_lng: 1, radius_m: 10 },
  geofence_visit: { left_cause: null },
  idempotency_key: { response_status: 200 },
  identity_task: { user_role_id: 1 },
  master_agreement: {
    contract_effective_date: '2020-01-01',
    contract_term: 600,
    status: 'active',
  },
  schedule_agreement: { effective_date: '2020-01-01', status: 'active' },
  schedule_agreement_line_item: { number_of_units: 1_000_000 },
  invoice: { due_date: '2099-01-01', credited_invoice_id: null },
  invoice_items: { billed_workorder_id: null },
  payment: { credit_memo_invoice_id: null },
  service_frequency_master: { km_drove: 10_000 },
};

/** Rows that one of a table needs for itself, in a state of their own. */
const NEEDED: Readonly<Record<string, (maker: RowMaker, owner: RowOwner) => Promise<TestValues>>> =
  {
    async payment_invoice(maker, owner) {
      const issued = { issued_at: new Date('2026-01-15T08:00:00Z'), subtotal_amount: 1 };
      const invoice = await maker.make('invoice', owner, issued);
      const { currency_code } = invoice;
      const paid = { status: 'settled', payment_amount: 1, currency_code };
      const payment = await maker.make('payment', owner, paid);
      const reversed = { reversed_payment_invoice_id: null };
      return { invoice_id: invoice['id'], payment_id: payment['id'], currency_code, ...reversed };
    },
  };

/** Where a shipped row of a certain kind is needed. */
const CHOSEN: Readonly<Record<string, string>> = {
  'equipment_reading.uom_lookup_id': `select uom_lookup_id from uom_lookup where uom_code = 'km'`,
};

/** Texts that a trigger looks at, and that may be left out. */
const CHECKED_BY_TRIGGER = new Set(['time_zone']);

export class RowMaker {
  readonly #client: pg.ClientBase;
  readonly #relations: ReadonlyMap<string, Relation>;
  readonly #words: ReadonlyMap<string, readonly string[]>;
  readonly #patterned: ReadonlySet<string>;
  /** Columns that the database fills in, and whether it alone does. */
  readonly #defaults: ReadonlyMap<string, boolean>;
  #serial = 0;

  private constructor(
    client: pg.ClientBase,
    relations: ReadonlyMap<string, Relation>,
    checks: readonly { table: string; column: string; text: string }[],
    defaults: ReadonlyMap<string, boolean>,
  ) {
    this.#client = client;
    this.#relations = relations;
    this.#defaults = defaults;
    const words = new Map<string, string[]>();
    const patterned = new Set<string>();
    for (const { table, column, text } of checks) {
      const list = /= ANY \(\(?ARRAY\[(.*)\]/.exec(text)?.[1];
      if (list === undefined) patterned.add(`${table}.${column}`);
      else
        words.set(
          `${table}.${column}`,
          [...list.matchAll(/'((?:[^']|'')*)'/g)].map((m) => m[1]!),
        );
    }
    this.#words = words;
    this.#patterned = patterned;
  }

  /** Reads the catalog through a connection of the tables' owner. */
  static async open(client: pg.ClientBase): Promise<RowMaker> {
    const relations = new Map((await describeDatabase(client)).map((one) => [one.table, one]));
    const checks = await client.query<{ table: string; column: string; text: string }>(`
      select c.relname as table, a.attname as column, pg_get_constraintdef(k.oid) as text
      from pg_constraint k join pg_class c on c.oid = k.conrelid
      join pg_attribute a on a.attrelid = c.oid and a.attnum = any (k.conkey)
      where k.contype = 'c' and cardinality(k.conkey) = 1 and c.relnamespace = 'public'::regnamespace`);
    const defaults = await client.query<{ name: string; generated: boolean }>(`
      select c.relname || '.' || a.attname as name, a.attgenerated <> '' as generated from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relnamespace = 'public'::regnamespace and (a.atthasdef or a.attidentity <> '' or a.attgenerated <> '')`);
    return new RowMaker(
      client,
      relations,
      checks.rows,
      new Map(defaults.rows.map((row) => [row.name, row.generated])),
    );
  }

  get tables(): readonly Relation[] {
    return [...this.#relations.values()].filter(({ kind }) => kind.endsWith('table'));
  }

  /** Makes a row, with what it must refer to. `given` values win. */
  async make(table: string, owner: RowOwner, given: TestValues = {}): Promise<TestValues> {
    const relation = this.#relations.get(table);
    if (!relation) throw new Error(`there is no table ${table}`);
    this.#serial += 1;
    const needed = await NEEDED[table]?.(this, owner);
    const values: TestValues = { ...RULED[table], ...needed, ...given };
    await this.#choose(table, values);
    await this.#refer(relation, owner, values);
    for (const column of relation.columns) {
      if (column.name in values) continue;
      const value = this.#valueOf(relation, column, owner);
      if (value !== undefined) values[column.name] = value;
    }
    const names = Object.keys(values);
    const { rows } = await this.#client.query<TestValues>(
      `insert into "${table}" (${names.map((name) => `"${name}"`).join(', ')})
       values (${names.map((_name, index) => `$${index + 1}`).join(', ')}) returning *`,
      Object.values(values),
    );
    return rows[0]!;
  }

  /** The owner's row of the table, made if there is none. */
  async ensure(table: string, owner: RowOwner): Promise<TestValues> {
    const relation = this.#relations.get(table)!;
    const isRoot = relation.columns.every(({ name }) => name !== 'customer_id');
    if (isRoot) throw new Error(`${table} belongs to no tenant`);
    return this.#existingOrMade(table, owner);
  }

  async #choose(table: string, values: TestValues): Promise<void> {
    for (const [full, query] of Object.entries(CHOSEN)) {
      const [of, name] = full.split('.');
      if (of !== table || name! in values) continue;
      const { rows } = await this.#client.query<TestValues>(query);
      values[name!] = rows[0]![name!];
    }
  }

  async #refer(relation: Relation, owner: RowOwner, values: TestValues): Promise<void> {
    for (const key of relation.foreign_keys) {
      const open = key.columns.filter((name) => name !== 'customer_id' && !(name in values));
      if (open.length === 0) continue;
      if (open.some((name) => /^(created_by|deleted_by)$/.test(name))) continue;
      const target = await this.#target(relation, key, owner, values);
      if (!target) {
        for (const name of open) {
          if (relation.columns.find((one) => one.name === name)!.nullable) values[name] = null;
        }
        continue;
      }
      for (const [index, name] of key.columns.entries()) {
        if (open.includes(name)) values[name] = target[key.references.columns[index]!];
      }
    }
  }

  /** The row that a key refers to, or null where none need be. */
  async #target(
    relation: Relation,
    key: ForeignKey,
    owner: RowOwner,
    values: TestValues,
  ): Promise<TestValues | null> {
    const { table } = key.references;
    const main = key.columns.find((name) => !/^(customer_id|account_id|currency_code)$/.test(name));
    const column = relation.columns.find(({ name }) => name === (main ?? key.columns.at(-1)))!;
    if (table === 'account') {
      if (owner.accountId !== null) return { account_id: owner.accountId };
      return column.nullable ? null : { account_id: await this.#anyAccount(owner) };
    }
    if (table === relation.table) return null;
    const isTenants = this.#relations
      .get(table)!
      .columns.some(({ name }) => name === 'customer_id');
    const ownRow = this.#relations
      .get(table)!
      .columns.some(({ name, nullable }) => name === 'customer_id' && !nullable);
    if (!isTenants || !ownRow) {
      if (column.nullable) return null;
      const { rows } = await this.#client.query<TestValues>(
        `select * from "${table}" order by 1 limit 1`,
      );
      return rows[0] ?? null;
    }
    if (column.nullable && table === 'user') return null;
    void values;
    return this.#existingOrMade(table, owner);
  }

  async #existingOrMade(table: string, owner: RowOwner): Promise<TestValues> {
    const { columns } = this.#relations.get(table)!;
    // Whose account a row without one belongs to cannot be told from it.
    if (!columns.some(({ name }) => name === 'account_id')) return this.make(table, owner);
    const { rows } = await this.#client.query<TestValues>(
      `select * from "${table}" where customer_id = $1 and account_id is not distinct from $2 order by 1 limit 1`,
      [owner.customerId, owner.accountId],
    );
    return rows[0] ?? this.make(table, owner);
  }

  async #anyAccount({ customerId }: RowOwner): Promise<unknown> {
    const { rows } = await this.#client.query<TestValues>(
      'select account_id from account where customer_id = $1 order by 1 limit 1',
      [customerId],
    );
    return rows[0]!['account_id'];
  }

  #valueOf(
    relation: Relation,
    { name, type, nullable }: Relation['columns'][number],
    owner: RowOwner,
  ): unknown {
    const full = `${relation.table}.${name}`;
    if (CHECKED_BY_TRIGGER.has(name)) return undefined;
    if (name === 'customer_id') return owner.customerId;
    const special =
      VALUES[full] ?? (this.#patterned.has(full) || !nullable ? VALUES[name] : undefined);
    const isFree = type === 'text' && !this.#words.has(full) && !this.#patterned.has(full);
    if (this.#defaults.get(full) === true) return undefined;
    if (this.#defaults.has(full) && !isFree) return undefined;
    if (special) return nullable ? undefined : special(this.#serial);
    const words = this.#words.get(full);
    if (words) return nullable ? undefined : words[0];
    if (this.#patterned.has(full) && nullable) return undefined;
    const isText = type === 'text' || type.startsWith('character varying');
    if (isText) return type === 'text' ? `${owner.word} ${this.#serial}` : `w${this.#serial}`;
    return nullable ? undefined : plainValue(type);
  }
}

function plainValue(type: string): unknown {
  if (type.endsWith('[]')) return [];
  if (/^(bigint|integer|smallint|numeric|double|real)/.test(type)) return 1;
  if (type === 'date') return '2026-01-15';
  if (type.startsWith('timestamp')) return new Date('2026-01-15T08:00:00Z');
  if (type === 'boolean') return false;
  if (type === 'jsonb') return '{}';
  if (type === 'bytea') return randomBytes(32);
  if (type === 'uuid') return randomUUID();
  throw new Error(`no value of type ${type} is known`);
}

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
  mime_type: () => 'application/pdf',
  event_kind: () => 'status',
  vmrs_code: (n) => String(n % 1_000).padStart(3, '0'),
  color: () => '#336699',
  link: () => 'https://example.test/',
  'ten_quick_link.link': () => 'https://example.test/',
};

export class RowMaker {
  readonly #client: pg.ClientBase;
  readonly #relations: ReadonlyMap<string, Relation>;
  readonly #words: ReadonlyMap<string, readonly string[]>;
  readonly #patterned: ReadonlySet<string>;
  readonly #defaults: ReadonlySet<string>;
  #serial = 0;

  private constructor(
    client: pg.ClientBase,
    relations: ReadonlyMap<string, Relation>,
    checks: readonly { table: string; column: string; text: string }[],
    defaults: ReadonlySet<string>,
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
    const defaults = await client.query<{ name: string }>(`
      select c.relname || '.' || a.attname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relnamespace = 'public'::regnamespace and (a.atthasdef or a.attidentity <> '' or a.attgenerated <> '')`);
    return new RowMaker(
      client,
      relations,
      checks.rows,
      new Set(defaults.rows.map((row) => row.name)),
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
    const values: TestValues = { ...given };
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

  async #refer(relation: Relation, owner: RowOwner, values: TestValues): Promise<void> {
    for (const key of relation.foreign_keys) {
      const open = key.columns.filter((name) => name !== 'customer_id' && !(name in values));
      if (open.length === 0) continue;
      if (open.some((name) => /^(created_by|deleted_by)$/.test(name))) continue;
      const target = await this.#target(relation, key, owner, values);
      if (!target) continue;
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
    const column = relation.columns.find(({ name }) => name === key.columns.at(-1))!;
    const { table } = key.references;
    if (column.name === 'account_id') {
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
    const hasAccount = this.#relations
      .get(table)!
      .columns.some(({ name }) => name === 'account_id');
    const { rows } = await this.#client.query<TestValues>(
      `select * from "${table}" where customer_id = $1 ${hasAccount ? 'and account_id is not distinct from $2' : 'and $2::bigint is not distinct from $2'}
       order by 1 limit 1`,
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
    if (name === 'customer_id') return owner.customerId;
    const special =
      VALUES[full] ?? (this.#patterned.has(full) || !nullable ? VALUES[name] : undefined);
    if (
      this.#defaults.has(full) &&
      !(type === 'text' && !this.#words.has(full) && !this.#patterned.has(full))
    )
      return undefined;
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
  if (/^(bigint|integer|smallint|numeric|double|real)/.test(type)) return 1;
  if (type === 'date') return '2026-01-15';
  if (type.startsWith('timestamp')) return new Date('2026-01-15T08:00:00Z');
  if (type === 'boolean') return false;
  if (type === 'jsonb') return '{}';
  if (type === 'bytea') return randomBytes(32);
  if (type === 'uuid') return randomUUID();
  if (type.endsWith('[]')) return [];
  throw new Error(`no value of type ${type} is known`);
}

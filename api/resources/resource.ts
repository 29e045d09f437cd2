/**
 * A declaration made ready to be served: its fields by their part (shown, written, fixed), its schemas, what its columns
 * refer to. Reads tables and declarations, and asks nobody.
 */
import { getTableName, is } from 'drizzle-orm';
import { PgTable } from 'drizzle-orm/pg-core';
import { Type, type TObject, type TSchema } from 'typebox';
import * as schema from '../../db/schema.ts';
import type { RoutePermission } from '../auth/permissions.ts';
import type { Quotas } from '../context.ts';
import { closed, nullable, patchOf } from '../schemas.ts';
import type { Joined, ResourceDeclaration, ResourceRules, Row } from './define.ts';
import { shownExample } from './example.ts';
import {
  fieldsOf,
  joinedField,
  keyNameOf,
  shownSchema,
  writtenSchema,
  type Field,
} from './fields.ts';
import type { Representation } from './representation.ts';
import { columnsOf, type StateMachine } from './states.ts';

/** A column that holds the key of another table. */
export interface Reference {
  readonly name: string;
  readonly table: PgTable;
  readonly key: Field;
  /** Rows of that table are marked as deleted, and then can be referred to no more. */
  readonly isEvidence: boolean;
  /** No row is without it. */
  readonly isRequired: boolean;
  /** What a row of that table is itself a part of. */
  readonly parents: readonly Reference[];
  /** Its rows belong to an account, or to the whole customer. */
  readonly hasAccount: boolean;
}

export interface Resource {
  /** The table's name, which is also the resource's. */
  readonly name: string;
  readonly path: string;
  readonly noun: string;
  readonly nouns: string;
  readonly tag: string;
  readonly table: PgTable;
  readonly key: Field;
  /** Shown, in the order of the columns. */
  readonly fields: ReadonlyMap<string, Field>;
  /** Columns that callers write. */
  readonly writable: ReadonlySet<string>;
  readonly references: readonly Reference[];
  /**
   * What a row is a part of: rows without an account of their own hang on evidence, such as the lines of an invoice, and
   * are gone when that is marked as deleted.
   */
  readonly parents: readonly Reference[];
  readonly canWrite: boolean;
  readonly canCreate: boolean;
  readonly canChange: boolean;
  readonly canDelete: boolean;
  /** Rows have a version, which is their entity tag. */
  readonly isVersioned: boolean;
  /** Rows are marked as deleted and never removed. */
  readonly isEvidence: boolean;
  /** Lists can show what is gone: rows that are marked as deleted, or are part of something that is. */
  readonly keepsDeleted: boolean;
  readonly hasAccount: boolean;
  readonly hasCustomer: boolean;
  /** Rows without an account may be written by those who are held to accounts, as far as its rules allow. */
  readonly heldMayWrite: boolean;
  readonly read: RoutePermission;
  readonly write: RoutePermission;
  readonly rules: ResourceRules;
  readonly states: StateMachine | null;
  readonly joined: Joined | null;
  /** The order of its list where none is asked for; null: by the key. */
  readonly sort: string | null;
  /** How many rows a tenant may have; null: as many as it likes. */
  readonly quota: keyof Quotas | null;
  readonly countsAsRegistration: boolean;
  readonly representation: Representation | null;
  readonly notes: NonNullable<ResourceDeclaration['notes']>;
  /** Fields that are shown in the answer that makes a row, and never again. */
  readonly secrets: Readonly<Record<string, TSchema>>;
  /** A row. The titles of these schemas are their names among the components of the documentation. */
  readonly shownSchema: TSchema;
  /** A row of a list, of which fields may have been chosen. */
  readonly listedSchema: TSchema;
  /** A row in the answer that makes it: with its secrets, which are null in an answer that is given again. */
  readonly madeSchema: TSchema;
  readonly createSchema: TSchema;
  readonly patchSchema: TSchema;
  /** Of a transition: a patch that names the state. Null without states. */
  readonly moveSchema: TSchema | null;
  readonly keySchema: TSchema;
}

/** Columns of every record that callers never write. */
const KEPT = new Set([
  'customer_id',
  'version',
  'created_at',
  'updated_at',
  'created_by',
  'deleted_at',
  'deleted_by',
]);

const TABLES: ReadonlyMap<string, PgTable> = new Map(
  (Object.values(schema) as unknown[])
    .filter((value): value is PgTable => is(value, PgTable))
    .map((table) => [getTableName(table), table]),
);

/** Tables by the name of their key, where one bears its table's name: what a column of that name refers to. */
const TABLES_BY_KEY: ReadonlyMap<string, PgTable> = new Map(
  [...TABLES.values()].flatMap((table) => {
    const key = keyNameOf(table);
    return key === undefined || key === 'id' ? [] : [[key, table] as const];
  }),
);

/** Makes a resource ready. Throws for a declaration that names a column its table has not. */
export function compileResource(declaration: ResourceDeclaration): Resource {
  const { table } = declaration;
  const name = getTableName(table);
  const all = allFieldsOf(declaration);
  requireColumns(declaration, name, all);
  const keyName = declaration.key ?? keyNameOf(table);
  const key = keyName === undefined ? undefined : all.get(keyName);
  if (!key) throw new Error(`${name}: the declaration must name a key`);
  const hidden = new Set(declaration.hidden ?? []);
  const fields = new Map([...all].filter(([column]) => !hidden.has(column)));
  const canWrite = declaration.writable ?? true;
  const derived = new Set(declaration.derived ?? []);
  const writable = new Set(
    [...fields.values()]
      .filter(
        (field) => canWrite && field !== key && !KEPT.has(field.name) && !derived.has(field.name),
      )
      .filter((field) => !field.isGenerated && field.column.generatedIdentity === undefined)
      .map((field) => field.name),
  );
  const { right } = declaration;
  const references = referencesOf(declaration.references ?? {}, name, all);
  const parents = parentsAmong(references, all);
  return {
    name,
    path: declaration.path,
    noun: declaration.noun,
    nouns: declaration.nouns,
    tag: declaration.tag,
    table,
    key,
    fields,
    writable,
    references,
    parents,
    canWrite,
    canCreate: canWrite && (declaration.creatable ?? true),
    canChange: canWrite && (declaration.changeable ?? true),
    canDelete: canWrite && (declaration.deletable ?? true),
    isVersioned: all.has('version'),
    isEvidence: all.has('deleted_at'),
    keepsDeleted: all.has('deleted_at') || parents.length > 0,
    hasAccount: all.has('account_id') && name !== 'account',
    hasCustomer: all.has('customer_id') && name !== 'customer',
    heldMayWrite: declaration.heldMayWrite ?? right === 'signed_in',
    read: right === 'signed_in' ? right : `${right}:read`,
    write: right === 'signed_in' ? right : (`${right}:write` as RoutePermission),
    rules: declaration.rules ?? {},
    states: declaration.states ?? null,
    joined: declaration.joined ?? null,
    sort: declaration.sort ?? null,
    quota: declaration.quota ?? null,
    countsAsRegistration: declaration.countsAsRegistration ?? false,
    representation: declaration.representation ?? null,
    notes: declaration.notes ?? {},
    secrets: declaration.secrets ?? {},
    ...schemasOf(declaration, fields, writable, key),
  };
}

/** The fields of the table, and of what is shown beside them. */
function allFieldsOf({
  table,
  joined,
  read = {},
  words = {},
}: ResourceDeclaration): Map<string, Field> {
  const fields = [...fieldsOf(table), ...(joined?.columns ?? []).map(joinedField)];
  return new Map(
    fields.map((field) => {
      const { name } = field;
      return [name, { ...field, value: read[name] ?? field.value, words: words[name] }];
    }),
  );
}

function requireColumns(
  declaration: ResourceDeclaration,
  name: string,
  all: ReadonlyMap<string, Field>,
): void {
  const named = [
    ...(declaration.optional ?? []),
    ...(declaration.fixed ?? []),
    ...(declaration.derived ?? []),
    ...(declaration.hidden ?? []),
    ...(declaration.long ?? []),
    ...Object.keys(declaration.fields ?? {}),
    ...Object.keys(declaration.read ?? {}),
    ...Object.keys(declaration.words ?? {}),
    ...Object.keys(declaration.references ?? {}),
    ...Object.keys(declaration.example ?? {}),
    ...Object.keys(declaration.shown ?? {}),
    ...(declaration.sort?.split(',').map((name) => name.replace('-', '')) ?? []),
    ...(declaration.states ? columnsOf(declaration.states) : []),
  ];
  const unknown = named.filter((column) => !all.has(column));
  if (unknown.length > 0) throw new Error(`${name} has no columns ${unknown.join(', ')}`);
}

function parentsAmong(
  references: readonly Reference[],
  all: ReadonlyMap<string, Field>,
): Reference[] {
  if (all.has('account_id')) return [];
  return references.filter(({ isEvidence, isRequired }) => isEvidence && isRequired);
}

function referencesOf(
  declared: Readonly<Record<string, string>>,
  name: string,
  all: ReadonlyMap<string, Field>,
): Reference[] {
  const found: Reference[] = [];
  for (const field of all.values()) {
    if (field.name === 'customer_id' || field.column.primary) continue;
    const given = declared[field.name];
    const table = given === undefined ? TABLES_BY_KEY.get(field.name) : TABLES.get(given);
    if (given !== undefined && !table) throw new Error(`${name}: there is no table ${given}`);
    if (!table || field.kind === 'list') continue;
    const target = new Map(fieldsOf(table).map((one) => [one.name, one]));
    const keyName = keyNameOf(table);
    const key = keyName === undefined ? undefined : target.get(keyName);
    if (!key)
      throw new Error(`${name}.${field.name} refers to a table without a key of one column`);
    const isEvidence = target.has('deleted_at');
    const hasParents = isEvidence && table !== field.column.table;
    found.push({
      name: field.name,
      table,
      key,
      isEvidence,
      isRequired: !field.isNullable,
      parents: hasParents
        ? parentsAmong(referencesOf({}, getTableName(table), target), target)
        : [],
      hasAccount: target.has('account_id') && keyName !== 'account_id',
    });
  }
  return found;
}

function schemasOf(
  declaration: ResourceDeclaration,
  fields: ReadonlyMap<string, Field>,
  writable: ReadonlySet<string>,
  key: Field,
) {
  const long = new Set(declaration.long ?? []);
  const joined = declaration.joined?.columns.map(({ name }) => name) ?? [];
  const fixed = new Set([...(declaration.fixed ?? []), ...joined]);
  const optional = new Set(declaration.optional ?? []);
  const shown: Record<string, TSchema> = {};
  const create: Record<string, TSchema> = {};
  const patch: Record<string, TSchema> = {};
  for (const field of fields.values()) {
    const shows = shownSchema(field);
    shown[field.name] = field.isNullable && field.kind !== 'json' ? nullable(shows) : shows;
    if (!writable.has(field.name)) continue;
    const given = declaration.fields?.[field.name] ?? writtenSchema(field, long.has(field.name));
    const accepts = field.isNullable ? nullable(given) : given;
    const isOptional = field.isNullable || field.hasDefault || optional.has(field.name);
    create[field.name] = isOptional ? Type.Optional(accepts) : accepts;
    if (!fixed.has(field.name))
      patch[field.name] = field.kind === 'json' ? clearable(accepts) : accepts;
  }
  const { example } = declaration;
  const title = titleOf(declaration.noun);
  const examples = [shownExample(fields.values(), { ...example, ...declaration.shown })];
  const described = { description: `Its \`${key.name}\`.` };
  const whole = Type.Object(shown, { title, examples });
  return {
    shownSchema: whole,
    madeSchema: madeSchemaOf(declaration, whole, `${title}Made`),
    listedSchema: Type.Object(Type.Partial(Type.Object(shown)).properties, {
      title: `${title}Fields`,
      examples,
    }),
    createSchema: closed(create, {
      title: `${title}Create`,
      ...(example && { examples: [example] }),
    }),
    patchSchema: patchOf(patch, {
      title: `${title}Patch`,
      ...(example && { examples: [patchExample(example, patch)] }),
    }),
    moveSchema: declaration.states
      ? moveSchemaOf(declaration.states, patch, `${title}Transition`)
      : null,
    keySchema:
      key.kind === 'integer'
        ? Type.Unsafe({ ...shownSchema(key), ...described })
        : Type.String({
            minLength: 1,
            maxLength: 64,
            pattern: '^[A-Za-z0-9_.-]+$',
            ...described,
          }),
  };
}

function moveSchemaOf(
  { column, next, enter = {} }: StateMachine,
  patch: Readonly<Record<string, TSchema>>,
  title: string,
): TSchema {
  const [to] = Object.values(next).flat();
  const asked = enter[to!]?.needs ?? [];
  const example = { [column]: to, ...Object.fromEntries(asked.map((name) => [name, '…'])) };
  const given = Object.entries(patch).map(([name, schema]) => [
    name,
    name === column ? schema : Type.Optional(schema),
  ]);
  return closed(Object.fromEntries(given) as Record<string, TSchema>, {
    title,
    examples: [example],
  });
}

function madeSchemaOf({ secrets }: ResourceDeclaration, whole: TObject, title: string): TSchema {
  if (secrets === undefined) return whole;
  const { examples } = whole as { examples?: Row[] };
  const told = Object.entries(secrets).map(([name, schema]) => [name, nullable(schema)]);
  const none = Object.fromEntries(Object.keys(secrets).map((name) => [name, null]));
  return Type.Object(
    { ...whole.properties, ...(Object.fromEntries(told) as Record<string, TSchema>) },
    { title, examples: examples?.map((example) => ({ ...example, ...none })) },
  );
}

/** `work order line` → `WorkOrderLine`. */
export function titleOf(words: string): string {
  return words
    .split(/[ -]/)
    .map((word) => word[0]!.toUpperCase() + word.slice(1))
    .join('');
}

/** The first of the fields of the example that can be changed. */
function patchExample(example: Row, patch: Readonly<Record<string, TSchema>>): Row {
  return Object.fromEntries(
    Object.entries(example)
      .filter(([name]) => name in patch)
      .slice(0, 2),
  );
}

/** The schema of an object as a merge patch takes it: each of its members may be null, which removes it. */
function clearable(schema: TSchema): TSchema {
  const { properties, required, ...rest } = schema as {
    properties?: Record<string, TSchema>;
    required?: string[];
  };
  if (properties === undefined) return schema;
  void required;
  const members = Object.entries(properties).map(([name, member]) => [
    name,
    nullable(clearable(member)),
  ]);
  return Type.Unsafe({
    ...rest,
    properties: Object.fromEntries(members) as Record<string, TSchema>,
  });
}

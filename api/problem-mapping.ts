/**
 * Makes a `Problem` of whatever was thrown while a request was served: by our own code, by Fastify (schemas, body
 * parsing, routing), or by the database. What it does not recognise is an internal error.
 */
import { getTableColumns, getTableName, is } from 'drizzle-orm';
import { PgTable } from 'drizzle-orm/pg-core';
import type { FastifyError, FastifySchemaValidationError } from 'fastify';
import * as schema from '../db/schema.ts';
import {
  escapePointer,
  Problem,
  PROBLEMS,
  RETRY_AFTER_S,
  type FieldError,
  type ProblemCode,
  type RequestPart,
} from './problem.ts';

const TABLES = (Object.values(schema) as unknown[]).filter((value): value is PgTable =>
  is(value, PgTable),
);
/** Names of columns by table. */
const COLUMNS: ReadonlyMap<string, readonly string[]> = new Map(
  TABLES.map((table) => [getTableName(table), Object.keys(getTableColumns(table))]),
);
/** Those of them that a request may change: all but the row's own id, and whose it is. */
const CHANGEABLE: ReadonlyMap<string, readonly string[]> = new Map(
  TABLES.map((table) => {
    const columns = Object.entries(getTableColumns(table));
    const others = columns.filter(([name, { primary }]) => !primary && name !== 'customer_id');
    return [getTableName(table), others.map(([name]) => name)];
  }),
);
/** Causes of causes that are looked through for a database error. */
const CAUSE_DEPTH_MAX = 5;

/**
 * Of a row that was to be changed, with the database's own error as its cause. The database's words are the same for one
 * that was to be deleted, and there no field is to blame.
 */
export class UpdateRefused extends Error {
  constructor(cause: unknown) {
    super('the row was not changed', { cause });
    this.name = 'UpdateRefused';
  }
}

/** Never throws. The original stays the `cause` where the problem is the server's. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return fromFastify(error) ?? fromDatabase(error) ?? internal(error);
}

function internal(cause: unknown): Problem {
  return new Problem('internal', 'the failure has been logged under the request id', { cause });
}

function unavailable(cause: unknown): Problem {
  const headers = { 'retry-after': String(RETRY_AFTER_S) };
  return new Problem('unavailable', 'try again in a few seconds', { headers, cause });
}

const PARTS: Record<string, RequestPart> = {
  body: 'body',
  querystring: 'query',
  params: 'path',
  headers: 'header',
};

const FASTIFY_CODES: Record<string, readonly [ProblemCode, string]> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported_media_type', 'send application/json'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['payload_too_large', 'the body is larger than this server takes'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['malformed_request', 'the body is empty'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['malformed_request', 'the body is not valid JSON'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['malformed_request', 'the body ended early or late'],
  FST_ERR_BAD_URL: ['malformed_request', 'the address is not valid percent-encoding'],
  FST_ERR_MAX_PARAM_LENGTH: ['uri_too_long', 'a part of the path is too long'],
  FST_ERR_NOT_FOUND: ['not_found', 'there is nothing at this address'],
};

function fromFastify(error: unknown): Problem | null {
  if (!(error instanceof Error)) return null;
  const { validation, validationContext, code, statusCode } = error as FastifyError;
  if (validation) {
    const errors = validation.map((one) =>
      toFieldError(one, PARTS[validationContext ?? ''] ?? 'body'),
    );
    const detail = errors.map((one) => `${one.pointer || one.in}: ${one.detail}`).join('; ');
    return new Problem('invalid_request', detail, { errors });
  }
  const known = FASTIFY_CODES[code];
  if (known) return new Problem(...known);
  return statusCode !== undefined && statusCode >= 400 && statusCode < 500
    ? ofStatus(statusCode)
    : null;
}

// A refusal of Fastify or of a plugin that has no words of ours: its own may tell of the inside.
function ofStatus(status: number): Problem {
  const codes = Object.keys(PROBLEMS) as ProblemCode[];
  const code = codes.find((one) => PROBLEMS[one][0] === status) ?? 'malformed_request';
  return new Problem(code, 'the request cannot be served like this');
}

/** Ajv's error in words that name the field, the reason, and where it helps what would be right. */
export function toFieldError(error: FastifySchemaValidationError, at: RequestPart): FieldError {
  const { instancePath, keyword, params, message } = error;
  const inField = (name: unknown, detail: string) => ({
    in: at,
    pointer: `${instancePath}/${escapePointer(String(name))}`,
    detail,
  });
  switch (keyword) {
    case 'additionalProperties':
      return inField(params['additionalProperty'], 'is not a field that is known here');
    case 'required':
      return inField(params['missingProperty'], 'is required');
    case 'enum': {
      const allowed = (params['allowedValues'] as unknown[]).map((value) => JSON.stringify(value));
      return { in: at, pointer: instancePath, detail: `must be one of ${allowed.join(', ')}` };
    }
    case 'pattern':
      return { in: at, pointer: instancePath, detail: 'contains characters that are not allowed' };
    case 'format':
      return { in: at, pointer: instancePath, detail: formatWords(params['format'], message) };
    default:
      return { in: at, pointer: instancePath, detail: message ?? 'is not valid' };
  }
}

function formatWords(format: unknown, message = 'is not valid'): string {
  if (format !== 'date-time') return message;
  return 'must be an instant with its zone, such as 2026-01-31T08:00:00Z, with seconds of 00 to 59';
}

interface DatabaseError {
  readonly code: string;
  readonly detail?: string;
  readonly message: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
  readonly where?: string;
}

// Connections refused, lost or not let in, servers that start or stop, no room, locks or statements that took too long.
const PASSING =
  /^(08...|28...|3D000|53...|55000|57P0[1-5]|57014|55P03|40001|40P01|25P03|ECONN\w+|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|DB_ROLE_NOT_APPLIED)$/;
const PASSING_MESSAGE =
  /^(timeout exceeded when trying to connect|Connection terminated|Query read timeout|Client has encountered)/;

function fromDatabase(error: unknown): Problem | null {
  const found = findDatabaseError(error);
  if (!found) return null;
  const { code } = found;
  if (PASSING.test(code) || PASSING_MESSAGE.test(found.message)) return unavailable(error);
  if (isOfTrail(found)) return internal(error);
  switch (code) {
    case '23505':
      return ofKey('conflict', found, 'is taken already');
    case '23P01':
      return ofKey('conflict', found, 'overlaps with what is stored');
    case '23503':
      return found.detail?.includes('still referenced')
        ? ofReferenced(found, error instanceof UpdateRefused)
        : ofKey('unprocessable', found, 'refers to nothing that exists');
    case '42501':
      return found.message.includes('row-level security')
        ? new Problem('forbidden', 'this row is not within your accounts')
        : internal(error);
    case '23502':
      return ofColumn(found.column, 'is required', error);
    case '23514':
      return ofColumn(columnsInName(found)[0], wordsOf(found), error);
    default:
      return code.startsWith('22')
        ? new Problem('unprocessable', 'a value cannot be stored', { cause: error })
        : internal(error);
  }
}

// The database writes the audit trail with every record: what it cannot write there is no fault of the caller's.
function isOfTrail({ table, where = '' }: DatabaseError): boolean {
  return table === 'activity_feed' || where.includes('function audit_write()');
}

/** What a check means, by the last word of its name. */
const WORDS: Readonly<Record<string, string>> = {
  decimals: 'has more decimals than its currency',
  digits: 'has more than fifteen digits',
  same: 'is another one than that of what it is a part of',
  lines: 'follows from the lines, for there are some',
  parts: 'does not go with the parts that were used',
  open: 'refers to what is closed or cancelled',
  allowed: 'must be approved first',
  product: 'is not quantity times rate, rounded to the smallest unit of its currency',
  rate: 'is not the amount times the tax rate, rounded to the smallest unit of its currency',
  subtotal: 'is more than the subtotal',
  below: 'would take the invoice below zero',
};

function wordsOf({ constraint = '' }: DatabaseError): string {
  const word = /_check_([a-z]+)$/.exec(constraint)?.[1] ?? '';
  return WORDS[word] ?? 'is not a value that is allowed here';
}

function ofColumn(name: string | undefined, why: string, cause: unknown): Problem {
  if (name === undefined) {
    return new Problem('unprocessable', 'this combination of values is not allowed', { cause });
  }
  const errors = [{ in: 'body' as const, pointer: `/${name}`, detail: why }];
  return new Problem('unprocessable', `${name} ${why}`, { errors, cause });
}

/** Two transactions waited for each other, and the database ended this one: it can be done again as it was. */
export function isDeadlock(error: unknown): boolean {
  return findDatabaseError(error)?.code === '40P01';
}

function findDatabaseError(error: unknown): DatabaseError | null {
  let current = error;
  for (let depth = 0; depth < CAUSE_DEPTH_MAX && current instanceof Error; depth++) {
    const { code, message } = current as Error & { code?: unknown };
    if (typeof code === 'string' && !code.startsWith('FST_'))
      return current as DatabaseError & Error;
    if (PASSING_MESSAGE.test(message)) return { code: '', message };
    current = current.cause;
  }
  return null;
}

// PostgreSQL names the columns in its detail: Key (customer_id, account_id)=(1, 2) is not present in … Under row-level
// security it keeps that to itself, and then the name of the key tells: table_column_column_key.
function ofKey(code: ProblemCode, found: DatabaseError, why: string): Problem {
  const columns = columnsTold(found) ?? columnsInName(found);
  const fields = columns.filter((column) => column !== 'customer_id');
  const errors = fields.map((name) => ({ in: 'body' as const, pointer: `/${name}`, detail: why }));
  return new Problem(code, `${fields.join(', ') || 'a value'} ${why}`, { errors });
}

function columnsTold({ detail = '' }: DatabaseError): string[] | undefined {
  return /^Key \(([^)]*)\)=/.exec(detail)?.[1]?.split(', ');
}

// The table is that of the rows that refer, and so is the key's name. Columns of the row that is referred to have the
// same names where a request may change them; its table is in the message alone.
function ofReferenced(found: DatabaseError, isUpdate: boolean): Problem {
  const table = /on table "([^"]+)" violates/.exec(found.message)?.[1] ?? '';
  const changeable = CHANGEABLE.get(table) ?? [];
  const columns = isUpdate ? (columnsTold(found) ?? columnsInName(found)) : [];
  const fields = columns.filter((name) => changeable.includes(name));
  if (fields.length === 0) return new Problem('conflict', 'something else still refers to it');
  const why = 'cannot change while something else refers to it';
  const errors = fields.map((name) => ({ in: 'body' as const, pointer: `/${name}`, detail: why }));
  return new Problem('conflict', `${fields.join(', ')} ${why}`, { errors });
}

// Of a check too: that of a column is table_column_check, and ours over several begin with the one to blame.
function columnsInName({ table = '', constraint = '' }: DatabaseError): string[] {
  if (!constraint.startsWith(`${table}_`)) return [];
  let rest = constraint.slice(table.length + 1).replace(/_?(key|fkey|excl)\d*$/, '');
  const known = [...(COLUMNS.get(table) ?? [])].sort((a, b) => b.length - a.length);
  const columns: string[] = [];
  while (rest !== '') {
    const next = known.find((column) => rest === column || rest.startsWith(`${column}_`));
    if (next === undefined) return columns;
    columns.push(next);
    rest = rest.slice(next.length + 1);
  }
  return columns;
}

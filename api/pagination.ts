/**
 * Keyset pagination: a cursor is the place after the last row of a page, and a signature that binds it to the list it
 * came from. A cursor of another list, tenant, filter or order is refused, and so is one that was made up.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { fieldProblem } from './problem.ts';

/** Bytes of the key that signs cursors. */
export const CURSOR_KEY_BYTES_MIN = 32;
const SIGNATURE_BYTES = 16;

/** What a cursor is good for. `list` names list and order; `filters` are the query as it was sent, bar limit and cursor. */
export interface CursorScope {
  readonly list: string;
  readonly customerId: number;
  readonly filters: Readonly<Record<string, unknown>>;
  /** The field of the query that it comes in; `cursor` when left out. */
  readonly field?: string;
}

/** The sort key of a row, most significant first. */
export type Position = readonly (string | number | null)[];

export interface Cursors {
  encode(scope: CursorScope, position: Position): string;
  /** Throws a 400 that names the field when it was not made by `encode` for the same scope. */
  decode(scope: CursorScope, cursor: string): Position;
}

/** Makes the codec. Cursors outlive a restart when the key does. */
export function createCursors(key: Uint8Array): Cursors {
  if (key.byteLength < CURSOR_KEY_BYTES_MIN) {
    throw new RangeError(`the cursor key needs ${CURSOR_KEY_BYTES_MIN} bytes or more`);
  }
  const sign = (scope: CursorScope, body: string) =>
    createHmac('sha256', key)
      .update(JSON.stringify([scope.list, scope.customerId, sorted(scope.filters), body]))
      .digest()
      .subarray(0, SIGNATURE_BYTES);
  return {
    encode(scope, position) {
      const body = Buffer.from(JSON.stringify(position)).toString('base64url');
      return `${body}.${sign(scope, body).toString('base64url')}`;
    },
    decode(scope, cursor) {
      const [body, signature, more] = cursor.split('.');
      const given = Buffer.from(signature ?? '', 'base64url');
      const known = body !== undefined && more === undefined && given.length === SIGNATURE_BYTES;
      if (!known || !timingSafeEqual(given, sign(scope, body))) {
        throw fieldProblem(
          'invalid_request',
          'query',
          `/${scope.field ?? 'cursor'}`,
          'was not made for this list with these filters; begin again without it',
        );
      }
      return JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as Position;
    },
  };
}

function sorted(filters: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(filters)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

export interface Page<T> {
  readonly data: T[];
  readonly page: { readonly next_cursor: string | null; readonly has_more: boolean };
}

/** Makes a page of up to `limit + 1` rows: the surplus row only tells that there is more. */
export function toPage<T>(rows: T[], limit: number, cursorAfter: (row: T) => string): Page<T> {
  const has_more = rows.length > limit;
  const data = has_more ? rows.slice(0, limit) : rows;
  const last = data.at(-1);
  return { data, page: { has_more, next_cursor: has_more && last ? cursorAfter(last) : null } };
}

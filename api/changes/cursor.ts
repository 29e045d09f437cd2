/**
 * The cursor of `GET /v1/changes`: where a copy stands, signed, and bound to the tenant, the accounts of the caller and the
 * resources that were asked for.
 */
import { createHash } from 'node:crypto';
import type { Principal } from '../auth/principal.ts';
import type { Cursors } from '../pagination.ts';
import { Problem } from '../problem.ts';
import type { Key, StreamPosition } from './feed.ts';
import type { LogPosition } from './log.ts';

export interface Place {
  /** Up to here the log is known; noted before the first page, so what changes while all is told is told after. */
  readonly log: LogPosition;
  /** Feeds that are yet to be told as a whole, by their number among those asked for. */
  readonly todo: readonly number[];
  /** The key up to which the first of them was told. */
  readonly after: Key | null;
  /** Where each stream stands, by the number of its feed. */
  readonly streams: Readonly<Record<number, StreamPosition>>;
}

/** Reads and writes the cursors of one request. */
export function placeCodec(cursors: Cursors, principal: Principal, paths: readonly string[]) {
  const scope = {
    list: 'changes',
    field: 'since',
    customerId: principal.tenant.customerId,
    filters: { resources: paths },
  };
  const accounts = markOf(principal.tenant.accountIds);
  return {
    encode: (place: Place): string => cursors.encode(scope, [accounts, JSON.stringify(place)]),
    /** Throws 400 for a cursor of anything else, and 410 where the caller sees other accounts by now. */
    decode(cursor: string): Place {
      const [mark, place] = cursors.decode(scope, cursor) as [string, string];
      if (mark !== accounts) throw gone('you see other accounts now than when it was given');
      return JSON.parse(place) as Place;
    },
  };
}

/** 410: the copy has to be made anew. */
export function gone(reason: string): Problem {
  const detail = `/since: ${reason}; begin again without it, and make the copy anew`;
  return new Problem('gone', detail, {
    errors: [{ in: 'query', pointer: '/since', detail: `${reason}; begin again without it` }],
  });
}

const MARK_LENGTH = 16;

function markOf(accountIds: readonly number[] | null): string {
  if (accountIds === null) return 'all';
  const sorted = accountIds.toSorted((a, b) => a - b).join();
  return createHash('sha256').update(sorted).digest('base64url').slice(0, MARK_LENGTH);
}

/** The span of time that a history is asked for. It is resolved once, and its cursors carry it from page to page. */
import { Type } from 'typebox';
import { instantMs, INSTANT_MS_MIN } from '../instants.ts';
import type { Position } from '../pagination.ts';
import { fieldProblem } from '../problem.ts';
import { InstantText, oneOf, pageQuery } from '../schemas.ts';

/** Milliseconds of history that one list may span. */
export const HISTORY_RANGE_MS_MAX = 31 * 86_400_000;
/** Milliseconds of history when `from` is left out. */
export const HISTORY_RANGE_MS_DEFAULT = 86_400_000;
/** Devices' clocks may be ahead: without `to`, fixes up to this much later than now are shown. */
export const HISTORY_AHEAD_MS = 10 * 60_000;

/** The query of a history; whoever uses it closes the object. */
export const historyQuery = {
  ...pageQuery,
  from: Type.Optional(
    Type.Unsafe<string>({
      ...InstantText,
      description: 'Inclusive; default 24 hours before `to`.',
    }),
  ),
  to: Type.Optional(
    Type.Unsafe<string>({ ...InstantText, description: 'Exclusive; default now.' }),
  ),
  order: Type.Optional(
    oneOf(['newest', 'oldest'], { default: 'newest', description: 'Which end comes first.' }),
  ),
};

/** As it has been validated, bar its page. */
export interface HistoryQuery {
  readonly from?: string;
  readonly to?: string;
  readonly order?: 'newest' | 'oldest';
}

export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * The window of a request: that of its cursor (whose position begins with the two ends), else `from` and `to`. Throws
 * 400 for an empty, reversed or too long one.
 */
export function resolveWindow(query: HistoryQuery, after: Position | null, nowMs: number): Window {
  if (after) return { fromMs: after[0] as number, toMs: after[1] as number };
  const toMs = readInstant(query.to, '/to') ?? nowMs + HISTORY_AHEAD_MS;
  const fromMs =
    readInstant(query.from, '/from') ?? Math.max(toMs - HISTORY_RANGE_MS_DEFAULT, INSTANT_MS_MIN);
  if (fromMs >= toMs)
    throw fieldProblem('invalid_request', 'query', '/from', 'must be before `to`');
  if (toMs - fromMs > HISTORY_RANGE_MS_MAX) {
    const days = HISTORY_RANGE_MS_MAX / 86_400_000;
    const detail = `may be at most ${days} days before \`to\``;
    throw fieldProblem('invalid_request', 'query', '/from', detail);
  }
  return { fromMs, toMs };
}

/** Epoch milliseconds of an instant that its schema has let through; throws 400 for a date that does not exist. */
export function readInstant(text: string | undefined, pointer: string): number | undefined {
  if (text === undefined) return undefined;
  const ms = instantMs(text);
  if (ms !== null) return ms;
  throw fieldProblem('invalid_request', 'query', pointer, 'is not an instant that exists');
}

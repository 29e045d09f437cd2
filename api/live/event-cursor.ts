/**
 * Where a client may resume a tenant's event feed without losing anything.
 *
 * The trouble: `activity_feed_id` comes from a sequence while a transaction is open, and partitions commit on their
 * own. So event 10 can be committed, and published, after event 11. A client that resumed from "11, the highest I saw"
 * would never get 10.
 *
 * The rule: the cursor is the highest id that was published at least `settleMs` ago. It is safe under one condition,
 * which the writers keep: once an id has been published, every lower id that will ever be published follows within
 * `settleMs`. A lower id was drawn earlier, so its transaction is under way, and at most six statements follow in it,
 * COMMIT among them, each of which ends within the statement timeout of 30 s. While the database is away nothing is
 * published, and time does not run against anyone. What would break it is one partition kept from committing for `settleMs` with its ids drawn while others go on.
 *
 * Resuming from the cursor repeats at most the events of the last `settleMs`, which the client drops by id.
 *
 * Publications are noted in one-second steps, so memory is bounded by `settleMs`.
 */

const STEP_MS = 1_000;

/** One tenant's cursor. Times are of a clock that never steps back, milliseconds. */
export interface EventCursor {
  /** Notes that an event with this id has been published now. */
  published(id: number, nowMs: number): void;
  /** The cursor, or null while nothing is known to have settled. Never goes back. */
  settled(nowMs: number): number | null;
}

/**
 * A cursor that starts at `startId`: an id such that nothing at or below it can still be committed (null: none known).
 * `settleMs` as at the head of this file.
 */
export function createEventCursor(startId: number | null, settleMs: number): EventCursor {
  let settledId = startId;
  // Oldest first. A step's id is the highest of its second; its time is the last publication in it.
  const steps: { id: number; stepMs: number; lastMs: number }[] = [];

  return {
    published(id, nowMs) {
      const stepMs = Math.floor(nowMs / STEP_MS);
      const last = steps.at(-1);
      if (last !== undefined && last.stepMs === stepMs) {
        last.id = Math.max(last.id, id);
        last.lastMs = nowMs;
      } else {
        steps.push({ id, stepMs, lastMs: nowMs });
      }
      settle(nowMs);
    },
    settled(nowMs) {
      settle(nowMs);
      return settledId;
    },
  };

  function settle(nowMs: number): void {
    while (steps.length > 0 && nowMs - steps[0]!.lastMs >= settleMs) {
      const { id } = steps.shift()!;
      if (settledId === null || id > settledId) settledId = id;
    }
  }
}

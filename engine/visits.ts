/**
 * What late fixes change about visits: a device's fixes are evaluated once more, in order, by an engine of their own, and
 * the visits that come of it are held against those that are stored. Pure: who calls reads the fixes and writes the
 * changes. Refuses to know of events and alerts, as none come of late fixes.
 *
 * States of a revision: replaying (`feed`) → ended: at a quiet fix, where all goes on as it was stored; at a barrier, where
 * all stays were closed from outside; or with the newest fix. `finish` ends it wherever it is.
 */
import type { Device, DeviceState, EventCause, Fence, InsideState } from './types.ts';
import { isOpenAfter, reviseVisits } from './visit-matching.ts';
import { replayVisits, type Replay } from './visit-replay.ts';

/** A stored fix. NaN accuracy is "not reported". */
export interface VisitFix {
  readonly timeMs: number;
  readonly lonDeg: number;
  readonly latDeg: number;
  readonly accuracyM: number;
}

/** A visit without its name. `leftMs` and `lastFixMs` are NaN while it is open, `dwelledMs` while it has not dwelled. */
export interface Visit {
  readonly fenceId: number;
  readonly enteredMs: number;
  readonly leftMs: number;
  readonly lastFixMs: number;
  readonly dwelledMs: number;
  /** How it was closed; null while it is open. */
  readonly leftCause: EventCause | null;
}

/** A visit as it is stored. Device, fence and `openedMs` name it. */
export interface StoredVisit extends Visit {
  readonly openedMs: number;
  readonly isRetracted: boolean;
}

/** What is to be written. A visit that was retracted and is revised holds again. */
export type VisitChange =
  | { readonly type: 'insert' | 'revise'; readonly visit: StoredVisit }
  | { readonly type: 'retract'; readonly visit: StoredVisit };

export interface RevisionInput {
  readonly device: Device;
  /** Those to be replayed, as they were in force all the while. Visits of others stay as they are. */
  readonly fences: readonly Fence[];
  /** The device's visits that had not ended by `firstMs`, and those whose names are of that time or later. */
  readonly stored: readonly StoredVisit[];
  /** The device's state in the live engine, as of the newest stored fix. */
  readonly live: DeviceState;
  /** The first fix that is fed: enough of them before the first late one that every count has begun anew. */
  readonly firstMs: number;
  /** The stored fix before it; NaN when there is none. */
  readonly previousMs: number;
  /** The last late fix. */
  readonly toMs: number;
}

export interface RevisionOutcome {
  /** Ascending by fence. */
  readonly changes: readonly VisitChange[];
  /** The last fix that it took into account. */
  readonly endMs: number;
  /** True: some fence's visits depend on fixes to come, and are as they were. */
  readonly isWaiting: boolean;
  /** True: there may be more late fixes after `endMs`, or what goes on there is not settled. */
  readonly isCut: boolean;
}

/** Behind the range, whether all goes on as stored is asked after so many fixes. */
const QUIET_CHECK_FIXES = 16;

/** Causes from outside that close every stay of a device. */
const BARRIER_CAUSES: ReadonlySet<EventCause> = new Set(['device_removed', 'assignment_changed']);

/** One revision of one device, from `feed` to `finish`. */
export class VisitRevision {
  private readonly input: RevisionInput;
  private readonly replay: Replay;
  /** The first instant from `firstMs` on at which all stays were closed from outside. */
  private readonly barrier: StoredVisit | null;
  private end: 'none' | 'quiet' | 'barrier' = 'none';
  private endMs: number;

  constructor(input: RevisionInput) {
    this.input = input;
    this.replay = replayVisits(input);
    this.barrier = barrierFrom(input.stored, input.firstMs);
    this.endMs = input.firstMs;
  }

  /** Takes the next stored fixes, in order of time. True: it needs no more. */
  feed(fixes: readonly VisitFix[]): boolean {
    const beforeBarrier =
      this.barrier === null ? fixes.length : countUntil(fixes, this.barrier.leftMs);
    for (let from = 0; from < beforeBarrier && this.end === 'none';) {
      const inRange = countUntil(fixes, this.input.toMs);
      const to = from < inRange ? inRange : from + QUIET_CHECK_FIXES;
      const some = fixes.slice(from, Math.min(to, beforeBarrier));
      this.replay.feed(some);
      this.endMs = some.at(-1)?.timeMs ?? this.endMs;
      from += some.length;
      // A fix behind the range is also the last fix of what ends next.
      if (this.endMs > this.input.toMs && this.isQuiet()) this.end = 'quiet';
    }
    if (this.end === 'none' && beforeBarrier < fixes.length) this.end = 'barrier';
    return this.end !== 'none';
  }

  /** What is to be changed. `isNewest`: the last fix that was fed is the newest stored one. */
  finish(isNewest: boolean): RevisionOutcome {
    const { input, endMs, barrier } = this;
    const isBarred = barrier !== null && (this.end === 'barrier' || isNewest);
    const visits = isBarred
      ? this.replay.visits().map((visit) => closedBy(barrier, visit, endMs))
      : this.replay.visits();
    const isOpenEnd = this.end === 'none' && !isBarred;
    const unsettled = isOpenEnd ? this.unsettledFences(isNewest) : new Set<number>();
    const known = new Set(input.fences.map((fence) => fence.fenceId));
    const isJudged = ({ fenceId }: Visit): boolean => known.has(fenceId) && !unsettled.has(fenceId);
    const live = new Map(input.live.inside.map((stay) => [stay.fenceId, stay.enteredMs]));
    const windowEndMs = isBarred ? barrier.leftMs : endMs;
    const changes = reviseVisits(input.stored.filter(isJudged), visits.filter(isJudged), live, {
      firstMs: input.firstMs,
      endMs: windowEndMs,
    });
    const isCut = this.end === 'barrier' ? input.toMs > windowEndMs : isOpenEnd && !isNewest;
    return { changes, endMs: windowEndMs, isWaiting: isNewest && unsettled.size > 0, isCut };
  }

  private isQuiet(): boolean {
    const state = this.replay.state();
    return this.input.fences.every((fence) => this.isQuietFence(fence, state));
  }

  /** Whether the replay is where the stored visits are, with no count under way: from here on it would repeat them. */
  private isQuietFence(fence: Fence, { inside, entering }: DeviceState): boolean {
    const { fenceId } = fence;
    if (entering.some((row) => row.fenceId === fenceId)) return false;
    if (this.isLiveCounting(fenceId)) return false;
    const stay = inside.find((row) => row.fenceId === fenceId);
    const stored = this.input.stored.find(
      (visit) => visit.fenceId === fenceId && isOpenAfter(visit, this.endMs),
    );
    if (stay === undefined || stored === undefined) return stay === stored;
    if (stay.outCount > 0) return false;
    if (fence.dwellMs === null || stay.dwelled) return true;
    const live = this.input.live.inside.find((row) => row.fenceId === fenceId);
    if (live?.enteredMs === stored.openedMs && !isSameDwell(fence, stay, live)) return false;
    const dueMs = stay.enteredMs + fence.dwellMs;
    const { dwelledMs } = stored;
    const isAsDue = Number.isNaN(dwelledMs) || (dwelledMs === dueMs && dueMs > this.endMs);
    return stay.enteredMs === stored.enteredMs && stay.enterMs <= dueMs && isAsDue;
  }

  /** Whether the live engine has a count under way that began by now: what becomes of it is not stored yet. */
  private isLiveCounting(fenceId: number): boolean {
    const { inside, entering } = this.input.live;
    const stay = inside.find((row) => row.fenceId === fenceId);
    const count = entering.find((row) => row.fenceId === fenceId);
    return (stay?.outMs ?? Infinity) <= this.endMs || (count?.firstMs ?? Infinity) <= this.endMs;
  }

  /** At the newest fix: fences of which the live engine thinks otherwise. Before it: those that are not quiet. */
  private unsettledFences(isNewest: boolean): Set<number> {
    const state = this.replay.state();
    const { live, fences } = this.input;
    const settled = (fence: Fence): boolean =>
      isNewest ? isSameState(state, live, fence) : this.isQuietFence(fence, state);
    const others = fences.filter((fence) => !settled(fence));
    return new Set(others.map((fence) => fence.fenceId));
  }
}

/** The earliest instant at or after `firstMs` at which the device, or its assignment, ended what was open. */
function barrierFrom(stored: readonly StoredVisit[], firstMs: number): StoredVisit | null {
  let first: StoredVisit | null = null;
  for (const visit of stored) {
    const { leftCause, leftMs } = visit;
    if (leftCause === null || !BARRIER_CAUSES.has(leftCause) || leftMs < firstMs) continue;
    if (!visit.isRetracted && !(first !== null && first.leftMs <= leftMs)) first = visit;
  }
  return first;
}

function closedBy(barrier: StoredVisit, visit: Visit, lastFixMs: number): Visit {
  if (!Number.isNaN(visit.leftMs)) return visit;
  return { ...visit, leftMs: barrier.leftMs, lastFixMs, leftCause: barrier.leftCause };
}

/** How many of the fixes, ascending by time, are not after `timeMs`. */
function countUntil(fixes: readonly VisitFix[], timeMs: number): number {
  let low = 0;
  let high = fixes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((fixes[middle]?.timeMs ?? Infinity) <= timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Whether the live engine would go on as the replay about a fence: the same stay or none, the same counts, and no dwell
 * that is yet to come.
 */
function isSameState(replayed: DeviceState, live: DeviceState, fence: Fence): boolean {
  const { fenceId } = fence;
  const stays = [replayed, live].map(({ inside }) => inside.find((row) => row.fenceId === fenceId));
  const counts = [replayed, live].map(({ entering }) =>
    entering.find((row) => row.fenceId === fenceId),
  );
  const [stay, other] = stays;
  const [count, otherCount] = counts;
  return (
    (stay === undefined) === (other === undefined) &&
    isSameDwell(fence, stay, other) &&
    stay?.outCount === other?.outCount &&
    stay?.outMs === other?.outMs &&
    stay?.lastInMs === other?.lastInMs &&
    count?.inCount === otherCount?.inCount &&
    count?.firstMs === otherCount?.firstMs
  );
}

/** Whether the live engine has no dwell that the replay lacks, and would give none at another time. */
function isSameDwell(fence: Fence, stay?: InsideState, live?: InsideState): boolean {
  const { dwellMs } = fence;
  if (dwellMs === null || stay === undefined || live === undefined || stay.dwelled) return true;
  const dueMs = (one: InsideState): number => Math.max(one.enteredMs + dwellMs, one.enterMs);
  return !live.dwelled && dueMs(stay) === dueMs(live);
}

/**
 * What late fixes change about visits: a device's fixes are evaluated once more, in order, by an engine of their own, and
 * the visits that come of it are held against those that are stored. Pure: who calls reads the fixes and writes the
 * changes. Refuses to know of events and alerts, as none come of late fixes.
 *
 * States of a revision: replaying (`feed`) → ended: at a quiet fix, where all goes on as it was stored; at a barrier, where
 * all stays were closed from outside; or with the newest fix. `finish` ends it wherever it is.
 */
import { createEngine, type Engine } from './engine.ts';
import { windowEndMs } from './schedule.ts';
import { EMPTY_STATE } from './state.ts';
import type {
  Device,
  DeviceState,
  EngineEvent,
  EventCause,
  Fence,
  FixColumns,
  InsideState,
} from './types.ts';
import { applyEdits, createWorld } from './world.ts';

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
/** From the first to the last fix that was replayed. */
export interface Window {
  readonly firstMs: number;
  readonly endMs: number;
}

/** Causes from outside that close every stay of a device. */
const BARRIER_CAUSES: ReadonlySet<EventCause> = new Set(['device_removed', 'assignment_changed']);

/** The engine that is replayed in, and what it has said so far. */
export interface Replay {
  /** Takes the next fixes, in order of time. */
  feed(fixes: readonly VisitFix[]): void;
  /** By fence and time. */
  visits(): Visit[];
  /** The device's state after them. */
  state(): DeviceState;
}

/**
 * Starts a replay at `firstMs`, with the stays that are stored as open then. The first fix counts like the first of a
 * device: nothing is known of where it was before.
 */
export function replayVisits(input: Omit<RevisionInput, 'live' | 'toMs'>): Replay {
  return new EngineReplay(input);
}

/**
 * Holds stored visits of a window against the replayed ones; some may lie before it, and are there for their names alone. `liveOpenedMs`: by fence the visit that the live engine has
 * open, which keeps its name, and is neither closed nor retracted. Replayed visits that are open leave the end of the
 * stored ones as it is. A replayed visit takes the stored one that began with it, or else the one that it shares most time
 * with; stored ones that are left over are retracted, replayed ones inserted.
 */
export function reviseVisits(
  stored: readonly StoredVisit[],
  replayed: readonly Visit[],
  liveOpenedMs: ReadonlyMap<number, number>,
  window: Window,
): VisitChange[] {
  const changes: VisitChange[] = [];
  const fenceIds = new Set([...stored, ...replayed].map((visit) => visit.fenceId));
  for (const fenceId of [...fenceIds].sort((a, b) => a - b)) {
    const ofFence = (visit: Visit): boolean => visit.fenceId === fenceId;
    const match = new Matching(stored.filter(ofFence), liveOpenedMs.get(fenceId), window);
    match.takeAll(replayed.filter(ofFence));
    changes.push(...match.changes());
  }
  return changes;
}

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

/** Whether the visit goes on behind a fix. */
function isOpenAfter({ enteredMs, leftMs, isRetracted }: StoredVisit, timeMs: number): boolean {
  return !isRetracted && enteredMs <= timeMs && !(leftMs <= timeMs);
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

class EngineReplay implements Replay {
  private readonly engine: Engine;
  private readonly deviceId: number;
  private readonly previousMs: number;
  private readonly closed: Visit[] = [];
  /** Open visits by fence. */
  private readonly open = new Map<number, Visit>();

  constructor(input: Parameters<typeof replayVisits>[0]) {
    const { device, fences, stored, firstMs } = input;
    const world = createWorld();
    applyEdits(world, [
      // Crossings open and close nothing.
      ...fences.map(
        (fence) => ({ type: 'fence_put', fence: { ...fence, crossGapMsMax: 0 } }) as const,
      ),
      { type: 'device_put', device },
    ]);
    this.engine = createEngine(world);
    this.deviceId = device.deviceId;
    this.previousMs = input.previousMs;
    const inside: InsideState[] = [];
    for (const fence of fences) {
      const visit = stored.find(
        (one) => one.fenceId === fence.fenceId && isOpenBefore(one, firstMs),
      );
      if (visit === undefined) continue;
      inside.push(stayOf(fence, visit));
      const { fenceId, enteredMs, dwelledMs } = visit;
      this.open.set(fenceId, openVisit(fenceId, enteredMs, dwelledMs));
    }
    this.engine.restore(this.deviceId, { ...EMPTY_STATE, inside }, null);
  }

  feed(fixes: readonly VisitFix[]): void {
    const { events } = this.engine.evaluate({
      fixes: columnsOf(this.deviceId, fixes),
      readings: { count: 0, deviceId: NONE, timeMs: NONE, metricCode: [], value: NONE },
      nowMs: NaN,
    });
    this.engine.commit();
    for (const event of events) this.take(event);
  }

  visits(): Visit[] {
    const all = [...this.closed, ...this.open.values()];
    return all.sort((a, b) => a.fenceId - b.fenceId || a.enteredMs - b.enteredMs);
  }

  state(): DeviceState {
    return this.engine.snapshot(this.deviceId) ?? EMPTY_STATE;
  }

  private take({ type, fenceId, timeMs, enteredMs, leftMs, lastFixMs, cause }: EngineEvent): void {
    if (fenceId === null) return;
    const visit = this.open.get(fenceId);
    if (type === 'geofence_enter') this.open.set(fenceId, openVisit(fenceId, enteredMs, NaN));
    if (visit === undefined) return;
    if (type === 'geofence_dwell') this.open.set(fenceId, { ...visit, dwelledMs: timeMs });
    if (type !== 'geofence_exit') return;
    this.open.delete(fenceId);
    // The engine was not told of the fix before the first.
    const lastMs = Number.isNaN(lastFixMs) ? this.previousMs : lastFixMs;
    this.closed.push({ ...visit, leftMs, lastFixMs: lastMs, leftCause: cause });
  }
}

const NONE = new Float64Array(0);

/** Whether the visit was under way when a fix came, the first of it not counting. */
function isOpenBefore({ enteredMs, leftMs, isRetracted }: StoredVisit, timeMs: number): boolean {
  return !isRetracted && enteredMs < timeMs && !(leftMs < timeMs);
}

function stayOf(
  { fenceId, version, name, schedule }: Fence,
  { enteredMs, dwelledMs }: StoredVisit,
): InsideState {
  const dwelled = !Number.isNaN(dwelledMs);
  const counts = { outCount: 0, outMs: null, lastInMs: null };
  const endMs = schedule === null ? NaN : windowEndMs(schedule, enteredMs);
  const end = { endMs: Number.isFinite(endMs) ? endMs : null };
  return { fenceId, version, name, enteredMs, enterMs: enteredMs, dwelled, ...counts, ...end };
}

function openVisit(fenceId: number, enteredMs: number, dwelledMs: number): Visit {
  return { fenceId, enteredMs, leftMs: NaN, lastFixMs: NaN, dwelledMs, leftCause: null };
}

function columnsOf(deviceId: number, fixes: readonly VisitFix[]): FixColumns {
  const unknown = new Float64Array(fixes.length).fill(NaN);
  return {
    count: fixes.length,
    deviceId: new Float64Array(fixes.length).fill(deviceId),
    timeMs: Float64Array.from(fixes, (fix) => fix.timeMs),
    lonDeg: Float64Array.from(fixes, (fix) => fix.lonDeg),
    latDeg: Float64Array.from(fixes, (fix) => fix.latDeg),
    accuracyM: Float64Array.from(fixes, (fix) => fix.accuracyM),
    speedMps: unknown,
    ignition: unknown,
    motion: unknown,
  };
}

/** The stored visits of one fence, and which replayed visit each of them turned out to be. */
class Matching {
  /** Those of the window that hold; not the one that is open in the live engine. */
  private readonly held: StoredVisit[];
  private readonly live: StoredVisit | undefined;
  private readonly all: readonly StoredVisit[];
  private readonly endMs: number;
  private readonly taken = new Map<StoredVisit, Visit>();
  private readonly left = new Set<Visit>();

  constructor(
    all: readonly StoredVisit[],
    liveOpenedMs: number | undefined,
    { firstMs, endMs }: Window,
  ) {
    this.all = all;
    this.endMs = endMs;
    // Some are there for their names alone: they were moved out of the window.
    const isHeld = ({ isRetracted, enteredMs, leftMs }: StoredVisit): boolean =>
      !isRetracted && enteredMs <= endMs && !(leftMs < firstMs);
    this.live = all.find((visit) => visit.openedMs === liveOpenedMs && isHeld(visit));
    this.held = all.filter((visit) => isHeld(visit) && visit !== this.live);
  }

  takeAll(replayed: readonly Visit[]): void {
    for (const visit of replayed) this.left.add(visit);
    for (const visit of replayed) {
      if (!Number.isNaN(visit.leftMs)) continue;
      this.take(this.live ?? this.held.find((one) => isOpenAfter(one, this.endMs)), visit);
    }
    for (const visit of replayed) {
      const began = this.held.find((one) => one.enteredMs === visit.enteredMs && this.isFree(one));
      if (this.left.has(visit)) this.take(began, visit);
    }
    for (const visit of replayed) if (this.left.has(visit)) this.take(this.nearest(visit), visit);
    for (const visit of this.left) {
      const name = visit.enteredMs;
      this.take(
        this.all.find((one) => one.isRetracted && one.openedMs === name),
        visit,
      );
    }
  }

  changes(): VisitChange[] {
    const changes: VisitChange[] = [];
    for (const stored of this.held) {
      const visit = this.taken.get(stored);
      if (visit === undefined)
        changes.push({ type: 'retract', visit: { ...stored, isRetracted: true } });
    }
    for (const [stored, visit] of this.taken) {
      const revised = this.revised(stored, visit);
      if (!isSame(stored, revised)) changes.push({ type: 'revise', visit: revised });
    }
    const names = new Set(this.all.map((visit) => visit.openedMs));
    for (const visit of this.left) {
      // Whoever is inside now is for the live engine to tell.
      if (Number.isNaN(visit.leftMs)) continue;
      let openedMs = visit.enteredMs;
      while (names.has(openedMs)) openedMs++;
      names.add(openedMs);
      changes.push({ type: 'insert', visit: { ...visit, openedMs, isRetracted: false } });
    }
    return changes;
  }

  private isFree(stored: StoredVisit): boolean {
    return !this.taken.has(stored);
  }

  private take(stored: StoredVisit | undefined, visit: Visit): void {
    if (stored === undefined) return;
    this.taken.set(stored, visit);
    this.left.delete(visit);
  }

  /** The free one that shares most time with a visit, if any shares an instant. */
  private nearest(visit: Visit): StoredVisit | undefined {
    let best: StoredVisit | undefined;
    let bestMs = -1;
    for (const stored of this.held) {
      if (!this.isFree(stored)) continue;
      const endMs = Math.min(endOf(stored), endOf(visit));
      const sharedMs = endMs - Math.max(stored.enteredMs, visit.enteredMs);
      if (sharedMs > bestMs) [best, bestMs] = [stored, sharedMs];
    }
    return best;
  }

  private revised(stored: StoredVisit, visit: Visit): StoredVisit {
    const { openedMs } = stored;
    if (!Number.isNaN(visit.leftMs)) return { ...visit, openedMs, isRetracted: false };
    // It has not dwelled by the end of the window, and may have behind it.
    const isBehind = Number.isNaN(visit.dwelledMs) && stored.dwelledMs > this.endMs;
    const { dwelledMs } = isBehind ? stored : visit;
    return { ...stored, enteredMs: visit.enteredMs, dwelledMs, isRetracted: false };
  }
}

function endOf({ leftMs }: Visit): number {
  return Number.isNaN(leftMs) ? Infinity : leftMs;
}

function isSame(a: StoredVisit, b: StoredVisit): boolean {
  return (
    a.isRetracted === b.isRetracted &&
    a.leftCause === b.leftCause &&
    a.enteredMs === b.enteredMs &&
    Object.is(a.leftMs, b.leftMs) &&
    Object.is(a.lastFixMs, b.lastFixMs) &&
    Object.is(a.dwelledMs, b.dwelledMs)
  );
}

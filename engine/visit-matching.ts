/** Which stored visit each replayed one is, and what is to be written for it. Knows times of visits, no fixes and no engine. */
import type { StoredVisit, Visit, VisitChange } from './visits.ts';

/** From the first to the last fix that was replayed. */
export interface Window {
  readonly firstMs: number;
  readonly endMs: number;
}

/**
 * Holds stored visits of a window against the replayed ones; some may lie before it, and are there for their names alone.
 * `liveOpenedMs`: by fence the visit that the live engine has open, which keeps its name, and is neither closed nor retracted. Replayed visits that are open leave the end of the
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

/** Whether the visit goes on behind a fix. */
export function isOpenAfter(
  { enteredMs, leftMs, isRetracted }: StoredVisit,
  timeMs: number,
): boolean {
  return !isRetracted && enteredMs <= timeMs && !(leftMs <= timeMs);
}

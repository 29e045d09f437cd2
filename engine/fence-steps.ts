/**
 * What one fix does to a device's fences; the table of stays in the README is what this holds to. Per fence a device is
 * outside (nothing is kept), entering (inside for fewer fixes than asked for), or inside, perhaps with fixes outside
 * counted towards the exit.
 *
 * When a fence was edited, the fix before is judged again under the new version: if that alone puts the device on the
 * other side, the fence has moved and not the unit, and the transition follows at once.
 */
import type { Core } from './core.ts';
import { stepCrossings } from './crossings.ts';
import { planDue, stepDue } from './due-steps.ts';
import { fenceEvent } from './events.ts';
import { BOX_PAD_DEG, DEGREE_M, lonReachDegMax } from './geodesy.ts';
import type { Part } from './part.ts';
import { partsContain } from './prepare.ts';
import { isInForce, windowEndMs } from './schedule.ts';
import type { FenceFix } from './search.ts';
import { findFences, found, moves } from './search.ts';
import { ENDED, ENTERING, INSIDE } from './stays.ts';
import { keepClear } from './clear-box.ts';
import type { EventCause } from './types.ts';
import type { FenceEntry } from './world.ts';

/** The fix before the one that is stepped; reused. */
const previous: FenceFix = { timeMs: NaN, lonDeg: NaN, latDeg: NaN, accuracyM: NaN };
/** Whether the fences were then what they are now: who was in one that has no hours has a stay there. */
let isUnedited = false;

/**
 * Moves the pending slot's stays and its newest fix to `fix`, whose longitude is wrapped, and appends what follows to the
 * events: what was due before, exits, enters, crossings, each ascending by fence. Allocates nothing when no stay changes.
 */
export function stepFences(core: Core, slot: number, fix: FenceFix): void {
  const { slots } = core;
  if (fix.timeMs >= slots.dueMs(slot)) stepDue(core, slot, fix.timeMs, false);
  previous.timeMs = slots.fixMs(slot);
  previous.lonDeg = slots.lonDeg(slot);
  previous.latDeg = slots.latDeg(slot);
  previous.accuracyM = slots.accuracyM(slot);
  findFences(core, slot, previous, fix);
  slots.setFix(slot, fix);
  const { fencesEpoch } = slots.scope[slot]!.tenant;
  isUnedited = slots.stepEpoch[slot] === fencesEpoch;
  slots.stepEpoch[slot] = fencesEpoch;
  slots.setClearEpoch(slot, -1);
  let isSettled = isAsBefore(core, slot);
  if (!isSettled) {
    stepStays(core, slot, fix);
    planDue(core, slot);
    if (slots.dueMs(slot) <= fix.timeMs) stepDue(core, slot, fix.timeMs, false);
    isSettled = found.isAheadSearched && isAsBefore(core, slot);
  }
  if (isSettled && found.isAheadSearched && keepClear(core, slot, previous)) return;
  if (found.passedCount > 0 || found.isWayTurned) stepCrossings(core, slot, previous, fix);
}

/** Inside exactly the fences in which it was already, all of them unedited: the usual case. */
function isAsBefore({ slots, stays }: Core, slot: number): boolean {
  let count = 0;
  for (let stay = slots.stays(slot); stay >= 0; stay = stays.next(stay)) {
    const entry = stays.entry[stay]!;
    entry.stayStamp = found.search;
    if (
      stays.phase(stay) !== INSIDE ||
      entry.foundStamp !== found.search ||
      stays.fixes(stay) > 0 ||
      entry.version !== stays.version(stay)
    ) {
      return false;
    }
    count++;
  }
  return count === found.count;
}

/** Stays that became visits with this fix: `entered[0…enteredCount)`; scratch. */
const entered: number[] = [];
let enteredCount = 0;

function stepStays(core: Core, slot: number, fix: FenceFix): void {
  const { slots, stays } = core;
  enteredCount = 0;
  let next = -1;
  for (let stay = core.ownStays(slot); stay >= 0; stay = next) {
    next = stays.next(stay);
    const entry = stays.entry[stay]!;
    entry.stayStamp = found.search;
    if (!staysOn(core, slot, stay, fix)) {
      slots.setStays(slot, stays.remove(slots.stays(slot), stay));
    }
  }
  const { entries, count } = found;
  for (let i = 0; i < count; i++) {
    const entry = entries[i]!;
    if (entry.stayStamp !== found.search && moves(entry, fix.accuracyM)) {
      openStay(core, slot, entry, fix);
    }
  }
  if (enteredCount === 0) return;
  if (enteredCount > 1) {
    entered.length = enteredCount;
    entered.sort((a, b) => stays.entry[a]!.fenceId - stays.entry[b]!.fenceId);
  }
  core.subject.set(slots, slot);
  for (let i = 0; i < enteredCount; i++) tellEnter(core, entered[i]!);
}

/** False when the stay is over. */
function staysOn(core: Core, slot: number, stay: number, fix: FenceFix): boolean {
  const { stays } = core;
  const entry = stays.entry[stay]!;
  if (stays.phase(stay) === ENDED) {
    if (fix.timeMs < stays.endMs(stay)) {
      // It keeps a fence shut that may hold the fix: who is inside need not have a stay.
      core.slots.stepEpoch[slot] = -1;
      return true;
    }
    // As if it had not been: the fence may hold the device again.
    entry.stayStamp = 0;
    return false;
  }
  // Its shape is no more; what ends the stay waits for a batch with a clock.
  if (entry.isGone) return true;
  if (!moves(entry, fix.accuracyM)) return true;
  const isInside = entry.foundStamp === found.search;
  if (stays.phase(stay) === INSIDE) {
    return isInside ? staysInside(core, stay) : leaves(core, slot, stay, fix);
  }
  if (isInside) countIn(core, stay, fix);
  return isInside;
}

function countIn({ stays }: Core, stay: number, fix: FenceFix): void {
  const entry = stays.entry[stay]!;
  const { version, enterFixCount } = entry;
  // Under another version the count goes on only if the fix before lies in the new shape, too.
  if (stays.version(stay) === version || wasInside(entry))
    stays.setFixes(stay, stays.fixes(stay) + 1);
  else {
    stays.setFixes(stay, 1);
    stays.setEnteredMs(stay, fix.timeMs);
    stays.setCause(stay, 'move');
  }
  stays.setVersion(stay, version);
  if (stays.fixes(stay) >= enterFixCount) beginVisit({ stays }, stay, fix);
}

function openStay(core: Core, slot: number, entry: FenceEntry, fix: FenceFix): void {
  const { stays, slots } = core;
  const stay = stays.take(entry, ENTERING);
  const cause = openingCause(entry, fix);
  stays.setCause(stay, cause);
  stays.setEnteredMs(stay, fix.timeMs);
  stays.setFixes(stay, 1);
  slots.setStays(slot, stays.insert(slots.stays(slot), stay));
  const waits = cause === 'move' || cause === 'first_fix';
  if (!waits || entry.enterFixCount <= 1) beginVisit(core, stay, fix);
}

function openingCause(entry: FenceEntry, fix: FenceFix): EventCause {
  if (Number.isNaN(previous.timeMs)) return 'first_fix';
  const { schedule } = entry;
  if ((isUnedited && schedule === null) || !wasInside(entry)) return 'move';
  if (schedule === null) return 'fence_changed';
  const wasInForce = isInForce(schedule, previous.timeMs);
  return wasInForce && windowEndMs(schedule, previous.timeMs) > fix.timeMs
    ? 'fence_changed'
    : 'schedule';
}

function beginVisit({ stays }: Pick<Core, 'stays'>, stay: number, fix: FenceFix): void {
  const { schedule } = stays.entry[stay]!;
  stays.setPhase(stay, INSIDE);
  stays.setFixes(stay, 0);
  stays.setEnterMs(stay, fix.timeMs);
  stays.setEndMs(stay, schedule === null ? Infinity : windowEndMs(schedule, fix.timeMs));
  entered[enteredCount++] = stay;
}

function tellEnter({ stays, subject, events }: Core, stay: number): void {
  const fence = stays.entry[stay]!;
  events.push(
    fenceEvent(subject, 'geofence_enter', fence, {
      timeMs: stays.enterMs(stay),
      cause: stays.causeOf(stay),
      enteredMs: stays.enteredMs(stay),
      leftMs: NaN,
      lastFixMs: NaN,
    }),
  );
}

function staysInside({ stays }: Core, stay: number): true {
  stays.setVersion(stay, stays.entry[stay]!.version);
  stays.setFixes(stay, 0);
  stays.setOutMs(stay, NaN);
  stays.setLastInMs(stay, NaN);
  return true;
}

/** Counts a fix that the fence does not hold; false when it ends the visit. */
function leaves(core: Core, slot: number, stay: number, fix: FenceFix): boolean {
  const { stays, slots, subject, events } = core;
  const entry = stays.entry[stay]!;
  // In the shape, but at a time at which the fence was not in force: it says nothing.
  if (entry.schedule !== null && partsContain(entry.first, fix.lonDeg, fix.latDeg)) return true;
  if (!isBeyondBuffer(core, slot, entry, fix)) return staysInside(core, stay);
  const isFirst = stays.fixes(stay) === 0;
  const fenceMoved =
    isFirst && stays.version(stay) !== entry.version && wasOutside(core, slot, entry);
  if (isFirst) {
    stays.setOutMs(stay, fix.timeMs);
    stays.setLastInMs(stay, previous.timeMs);
  }
  stays.setVersion(stay, entry.version);
  const fixes = stays.fixes(stay) + 1;
  stays.setFixes(stay, fixes);
  if (fixes < entry.exitFixCount && !fenceMoved) return true;
  events.push(
    fenceEvent(subject.set(slots, slot), 'geofence_exit', entry, {
      timeMs: fix.timeMs,
      cause: fenceMoved ? 'fence_changed' : 'move',
      enteredMs: stays.enteredMs(stay),
      leftMs: stays.outMs(stay),
      lastFixMs: stays.lastInMs(stay),
    }),
  );
  return false;
}

/** For a point that the fence does not hold. Parts whose box is too far away need not be asked. */
function isBeyondBuffer(core: Core, slot: number, entry: FenceEntry, fix: FenceFix): boolean {
  const { exitBufferM } = entry;
  if (exitBufferM === 0) return true;
  const { grid, secondItems } = core.slots.scope[slot]!.tenant;
  const { lonDeg, latDeg } = fix;
  const reachY = exitBufferM / DEGREE_M + BOX_PAD_DEG;
  // A little too far, so that the sphere's curvature needs no sines; what is nearly there is asked.
  const reachX = lonReachDegMax(latDeg, exitBufferM);
  const isWithinTurn = Math.abs(lonDeg) + reachX < 180;
  for (let part: Part | null = entry.first; part !== null; part = part.next) {
    const isApart = grid.isApart(part.item, lonDeg, latDeg, reachX, reachY);
    if (isWithinTurn && isApart && !secondItems.has(part)) continue;
    if (part.near(lonDeg, latDeg, exitBufferM)) return false;
  }
  return true;
}

function wasInside(entry: FenceEntry): boolean {
  const { timeMs, lonDeg, latDeg, accuracyM } = previous;
  if (Number.isNaN(timeMs) || !moves(entry, accuracyM)) return false;
  return partsContain(entry.first, lonDeg, latDeg);
}

function wasOutside(core: Core, slot: number, entry: FenceEntry): boolean {
  const { timeMs, lonDeg, latDeg, accuracyM } = previous;
  if (Number.isNaN(timeMs) || !moves(entry, accuracyM)) return false;
  return !partsContain(entry.first, lonDeg, latDeg) && isBeyondBuffer(core, slot, entry, previous);
}

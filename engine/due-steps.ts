/**
 * What happens to stays as time passes, without a fix: `dwell` when the time inside is reached, and the exit at the end of
 * a window of the fence's schedule. By the device's next fix, or by the clock if that comes first.
 */
import type { Core } from './core.ts';
import { fenceEvent } from './events.ts';
import type { Stays } from './stays.ts';
import { ENDED, INSIDE } from './stays.ts';
import type { EngineEvent } from './types.ts';

/** Heaps with so many entries more than there are stays hold mostly what is no longer due, and are made anew. */
const SPARE_DUE_MAX = 4096;

/**
 * Lets everything follow that is due by `timeMs` in the stays of a pending slot. By the clock, fixes from before that may
 * still come: the end of a window then leaves a mark, so that these open no second visit in it.
 */
export function stepDue(core: Core, slot: number, timeMs: number, isByClock: boolean): void {
  const { stays, slots } = core;
  const told: EngineEvent[] = [];
  let next = -1;
  for (let stay = core.ownStays(slot); stay >= 0; stay = next) {
    next = stays.next(stay);
    if (stays.phase(stay) !== INSIDE) continue;
    if (dwellDueMs(stays, stay) <= timeMs) {
      stays.setDwelled(stay, 1);
      told.push(dwellEvent(core, slot, stay));
    }
    if (stays.endMs(stay) > timeMs) continue;
    told.push(endEvent(core, slot, stay));
    // The fence may have lost its hours since the window began: then it holds the device, which has no stay there any more.
    slots.stepEpoch[slot] = -1;
    slots.setClearEpoch(slot, -1);
    if (isByClock) stays.setPhase(stay, ENDED);
    else slots.setStays(slot, stays.remove(slots.stays(slot), stay));
  }
  told.sort((a, b) => a.timeMs - b.timeMs || a.fenceId! - b.fenceId!);
  core.events.push(...told);
  planDue(core, slot);
}

/** Notes when something is due next in the stays of a slot. */
export function planDue(core: Core, slot: number): void {
  const { stays, slots, due } = core;
  let dueMs = Infinity;
  for (let stay = slots.stays(slot); stay >= 0; stay = stays.next(stay)) {
    if (stays.phase(stay) !== INSIDE) continue;
    dueMs = Math.min(dueMs, dwellDueMs(stays, stay), stays.endMs(stay));
  }
  if (dueMs === slots.dueMs(slot)) return;
  slots.setDueMs(slot, dueMs);
  if (dueMs < Infinity) due.push(dueMs, slot);
}

/** When the earliest is due of what really is; Infinity when nothing is. */
export function nextDueMs({ due, slots, stays }: Core): number {
  if (due.size > 2 * stays.count + SPARE_DUE_MAX) {
    due.clear();
    for (let slot = 0; slot < slots.count; slot++) {
      if (slots.dueMs(slot) < Infinity) due.push(slots.dueMs(slot), slot);
    }
  }
  while (due.size > 0 && slots.dueMs(due.firstSlot) !== due.firstMs) due.pop();
  return due.firstMs;
}

/** Infinity for a stay that had its dwell, is to have none, or of which the newest fix was outside. */
function dwellDueMs(stays: Stays, stay: number): number {
  const { dwellMs } = stays.entry[stay]!;
  if (dwellMs === null || stays.dwelled(stay) === 1 || stays.fixes(stay) > 0) return Infinity;
  const reachedMs = Math.max(stays.enteredMs(stay) + dwellMs, stays.enterMs(stay));
  return reachedMs <= stays.endMs(stay) ? reachedMs : Infinity;
}

function dwellEvent(core: Core, slot: number, stay: number): EngineEvent {
  const { stays, subject, slots } = core;
  const fence = stays.entry[stay]!;
  const enteredMs = stays.enteredMs(stay);
  const timeMs = Math.max(enteredMs + (fence.dwellMs ?? 0), stays.enterMs(stay));
  return fenceEvent(subject.set(slots, slot), 'geofence_dwell', fence, {
    timeMs,
    cause: 'move',
    enteredMs,
    leftMs: NaN,
    lastFixMs: NaN,
  });
}

function endEvent(core: Core, slot: number, stay: number): EngineEvent {
  const { stays, subject, slots } = core;
  const timeMs = stays.endMs(stay);
  const isOut = stays.fixes(stay) > 0;
  return fenceEvent(subject.set(slots, slot), 'geofence_exit', stays.entry[stay]!, {
    timeMs,
    cause: 'schedule',
    enteredMs: stays.enteredMs(stay),
    leftMs: isOut ? stays.outMs(stay) : timeMs,
    lastFixMs: isOut ? stays.lastInMs(stay) : slots.fixMs(slot),
  });
}

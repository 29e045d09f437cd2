/**
 * Ends the stays that edits have ended: the fence is gone or speaks of others now, the device is gone or is somebody
 * else's. With the first batch after the edits, at its time by the clock.
 */
import type { Core } from './core.ts';
import { planDue } from './due-steps.ts';
import { fenceEvent } from './events.ts';
import { isInForce, windowEndMs } from './schedule.ts';
import { ENDED, INSIDE } from './stays.ts';
import type { Device, EventCause } from './types.ts';
import type { FenceEntry } from './world.ts';
import { isInScope } from './world.ts';

/** Goes through the stays of all devices; a nanosecond or two for a device that has none. */
export function sweepStays(core: Core, nowMs: number): void {
  const { slots, world } = core;
  for (let slot = 0; slot < slots.count; slot++) {
    if (slots.stays(slot) < 0) continue;
    const device = world.devices.get(slots.deviceId[slot]!) ?? null;
    // One that was restored and of which nothing else is known yet may still be told of.
    slots.device[slot] ??= device;
    if (slots.device[slot] !== null) sweepSlot(core, slot, device, nowMs);
  }
}

/** Ends what has ended in the stays of one slot, for its device as it is now; `null` when that is gone. */
function sweepSlot(core: Core, slot: number, device: Device | null, nowMs: number): void {
  const { slots, stays } = core;
  if (!needsSweep(core, slot, device)) return;
  core.begin(slot);
  slots.setClearEpoch(slot, -1);
  slots.stepEpoch[slot] = -1;
  const was = slots.device[slot]!;
  const timeMs = endingMs(core, slot, nowMs);
  let next = -1;
  for (let stay = core.ownStays(slot); stay >= 0; stay = next) {
    next = stays.next(stay);
    const entry = (stays.entry[stay] = entryNow(core, stays.entry[stay]!));
    // What it is there for holds whatever was edited.
    if (stays.phase(stay) === ENDED) continue;
    const cause = endingCause(entry, was, device) ?? newWindow(core, stay, timeMs);
    if (cause === null) continue;
    if (stays.phase(stay) === INSIDE) tellEnd(core, slot, stay, { cause, timeMs });
    slots.setStays(slot, stays.remove(slots.stays(slot), stay));
  }
  if (device !== null && device !== was) {
    slots.device[slot] = device;
    slots.scope[slot] = null;
  }
  planDue(core, slot);
}

function needsSweep({ slots, stays }: Core, slot: number, device: Device | null): boolean {
  if (device !== slots.device[slot]) return true;
  for (let stay = slots.stays(slot); stay >= 0; stay = stays.next(stay)) {
    const entry = stays.entry[stay]!;
    if (entry.isGone || entry.version !== stays.version(stay)) return true;
    // Its hours may be those of another zone now, without a new version.
    if (entry.schedule !== null) return true;
    if (!isInScope(entry, device!)) return true;
  }
  return false;
}

/** Deleted and made again before anybody looked, it is the fence that it was, edited. */
function entryNow({ world }: Core, entry: FenceEntry): FenceEntry {
  return entry.isGone ? (world.fences.get(entry.fenceId) ?? entry) : entry;
}

function endingCause(entry: FenceEntry, was: Device, device: Device | null): EventCause | null {
  if (device === null) return 'device_removed';
  if (was.equipmentId !== device.equipmentId) return 'assignment_changed';
  if (entry.isGone) return 'fence_removed';
  if (isInScope(entry, device)) return null;
  return isInScope(entry, was) ? 'assignment_changed' : 'fence_changed';
}

/** The end of the window as the fence's schedule is now; a cause when it is not in force by it. */
function newWindow({ stays }: Core, stay: number, timeMs: number): EventCause | null {
  const { version, schedule } = stays.entry[stay]!;
  if (stays.phase(stay) !== INSIDE) return null;
  if (stays.version(stay) === version && schedule === null) return null;
  // The window had ended before it was changed.
  if (stays.endMs(stay) <= timeMs) return null;
  if (schedule !== null && !isInForce(schedule, timeMs)) return 'fence_changed';
  stays.setEndMs(stay, schedule === null ? Infinity : windowEndMs(schedule, timeMs));
  return null;
}

/** By the clock, but not before the device's own newest fix: its clock may be ahead. */
function endingMs({ slots }: Core, slot: number, nowMs: number): number {
  const fixMs = slots.fixMs(slot);
  return fixMs > nowMs ? fixMs : nowMs;
}

function tellEnd(
  { slots, stays, subject, events }: Core,
  slot: number,
  stay: number,
  { cause, timeMs }: { cause: EventCause; timeMs: number },
): void {
  const isOut = stays.fixes(stay) > 0;
  events.push(
    fenceEvent(subject.set(slots, slot), 'geofence_exit', stays.entry[stay]!, {
      timeMs,
      cause,
      enteredMs: stays.enteredMs(stay),
      leftMs: isOut ? stays.outMs(stay) : timeMs,
      lastFixMs: isOut ? stays.lastInMs(stay) : slots.fixMs(slot),
    }),
  );
}

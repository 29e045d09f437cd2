/**
 * What one fix does to a device's fences. Per fence a device is outside (nothing is kept), entering (inside for fewer
 * fixes than asked for), or inside, perhaps with fixes outside counted towards the exit.
 *
 *   outside → entering → inside: `enterFixCount` fixes inside in a row; a fix outside goes back to outside
 *   inside → outside: `exitFixCount` fixes in a row beyond the boundary and the exit buffer
 *   any → dropped without an event: the fence is deleted, or no longer speaks of this device
 *
 * A fix less accurate than the fence asks for leaves that fence's state as it is. When a fence was edited, the fix
 * before is judged again under the new version: if that alone puts the device on the other side, the fence has moved
 * and not the unit, and the transition follows at once with the cause `fence_changed`.
 */
import { fenceEvent } from './events.ts';
import { wrapLonDeg } from './geodesy.ts';
import { partsContain, partsNear } from './prepare.ts';
import type { Slot } from './slot.ts';
import type { Device, EngineEvent, EnteringState, EventCause, InsideState } from './types.ts';
import type { FenceEntry, Found, World } from './world.ts';
import { isInScope, searchFences } from './world.ts';

/** A fix as the fences see it; reused from row to row. */
export interface FenceFix {
  timeMs: number;
  lonDeg: number;
  latDeg: number;
  accuracyM: number;
}

// The fences in scope that hold the fix; scratch of stepFences.
const found: Found = { entries: [], count: 0 };

/**
 * Moves the slot's fences and its last fix to `fix` and appends the transitions to `events`: exits, then enters, each
 * ascending by fence. Allocates nothing when no fence's state changes.
 */
export function stepFences(world: World, slot: Slot, fix: FenceFix, events: EngineEvent[]): void {
  const device = slot.device!;
  const tenant = world.tenants.get(device.tenantId);
  found.count = 0;
  if (tenant) searchFences(world, tenant, fix.lonDeg, fix.latDeg, found);
  keepInScope(device);
  const previous = lastFix(slot);
  slot.fixMs = fix.timeMs;
  slot.lonDeg = fix.lonDeg;
  slot.latDeg = fix.latDeg;
  slot.accuracyM = fix.accuracyM;
  if (isSettled(world, slot)) return;
  const wasInside = slot.inside;
  stepInside(world, slot, previous, events);
  stepEntering(world, slot, { previous, wasInside }, events);
}

function keepInScope(device: Device): void {
  const { entries } = found;
  let kept = 0;
  for (let i = 0; i < found.count; i++) {
    const entry = entries[i]!;
    if (isInScope(entry.fence, device)) entries[kept++] = entry;
  }
  found.count = kept;
}

// A copy: the slot moves on while the previous fix is still asked about.
const before: FenceFix = { timeMs: NaN, lonDeg: NaN, latDeg: NaN, accuracyM: NaN };
function lastFix(slot: Slot): FenceFix {
  before.timeMs = slot.fixMs;
  before.lonDeg = slot.lonDeg;
  before.latDeg = slot.latDeg;
  before.accuracyM = slot.accuracyM;
  return before;
}

/** Inside exactly the fences in which it was already, all of them unedited: the usual case. */
function isSettled(world: World, slot: Slot): boolean {
  const { inside, entering } = slot;
  if (entering.length > 0 || inside.length !== found.count) return false;
  for (let i = 0; i < inside.length; i++) {
    const { fenceId, version, outCount } = inside[i]!;
    const entry = world.fences.get(fenceId);
    if (entry?.stamp !== world.searchCount || outCount > 0 || entry.fence.version !== version) {
      return false;
    }
  }
  return true;
}

function stepInside(world: World, slot: Slot, previous: FenceFix, events: EngineEvent[]): void {
  const next: InsideState[] = [];
  let changed = false;
  for (const state of slot.inside) {
    const entry = world.fences.get(state.fenceId);
    const kept =
      entry && isInScope(entry.fence, slot.device!)
        ? stepOneInside(world, slot, { entry, state, previous }, events)
        : null;
    if (kept) next.push(kept);
    if (kept !== state) changed = true;
  }
  if (changed) slot.inside = next;
}

function stepOneInside(
  world: World,
  slot: Slot,
  { entry, state, previous }: { entry: FenceEntry; state: InsideState; previous: FenceFix },
  events: EngineEvent[],
): InsideState | null {
  const { fence } = entry;
  const { version } = fence;
  const edited = state.version !== version;
  if (!moves(entry, slot.accuracyM)) return state;
  if (entry.stamp === world.searchCount || !isBeyondBuffer(entry, slot.lonDeg, slot.latDeg)) {
    return edited || state.outCount > 0 ? { ...state, version, outCount: 0 } : state;
  }
  const fenceMoved = edited && state.outCount === 0 && wasOutside(entry, previous);
  const outCount = state.outCount + 1;
  if (!fenceMoved && outCount < fence.exitFixCount) return { ...state, version, outCount };
  events.push(fenceEvent(slot, 'geofence_exit', fence, fenceMoved ? 'fence_changed' : 'move'));
  return null;
}

function stepEntering(
  world: World,
  slot: Slot,
  { previous, wasInside }: { previous: FenceFix; wasInside: readonly InsideState[] },
  events: EngineEvent[],
): void {
  const next: EnteringState[] = [];
  const entered: InsideState[] = [];
  for (const state of slot.entering) {
    const entry = world.fences.get(state.fenceId);
    if (!entry || !isInScope(entry.fence, slot.device!)) continue;
    if (!moves(entry, slot.accuracyM)) next.push(state);
  }
  const holding = found.entries.slice(0, found.count);
  holding.sort((a, b) => a.fence.fenceId - b.fence.fenceId);
  for (const entry of holding) {
    const { fence } = entry;
    const { fenceId, version } = fence;
    if (!moves(entry, slot.accuracyM) || wasInside.some((s) => s.fenceId === fenceId)) continue;
    const state = slot.entering.find((s) => s.fenceId === fenceId);
    const { inCount, cause } = countIn(entry, state, previous);
    if (inCount >= fence.enterFixCount || cause === 'fence_changed') {
      events.push(fenceEvent(slot, 'geofence_enter', fence, cause));
      entered.push({ fenceId, version, sinceMs: slot.fixMs, outCount: 0 });
    } else {
      next.push({ fenceId, version, inCount, cause });
    }
  }
  if (entered.length > 0) slot.inside = [...slot.inside, ...entered].sort(byFence);
  if (next.length > 0 || slot.entering.length > 0) slot.entering = next.sort(byFence);
}

function countIn(
  entry: FenceEntry,
  state: EnteringState | undefined,
  previous: FenceFix,
): { inCount: number; cause: EventCause } {
  if (state) {
    // Under another version the count goes on only if the fix before lies in the new shape, too.
    const goesOn = state.version === entry.fence.version || wasInside(entry, previous);
    return goesOn
      ? { inCount: state.inCount + 1, cause: state.cause }
      : { inCount: 1, cause: 'move' };
  }
  if (Number.isNaN(previous.timeMs)) return { inCount: 1, cause: 'first_fix' };
  return { inCount: 1, cause: wasInside(entry, previous) ? 'fence_changed' : 'move' };
}

function byFence(a: { fenceId: number }, b: { fenceId: number }): number {
  return a.fenceId - b.fenceId;
}

function moves({ fence }: FenceEntry, accuracyM: number): boolean {
  return fence.accuracyMMax === null || !(accuracyM > fence.accuracyMMax);
}

/** For a point that the fence does not hold. */
function isBeyondBuffer({ fence, parts }: FenceEntry, lonDeg: number, latDeg: number): boolean {
  return (
    fence.exitBufferM === 0 || !partsNear(parts, wrapLonDeg(lonDeg), latDeg, fence.exitBufferM)
  );
}

function wasInside(entry: FenceEntry, { timeMs, lonDeg, latDeg, accuracyM }: FenceFix): boolean {
  if (Number.isNaN(timeMs) || !moves(entry, accuracyM)) return false;
  return partsContain(entry.parts, wrapLonDeg(lonDeg), latDeg);
}

function wasOutside(entry: FenceEntry, { timeMs, lonDeg, latDeg, accuracyM }: FenceFix): boolean {
  if (Number.isNaN(timeMs) || !moves(entry, accuracyM)) return false;
  return (
    !partsContain(entry.parts, wrapLonDeg(lonDeg), latDeg) && isBeyondBuffer(entry, lonDeg, latDeg)
  );
}

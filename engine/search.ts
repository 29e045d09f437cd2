/** Which fences hold a fix, and which the way to it may have passed. Knows places and scopes, no stays. */
import { INSIDE, MIXED } from './cell-grid.ts';
import type { Core } from './core.ts';
import { DEGREE_M, RADIANS } from './geodesy.ts';
import type { Segment } from './ring.ts';
import { isInForce } from './schedule.ts';
import type { FenceEntry, TenantWorld } from './world.ts';
import { nextSearch } from './world.ts';

/** Who would have had to be faster than this between two fixes has not driven there. */
export const CROSS_SPEED_MPS_MAX = 100;

/** A fix as the fences see it; reused from row to row. */
export interface FenceFix {
  timeMs: number;
  lonDeg: number;
  latDeg: number;
  accuracyM: number;
}

/** What a search found; valid until the next. Arrays are not cut, so that they need not grow again. */
export interface Found {
  /** Its number, with which it has marked the fences that hold the fix. */
  search: number;
  /** `entries[0…count)` hold the fix, each once. */
  readonly entries: FenceEntry[];
  count: number;
}

/** The one search that is going on. */
export const found: Found = { search: 0, entries: [], count: 0 };

/** Puts the fences in force that speak of the slot's device and hold `fix` into `found`, in no particular order. */
export function findFences(core: Core, slot: number, fix: FenceFix): void {
  const { grid, parts } = core.slots.scope[slot]!.tenant;
  const { lonDeg, latDeg } = fix;
  const search = (found.search = nextSearch(core.world));
  const { entries } = found;
  let count = 0;
  const held = grid.searchPoint(lonDeg, latDeg);
  for (let i = 0; i < held; i++) {
    const item = grid.found[i]!;
    const side = grid.pictureAt(item, lonDeg, latDeg);
    if (side !== INSIDE && side !== MIXED) continue;
    const part = parts[item]!;
    if (side === MIXED && !part.contains(lonDeg, latDeg)) continue;
    const entry = part.entry!;
    if (entry.foundStamp === search) continue;
    if (part.isLimited && !isConcerned(core, slot, entry, fix)) continue;
    entry.foundStamp = search;
    entries[count++] = entry;
  }
  found.count = count;
}

/** Whether a fence of the device's tenant speaks of the device, and is in force at the fix. */
export function isConcerned(core: Core, slot: number, entry: FenceEntry, fix: FenceFix): boolean {
  const { accountId, schedule } = entry.fence;
  if (accountId !== null && accountId !== core.slots.device[slot]!.accountId) return false;
  return schedule === null || isInForce(schedule, fix.timeMs);
}

/** Whether fences of the tenant watch the way from one fix to the next: it is short enough, and may have been driven. */
export function isWatched(tenant: TenantWorld, previous: FenceFix, fix: FenceFix): boolean {
  const gapMs = fix.timeMs - previous.timeMs;
  if (!(gapMs <= tenant.crossGapMsMax)) return false;
  const lat = fix.latDeg - previous.latDeg;
  let lon = Math.abs(fix.lonDeg - previous.lonDeg);
  if (lat === 0 && lon === 0) return false;
  if (lon > 180) lon = 360 - lon;
  const reach = (gapMs * CROSS_SPEED_MPS_MAX) / (1000 * DEGREE_M);
  if (Math.abs(lat) > reach) return false;
  const x = lon * Math.cos(fix.latDeg * RADIANS);
  return x * x + lat * lat <= reach * reach;
}

/** Sets `way` to the short way round from one fix to the next; it ends at the next one's own longitude. */
export function setWay(way: Segment, previous: FenceFix, fix: FenceFix): void {
  const step = fix.lonDeg - previous.lonDeg;
  const turn = step > 180 ? 360 : step < -180 ? -360 : 0;
  way.x0 = previous.lonDeg + turn;
  way.y0 = previous.latDeg;
  way.x1 = fix.lonDeg;
  way.y1 = fix.latDeg;
  way.minX = Math.min(way.x0, way.x1);
  way.maxX = Math.max(way.x0, way.x1);
  way.minY = Math.min(way.y0, way.y1);
  way.maxY = Math.max(way.y0, way.y1);
}

/** Whether a fix is accurate enough to move the state. */
export function moves({ fence }: FenceEntry, accuracyM: number): boolean {
  return fence.accuracyMMax === null || !(accuracyM > fence.accuracyMMax);
}

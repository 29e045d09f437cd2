/** Which fences hold a fix, and which the way to it may have passed. Knows places and scopes, no stays. */
import { type CellGrid, INSIDE, MIXED } from './cell-grid.ts';
import type { Core } from './core.ts';
import { DEGREE_M, RADIANS } from './geodesy.ts';
import type { Segment } from './ring.ts';
import { isInForce } from './schedule.ts';
import type { Space } from './space.ts';
import type { FenceEntry, TenantWorld } from './world.ts';
import { nextSearch } from './world.ts';

/** Who would have had to be faster than this between two fixes has not driven there. */
export const CROSS_SPEED_MPS_MAX = 100;

/** Steps like the last one that a box reaches ahead. */
const STEPS_AHEAD = 3;
/** Who moved further than this along an axis is not where the box would be. */
const STEP_DEG_MAX = 0.01;
/** How far a box reaches to every side, for the jitter of a vehicle that stands. */
const BESIDE_DEG = 0.0005;
/** What rounding may put the fix before outside by, and more. */
const BEHIND_PAD_DEG = 1e-9;

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
  /** Items of the grid near the way from the fix before that do not hold the fix: `passed[0…passedCount)`. */
  readonly passed: number[];
  passedCount: number;
  /** That way, where it is watched, and whether it runs over the antimeridian. */
  readonly way: Segment;
  isWayTurned: boolean;
  /** Space round the fix for a clear box, and whether all that lies in it is in the grid's `found[0…near)`. */
  readonly ahead: Space;
  isAheadSearched: boolean;
  near: number;
}

/** The one search that is going on. */
export const found: Found = {
  search: 0,
  entries: [],
  count: 0,
  passed: [],
  passedCount: 0,
  way: { x0: 0, y0: 0, x1: 0, y1: 0, minX: 0, maxX: 0, minY: 0, maxY: 0 },
  isWayTurned: false,
  ahead: { x: 0, y: 0, minX: 0, minY: 0, maxX: 0, maxY: 0 },
  isAheadSearched: false,
  near: 0,
};

/**
 * Puts the fences in force that speak of the slot's device and hold `fix` into `found`, in no particular order; and where
 * the way from the fix before is watched, what lies near it.
 */
export function findFences(core: Core, slot: number, previous: FenceFix, fix: FenceFix): void {
  const { tenant } = core.slots.scope[slot]!;
  const { grid } = tenant;
  const isWayWatched = isWatched(tenant, previous, fix);
  found.isWayTurned = isWayWatched && setWay(found.way, previous, fix);
  found.search = nextSearch(core.world);
  found.count = 0;
  found.passedCount = 0;
  const near = searchNear(core, grid, previous, fix, isWayWatched);
  for (let i = 0; i < near; i++) {
    const item = grid.found[i]!;
    if (!itemHolds(tenant, item, fix)) {
      if (isWayWatched) found.passed[found.passedCount++] = item;
      continue;
    }
    const part = tenant.parts[item]!;
    const entry = part.entry!;
    if (entry.foundStamp === found.search) continue;
    if (!isConcerned(core, slot, entry, fix)) continue;
    entry.foundStamp = found.search;
    found.entries[found.count++] = entry;
  }
}

/** Gives how many items the grid found: all that hold the fix, and near the way, if that is watched. */
function searchNear(
  core: Core,
  grid: CellGrid,
  previous: FenceFix,
  fix: FenceFix,
  isWayWatched: boolean,
): number {
  found.isAheadSearched =
    core.usesClearBox && setAhead(found.ahead, previous, fix, grid.areaSideDegMax());
  if (found.isAheadSearched) return (found.near = grid.searchArea(found.ahead));
  return (found.near = isWayWatched
    ? grid.searchWay(found.way)
    : grid.searchPoint(fix.lonDeg, fix.latDeg));
}

/**
 * Sets `ahead` to the space in which a box is looked for after a step: round the fix, back to the one before, and ahead, at
 * most `sideDegMax` long. False when none is worth it. It does not reach over ±180°.
 */
function setAhead(ahead: Space, previous: FenceFix, fix: FenceFix, sideDegMax: number): boolean {
  const { lonDeg: x, latDeg: y } = fix;
  const dx = x - previous.lonDeg;
  const dy = y - previous.latDeg;
  const step = Math.max(Math.abs(dx), Math.abs(dy));
  if (!(step <= STEP_DEG_MAX && 2 * step <= sideDegMax)) return false;
  const behindX = Math.max(BESIDE_DEG, Math.abs(dx) + BEHIND_PAD_DEG);
  const behindY = Math.max(BESIDE_DEG, Math.abs(dy) + BEHIND_PAD_DEG);
  const beforeX = Math.min(BESIDE_DEG + STEPS_AHEAD * Math.abs(dx), sideDegMax - behindX);
  const beforeY = Math.min(BESIDE_DEG + STEPS_AHEAD * Math.abs(dy), sideDegMax - behindY);
  ahead.x = x;
  ahead.y = y;
  ahead.minX = x - (dx < 0 ? beforeX : behindX);
  ahead.maxX = x + (dx < 0 ? behindX : beforeX);
  ahead.minY = y - (dy < 0 ? beforeY : behindY);
  ahead.maxY = y + (dy < 0 ? behindY : beforeY);
  return ahead.minX > -180 && ahead.maxX < 180;
}

function itemHolds(
  { grid, parts }: TenantWorld,
  item: number,
  { lonDeg, latDeg }: FenceFix,
): boolean {
  if (!grid.holds(item, lonDeg, latDeg)) return false;
  const side = grid.pictureAt(item, lonDeg, latDeg);
  if (side !== MIXED) return side === INSIDE;
  return parts[item]!.holds(lonDeg, latDeg, grid.edgesAt(item, latDeg));
}

/** Whether a fence of the device's tenant speaks of the device, and is in force at the fix. */
export function isConcerned(core: Core, slot: number, entry: FenceEntry, fix: FenceFix): boolean {
  const { accountId, schedule } = entry;
  if (accountId !== null && accountId !== core.slots.device[slot]!.accountId) return false;
  return schedule === null || isInForce(schedule, fix.timeMs);
}

/** Whether fences of the tenant watch the way from one fix to the next: it is short enough, and may have been driven. */
function isWatched(tenant: TenantWorld, previous: FenceFix, fix: FenceFix): boolean {
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

/** Sets `way` to the short way round; it ends at the fix's own longitude. True when it runs over the antimeridian, or along it. */
function setWay(way: Segment, previous: FenceFix, fix: FenceFix): boolean {
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
  return way.minX <= -180 || way.maxX >= 180;
}

/** Whether a fix is accurate enough to move the state; both as 32-bit floats, as the database has them. */
export function moves({ accuracyMMax }: FenceEntry, accuracyM: number): boolean {
  return accuracyMMax === null || !(accuracyM > Math.fround(accuracyMMax));
}

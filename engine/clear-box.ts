/**
 * What makes most fixes cost next to nothing: a box at the newest fix of a device, on the way ahead of it, through which no
 * boundary of its tenant's fences runs. While its fixes stay in the box and no fence is edited, they are inside exactly the
 * same fences, and the way between two of them crosses none.
 *
 * A box is kept only where the stays are settled: inside exactly the fences that hold the fix, with nothing counted. Then a
 * fix in the box could change nothing but by time, which `dueMs` watches; a fence with a schedule that holds the fix may
 * change by time alone, in force or not, so there no box is kept. Those that do not hold it hold nothing of the box.
 */
import type { Core } from './core.ts';
import { cutAway, type Space } from './space.ts';
import { floatAbove, floatBelow } from './floats.ts';
import { found, type FenceFix } from './search.ts';
import type { TenantWorld } from './world.ts';

/** A thinner box would not hold the next jitter. */
const BOX_DEG_MIN = 2e-4;

/** Whether the slot's box holds a fix, so that nothing follows from it before `dueMs`. */
export function isClear({ slots }: Core, slot: number, lonDeg: number, latDeg: number): boolean {
  const { tenant } = slots.scope[slot]!;
  return slots.clearEpoch(slot) === tenant.fencesEpoch && slots.clearBoxHolds(slot, lonDeg, latDeg);
}

/**
 * Works the box of a settled slot out, of the space ahead and what was found in it. True when it holds the fix before, too: then
 * the way from there crosses nothing.
 */
export function keepClear(core: Core, slot: number, previous: FenceFix): boolean {
  const { slots } = core;
  const { tenant } = slots.scope[slot]!;
  const { ahead, near } = found;
  if (!cutAll(tenant, near, ahead)) return false;
  slots.setClearBox(
    slot,
    floatAbove(ahead.minX),
    floatAbove(ahead.minY),
    floatBelow(ahead.maxX),
    floatBelow(ahead.maxY),
  );
  slots.setClearEpoch(slot, tenant.fencesEpoch);
  const { lonDeg: x, latDeg: y } = previous;
  return x >= ahead.minX && x <= ahead.maxX && y >= ahead.minY && y <= ahead.maxY;
}

/**
 * Cuts the boundaries of what the grid found in a space out of it, `grid.found[0…near)`. False when too little is left, or a fence
 * with a schedule holds the point.
 */
export function cutAll({ grid, parts }: TenantWorld, near: number, space: Space): boolean {
  const { x, y } = space;
  for (let i = 0; i < near; i++) {
    const item = grid.found[i]!;
    const part = parts[item]!;
    if (part.entry!.schedule !== null && part.contains(x, y)) return false;
    if (!grid.isMixedAlong(item, space)) continue;
    if (grid.holds(item, x, y)) {
      if (!part.cutFrom(space, grid.edgesAlong(item, space))) return false;
    } else if (!cutAway(space, grid.boxOf(item))) return false;
    if (space.maxX - space.minX < BOX_DEG_MIN) return false;
    if (space.maxY - space.minY < BOX_DEG_MIN) return false;
  }
  return true;
}

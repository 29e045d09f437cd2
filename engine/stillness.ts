/**
 * What makes a vehicle that hardly moves cost next to nothing: a box round its fix through which no boundary of its
 * tenant's fences runs. While its fixes stay in the box and no fence is edited, they are inside exactly the same fences,
 * and the way between two of them crosses none.
 *
 * A box is kept only where the stays are settled: inside exactly the fences that hold the fix, with nothing counted. Then a
 * fix in the box could change nothing but by time, which `dueMs` watches; a fence with a schedule that holds the fix may
 * change by time alone, in force or not, so there no box is kept. Those that do not hold it hold nothing of the box.
 */
import type { Area } from './cell-grid.ts';
import type { Core } from './core.ts';
import { floatAbove, floatBelow } from './floats.ts';
import type { FenceFix } from './search.ts';

/** Who moved further than this along an axis is under way, and would leave the box with the next fix. */
const STILL_DEG_MAX = 0.0004;
/** Half the side of the largest box. */
const BOX_DEG_MAX = 0.001;
/** A smaller box would not hold the next jitter. */
const BOX_DEG_MIN = 1e-4;

const area: Area = { minX: 0, minY: 0, maxX: 0, maxY: 0 };

/** Whether the slot's box holds a fix, so that nothing follows from it before `dueMs`. */
export function isStill({ slots }: Core, slot: number, lonDeg: number, latDeg: number): boolean {
  const { tenant } = slots.scope[slot]!;
  return slots.stillEpoch(slot) === tenant.fencesEpoch && slots.stillBoxHolds(slot, lonDeg, latDeg);
}

/** Works the box of a settled slot out, when its device hardly moved. */
export function keepStill(core: Core, slot: number, previous: FenceFix, fix: FenceFix): void {
  const { slots } = core;
  slots.setStillEpoch(slot, -1);
  if (!(Math.abs(fix.lonDeg - previous.lonDeg) <= STILL_DEG_MAX)) return;
  if (!(Math.abs(fix.latDeg - previous.latDeg) <= STILL_DEG_MAX)) return;
  const { tenant } = slots.scope[slot]!;
  const reach = clearanceDeg(core, slot, fix);
  if (reach < BOX_DEG_MIN) return;
  slots.setStillBox(
    slot,
    floatAbove(fix.lonDeg - reach),
    floatAbove(fix.latDeg - reach),
    floatBelow(fix.lonDeg + reach),
    floatBelow(fix.latDeg + reach),
  );
  slots.setStillEpoch(slot, tenant.fencesEpoch);
}

/** Half the side of a square round the fix that no boundary runs through. */
function clearanceDeg(core: Core, slot: number, { lonDeg, latDeg }: FenceFix): number {
  const { grid, parts } = core.slots.scope[slot]!.tenant;
  let reach = BOX_DEG_MAX;
  area.minX = lonDeg - reach;
  area.maxX = lonDeg + reach;
  area.minY = latDeg - reach;
  area.maxY = latDeg + reach;
  const count = grid.searchArea(area);
  for (let i = 0; i < count && reach >= BOX_DEG_MIN; i++) {
    const item = grid.found[i]!;
    const part = parts[item]!;
    if (part.entry!.schedule !== null && part.contains(lonDeg, latDeg)) return 0;
    if (grid.isMixedAlong(item, area)) reach = part.clearanceDeg(lonDeg, latDeg, reach);
  }
  return reach;
}

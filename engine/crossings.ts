/** `cross`: a fence lies between two fixes that it does not hold. */
import type { Core } from './core.ts';
import { fenceEvent } from './events.ts';
import { partsContain, partsMeet } from './prepare.ts';
import type { Segment } from './ring.ts';
import type { FenceFix } from './search.ts';
import { found, isConcerned, isWatched, moves, setWay } from './search.ts';
import type { FenceEntry } from './world.ts';

const way: Segment = { x0: 0, y0: 0, x1: 0, y1: 0, minX: 0, maxX: 0, minY: 0, maxY: 0 };
/** The part of the way that lies on the other side of the antimeridian. */
const turned: Segment = { ...way };
/** Crossed fences; scratch. */
const crossed: FenceEntry[] = [];

/** Tells of the fences that the way to `fix` crosses, ascending. To be called once stays and fences found are marked. */
export function stepCrossings(core: Core, slot: number, previous: FenceFix, fix: FenceFix): void {
  const { tenant } = core.slots.scope[slot]!;
  if (!isWatched(tenant, previous, fix)) return;
  setWay(way, previous, fix);
  crossed.length = 0;
  findCrossed(core, slot, way, { previous, fix });
  if (way.minX < -180 || way.maxX > 180) {
    const turn = way.minX < -180 ? 360 : -360;
    Object.assign(turned, way);
    for (const key of ['x0', 'x1', 'minX', 'maxX'] as const) turned[key] += turn;
    findCrossed(core, slot, turned, { previous, fix });
  }
  if (crossed.length > 0) tellCrossed(core, slot, fix);
}

function findCrossed(
  core: Core,
  slot: number,
  along: Segment,
  { previous, fix }: { previous: FenceFix; fix: FenceFix },
): void {
  const { grid, parts } = core.slots.scope[slot]!.tenant;
  const count = grid.searchWay(along);
  for (let i = 0; i < count; i++) {
    const item = grid.found[i]!;
    if (!grid.isMixedAlong(item, along)) continue;
    const entry = parts[item]!.entry!;
    // Marked: it holds the fix, or the device has a stay there.
    if (entry.foundStamp === found.search || entry.stayStamp === found.search) continue;
    if (fix.timeMs - previous.timeMs > entry.fence.crossGapMsMax) continue;
    if (parts[item]!.isLimited && !isConcerned(core, slot, entry, fix)) continue;
    if (!moves(entry, fix.accuracyM) || !moves(entry, previous.accuracyM)) continue;
    if (crossed.includes(entry) || !partsMeet(entry.first, way)) continue;
    if (partsContain(entry.first, previous.lonDeg, previous.latDeg)) continue;
    crossed.push(entry);
  }
}

function tellCrossed(core: Core, slot: number, fix: FenceFix): void {
  crossed.sort((a, b) => a.fence.fenceId - b.fence.fenceId);
  core.subject.set(core.slots, slot);
  for (const { fence } of crossed) {
    core.events.push(
      fenceEvent(core.subject, 'geofence_cross', fence, {
        timeMs: fix.timeMs,
        cause: 'move',
        enteredMs: NaN,
        leftMs: NaN,
        lastFixMs: NaN,
      }),
    );
  }
}

/** `cross`: a fence lies between two fixes that it does not hold. */
import type { Core } from './core.ts';
import { fenceEvent } from './events.ts';
import { partsContain, partsMeet } from './prepare.ts';
import type { Segment } from './ring.ts';
import type { FenceFix } from './search.ts';
import { found, isConcerned, moves } from './search.ts';
import type { FenceEntry } from './world.ts';

/** The way, for what lies on the other side of the antimeridian. */
const turned: Segment = { ...found.way };
/** Crossed fences; scratch. */
const crossed: FenceEntry[] = [];

/** The two ends of the way. */
interface Ends {
  readonly previous: FenceFix;
  readonly fix: FenceFix;
}

/** Tells of the fences that the way to `fix` crosses, ascending. To be called once stays and fences found are marked. */
export function stepCrossings(core: Core, slot: number, previous: FenceFix, fix: FenceFix): void {
  crossed.length = 0;
  const { way, passed } = found;
  for (let i = 0; i < found.passedCount; i++) {
    testCrossed(core, slot, passed[i]!, way, { previous, fix });
  }
  const { tenant } = core.slots.scope[slot]!;
  if (found.isWayTurned) {
    const turn = way.minX <= -180 ? 360 : -360;
    Object.assign(turned, way);
    for (const key of ['x0', 'x1', 'minX', 'maxX'] as const) turned[key] += turn;
    const count = tenant.grid.searchWay(turned);
    const items = tenant.grid.found.slice(0, count);
    for (const item of items) testCrossed(core, slot, item, turned, { previous, fix });
  }
  if (crossed.length > 0) tellCrossed(core, slot, fix);
}

function testCrossed(core: Core, slot: number, item: number, along: Segment, ends: Ends): void {
  const { grid, parts } = core.slots.scope[slot]!.tenant;
  if (!grid.isMixedAlong(item, along)) return;
  const { previous, fix } = ends;
  const part = parts[item]!;
  const entry = part.entry!;
  // Marked: it holds the fix, or the device has a stay there.
  if (entry.foundStamp === found.search || entry.stayStamp === found.search) return;
  if (fix.timeMs - previous.timeMs > entry.crossGapMsMax) return;
  if (!isConcerned(core, slot, entry, fix)) return;
  if (!moves(entry, fix.accuracyM) || !moves(entry, previous.accuracyM)) return;
  if (crossed.includes(entry) || !partsMeet(entry.first, found.way)) return;
  if (!partsContain(entry.first, previous.lonDeg, previous.latDeg)) crossed.push(entry);
}

function tellCrossed(core: Core, slot: number, fix: FenceFix): void {
  crossed.sort((a, b) => a.fenceId - b.fenceId);
  core.subject.set(core.slots, slot);
  for (const fence of crossed) {
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

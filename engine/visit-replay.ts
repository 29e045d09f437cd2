/**
 * A device's stored fixes once more, in order, through an engine of their own, and the visits that come of it. Knows nothing
 * of what is stored of visits but those that were open at the first fix.
 */
import { createEngine, type Engine } from './engine.ts';
import { windowEndMs } from './schedule.ts';
import { EMPTY_STATE } from './state.ts';
import type { DeviceState, EngineEvent, Fence, FixColumns, InsideState } from './types.ts';
import type { RevisionInput, StoredVisit, Visit, VisitFix } from './visits.ts';
import { applyEdits, createWorld } from './world.ts';

/** The engine that is replayed in, and what it has said so far. */
export interface Replay {
  /** Takes the next fixes, in order of time. */
  feed(fixes: readonly VisitFix[]): void;
  /** By fence and time. */
  visits(): Visit[];
  /** The device's state after them. */
  state(): DeviceState;
}

/**
 * Starts a replay at `firstMs`, with the stays that are stored as open then. The first fix counts like the first of a
 * device: nothing is known of where it was before.
 */
export function replayVisits(input: Omit<RevisionInput, 'live' | 'toMs'>): Replay {
  return new EngineReplay(input);
}

class EngineReplay implements Replay {
  private readonly engine: Engine;
  private readonly deviceId: number;
  private readonly previousMs: number;
  private readonly closed: Visit[] = [];
  /** Open visits by fence. */
  private readonly open = new Map<number, Visit>();

  constructor(input: Parameters<typeof replayVisits>[0]) {
    const { device, fences, stored, firstMs } = input;
    const world = createWorld();
    applyEdits(world, [
      // Crossings open and close nothing.
      ...fences.map(
        (fence) => ({ type: 'fence_put', fence: { ...fence, crossGapMsMax: 0 } }) as const,
      ),
      { type: 'device_put', device },
    ]);
    this.engine = createEngine(world);
    this.deviceId = device.deviceId;
    this.previousMs = input.previousMs;
    const inside: InsideState[] = [];
    for (const fence of fences) {
      const visit = stored.find(
        (one) => one.fenceId === fence.fenceId && isOpenBefore(one, firstMs),
      );
      if (visit === undefined) continue;
      inside.push(stayOf(fence, visit));
      const { fenceId, enteredMs, dwelledMs } = visit;
      this.open.set(fenceId, openVisit(fenceId, enteredMs, dwelledMs));
    }
    this.engine.restore(this.deviceId, { ...EMPTY_STATE, inside }, null);
  }

  feed(fixes: readonly VisitFix[]): void {
    const { events } = this.engine.evaluate({
      fixes: columnsOf(this.deviceId, fixes),
      readings: { count: 0, deviceId: NONE, timeMs: NONE, metricCode: [], value: NONE },
      nowMs: NaN,
    });
    this.engine.commit();
    for (const event of events) this.take(event);
  }

  visits(): Visit[] {
    const all = [...this.closed, ...this.open.values()];
    return all.sort((a, b) => a.fenceId - b.fenceId || a.enteredMs - b.enteredMs);
  }

  state(): DeviceState {
    return this.engine.snapshot(this.deviceId) ?? EMPTY_STATE;
  }

  private take({ type, fenceId, timeMs, enteredMs, leftMs, lastFixMs, cause }: EngineEvent): void {
    if (fenceId === null) return;
    const visit = this.open.get(fenceId);
    if (type === 'geofence_enter') this.open.set(fenceId, openVisit(fenceId, enteredMs, NaN));
    if (visit === undefined) return;
    if (type === 'geofence_dwell') this.open.set(fenceId, { ...visit, dwelledMs: timeMs });
    if (type !== 'geofence_exit') return;
    this.open.delete(fenceId);
    // The engine was not told of the fix before the first.
    const lastMs = Number.isNaN(lastFixMs) ? this.previousMs : lastFixMs;
    this.closed.push({ ...visit, leftMs, lastFixMs: lastMs, leftCause: cause });
  }
}

const NONE = new Float64Array(0);

/** Whether the visit was under way when a fix came, the first of it not counting. */
function isOpenBefore({ enteredMs, leftMs, isRetracted }: StoredVisit, timeMs: number): boolean {
  return !isRetracted && enteredMs < timeMs && !(leftMs < timeMs);
}

function stayOf(
  { fenceId, version, name, schedule }: Fence,
  { enteredMs, dwelledMs }: StoredVisit,
): InsideState {
  const dwelled = !Number.isNaN(dwelledMs);
  const counts = { outCount: 0, outMs: null, lastInMs: null };
  const endMs = schedule === null ? NaN : windowEndMs(schedule, enteredMs);
  const end = { endMs: Number.isFinite(endMs) ? endMs : null };
  return { fenceId, version, name, enteredMs, enterMs: enteredMs, dwelled, ...counts, ...end };
}

function openVisit(fenceId: number, enteredMs: number, dwelledMs: number): Visit {
  return { fenceId, enteredMs, leftMs: NaN, lastFixMs: NaN, dwelledMs, leftCause: null };
}

function columnsOf(deviceId: number, fixes: readonly VisitFix[]): FixColumns {
  const unknown = new Float64Array(fixes.length).fill(NaN);
  return {
    count: fixes.length,
    deviceId: new Float64Array(fixes.length).fill(deviceId),
    timeMs: Float64Array.from(fixes, (fix) => fix.timeMs),
    lonDeg: Float64Array.from(fixes, (fix) => fix.lonDeg),
    latDeg: Float64Array.from(fixes, (fix) => fix.latDeg),
    accuracyM: Float64Array.from(fixes, (fix) => fix.accuracyM),
    speedMps: unknown,
    ignition: unknown,
    motion: unknown,
  };
}

/**
 * The engine of one partition: holds what its devices' states are and says what follows from a batch of fixes and
 * readings. Pure: no clock, no I/O; the same batches over the same edits give the same events in the same order.
 *
 * States: settled → (`evaluate`) → pending → (`commit` or `rollback`) → settled. While pending, no other batch may be
 * evaluated.
 */
import assert from 'node:assert/strict';
import type { FenceFix } from './fence-steps.ts';
import { stepFences } from './fence-steps.ts';
import { RowSorter, atLeast } from './rows.ts';
import type { Sample } from './rule-steps.ts';
import { activeRules, stepRules } from './rule-steps.ts';
import type { Slot } from './slot.ts';
import { beginSlot, createSlot, isChanged, revertSlot, settleSlot, stateOf } from './slot.ts';
import type {
  DeviceChange,
  DeviceLast,
  DeviceState,
  EngineBatch,
  EngineEvent,
  Evaluation,
  FixColumns,
  ReadingColumns,
} from './types.ts';
import type { World } from './world.ts';

export interface Engine {
  /**
   * Works a batch out; it takes effect with `commit` and leaves no trace after `rollback`. Rows may come in any order:
   * each device's are taken by time, fixes before readings of the same time. Rows not newer than the device's last
   * evaluated fix (or reading of that code), and fixes that are NaN or off the earth, count as late and do nothing.
   * Rows of devices that the world does not know are passed over. Events are ordered by device, time, and then exits,
   * enters, alerts by id. Asserts that no batch is pending.
   */
  evaluate(batch: EngineBatch): Evaluation;
  /** Keeps what the pending batch changed. Asserts that there is one. */
  commit(): void;
  /** Undoes what the pending batch changed, so that it may be evaluated again. Asserts that there is one. */
  rollback(): void;
  /**
   * Sets a device to what was stored of it. Without it a device starts anew, and its next fix is its first ever. Asserts
   * that the pending batch has not touched the device.
   */
  restore(deviceId: number, state: DeviceState | null, last: DeviceLast | null): void;
  /** The state as of the last commit; `null` for a device of which nothing is held. */
  snapshot(deviceId: number): DeviceState | null;
  /** Lets go of a device and of what a pending batch did to it. */
  forget(deviceId: number): void;
}

/** An engine without devices over a shared world, whose edits it sees with the next batch. */
export function createEngine(world: World): Engine {
  return new PartitionEngine(world);
}

class PartitionEngine implements Engine {
  private readonly world: World;
  private readonly slots = new Map<number, Slot>();
  private readonly touched: Slot[] = [];
  private pending = false;

  // The readings of the pending batch that moved a slot's readingMs, to be undone from the end.
  private readonly logSlots: Slot[] = [];
  private readonly logCodes: string[] = [];
  private readonly logMs: (number | undefined)[] = [];

  // Scratch, reused from batch to batch.
  private fixNext = new Int32Array(1024);
  private readingNext = new Int32Array(1024);
  private readonly fixRows = new RowSorter();
  private readonly readingRows = new RowSorter();
  private readonly fix: FenceFix = { timeMs: NaN, lonDeg: NaN, latDeg: NaN, accuracyM: NaN };
  private readonly sample: Sample = { value: NaN, timeMs: NaN };
  private events: EngineEvent[] = [];
  private latestFixRow = new Map<number, number>();
  private lateCount = 0;

  constructor(world: World) {
    this.world = world;
  }

  evaluate({ fixes, readings }: EngineBatch): Evaluation {
    assert(!this.pending, 'evaluate: the batch before is neither committed nor rolled back');
    assertColumns(fixes);
    assertColumns(readings);
    this.pending = true;
    this.events = [];
    this.latestFixRow = new Map();
    this.lateCount = 0;
    this.chain(fixes, readings);
    this.touched.sort((a, b) => a.deviceId - b.deviceId);
    const changed: DeviceChange[] = [];
    for (const slot of this.touched) {
      this.stepDevice(slot, fixes, readings);
      if (slot.fresh || isChanged(slot)) {
        const { deviceId } = slot;
        changed.push({ deviceId, tenantId: slot.device!.tenantId, state: stateOf(slot) });
      }
    }
    const { events, lateCount } = this;
    const latestFixRows = Int32Array.from(this.latestFixRow.values());
    return { events, changed, latestFixRows, lateCount };
  }

  commit(): void {
    assert(this.pending, 'commit: no batch is pending');
    for (const slot of this.touched) settleSlot(slot);
    this.settle();
  }

  rollback(): void {
    assert(this.pending, 'rollback: no batch is pending');
    for (let i = this.logSlots.length - 1; i >= 0; i--) {
      const { readingMs } = this.logSlots[i]!;
      const before = this.logMs[i];
      if (before === undefined) readingMs.delete(this.logCodes[i]!);
      else readingMs.set(this.logCodes[i]!, before);
    }
    for (const slot of this.touched) {
      revertSlot(slot);
      if (slot.fresh && this.slots.get(slot.deviceId) === slot) this.slots.delete(slot.deviceId);
    }
    this.settle();
  }

  restore(deviceId: number, state: DeviceState | null, last: DeviceLast | null): void {
    assert(!this.slots.get(deviceId)?.pending, `restore: device ${deviceId} is in a pending batch`);
    this.slots.set(deviceId, createSlot(deviceId, state, last));
  }

  snapshot(deviceId: number): DeviceState | null {
    const slot = this.slots.get(deviceId);
    if (!slot || (slot.pending && slot.fresh)) return null;
    return stateOf(slot.pending ? slot.saved : slot);
  }

  forget(deviceId: number): void {
    this.slots.delete(deviceId);
  }

  private settle(): void {
    this.touched.length = 0;
    this.logSlots.length = 0;
    this.logCodes.length = 0;
    this.logMs.length = 0;
    this.pending = false;
  }

  /** Hangs every row of a known device onto its slot. */
  private chain(fixes: FixColumns, readings: ReadingColumns): void {
    const fixNext = (this.fixNext = atLeast(this.fixNext, fixes.count));
    for (let row = 0; row < fixes.count; row++) {
      const slot = this.slotOf(fixes.deviceId[row]!);
      if (!slot) continue;
      fixNext[row] = -1;
      if (slot.fixHead < 0) slot.fixHead = row;
      else fixNext[slot.fixTail] = row;
      slot.fixTail = row;
    }
    const readingNext = (this.readingNext = atLeast(this.readingNext, readings.count));
    for (let row = 0; row < readings.count; row++) {
      const slot = this.slotOf(readings.deviceId[row]!);
      if (!slot) continue;
      readingNext[row] = -1;
      if (slot.readingHead < 0) slot.readingHead = row;
      else readingNext[slot.readingTail] = row;
      slot.readingTail = row;
    }
  }

  /** The device's slot, pending from now on; `null` for a device that the world does not know. */
  private slotOf(deviceId: number): Slot | null {
    let slot = this.slots.get(deviceId);
    if (slot?.pending) return slot;
    const device = this.world.devices.get(deviceId);
    if (!device) return null;
    if (!slot) {
      slot = createSlot(deviceId, null, null);
      slot.fresh = true;
      this.slots.set(deviceId, slot);
    }
    beginSlot(slot, device);
    this.touched.push(slot);
    return slot;
  }

  /** Takes a device's rows by time. */
  private stepDevice(slot: Slot, fixes: FixColumns, readings: ReadingColumns): void {
    const { fixRows, readingRows } = this;
    fixRows.take(slot.fixHead, this.fixNext, fixes.timeMs);
    readingRows.take(slot.readingHead, this.readingNext, readings.timeMs);
    let r = 0;
    for (let f = 0; f < fixRows.count; f++) {
      const row = fixRows.rows[f]!;
      const timeMs = fixes.timeMs[row]!;
      while (r < readingRows.count && readings.timeMs[readingRows.rows[r]!]! < timeMs) {
        this.stepReading(slot, readings, readingRows.rows[r++]!);
      }
      this.stepFix(slot, fixes, row);
    }
    while (r < readingRows.count) this.stepReading(slot, readings, readingRows.rows[r++]!);
  }

  private stepFix(slot: Slot, fixes: FixColumns, row: number): void {
    const { fix, sample, events } = this;
    fix.timeMs = fixes.timeMs[row]!;
    fix.lonDeg = fixes.lonDeg[row]!;
    fix.latDeg = fixes.latDeg[row]!;
    fix.accuracyM = fixes.accuracyM[row]!;
    if (fix.timeMs <= slot.fixMs || !isOnEarth(fix)) {
      this.lateCount++;
      return;
    }
    stepFences(this.world, slot, fix, events);
    this.latestFixRow.set(slot.deviceId, row);
    const { ofFix } = activeRules(this.world, slot);
    if (!ofFix) return;
    sample.timeMs = fix.timeMs;
    for (let i = 0; i < ofFix.length; i++) {
      const rules = ofFix[i];
      if (!rules) continue;
      sample.value = fixMetric(fixes, row, i);
      stepRules(slot, rules, sample, events);
    }
  }

  private stepReading(slot: Slot, readings: ReadingColumns, row: number): void {
    const code = readings.metricCode[row]!;
    const timeMs = readings.timeMs[row]!;
    const lastMs = slot.readingMs.get(code);
    if (Number.isNaN(timeMs) || (lastMs !== undefined && timeMs <= lastMs)) {
      this.lateCount++;
      return;
    }
    this.logSlots.push(slot);
    this.logCodes.push(code);
    this.logMs.push(lastMs);
    slot.readingMs.set(code, timeMs);
    const rules = activeRules(this.world, slot).byCode.get(code);
    if (!rules) return;
    this.sample.timeMs = timeMs;
    this.sample.value = readings.value[row]!;
    stepRules(slot, rules, this.sample, this.events);
  }
}

function isOnEarth({ timeMs, lonDeg, latDeg }: FenceFix): boolean {
  return Number.isFinite(timeMs) && Number.isFinite(lonDeg) && latDeg >= -90 && latDeg <= 90;
}

/** By position in `FIX_METRIC_CODES`. */
function fixMetric(fixes: FixColumns, row: number, index: number): number {
  switch (index) {
    case 0:
      return fixes.speedMps[row]!;
    case 1:
      return fixes.accuracyM[row]!;
    case 2:
      return fixes.ignition[row]!;
    default:
      return fixes.motion[row]!;
  }
}

function assertColumns(columns: FixColumns | ReadingColumns): void {
  const { count } = columns;
  assert(Number.isInteger(count) && count >= 0, `a batch of ${count} rows`);
  for (const column of Object.values(columns) as (number | ArrayLike<unknown>)[]) {
    assert(typeof column === 'number' || column.length >= count, `a column under ${count} rows`);
  }
}

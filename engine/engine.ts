/**
 * The engine of one partition: holds what its devices' states are and says what follows from a batch of fixes and
 * readings. Pure: no clock, no I/O; the same batches over the same edits give the same events in the same order.
 *
 * States: settled → (`evaluate`) → pending → (`commit` or `rollback`) → settled. While pending, no other batch may be
 * evaluated.
 */
import assert from 'node:assert/strict';
import { Core } from './core.ts';
import { DeviceTable } from './device-table.ts';
import { nextDueMs, planDue, stepDue } from './due-steps.ts';
import { stepFences } from './fence-steps.ts';
import { wrapLonDeg } from './geodesy.ts';
import { RowSorter, atLeast } from './rows.ts';
import { stepRules, type Sample } from './rule-steps.ts';
import type { Scope } from './scope.ts';
import type { FenceFix } from './search.ts';
import { changesOf } from './changes.ts';
import { stateOf, staysOf } from './state.ts';
import { isClear } from './clear-box.ts';
import { sweepStays } from './sweep.ts';
import type {
  Device,
  DeviceChange,
  DeviceLast,
  DeviceState,
  EngineBatch,
  EngineEvent,
  Evaluation,
  FixColumns,
  LateFixes,
  ReadingColumns,
} from './types.ts';
import type { World } from './world.ts';

export interface Engine {
  /**
   * Works a batch out; it takes effect with `commit` and leaves no trace after `rollback`. Rows may come in any order:
   * each device's are taken by time, fixes before readings of the same time. Rows not newer than the device's last
   * evaluated fix (or reading of that code), and fixes that are NaN or off the earth, count as late and do nothing.
   * Rows of devices that the world does not know are passed over. The order of events is that of the README. Asserts
   * that no batch is pending.
   */
  evaluate(batch: EngineBatch): Evaluation;
  /** Keeps what the pending batch changed. Asserts that there is one. */
  commit(): void;
  /** Undoes what the pending batch changed, so that it may be evaluated again. Asserts that there is one. */
  rollback(): void;
  /**
   * Sets a device to what was stored of it. Without it a device starts anew, and its next fix is its first ever. `device`
   * is whose it was, if the world does not know it any more: the next batch then ends its visits. Asserts that the pending
   * batch has not touched the device.
   */
  restore(
    deviceId: number,
    state: DeviceState | null,
    last: DeviceLast | null,
    device?: Device,
  ): void;
  /** The state as of the last commit; `null` for a device of which nothing is held. */
  snapshot(deviceId: number): DeviceState | null;
  /** When an empty batch is due by the clock; Infinity: not before something else happens. */
  nextDueMs(): number;
  /** Whether edits may have ended visits: an empty batch is due at once. */
  hasWork(): boolean;
}

/** For tests; everything has its default in production. */
export interface EngineOptions {
  /** False: every fix is searched anew. Changes no result. */
  readonly usesClearBox?: boolean;
}

/** An engine without devices over a shared world, whose edits it sees with the next batch. */
export function createEngine(world: World, { usesClearBox = true }: EngineOptions = {}): Engine {
  return new PartitionEngine(new Core(world, usesClearBox));
}

class PartitionEngine implements Engine {
  private readonly core: Core;
  private readonly table = new DeviceTable();
  /** States that were restored and not needed yet: fences they speak of may still be on their way. */
  private readonly restored = new Map<number, DeviceState>();
  private pending = false;
  /** The world's `staysEpoch` as of the last sweep, and as of the last that was committed. */
  private sweptEpoch = -1;
  private committedEpoch = -1;

  // The readings of the pending batch that moved a slot's readingMs, to be undone from the end.
  private readonly logSlots: number[] = [];
  private readonly logCodes: string[] = [];
  private readonly logMs: (number | undefined)[] = [];

  // Scratch, reused from batch to batch.
  private fixNext = new Int32Array(1024);
  private readingNext = new Int32Array(1024);
  private readonly fixRows = new RowSorter();
  private readonly readingRows = new RowSorter();
  private readonly fix: FenceFix = { timeMs: NaN, lonDeg: NaN, latDeg: NaN, accuracyM: NaN };
  private readonly sample: Sample = { value: NaN, timeMs: NaN };
  private latestRows = new Int32Array(1024);
  private latestCount = 0;
  private lateCount = 0;
  private readonly late = new Map<number, LateFixes>();

  constructor(core: Core) {
    this.core = core;
  }

  evaluate({ fixes, readings, nowMs }: EngineBatch): Evaluation {
    assert(!this.pending, 'evaluate: the batch before is neither committed nor rolled back');
    assertColumns(fixes);
    assertColumns(readings);
    const { core } = this;
    this.pending = true;
    core.events = [];
    this.latestCount = 0;
    this.lateCount = 0;
    this.late.clear();
    this.settleRestored();
    if (this.sweptEpoch !== core.world.staysEpoch && !Number.isNaN(nowMs)) {
      sweepStays(core, nowMs);
      core.events.sort(byDevice);
      this.sweptEpoch = core.world.staysEpoch;
    }
    this.chain(fixes, readings);
    const { touched } = core;
    this.latestRows = atLeast(this.latestRows, touched.withRows);
    for (let i = 0; i < touched.withRows; i++) this.stepDevice(touched.order[i]!, fixes, readings);
    if (!Number.isNaN(nowMs)) this.stepClock(nowMs);
    return this.evaluation();
  }

  commit(): void {
    assert(this.pending, 'commit: no batch is pending');
    const { touched, slots, stays } = this.core;
    touched.settle(slots, stays);
    this.committedEpoch = this.sweptEpoch;
    this.settle();
  }

  rollback(): void {
    assert(this.pending, 'rollback: no batch is pending');
    const { touched, slots, stays } = this.core;
    for (let i = this.logSlots.length - 1; i >= 0; i--) {
      const readingMs = slots.readingMs.get(this.logSlots[i]!)!;
      const before = this.logMs[i];
      if (before === undefined) readingMs.delete(this.logCodes[i]!);
      else readingMs.set(this.logCodes[i]!, before);
    }
    for (let i = 0; i < touched.count; i++) {
      const slot = touched.slot(i);
      touched.revert(slots, stays, i);
      // What was taken out of the heap is still due.
      if (slots.dueMs(slot) < Infinity) this.core.due.push(slots.dueMs(slot), slot);
      if (touched.isFresh(i)) this.drop(slot);
    }
    touched.clear();
    this.sweptEpoch = this.committedEpoch;
    this.settle();
  }

  restore(
    deviceId: number,
    state: DeviceState | null,
    last: DeviceLast | null,
    device?: Device,
  ): void {
    const { slots } = this.core;
    const known = this.table.get(deviceId);
    assert(
      known < 0 || slots.touch(known) < 0,
      `restore: device ${deviceId} is in a pending batch`,
    );
    if (known >= 0) this.drop(known);
    const slot = slots.take(deviceId);
    this.table.add(deviceId, slot);
    slots.device[slot] = device ?? null;
    if (last !== null) {
      const { fixMs, latDeg, accuracyM } = last;
      slots.setFix(slot, { timeMs: fixMs, lonDeg: wrapLonDeg(last.lonDeg), latDeg, accuracyM });
    }
    const codes = Object.entries(last?.readingMs ?? {});
    if (codes.length > 0) slots.readingMs.set(slot, new Map(codes));
    if (state !== null) {
      if (state.rules.length > 0) {
        slots.setRules(
          slot,
          state.rules.toSorted((a, b) => a.ruleId - b.ruleId),
        );
      }
      if (hasStays(state)) this.restored.set(slot, state);
    }
    this.sweptEpoch = -1;
    // Also when a pending batch is rolled back.
    this.committedEpoch = -1;
  }

  snapshot(deviceId: number): DeviceState | null {
    const { slots, stays, touched } = this.core;
    const slot = this.table.get(deviceId);
    if (slot < 0) return null;
    const i = slots.touch(slot);
    if (i >= 0) {
      if (touched.isFresh(i)) return null;
      return stateOf(stays, touched.stays(i), touched.rules[i]!);
    }
    const restored = this.restored.get(slot);
    return restored ?? stateOf(stays, slots.stays(slot), slots.rules(slot));
  }

  nextDueMs(): number {
    return nextDueMs(this.core);
  }

  hasWork(): boolean {
    const { world, stays } = this.core;
    return (
      !this.pending &&
      this.sweptEpoch !== world.staysEpoch &&
      (stays.count > 0 || this.restored.size > 0)
    );
  }

  private settle(): void {
    this.logSlots.length = 0;
    this.logCodes.length = 0;
    this.logMs.length = 0;
    this.pending = false;
  }

  private drop(slot: number): void {
    const { slots, stays } = this.core;
    stays.removeList(slots.stays(slot));
    this.restored.delete(slot);
    this.table.delete(slots.deviceId[slot]!);
    slots.giveUp(slot);
  }

  /** Makes stays of what was restored, now that everything it speaks of is known if it ever will be. */
  private settleRestored(): void {
    const { core, restored } = this;
    if (restored.size === 0) return;
    const { slots, world } = core;
    for (const [slot, state] of restored) {
      const device = slots.device[slot] ?? world.devices.get(slots.deviceId[slot]!);
      // Not told of yet: it waits on.
      if (!device) continue;
      slots.device[slot] = device;
      slots.setStays(slot, staysOf(world, core.stays, state, device.tenantId));
      // What was edited meanwhile has to be held against them.
      this.sweptEpoch = -1;
      planDue(core, slot);
      restored.delete(slot);
    }
  }

  /** Hangs every row of a known device onto its place among the touched. */
  private chain(fixes: FixColumns, readings: ReadingColumns): void {
    const { touched, slots } = this.core;
    const fixNext = (this.fixNext = atLeast(this.fixNext, fixes.count));
    for (let row = 0; row < fixes.count; row++) {
      const slot = this.slotOf(fixes.deviceId[row]!);
      if (slot >= 0) touched.addFix(slots.touch(slot), row, fixNext);
    }
    const readingNext = (this.readingNext = atLeast(this.readingNext, readings.count));
    for (let row = 0; row < readings.count; row++) {
      const slot = this.slotOf(readings.deviceId[row]!);
      if (slot >= 0) touched.addReading(slots.touch(slot), row, readingNext);
    }
  }

  /** The device's slot, pending and bound to its device; −1 for one that the world does not know. */
  private slotOf(deviceId: number): number {
    const { core, table } = this;
    const { slots, world } = core;
    let slot = table.get(deviceId);
    if (slot >= 0 && slots.deviceEpoch[slot] === world.devicesEpoch) {
      core.begin(slot);
      return slot;
    }
    const device = world.devices.get(deviceId);
    if (!device) return -1;
    if (slot >= 0) core.begin(slot);
    else {
      slot = slots.take(deviceId);
      table.add(deviceId, slot);
      core.begin(slot, true);
    }
    slots.deviceEpoch[slot] = world.devicesEpoch;
    if (slots.device[slot] !== device) {
      slots.device[slot] = device;
      slots.scope[slot] = null;
      slots.stepEpoch[slot] = -1;
      slots.setClearEpoch(slot, -1);
    }
    return slot;
  }

  /** Takes a device's rows by time. */
  private stepDevice(i: number, fixes: FixColumns, readings: ReadingColumns): void {
    const { fixRows, readingRows, core } = this;
    const { touched } = core;
    const slot = touched.slot(i);
    const fixHead = touched.fixHead(i);
    const readingHead = touched.readingHead(i);
    let latest = -1;
    if (readingHead < 0 && fixHead >= 0 && this.fixNext[fixHead]! < 0) {
      if (this.stepFix(slot, fixes, fixHead)) latest = fixHead;
    } else {
      fixRows.take(fixHead, this.fixNext, fixes.timeMs);
      readingRows.take(readingHead, this.readingNext, readings.timeMs);
      let r = 0;
      for (let f = 0; f < fixRows.count; f++) {
        const row = fixRows.rows[f]!;
        const timeMs = fixes.timeMs[row]!;
        while (r < readingRows.count && readings.timeMs[readingRows.rows[r]!]! < timeMs) {
          this.stepReading(slot, readings, readingRows.rows[r++]!);
        }
        if (this.stepFix(slot, fixes, row)) latest = row;
      }
      while (r < readingRows.count) this.stepReading(slot, readings, readingRows.rows[r++]!);
    }
    if (latest >= 0) this.latestRows[this.latestCount++] = latest;
  }

  /** False when the fix was late or nowhere. */
  private stepFix(slot: number, fixes: FixColumns, row: number): boolean {
    const { core, fix } = this;
    const { slots } = core;
    fix.timeMs = fixes.timeMs[row]!;
    fix.lonDeg = wrapLonDeg(fixes.lonDeg[row]!);
    fix.latDeg = fixes.latDeg[row]!;
    fix.accuracyM = Math.fround(fixes.accuracyM[row]!);
    if (fix.timeMs <= slots.fixMs(slot) || !isOnEarth(fix)) {
      this.noteLate(slot, fix);
      return false;
    }
    const { ofFix } = core.scopeOf(slot);
    if (fix.timeMs < slots.dueMs(slot) && isClear(core, slot, fix.lonDeg, fix.latDeg)) {
      slots.setFix(slot, fix);
    } else stepFences(core, slot, fix);
    if (ofFix !== null) this.stepFixRules(slot, ofFix, fixes, row);
    return true;
  }

  private stepFixRules(
    slot: number,
    ofFix: NonNullable<Scope['ofFix']>,
    fixes: FixColumns,
    row: number,
  ): void {
    const { core, sample } = this;
    const subject = core.subject.set(core.slots, slot);
    sample.timeMs = fixes.timeMs[row]!;
    for (let i = 0; i < ofFix.length; i++) {
      const rules = ofFix[i];
      if (!rules) continue;
      sample.value = fixMetric(fixes, row, i);
      stepRules(subject, rules, sample, core.events);
    }
    core.slots.setRules(slot, subject.rules);
  }

  private stepReading(slot: number, readings: ReadingColumns, row: number): void {
    const { core, sample } = this;
    const { slots } = core;
    const code = readings.metricCode[row]!;
    const timeMs = readings.timeMs[row]!;
    let readingMs = slots.readingMs.get(slot);
    if (!readingMs) slots.readingMs.set(slot, (readingMs = new Map<string, number>()));
    const lastMs = readingMs.get(code);
    if (Number.isNaN(timeMs) || (lastMs !== undefined && timeMs <= lastMs)) {
      this.lateCount++;
      return;
    }
    this.logSlots.push(slot);
    this.logCodes.push(code);
    this.logMs.push(lastMs);
    readingMs.set(code, timeMs);
    const rules = core.scopeOf(slot).byCode.get(code);
    if (!rules) return;
    sample.timeMs = timeMs;
    sample.value = readings.value[row]!;
    const subject = core.subject.set(slots, slot);
    stepRules(subject, rules, sample, core.events);
    slots.setRules(slot, subject.rules);
  }

  /** A repeat of the newest fix is stored already, so only one before it says something of the past. */
  private noteLate(slot: number, fix: FenceFix): void {
    this.lateCount++;
    if (!(fix.timeMs < this.core.slots.fixMs(slot)) || !isOnEarth(fix)) return;
    const deviceId = this.core.slots.deviceId[slot]!;
    const before = this.late.get(deviceId);
    this.late.set(deviceId, {
      deviceId,
      fromMs: Math.min(fix.timeMs, before?.fromMs ?? Infinity),
      toMs: Math.max(fix.timeMs, before?.toMs ?? -Infinity),
    });
  }

  /** Lets follow what is due by the clock. */
  private stepClock(nowMs: number): void {
    const { core } = this;
    const before = core.events.length;
    while (nextDueMs(core) <= nowMs) {
      const slot = core.due.firstSlot;
      core.due.pop();
      core.begin(slot);
      stepDue(core, slot, nowMs, true);
    }
    // The heap does not say which of two that are due at once comes first.
    if (core.events.length > before + 1) {
      core.events.push(...core.events.splice(before).sort(byDevice));
    }
  }

  private evaluation(): Evaluation {
    let changed: readonly DeviceChange[] | null = null;
    const work = (): readonly DeviceChange[] => {
      assert(this.pending, 'changed: to be asked for while the batch is pending');
      return changesOf(this.core);
    };
    return {
      events: this.core.events,
      get changed() {
        return (changed ??= work());
      },
      latestFixRows: this.latestRows.slice(0, this.latestCount),
      lateCount: this.lateCount,
      lateFixes: [...this.late.values()],
    };
  }
}

/** Stable: what a device's own order is stays. */
function byDevice(a: EngineEvent, b: EngineEvent): number {
  return a.deviceId - b.deviceId;
}

function hasStays({ inside, entering, ended }: DeviceState): boolean {
  return inside.length + entering.length + ended.length > 0;
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

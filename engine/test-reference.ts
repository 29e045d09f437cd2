/**
 * The contract of the README as plainly as it can be said, for tests to hold the engine against: objects in maps,
 * every fence asked at every fix, nothing remembered but what the tables name. It cannot roll back, and it is slow.
 */
import { wrapLonDeg } from './geodesy.ts';
import { closingMs, isOpen } from './test-plain-hours.ts';
import { holds } from './test-plain-shapes.ts';
import type { Fix, Stay } from './test-plain-stays.ts';
import {
  begin,
  causeOf,
  countIn,
  countOut,
  isAccurate,
  isCrossed,
  isInBuffer,
  isInForce,
  speaksOf,
} from './test-plain-stays.ts';
import { stepPlainRules, type PlainValue } from './test-plain-rules.ts';
import type {
  Device,
  DeviceState,
  Edit,
  EngineBatch,
  EngineEvent,
  EventCause,
  EventType,
  Fence,
  LateFixes,
  Rule,
  RuleState,
} from './types.ts';

/** What a batch comes to. */
export interface Outcome {
  readonly events: readonly EngineEvent[];
  /** How many of them, from the first, edits have caused; and how many edits and rows. */
  readonly byEdits: number;
  readonly byRows: number;
  readonly latestFixRows: readonly number[];
  readonly lateCount: number;
  readonly lateFixes: readonly LateFixes[];
}

interface Reading {
  readonly row: number;
  readonly timeMs: number;
}

interface Unit {
  /** Whose it was with the batch before. */
  device: Device;
  last: Fix | null;
  readonly readingMs: Map<string, number>;
  readonly stays: Map<number, Stay>;
  rules: readonly RuleState[];
}

/** What a transition says beside who and where. */
type Told = Pick<EngineEvent, 'timeMs' | 'cause' | 'enteredMs' | 'leftMs' | 'lastFixMs'>;

const FIX_METRICS = ['speed_mps', 'accuracy_m', 'ignition', 'motion'] as const;

export class Reference {
  private readonly fences = new Map<number, Fence>();
  /** Deleted ones, too: their exits are still to be told. */
  private readonly everKnown = new Map<number, Fence>();
  private readonly rules = new Map<number, Rule>();
  private readonly devices = new Map<number, Device>();
  private readonly units = new Map<number, Unit>();
  private events: EngineEvent[] = [];
  private late: Fix[] = [];
  private lateCount = 0;

  /** As `applyEdits`: of several on one id the last stands, and nobody has seen the others. */
  apply(edits: readonly Edit[]): void {
    for (const edit of edits) {
      if (edit.type === 'fence_put') this.fences.set(edit.fence.fenceId, edit.fence);
      else if (edit.type === 'fence_delete') this.fences.delete(edit.fenceId);
      else if (edit.type === 'rule_put') this.rules.set(edit.rule.ruleId, edit.rule);
      else if (edit.type === 'rule_delete') this.rules.delete(edit.ruleId);
      else if (edit.type === 'device_put') this.devices.set(edit.device.deviceId, edit.device);
      else this.devices.delete(edit.deviceId);
    }
    for (const [fenceId, fence] of this.fences) this.everKnown.set(fenceId, fence);
  }

  evaluate(batch: EngineBatch): Outcome {
    this.events = [];
    this.lateCount = 0;
    for (const [deviceId, unit] of this.units) this.endByEdits(deviceId, unit, batch.nowMs);
    const byEdits = this.events.length;
    const latestFixRows: number[] = [];
    const lateFixes: LateFixes[] = [];
    const { fixes, readings } = batch;
    const told = new Set<number>();
    for (let row = 0; row < fixes.count; row++) told.add(fixes.deviceId[row]!);
    for (let row = 0; row < readings.count; row++) told.add(readings.deviceId[row]!);
    for (const deviceId of told) {
      const device = this.devices.get(deviceId);
      if (device === undefined) continue;
      const unit = this.unitOf(device);
      this.late = [];
      const before = unit.last;
      this.stepRows(unit, batch);
      if (unit.last !== null && unit.last !== before) latestFixRows.push(unit.last.row);
      if (this.late.length === 0) continue;
      const timesMs = this.late.map(({ timeMs }) => timeMs);
      lateFixes.push({ deviceId, fromMs: Math.min(...timesMs), toMs: Math.max(...timesMs) });
    }
    const byRows = this.events.length;
    if (!Number.isNaN(batch.nowMs)) {
      for (const unit of this.units.values()) this.pass(unit, batch.nowMs, true);
    }
    const { events, lateCount } = this;
    return { events, byEdits, byRows, latestFixRows, lateCount, lateFixes };
  }

  /** As `Engine.snapshot`. */
  snapshot(deviceId: number): DeviceState | null {
    const unit = this.units.get(deviceId);
    if (unit === undefined) return null;
    const stays = staysOf(unit);
    return {
      inside: stays
        .filter(({ phase }) => phase === 'inside')
        .map((stay) => ({
          fenceId: stay.fenceId,
          version: stay.version,
          name: this.everKnown.get(stay.fenceId)!.name,
          enteredMs: stay.enteredMs,
          enterMs: stay.enterMs,
          dwelled: stay.dwelled,
          outCount: stay.count,
          outMs: stay.count > 0 ? stay.outMs : null,
          lastInMs: stay.count > 0 ? stay.lastInMs : null,
          endMs: stay.endMs === Infinity ? null : stay.endMs,
        })),
      entering: stays
        .filter(({ phase }) => phase === 'entering')
        .map(({ fenceId, version, count, enteredMs, cause }) => {
          return { fenceId, version, inCount: count, firstMs: enteredMs, cause };
        }),
      ended: stays
        .filter(({ phase }) => phase === 'ended')
        .map(({ fenceId, endMs }) => ({ fenceId, untilMs: endMs })),
      rules: unit.rules,
    };
  }

  /** As `Engine.nextDueMs`. */
  nextDueMs(): number {
    let dueMs = Infinity;
    for (const unit of this.units.values()) {
      for (const stay of staysOf(unit)) {
        if (stay.phase === 'inside') dueMs = Math.min(dueMs, this.dwellDueMs(stay), stay.endMs);
      }
    }
    return dueMs;
  }

  private unitOf(device: Device): Unit {
    let unit = this.units.get(device.deviceId);
    if (unit === undefined) {
      unit = { device, last: null, readingMs: new Map(), stays: new Map(), rules: [] };
      this.units.set(device.deviceId, unit);
    }
    return unit;
  }

  /** Rows of the table whose third column says "with the next batch". */
  private endByEdits(deviceId: number, unit: Unit, nowMs: number): void {
    const now = this.devices.get(deviceId) ?? null;
    const fixMs = unit.last?.timeMs ?? NaN;
    const timeMs = nowMs > fixMs || Number.isNaN(fixMs) ? nowMs : fixMs;
    for (const stay of staysOf(unit)) {
      if (stay.phase === 'ended') continue;
      const cause = this.endingCause(stay, unit.device, now) ?? this.newHours(stay, timeMs);
      if (cause === null) continue;
      unit.stays.delete(stay.fenceId);
      if (stay.phase === 'inside') this.tellExit(unit, stay, { timeMs, cause, leftMs: timeMs });
    }
    if (now !== null) unit.device = now;
  }

  private endingCause({ fenceId }: Stay, was: Device, now: Device | null): EventCause | null {
    const fence = this.fences.get(fenceId);
    if (now === null) return 'device_removed';
    if (now.equipmentId !== was.equipmentId) return 'assignment_changed';
    if (fence === undefined) return 'fence_removed';
    if (speaksOf(fence, now)) return null;
    return speaksOf(fence, was) ? 'assignment_changed' : 'fence_changed';
  }

  /** Other hours hold at once: not in force by them, the fence lets go of the unit. */
  private newHours(stay: Stay, timeMs: number): EventCause | null {
    const { version, schedule } = this.fences.get(stay.fenceId)!;
    if (stay.phase !== 'inside' || stay.version === version || stay.endMs <= timeMs) return null;
    if (schedule !== null && !isOpen(schedule, timeMs)) return 'fence_changed';
    stay.endMs = schedule === null ? Infinity : closingMs(schedule, timeMs);
    return null;
  }

  /** A device's rows by time, a fix before a reading of its time; rows without a time are late wherever they stand. */
  private stepRows(unit: Unit, { fixes, readings }: EngineBatch): void {
    const { deviceId } = unit.device;
    const steps: { timeMs: number; take: () => void }[] = [];
    for (let row = 0; row < fixes.count; row++) {
      if (fixes.deviceId[row] !== deviceId) continue;
      const fix: Fix = {
        row,
        timeMs: fixes.timeMs[row]!,
        lonDeg: wrapLonDeg(fixes.lonDeg[row]!),
        latDeg: fixes.latDeg[row]!,
        accuracyM: fixes.accuracyM[row]!,
      };
      const values = [fixes.speedMps, fixes.accuracyM, fixes.ignition, fixes.motion];
      steps.push({
        timeMs: fix.timeMs,
        take: () =>
          this.takeFix(
            unit,
            fix,
            values.map((column) => column[row]!),
          ),
      });
    }
    for (let row = 0; row < readings.count; row++) {
      if (readings.deviceId[row] !== deviceId) continue;
      const reading = { row, timeMs: readings.timeMs[row]! };
      const metricCode = readings.metricCode[row]!;
      const value = readings.value[row]!;
      const { timeMs } = reading;
      steps.push({
        timeMs,
        take: () => this.takeReading(unit, reading, { metricCode, value, timeMs }),
      });
    }
    const order = (timeMs: number): number => (Number.isNaN(timeMs) ? 0 : timeMs);
    steps.sort((a, b) => order(a.timeMs) - order(b.timeMs));
    for (const { take } of steps) take();
  }

  private takeFix(unit: Unit, fix: Fix, values: readonly number[]): void {
    const { timeMs, lonDeg, latDeg } = fix;
    const isSomewhere = Number.isFinite(timeMs + lonDeg + latDeg) && Math.abs(latDeg) <= 90;
    const newestMs = unit.last?.timeMs ?? -Infinity;
    if (!isSomewhere || timeMs <= newestMs) {
      this.lateCount++;
      if (isSomewhere && timeMs < newestMs) this.late.push(fix);
      return;
    }
    this.stepFences(unit, fix);
    for (const [i, metricCode] of FIX_METRICS.entries()) {
      this.stepRules(unit, { metricCode, value: values[i]!, timeMs });
    }
  }

  private takeReading(unit: Unit, { timeMs }: Reading, value: PlainValue): void {
    const newestMs = unit.readingMs.get(value.metricCode) ?? -Infinity;
    if (Number.isNaN(timeMs) || timeMs <= newestMs) {
      this.lateCount++;
      return;
    }
    unit.readingMs.set(value.metricCode, timeMs);
    this.stepRules(unit, value);
  }

  private stepRules(unit: Unit, heard: PlainValue): void {
    const rules = [...this.rules.values()]
      .filter((rule) => speaksOf(rule, unit.device))
      .filter(({ equipmentId }) => equipmentId === null || equipmentId === unit.device.equipmentId)
      .sort((a, b) => a.ruleId - b.ruleId);
    const { states, turns } = stepPlainRules(unit.rules, rules, heard);
    unit.rules = states;
    for (const { type, rule, value, cause } of turns) {
      this.events.push({
        ...this.eventOf(unit, type, null, { timeMs: value.timeMs, cause }),
        ruleId: rule.ruleId,
        subjectName: rule.name,
        subjectVersion: rule.version,
        metricCode: rule.metricCode,
        metricValue: value.value,
        severity: rule.severity,
      });
    }
  }

  private stepFences(unit: Unit, fix: Fix): void {
    this.pass(unit, fix.timeMs, false);
    this.forgetEnded(unit, fix);
    const before = unit.last;
    unit.last = fix;
    const exits: Stay[] = [];
    const enters: Stay[] = [];
    const crossed: Fence[] = [];
    for (const fence of [...this.fences.values()].sort((a, b) => a.fenceId - b.fenceId)) {
      if (!speaksOf(fence, unit.device)) continue;
      const stay = unit.stays.get(fence.fenceId);
      if (!isAccurate(fence, fix) || stay?.phase === 'ended') continue;
      const isIn = isInForce(fence, fix.timeMs) && holds(fence.shape, fix);
      // The fix before, as far as it may speak for this fence.
      const spoken = before !== null && isAccurate(fence, before) ? before : null;
      if (stay === undefined && isIn) {
        const opened = this.open(
          unit,
          fence,
          fix,
          before === null ? 'first_fix' : causeOf(fence, spoken, fix),
        );
        if (opened.phase === 'inside') enters.push(opened);
      } else if (stay === undefined) {
        if (spoken !== null && isCrossed(fence, spoken, fix)) crossed.push(fence);
      } else if (stay.phase === 'entering') {
        if (!isIn) unit.stays.delete(fence.fenceId);
        else if (countIn(stay, fence, fix, spoken)) enters.push(stay);
      } else if (isIn || holds(fence.shape, fix) || isInBuffer(fence, fix)) {
        stay.count = 0;
        stay.version = fence.version;
      } else if (countOut(stay, fence, fix, { before, spoken })) {
        unit.stays.delete(fence.fenceId);
        exits.push(stay);
      }
    }
    const { timeMs } = fix;
    for (const stay of exits) this.tellExit(unit, stay, { timeMs, cause: stay.cause, leftMs: NaN });
    for (const stay of enters) this.tellEnter(unit, stay);
    this.pass(unit, timeMs, false);
    for (const fence of crossed) {
      this.events.push(this.eventOf(unit, 'geofence_cross', fence, { timeMs, cause: 'move' }));
    }
  }

  /** A window that the clock has ended is over once fixes from after its end come, whoever's the unit is by then. */
  private forgetEnded(unit: Unit, { timeMs }: Fix): void {
    for (const { fenceId, phase, endMs } of staysOf(unit)) {
      if (phase === 'ended' && timeMs >= endMs) unit.stays.delete(fenceId);
    }
  }

  private open(unit: Unit, fence: Fence, { timeMs }: Fix, cause: EventCause): Stay {
    const stay: Stay = {
      fenceId: fence.fenceId,
      phase: 'entering',
      version: fence.version,
      count: 1,
      cause,
      enteredMs: timeMs,
      enterMs: NaN,
      dwelled: false,
      outMs: NaN,
      lastInMs: NaN,
      endMs: Infinity,
    };
    unit.stays.set(fence.fenceId, stay);
    const waits = cause === 'move' || cause === 'first_fix';
    if (!waits || fence.enterFixCount <= 1) begin(stay, fence, timeMs);
    return stay;
  }

  /** What time alone brings until `untilMs`, included. */
  private pass(unit: Unit, untilMs: number, isByClock: boolean): void {
    const due: { atMs: number; tell: () => void }[] = [];
    for (const stay of staysOf(unit).filter(({ phase }) => phase === 'inside')) {
      const fence = this.everKnown.get(stay.fenceId)!;
      const dwellMs = this.dwellDueMs(stay);
      if (dwellMs <= untilMs) {
        const { enteredMs } = stay;
        const told = { timeMs: dwellMs, cause: 'move', enteredMs } as const;
        due.push({
          atMs: dwellMs,
          tell: () => this.events.push(this.eventOf(unit, 'geofence_dwell', fence, told)),
        });
        stay.dwelled = true;
      }
      const { endMs } = stay;
      if (endMs > untilMs) continue;
      const told = { timeMs: endMs, cause: 'schedule', leftMs: endMs } as const;
      due.push({ atMs: endMs, tell: () => this.tellExit(unit, stay, told) });
      if (isByClock) stay.phase = 'ended';
      else unit.stays.delete(stay.fenceId);
    }
    for (const { tell } of due.sort((a, b) => a.atMs - b.atMs)) tell();
  }

  private dwellDueMs(stay: Stay): number {
    const { dwellMs } = this.everKnown.get(stay.fenceId)!;
    if (dwellMs === null || stay.dwelled || stay.count > 0) return Infinity;
    const reachedMs = Math.max(stay.enteredMs + dwellMs, stay.enterMs);
    return reachedMs <= stay.endMs ? reachedMs : Infinity;
  }

  private tellEnter(unit: Unit, { fenceId, cause, enteredMs, enterMs }: Stay): void {
    const told = { timeMs: enterMs, cause, enteredMs };
    this.events.push(this.eventOf(unit, 'geofence_enter', this.everKnown.get(fenceId)!, told));
  }

  /**
   * `leftMs` and the newest fix, unless fixes outside have been counted: then the first of them and the one before
   * it.
   */
  private tellExit(
    unit: Unit,
    { fenceId, enteredMs, count, outMs, lastInMs }: Stay,
    { timeMs, cause, leftMs }: Pick<Told, 'timeMs' | 'cause' | 'leftMs'>,
  ): void {
    const times =
      count > 0
        ? { leftMs: outMs, lastFixMs: lastInMs }
        : { leftMs, lastFixMs: unit.last?.timeMs ?? NaN };
    const told = { timeMs, cause, enteredMs, ...times };
    this.events.push(this.eventOf(unit, 'geofence_exit', this.everKnown.get(fenceId)!, told));
  }

  private eventOf(
    { device, last }: Unit,
    type: EventType,
    fence: Fence | null,
    told: Pick<Told, 'timeMs' | 'cause'> & Partial<Told>,
  ): EngineEvent {
    return {
      type,
      deviceId: device.deviceId,
      equipmentId: device.equipmentId,
      tenantId: device.tenantId,
      accountId: device.accountId,
      timeMs: told.timeMs,
      lonDeg: last?.lonDeg ?? NaN,
      latDeg: last?.latDeg ?? NaN,
      fenceId: fence?.fenceId ?? null,
      ruleId: null,
      subjectName: fence?.name ?? '',
      subjectVersion: fence?.version ?? NaN,
      metricCode: null,
      metricValue: null,
      severity: 'info',
      initial: told.cause === 'first_fix',
      cause: told.cause,
      enteredMs: told.enteredMs ?? NaN,
      leftMs: told.leftMs ?? NaN,
      lastFixMs: told.lastFixMs ?? NaN,
    };
  }
}

function staysOf({ stays }: Unit): Stay[] {
  return [...stays.values()].sort((a, b) => a.fenceId - b.fenceId);
}

/**
 * Plays the database: what is told to it in a transaction is there as a whole or not at all. Fixes and readings are
 * there once, by device and time; an event by its key; the state of a device as text. Forgets nothing, and knows no
 * engine.
 */
import type { FixRow, ReadingRow } from '../../engine/test-data.ts';
import type {
  Device,
  DeviceChange,
  DeviceLast,
  Edit,
  EngineEvent,
  Fence,
  Rule,
} from '../../engine/types.ts';
import { eventKey } from '../../ingest/events.ts';
import { hold } from './breach.ts';
import { Visits } from './visits.ts';

/** What one transaction writes. */
export interface Work {
  readonly step: number;
  readonly fixes: readonly FixRow[];
  readonly readings: readonly ReadingRow[];
  readonly events: readonly EngineEvent[];
  readonly changed: readonly DeviceChange[];
  /** Devices of the partition as this batch knew them. */
  readonly devices: readonly Device[];
}

export interface StateRow {
  /** A `DeviceState` as JSON. */
  readonly text: string;
  /** Whose the device was with the last batch that saw an edit, or changed the state. */
  readonly device: Device;
}

/**
 * A state as text without the names of fences: these are as of the last time that something else about the state
 * changed, and serve only to tell of a fence that is gone.
 */
export function withoutNames(text: string): string {
  return text.replaceAll(/"name":"[^"]*",/g, '');
}

/** The rows that a step brought. */
export interface StoredRows {
  readonly fixes: FixRow[];
  readonly readings: ReadingRow[];
}

export class Store {
  readonly devices = new Map<number, Device>();
  readonly states = new Map<number, StateRow>();
  readonly visits = new Visits();
  readonly rowsByStep = new Map<number, StoredRows>();
  fixCount = 0;
  eventCount = 0;
  private readonly fences = new Map<number, Fence>();
  private readonly rules = new Map<number, Rule>();
  private readonly fixTimes = new Map<number, Set<number>>();
  private readonly newestFix = new Map<number, FixRow>();
  private readonly readingTimes = new Map<string, Set<number>>();
  private readonly newestReadingMs = new Map<number, Record<string, number>>();
  /** Events by key. */
  private readonly feed = new Map<string, string>();

  /** What people change is there at once. */
  edit(edits: readonly Edit[]): void {
    for (const edit of edits) {
      if (edit.type === 'fence_put') this.fences.set(edit.fence.fenceId, edit.fence);
      else if (edit.type === 'fence_delete') this.fences.delete(edit.fenceId);
      else if (edit.type === 'rule_put') this.rules.set(edit.rule.ruleId, edit.rule);
      else if (edit.type === 'rule_delete') this.rules.delete(edit.ruleId);
      else if (edit.type === 'device_put') this.devices.set(edit.device.deviceId, edit.device);
      else this.devices.delete(edit.deviceId);
    }
  }

  /** Everything that is in force, as a process reads it when it starts. */
  config(): Edit[] {
    return [
      ...[...this.fences.values()].map((fence): Edit => ({ type: 'fence_put', fence })),
      ...[...this.rules.values()].map((rule): Edit => ({ type: 'rule_put', rule })),
      ...[...this.devices.values()].map((device): Edit => ({ type: 'device_put', device })),
    ];
  }

  /** What a device said last. */
  lastOf(deviceId: number): DeviceLast | null {
    const fix = this.newestFix.get(deviceId);
    const readingMs = this.newestReadingMs.get(deviceId);
    if (fix === undefined && readingMs === undefined) return null;
    return {
      fixMs: fix?.timeMs ?? NaN,
      lonDeg: fix?.lonDeg ?? NaN,
      latDeg: fix?.latDeg ?? NaN,
      accuracyM: fix?.accuracyM ?? NaN,
      readingMs: { ...readingMs },
    };
  }

  /** Commits. `isAgain`: the same work may be there already, because its answer was lost. */
  commit(work: Work, isAgain = false): void {
    const stored = this.rowsOf(work.step);
    for (const fix of work.fixes) this.putFix(fix, stored);
    for (const reading of work.readings) this.putReading(reading, stored);
    for (const event of work.events) this.putEvent(event, isAgain);
    for (const device of work.devices) {
      const row = this.states.get(device.deviceId);
      if (row !== undefined) this.states.set(device.deviceId, { ...row, device });
    }
    for (const { deviceId, state, tenantId } of work.changed) {
      const device = this.devices.get(deviceId) ?? this.states.get(deviceId)?.device;
      const seen = (): string => `device ${deviceId} of tenant ${tenantId}`;
      hold(device !== undefined, 'states are of devices that are known', seen);
      this.states.set(deviceId, { text: JSON.stringify(state), device });
    }
  }

  private rowsOf(step: number): StoredRows {
    let rows = this.rowsByStep.get(step);
    if (rows === undefined) this.rowsByStep.set(step, (rows = { fixes: [], readings: [] }));
    return rows;
  }

  private putFix(fix: FixRow, stored: StoredRows): void {
    const { deviceId, timeMs } = fix;
    let times = this.fixTimes.get(deviceId);
    if (times === undefined) this.fixTimes.set(deviceId, (times = new Set()));
    if (times.has(timeMs)) return;
    times.add(timeMs);
    this.fixCount++;
    stored.fixes.push(fix);
    const newest = this.newestFix.get(deviceId);
    if (newest === undefined || timeMs > newest.timeMs) this.newestFix.set(deviceId, fix);
  }

  private putReading(reading: ReadingRow, stored: StoredRows): void {
    const { deviceId, metricCode, timeMs } = reading;
    const key = `${deviceId} ${metricCode}`;
    let times = this.readingTimes.get(key);
    if (times === undefined) this.readingTimes.set(key, (times = new Set()));
    if (times.has(timeMs)) return;
    times.add(timeMs);
    stored.readings.push(reading);
    const newest = this.newestReadingMs.get(deviceId) ?? {};
    const newestMs = Math.max(newest[metricCode] ?? -Infinity, timeMs);
    this.newestReadingMs.set(deviceId, { ...newest, [metricCode]: newestMs });
  }

  private putEvent(event: EngineEvent, isAgain: boolean): void {
    const key = eventKey(event);
    const text = JSON.stringify(event);
    const before = this.feed.get(key);
    if (before !== undefined) {
      const seen = (): string => `${before} and ${text}`;
      hold(isAgain && before === text, 'no event is told twice', seen);
      return;
    }
    this.holdTenant(event);
    this.visits.take(event);
    this.feed.set(key, text);
    this.eventCount++;
  }

  /**
   * What begins or is crossed is told of a fence and a device of one tenant, and of one account if the fence has one.
   */
  private holdTenant(event: EngineEvent): void {
    if (event.type === 'geofence_exit') return;
    const { fenceId, ruleId, deviceId } = event;
    const subject = fenceId !== null ? this.fences.get(fenceId) : this.rules.get(ruleId ?? NaN);
    const device = this.devices.get(deviceId);
    const seen = (): string => JSON.stringify({ event, device, tenantId: subject?.tenantId });
    const isOne =
      subject?.tenantId === event.tenantId &&
      device?.tenantId === event.tenantId &&
      device.accountId === event.accountId &&
      (subject.accountId === null || subject.accountId === event.accountId);
    hold(isOne, 'nothing is told of another tenant', seen);
  }
}

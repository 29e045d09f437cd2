/**
 * What an engine holds of each of its devices, in columns: a slot is a row. Knows fields, no rules.
 *
 * A slot is settled until a batch touches it, pending until the engine commits or rolls back, then settled again
 * (`touched.ts` remembers how it was).
 */
import type { Scope } from './scope.ts';
import { larger } from './stays.ts';
import type { Device, RuleState } from './types.ts';

export const NO_RULES: readonly RuleState[] = [];
const SLOTS_MIN = 64;

export class Slots {
  deviceId = new Float64Array(SLOTS_MIN);
  /** The newest evaluated fix; NaN before the first. */
  fixMs = new Float64Array(SLOTS_MIN);
  lonDeg = new Float64Array(SLOTS_MIN);
  latDeg = new Float64Array(SLOTS_MIN);
  accuracyM = new Float32Array(SLOTS_MIN);
  /** When one of its stays has something due; Infinity when none has. */
  dueMs = new Float64Array(SLOTS_MIN);
  /** The first of its stays, −1 when it has none. */
  stays = new Int32Array(SLOTS_MIN);
  /**
   * Four values a slot, minX, minY, maxX, maxY: no boundary of a fence runs through this box, as of the tenant's
   * `fencesEpoch` beside it (−1: no box), and the newest fix lies in it.
   */
  stillBox = new Float32Array(4 * SLOTS_MIN);
  stillEpoch = new Int32Array(SLOTS_MIN);
  /** Its place among those that the pending batch touched, −1 when it is settled. */
  touch = new Int32Array(SLOTS_MIN);
  /** The world's `devicesEpoch` as of which `device` is right, −1: to be looked up. */
  deviceEpoch = new Int32Array(SLOTS_MIN);
  /** Null until the device is heard, or told of by `restore`. */
  device: (Device | null)[] = [];
  scope: (Scope | null)[] = [];
  rules: (readonly RuleState[])[] = [];
  /** Newest evaluated reading by metric code; null while there is none. Put back through the engine's log of readings. */
  readingMs: (Map<string, number> | null)[] = [];
  /** Rows ever used; some may be free. */
  count = 0;
  private readonly free: number[] = [];

  /** A row for a device of which nothing is known. */
  take(deviceId: number): number {
    const slot = this.free.pop() ?? this.count++;
    if (slot === this.deviceId.length) this.grow();
    this.deviceId[slot] = deviceId;
    this.fixMs[slot] = NaN;
    this.lonDeg[slot] = NaN;
    this.latDeg[slot] = NaN;
    this.accuracyM[slot] = NaN;
    this.dueMs[slot] = Infinity;
    this.stays[slot] = -1;
    this.stillEpoch[slot] = -1;
    this.touch[slot] = -1;
    this.deviceEpoch[slot] = -1;
    this.device[slot] = null;
    this.scope[slot] = null;
    this.rules[slot] = NO_RULES;
    this.readingMs[slot] = null;
    return slot;
  }

  /** Gives a row up; its stays must have been given up. */
  giveUp(slot: number): void {
    this.stays[slot] = -1;
    this.dueMs[slot] = Infinity;
    this.touch[slot] = -1;
    this.device[slot] = null;
    this.scope[slot] = null;
    this.rules[slot] = NO_RULES;
    this.readingMs[slot] = null;
    this.free.push(slot);
  }

  private grow(): void {
    const length = Math.ceil(this.deviceId.length * 1.5);
    this.deviceId = larger(this.deviceId, new Float64Array(length));
    this.fixMs = larger(this.fixMs, new Float64Array(length));
    this.lonDeg = larger(this.lonDeg, new Float64Array(length));
    this.latDeg = larger(this.latDeg, new Float64Array(length));
    this.accuracyM = larger(this.accuracyM, new Float32Array(length));
    this.dueMs = larger(this.dueMs, new Float64Array(length));
    this.stays = larger(this.stays, new Int32Array(length));
    this.stillBox = larger(this.stillBox, new Float32Array(4 * length));
    this.stillEpoch = larger(this.stillEpoch, new Int32Array(length));
    this.touch = larger(this.touch, new Int32Array(length));
    this.deviceEpoch = larger(this.deviceEpoch, new Int32Array(length));
  }
}

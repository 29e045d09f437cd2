/**
 * What an engine holds of each of its devices. Knows fields, no rules.
 *
 * What every fix reads and writes is one cache line of a device, its row: with a column for each field, a batch of devices
 * that come in no particular order would wait for a line a field.
 *
 * A slot is settled until a batch touches it, pending until the engine commits or rolls back, then settled again
 * (`touched.ts` remembers how it was).
 */
import { filled, grownLength, larger } from './growth.ts';
import type { Scope } from './scope.ts';
import type { Device, RuleState } from './types.ts';

export const NO_RULES: readonly RuleState[] = [];
const SLOTS_MIN = 64;

/** Doubles of a row. */
const ROW_VALUES = 8;
const FIX_MS = 0;
const LON_DEG = 1;
const LAT_DEG = 2;
const DUE_MS = 3;
/** Halves of a double, in the row seen as 32-bit numbers. */
export const ROW_WORDS = 2 * ROW_VALUES;
const CLEAR_BOX = 8;
const ACCURACY_M = 12;
const STAYS = 13;
const CLEAR_EPOCH = 14;
const TOUCH = 15;

export class Slots {
  deviceId = new Float64Array(SLOTS_MIN);
  /** The world's `devicesEpoch` as of which `device` is right, −1: to be looked up. */
  deviceEpoch = new Int32Array(SLOTS_MIN);
  /** The tenant's `fencesEpoch` as of the newest fix, −1 when fences or device may have been others then. */
  stepEpoch = new Int32Array(SLOTS_MIN);
  /** Null until the device is heard, or told of by `restore`. */
  device = filled<Device | null>(SLOTS_MIN, null);
  scope = filled<Scope | null>(SLOTS_MIN, null);
  /** Newest evaluated reading by metric code, of slots that have one. Put back through the engine's log of readings. */
  readonly readingMs = new Map<number, Map<string, number>>();
  /** States of rules, of slots that have some: few do. */
  private readonly ruleStates = new Map<number, readonly RuleState[]>();
  /** Rows ever used; some may be free. */
  count = 0;
  private rows = new Float64Array(SLOTS_MIN * ROW_VALUES);
  private floats = new Float32Array(this.rows.buffer);
  private words = new Int32Array(this.rows.buffer);
  private readonly free: number[] = [];

  rules(slot: number): readonly RuleState[] {
    return this.ruleStates.size === 0 ? NO_RULES : (this.ruleStates.get(slot) ?? NO_RULES);
  }

  setRules(slot: number, states: readonly RuleState[]): void {
    if (states.length > 0) this.ruleStates.set(slot, states);
    else if (this.ruleStates.size > 0) this.ruleStates.delete(slot);
  }

  /** The newest evaluated fix; NaN before the first. */
  fixMs(slot: number): number {
    return this.rows[slot * ROW_VALUES + FIX_MS]!;
  }

  lonDeg(slot: number): number {
    return this.rows[slot * ROW_VALUES + LON_DEG]!;
  }

  latDeg(slot: number): number {
    return this.rows[slot * ROW_VALUES + LAT_DEG]!;
  }

  /** As a 32-bit float. */
  accuracyM(slot: number): number {
    return this.floats[slot * ROW_WORDS + ACCURACY_M]!;
  }

  setFix(slot: number, { timeMs, lonDeg, latDeg, accuracyM }: FixValues): void {
    const at = slot * ROW_VALUES;
    this.rows[at + FIX_MS] = timeMs;
    this.rows[at + LON_DEG] = lonDeg;
    this.rows[at + LAT_DEG] = latDeg;
    this.floats[2 * at + ACCURACY_M] = accuracyM;
  }

  /** When one of its stays has something due; Infinity when none has. */
  dueMs(slot: number): number {
    return this.rows[slot * ROW_VALUES + DUE_MS]!;
  }

  setDueMs(slot: number, dueMs: number): void {
    this.rows[slot * ROW_VALUES + DUE_MS] = dueMs;
  }

  /** The first of its stays, −1 when it has none. */
  stays(slot: number): number {
    return this.words[slot * ROW_WORDS + STAYS]!;
  }

  setStays(slot: number, head: number): void {
    this.words[slot * ROW_WORDS + STAYS] = head;
  }

  /** Its place among those that the pending batch touched, −1 when it is settled. */
  touch(slot: number): number {
    return this.words[slot * ROW_WORDS + TOUCH]!;
  }

  setTouch(slot: number, place: number): void {
    this.words[slot * ROW_WORDS + TOUCH] = place;
  }

  /** No boundary runs through its clear box as of this `fencesEpoch` of the tenant, and the newest fix lies in it; −1: no box. */
  clearEpoch(slot: number): number {
    return this.words[slot * ROW_WORDS + CLEAR_EPOCH]!;
  }

  setClearEpoch(slot: number, epoch: number): void {
    this.words[slot * ROW_WORDS + CLEAR_EPOCH] = epoch;
  }

  clearBoxHolds(slot: number, x: number, y: number): boolean {
    const { floats } = this;
    const at = slot * ROW_WORDS + CLEAR_BOX;
    return x >= floats[at]! && y >= floats[at + 1]! && x <= floats[at + 2]! && y <= floats[at + 3]!;
  }

  setClearBox(slot: number, minX: number, minY: number, maxX: number, maxY: number): void {
    const at = slot * ROW_WORDS + CLEAR_BOX;
    this.floats[at] = minX;
    this.floats[at + 1] = minY;
    this.floats[at + 2] = maxX;
    this.floats[at + 3] = maxY;
  }

  /** Copies a row to a place among rows that are kept elsewhere. */
  saveRow(slot: number, into: Int32Array, place: number): void {
    const { words } = this;
    const from = slot * ROW_WORDS;
    const to = place * ROW_WORDS;
    for (let i = 0; i < ROW_WORDS; i++) into[to + i] = words[from + i]!;
  }

  /** Puts a row back as it was saved. */
  loadRow(slot: number, from: Int32Array, place: number): void {
    this.words.set(from.subarray(place * ROW_WORDS, (place + 1) * ROW_WORDS), slot * ROW_WORDS);
  }

  /** A row for a device of which nothing is known. */
  take(deviceId: number): number {
    const slot = this.free.pop() ?? this.count++;
    if (slot === this.deviceId.length) this.grow();
    this.deviceId[slot] = deviceId;
    this.deviceEpoch[slot] = -1;
    this.stepEpoch[slot] = -1;
    this.device[slot] = null;
    this.scope[slot] = null;
    this.setFix(slot, NOWHERE);
    this.setDueMs(slot, Infinity);
    this.setStays(slot, -1);
    this.setClearEpoch(slot, -1);
    this.setTouch(slot, -1);
    return slot;
  }

  /** Gives a row up; its stays must have been given up. */
  giveUp(slot: number): void {
    this.setStays(slot, -1);
    this.setDueMs(slot, Infinity);
    this.setTouch(slot, -1);
    this.device[slot] = null;
    this.scope[slot] = null;
    this.ruleStates.delete(slot);
    this.readingMs.delete(slot);
    this.free.push(slot);
  }

  private grow(): void {
    const length = grownLength(this.deviceId.length);
    this.deviceId = larger(this.deviceId, new Float64Array(length));
    this.deviceEpoch = larger(this.deviceEpoch, new Int32Array(length));
    this.stepEpoch = larger(this.stepEpoch, new Int32Array(length));
    const { words } = this;
    this.rows = new Float64Array(length * ROW_VALUES);
    this.floats = new Float32Array(this.rows.buffer);
    // As words: what is no double might not keep its bits as one.
    this.words = larger(words, new Int32Array(this.rows.buffer));
  }
}

/** What a slot keeps of a fix. */
export interface FixValues {
  readonly timeMs: number;
  readonly lonDeg: number;
  readonly latDeg: number;
  readonly accuracyM: number;
}

const NOWHERE: FixValues = { timeMs: NaN, lonDeg: NaN, latDeg: NaN, accuracyM: NaN };

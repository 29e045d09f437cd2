/**
 * The slots that the pending batch touched: how they were before, and which rows of the batch are theirs. Knows fields, no
 * rules.
 */
import { filled, larger } from './growth.ts';
import { NO_RULES, ROW_WORDS, type Slots } from './slots.ts';
import type { Stays } from './stays.ts';
import type { Device, RuleState } from './types.ts';

const TOUCHED_MIN = 256;
/** Numbers of an entry. */
const ENTRY_VALUES = 8;
const SLOT = 0;
const STAYS = 1;
const IS_FRESH = 2;
const IS_COPIED = 3;
const FIX_HEAD = 4;
const FIX_TAIL = 5;
const READING_HEAD = 6;
const READING_TAIL = 7;

export class Touched {
  count = 0;
  /** `order[0…withRows)`: those that have rows in the batch, as their first rows come. */
  order = new Int32Array(TOUCHED_MIN);
  withRows = 0;
  /** As they were before. */
  rules = filled<readonly RuleState[]>(TOUCHED_MIN, NO_RULES);
  private device = filled<Device | null>(TOUCHED_MIN, null);
  private entries = new Int32Array(TOUCHED_MIN * ENTRY_VALUES);
  private saved = new Int32Array(TOUCHED_MIN * ROW_WORDS);

  slot(i: number): number {
    return this.entries[i * ENTRY_VALUES + SLOT]!;
  }

  /** The slot's stays as they were before. */
  stays(i: number): number {
    return this.entries[i * ENTRY_VALUES + STAYS]!;
  }

  /** Whether the pending batch made the slot. */
  isFresh(i: number): boolean {
    return this.entries[i * ENTRY_VALUES + IS_FRESH] === 1;
  }

  /** Whether the slot's stays are a copy, and `stays` those that are in force. */
  isCopied(i: number): boolean {
    return this.entries[i * ENTRY_VALUES + IS_COPIED] === 1;
  }

  /** The first of its fixes in the batch, −1 when there is none; further ones hang from it. */
  fixHead(i: number): number {
    return this.entries[i * ENTRY_VALUES + FIX_HEAD]!;
  }

  readingHead(i: number): number {
    return this.entries[i * ENTRY_VALUES + READING_HEAD]!;
  }

  /** Hangs a fix of the batch to those of an entry. */
  addFix(i: number, row: number, next: Int32Array): void {
    this.addRow(i, i * ENTRY_VALUES + FIX_HEAD, row, next);
  }

  addReading(i: number, row: number, next: Int32Array): void {
    this.addRow(i, i * ENTRY_VALUES + READING_HEAD, row, next);
  }

  /** Makes a settled slot pending. */
  begin(slots: Slots, slot: number, isFresh: boolean): void {
    const i = this.count++;
    if (i === this.entries.length / ENTRY_VALUES) this.grow();
    const { entries } = this;
    const at = i * ENTRY_VALUES;
    slots.saveRow(slot, this.saved, i);
    slots.setTouch(slot, i);
    entries[at + SLOT] = slot;
    entries[at + STAYS] = slots.stays(slot);
    entries[at + IS_FRESH] = isFresh ? 1 : 0;
    entries[at + IS_COPIED] = 0;
    entries[at + FIX_HEAD] = -1;
    entries[at + FIX_TAIL] = -1;
    entries[at + READING_HEAD] = -1;
    entries[at + READING_TAIL] = -1;
    this.rules[i] = slots.rules(slot);
    this.device[i] = slots.device[slot]!;
  }

  /** Gives a pending slot stays that may be changed. */
  copyStays(slots: Slots, stays: Stays, slot: number): void {
    const i = slots.touch(slot);
    if (this.isCopied(i)) return;
    this.entries[i * ENTRY_VALUES + IS_COPIED] = 1;
    slots.setStays(slot, stays.copyList(this.stays(i)));
  }

  /** Pending → settled, with what the batch made of them. */
  settle(slots: Slots, stays: Stays): void {
    for (let i = 0; i < this.count; i++) {
      slots.setTouch(this.slot(i), -1);
      if (this.isCopied(i)) stays.removeList(this.stays(i));
    }
    this.clear();
  }

  /** Forgets them all. */
  clear(): void {
    this.count = 0;
    this.withRows = 0;
  }

  /** Pending → settled, as it was before but for its readings. */
  revert(slots: Slots, stays: Stays, i: number): void {
    const slot = this.slot(i);
    if (this.isCopied(i)) stays.removeList(slots.stays(slot));
    slots.loadRow(slot, this.saved, i);
    slots.setRules(slot, this.rules[i]!);
    slots.device[slot] = this.device[i]!;
    // Whose it is has to be seen again: what that ended is to be told again.
    slots.deviceEpoch[slot] = -1;
    slots.stepEpoch[slot] = -1;
    slots.scope[slot] = null;
    slots.setClearEpoch(slot, -1);
  }

  private addRow(i: number, at: number, row: number, next: Int32Array): void {
    const { entries } = this;
    next[row] = -1;
    const first = i * ENTRY_VALUES;
    if (entries[first + FIX_HEAD]! < 0 && entries[first + READING_HEAD]! < 0) {
      if (this.withRows === this.order.length) {
        this.order = larger(this.order, new Int32Array(2 * this.order.length));
      }
      this.order[this.withRows++] = i;
    }
    if (entries[at]! < 0) entries[at] = row;
    else next[entries[at + 1]!] = row;
    entries[at + 1] = row;
  }

  private grow(): void {
    this.entries = larger(this.entries, new Int32Array(this.entries.length * 2));
    this.saved = larger(this.saved, new Int32Array(this.saved.length * 2));
  }
}

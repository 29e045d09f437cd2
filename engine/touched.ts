/**
 * The slots that the pending batch touched: how they were before, and which rows of the batch are theirs. Knows columns,
 * no rules.
 */
import type { Slots } from './slots.ts';
import { larger, type Stays } from './stays.ts';
import type { Device, RuleState } from './types.ts';

const TOUCHED_MIN = 256;

export class Touched {
  count = 0;
  slot = new Int32Array(TOUCHED_MIN);
  /** 1 when the pending batch made the slot. */
  isFresh = new Uint8Array(TOUCHED_MIN);
  /** 1 when the slot's list of stays is a copy, and `stays` the one that is in force. */
  isCopied = new Uint8Array(TOUCHED_MIN);
  /** Heads and tails of the chains of its rows, −1 when it has none. */
  fixHead = new Int32Array(TOUCHED_MIN);
  fixTail = new Int32Array(TOUCHED_MIN);
  readingHead = new Int32Array(TOUCHED_MIN);
  readingTail = new Int32Array(TOUCHED_MIN);
  /** As it was before. */
  stays = new Int32Array(TOUCHED_MIN);
  rules: (readonly RuleState[])[] = [];
  private device: (Device | null)[] = [];
  private fixMs = new Float64Array(TOUCHED_MIN);
  private lonDeg = new Float64Array(TOUCHED_MIN);
  private latDeg = new Float64Array(TOUCHED_MIN);
  private dueMs = new Float64Array(TOUCHED_MIN);
  private accuracyM = new Float32Array(TOUCHED_MIN);

  /** Makes a settled slot pending. */
  begin(slots: Slots, slot: number, isFresh: boolean): void {
    const i = this.count++;
    if (i === this.slot.length) this.grow();
    slots.touch[slot] = i;
    this.slot[i] = slot;
    this.isFresh[i] = isFresh ? 1 : 0;
    this.isCopied[i] = 0;
    this.fixHead[i] = -1;
    this.readingHead[i] = -1;
    this.stays[i] = slots.stays[slot]!;
    this.rules[i] = slots.rules[slot]!;
    this.device[i] = slots.device[slot]!;
    this.fixMs[i] = slots.fixMs[slot]!;
    this.lonDeg[i] = slots.lonDeg[slot]!;
    this.latDeg[i] = slots.latDeg[slot]!;
    this.dueMs[i] = slots.dueMs[slot]!;
    this.accuracyM[i] = slots.accuracyM[slot]!;
  }

  /** Gives a pending slot a list of stays that may be changed. */
  copyStays(slots: Slots, stays: Stays, slot: number): void {
    const i = slots.touch[slot]!;
    if (this.isCopied[i] === 1) return;
    this.isCopied[i] = 1;
    slots.stays[slot] = stays.copyList(this.stays[i]!);
  }

  /** Pending → settled, with what the batch made of them. */
  settle(slots: Slots, stays: Stays): void {
    for (let i = 0; i < this.count; i++) {
      slots.touch[this.slot[i]!] = -1;
      if (this.isCopied[i] === 1) stays.removeList(this.stays[i]!);
    }
    this.count = 0;
  }

  /** Puts one back as it was, but for its readings; it stays pending. */
  revert(slots: Slots, stays: Stays, i: number): void {
    const slot = this.slot[i]!;
    if (this.isCopied[i] === 1) stays.removeList(slots.stays[slot]!);
    this.isCopied[i] = 0;
    slots.stays[slot] = this.stays[i]!;
    slots.rules[slot] = this.rules[i]!;
    slots.fixMs[slot] = this.fixMs[i]!;
    slots.lonDeg[slot] = this.lonDeg[i]!;
    slots.latDeg[slot] = this.latDeg[i]!;
    slots.dueMs[slot] = this.dueMs[i]!;
    slots.accuracyM[slot] = this.accuracyM[i]!;
    slots.stillEpoch[slot] = -1;
    // Whose it is has to be seen again as well: what that ended is to be told again.
    slots.device[slot] = this.device[i]!;
    slots.deviceEpoch[slot] = -1;
    slots.scope[slot] = null;
  }

  private grow(): void {
    const length = this.slot.length * 2;
    this.slot = larger(this.slot, new Int32Array(length));
    this.isFresh = larger(this.isFresh, new Uint8Array(length));
    this.isCopied = larger(this.isCopied, new Uint8Array(length));
    this.fixHead = larger(this.fixHead, new Int32Array(length));
    this.fixTail = larger(this.fixTail, new Int32Array(length));
    this.readingHead = larger(this.readingHead, new Int32Array(length));
    this.readingTail = larger(this.readingTail, new Int32Array(length));
    this.stays = larger(this.stays, new Int32Array(length));
    this.fixMs = larger(this.fixMs, new Float64Array(length));
    this.lonDeg = larger(this.lonDeg, new Float64Array(length));
    this.latDeg = larger(this.latDeg, new Float64Array(length));
    this.dueMs = larger(this.dueMs, new Float64Array(length));
    this.accuracyM = larger(this.accuracyM, new Float32Array(length));
  }
}

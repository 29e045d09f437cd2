/**
 * The stays of an engine's devices in fences, as records in flat arrays: those of one device hang together in a list,
 * ascending by fence. Knows fields, no rules.
 *
 * A list that is in force is never changed while a batch is pending: `copyList` gives another to change, and the engine
 * drops one of the two when it commits or rolls back.
 */
import type { EventCause } from './types.ts';
import type { FenceEntry } from './world.ts';

export const ENTERING = 1;
export const INSIDE = 2;
/** The window in which a stay was had ended by the clock: fixes from before its end open no other. */
export const ENDED = 3;

const CAUSES: readonly EventCause[] = [
  'move',
  'first_fix',
  'fence_changed',
  'fence_removed',
  'schedule',
  'assignment_changed',
  'device_removed',
  'rule_changed',
];

export class Stays {
  entry: (FenceEntry | null)[] = [];
  /** The next of the same device, −1 at the end. */
  next = new Int32Array(64);
  phase = new Uint8Array(64);
  version = new Int32Array(64);
  /** Entering: fixes inside in a row. Inside: fixes outside in a row. */
  fixes = new Uint8Array(64);
  dwelled = new Uint8Array(64);
  private cause = new Uint8Array(64);
  /** The first fix inside. */
  enteredMs = new Float64Array(64);
  /** The fix of the enter. */
  enterMs = new Float64Array(64);
  /** The first fix outside in a row, and the one before it; NaN while there are none. */
  outMs = new Float64Array(64);
  lastInMs = new Float64Array(64);
  /** When the window of its fence's schedule ends. */
  endMs = new Float64Array(64);
  /** Records in use. */
  count = 0;
  private used = 0;
  private firstFree = -1;

  /** A record for a fence, not in any list. */
  take(entry: FenceEntry, phase: number): number {
    let stay = this.firstFree;
    if (stay >= 0) this.firstFree = this.next[stay]!;
    else {
      stay = this.used++;
      if (stay === this.next.length) this.grow();
    }
    this.count++;
    this.entry[stay] = entry;
    this.next[stay] = -1;
    this.phase[stay] = phase;
    this.version[stay] = entry.fence.version;
    this.fixes[stay] = 0;
    this.dwelled[stay] = 0;
    this.cause[stay] = 0;
    this.enteredMs[stay] = NaN;
    this.enterMs[stay] = NaN;
    this.outMs[stay] = NaN;
    this.lastInMs[stay] = NaN;
    this.endMs[stay] = Infinity;
    return stay;
  }

  causeOf(stay: number): EventCause {
    return CAUSES[this.cause[stay]!]!;
  }

  setCause(stay: number, cause: EventCause): void {
    this.cause[stay] = CAUSES.indexOf(cause);
  }

  /** A list like the given one; gives its head. */
  copyList(head: number): number {
    let copyHead = -1;
    let last = -1;
    for (let stay = head; stay >= 0; stay = this.next[stay]!) {
      const copy = this.take(this.entry[stay]!, this.phase[stay]!);
      this.version[copy] = this.version[stay]!;
      this.fixes[copy] = this.fixes[stay]!;
      this.dwelled[copy] = this.dwelled[stay]!;
      this.cause[copy] = this.cause[stay]!;
      this.enteredMs[copy] = this.enteredMs[stay]!;
      this.enterMs[copy] = this.enterMs[stay]!;
      this.outMs[copy] = this.outMs[stay]!;
      this.lastInMs[copy] = this.lastInMs[stay]!;
      this.endMs[copy] = this.endMs[stay]!;
      if (last < 0) copyHead = copy;
      else this.next[last] = copy;
      last = copy;
    }
    return copyHead;
  }

  /** Puts a record where it belongs; gives the list's head. */
  insert(head: number, stay: number): number {
    const { fenceId } = this.entry[stay]!.fence;
    let before = -1;
    let after = head;
    while (after >= 0 && this.entry[after]!.fence.fenceId < fenceId) {
      before = after;
      after = this.next[after]!;
    }
    this.next[stay] = after;
    if (before < 0) return stay;
    this.next[before] = stay;
    return head;
  }

  /** Takes a record out of its list and gives it up; gives the list's head. */
  remove(head: number, stay: number): number {
    let newHead = head;
    if (head === stay) newHead = this.next[stay]!;
    else {
      let before = head;
      while (this.next[before] !== stay) before = this.next[before]!;
      this.next[before] = this.next[stay]!;
    }
    this.giveUp(stay);
    return newHead;
  }

  /** Gives up all records of a list. */
  removeList(head: number): void {
    for (let stay = head; stay >= 0;) {
      const next = this.next[stay]!;
      this.giveUp(stay);
      stay = next;
    }
  }

  private giveUp(stay: number): void {
    this.entry[stay] = null;
    this.next[stay] = this.firstFree;
    this.firstFree = stay;
    this.count--;
  }

  private grow(): void {
    const length = Math.ceil(this.next.length * 1.5);
    this.next = larger(this.next, new Int32Array(length));
    this.phase = larger(this.phase, new Uint8Array(length));
    this.version = larger(this.version, new Int32Array(length));
    this.fixes = larger(this.fixes, new Uint8Array(length));
    this.dwelled = larger(this.dwelled, new Uint8Array(length));
    this.cause = larger(this.cause, new Uint8Array(length));
    this.enteredMs = larger(this.enteredMs, new Float64Array(length));
    this.enterMs = larger(this.enterMs, new Float64Array(length));
    this.outMs = larger(this.outMs, new Float64Array(length));
    this.lastInMs = larger(this.lastInMs, new Float64Array(length));
    this.endMs = larger(this.endMs, new Float64Array(length));
  }
}

/** The longer array, which begins with what the shorter one holds. */
export function larger<T extends { set(array: T): void }>(array: T, longer: T): T {
  longer.set(array);
  return longer;
}

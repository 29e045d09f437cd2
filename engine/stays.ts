/**
 * The stays of an engine's devices in fences: a record is less than a cache line, and those of one device hang together in a list,
 * ascending by fence. Knows fields, no rules.
 *
 * A list that is in force is never changed while a batch is pending: `copyList` gives another to change, and the engine
 * drops one of the two when it commits or rolls back.
 */
import { filled, grownLength, larger } from './growth.ts';
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

const RECORDS_MIN = 64;
/** Of a record: doubles, words and bytes. */
const DOUBLES = 7;
const WORDS = 14;
const BYTES = 56;
const ENTERED_MS = 0;
const ENTER_MS = 1;
const OUT_MS = 2;
const LAST_IN_MS = 3;
const END_MS = 4;
const NEXT = 10;
const VERSION = 11;
/** The bytes of the four after it, as a word. */
const FLAGS = 12;
const PHASE = 48;
const FIXES = 49;
const DWELLED = 50;
const CAUSE = 51;

export class Stays {
  entry = filled<FenceEntry | null>(RECORDS_MIN, null);
  /** Records in use. */
  count = 0;
  private doubles = new Float64Array(RECORDS_MIN * DOUBLES);
  private words = new Int32Array(this.doubles.buffer);
  private bytes = new Uint8Array(this.doubles.buffer);
  private used = 0;
  private firstFree = -1;

  /** The next of the same device, −1 at the end. */
  next(stay: number): number {
    return this.words[stay * WORDS + NEXT]!;
  }

  phase(stay: number): number {
    return this.bytes[stay * BYTES + PHASE]!;
  }

  setPhase(stay: number, phase: number): void {
    this.bytes[stay * BYTES + PHASE] = phase;
  }

  /** The version of the fence as of the last fix that moved the stay. */
  version(stay: number): number {
    return this.words[stay * WORDS + VERSION]!;
  }

  setVersion(stay: number, version: number): void {
    this.words[stay * WORDS + VERSION] = version;
  }

  /** Entering: fixes inside in a row. Inside: fixes outside in a row. */
  fixes(stay: number): number {
    return this.bytes[stay * BYTES + FIXES]!;
  }

  setFixes(stay: number, fixes: number): void {
    this.bytes[stay * BYTES + FIXES] = fixes;
  }

  dwelled(stay: number): number {
    return this.bytes[stay * BYTES + DWELLED]!;
  }

  setDwelled(stay: number, dwelled: 0 | 1): void {
    this.bytes[stay * BYTES + DWELLED] = dwelled;
  }

  causeOf(stay: number): EventCause {
    return CAUSES[this.bytes[stay * BYTES + CAUSE]!]!;
  }

  setCause(stay: number, cause: EventCause): void {
    this.bytes[stay * BYTES + CAUSE] = CAUSES.indexOf(cause);
  }

  /** The first fix inside. */
  enteredMs(stay: number): number {
    return this.doubles[stay * DOUBLES + ENTERED_MS]!;
  }

  setEnteredMs(stay: number, timeMs: number): void {
    this.doubles[stay * DOUBLES + ENTERED_MS] = timeMs;
  }

  /** The fix of the enter. */
  enterMs(stay: number): number {
    return this.doubles[stay * DOUBLES + ENTER_MS]!;
  }

  setEnterMs(stay: number, timeMs: number): void {
    this.doubles[stay * DOUBLES + ENTER_MS] = timeMs;
  }

  /** The first fix outside in a row; NaN while there is none. */
  outMs(stay: number): number {
    return this.doubles[stay * DOUBLES + OUT_MS]!;
  }

  setOutMs(stay: number, timeMs: number): void {
    this.doubles[stay * DOUBLES + OUT_MS] = timeMs;
  }

  /** The fix before that. */
  lastInMs(stay: number): number {
    return this.doubles[stay * DOUBLES + LAST_IN_MS]!;
  }

  setLastInMs(stay: number, timeMs: number): void {
    this.doubles[stay * DOUBLES + LAST_IN_MS] = timeMs;
  }

  /** When the window of its fence's schedule ends; Infinity when it does not. */
  endMs(stay: number): number {
    return this.doubles[stay * DOUBLES + END_MS]!;
  }

  setEndMs(stay: number, timeMs: number): void {
    this.doubles[stay * DOUBLES + END_MS] = timeMs;
  }

  /** A record for a fence, not in any list. */
  take(entry: FenceEntry, phase: number): number {
    const stay = this.takeRecord();
    this.entry[stay] = entry;
    const at = stay * DOUBLES;
    const { doubles } = this;
    doubles[at + ENTERED_MS] = NaN;
    doubles[at + ENTER_MS] = NaN;
    doubles[at + OUT_MS] = NaN;
    doubles[at + LAST_IN_MS] = NaN;
    doubles[at + END_MS] = Infinity;
    this.words[stay * WORDS + FLAGS] = 0;
    this.setNext(stay, -1);
    this.setPhase(stay, phase);
    this.setVersion(stay, entry.version);
    return stay;
  }

  /** A list like the given one; gives its head. */
  copyList(head: number): number {
    let copyHead = -1;
    let last = -1;
    for (let stay = head; stay >= 0; stay = this.next(stay)) {
      const copy = this.takeRecord();
      const { words } = this;
      for (let i = 0; i < WORDS; i++) words[copy * WORDS + i] = words[stay * WORDS + i]!;
      this.entry[copy] = this.entry[stay]!;
      this.setNext(copy, -1);
      if (last < 0) copyHead = copy;
      else this.setNext(last, copy);
      last = copy;
    }
    return copyHead;
  }

  /** Puts a record where it belongs; gives the list's head. */
  insert(head: number, stay: number): number {
    const { fenceId } = this.entry[stay]!;
    let before = -1;
    let after = head;
    while (after >= 0 && this.entry[after]!.fenceId < fenceId) {
      before = after;
      after = this.next(after);
    }
    this.setNext(stay, after);
    if (before < 0) return stay;
    this.setNext(before, stay);
    return head;
  }

  /** Takes a record out of its list and gives it up; gives the list's head. */
  remove(head: number, stay: number): number {
    let newHead = head;
    if (head === stay) newHead = this.next(stay);
    else {
      let before = head;
      while (this.next(before) !== stay) before = this.next(before);
      this.setNext(before, this.next(stay));
    }
    this.giveUp(stay);
    return newHead;
  }

  /** Gives up all records of a list. */
  removeList(head: number): void {
    for (let stay = head; stay >= 0;) {
      const next = this.next(stay);
      this.giveUp(stay);
      stay = next;
    }
  }

  private setNext(stay: number, next: number): void {
    this.words[stay * WORDS + NEXT] = next;
  }

  private takeRecord(): number {
    let stay = this.firstFree;
    if (stay >= 0) this.firstFree = this.next(stay);
    else {
      stay = this.used++;
      if (stay * WORDS === this.words.length) this.grow();
    }
    this.count++;
    return stay;
  }

  private giveUp(stay: number): void {
    this.entry[stay] = null;
    this.setNext(stay, this.firstFree);
    this.firstFree = stay;
    this.count--;
  }

  private grow(): void {
    const records = grownLength(this.words.length / WORDS);
    const { words } = this;
    this.doubles = new Float64Array(records * DOUBLES);
    this.bytes = new Uint8Array(this.doubles.buffer);
    // As words: what is no double might not keep its bits as one.
    this.words = larger(words, new Int32Array(this.doubles.buffer));
  }
}

/**
 * What every device was promised: for each record how often it was sent, with which values, and when it was first
 * acknowledged. Written by the senders alone, from what came over their sockets; refuses to know the database.
 */
import type { Fix } from '../proof/journey.ts';
import type { BadReason, Planned } from './plan.ts';

/** One place in the database: a device and a time. */
export interface Entry {
  readonly unit: number;
  readonly timeMs: number;
  /** Every set of values that was sent for it, without repeats; the first that came is stored. */
  readonly variants: Fix[];
  sentCount: number;
  /** `performance.now()` of the first acknowledgement; `null`: nothing was promised. */
  ackedMs: number | null;
}

/** A record that must be refused. */
export interface BadEntry {
  readonly unit: number;
  readonly timeMs: number;
  readonly reason: BadReason;
  sentCount: number;
  ackedMs: number | null;
}

export interface LedgerCounts {
  /** Records handed to sockets, each repeat counted. */
  readonly sent: number;
  readonly distinct: number;
  readonly acked: number;
  readonly bad: number;
}

export class Ledger {
  /** By {@link keyOf}. */
  readonly entries = new Map<string, Entry>();
  /** By {@link keyOf}. */
  readonly bad = new Map<string, BadEntry>();
  /** Answers that must not come, each told once: a good record refused, a bad one taken. */
  readonly wrongAnswers: string[] = [];
  private sentCount = 0;
  private ackedCount = 0;
  private freshlyAcked: Entry[] = [];

  /** To be called whenever the record goes to a socket, again or for the first time. */
  sent(planned: Planned): void {
    this.sentCount += 1;
    const { unit, fix } = planned;
    const { timeMs } = fix;
    const key = keyOf(unit, timeMs);
    if (planned.bad !== null) {
      const entry = this.bad.get(key);
      if (entry !== undefined) entry.sentCount += 1;
      else this.bad.set(key, { unit, timeMs, reason: planned.bad, sentCount: 1, ackedMs: null });
      return;
    }
    const entry = this.entries.get(key);
    if (entry === undefined) {
      const variants = [fix];
      this.entries.set(key, { unit, timeMs, variants, sentCount: 1, ackedMs: null });
      return;
    }
    entry.sentCount += 1;
    if (!entry.variants.some((known) => isSame(known, fix))) entry.variants.push(fix);
  }

  /** The server has answered for the record; `refused`: what its answer says of it, `null` where it cannot say. */
  answered(planned: Planned, refused: boolean | null): void {
    const nowMs = performance.now();
    const key = keyOf(planned.unit, planned.fix.timeMs);
    if (planned.bad !== null) {
      this.bad.get(key)!.ackedMs ??= nowMs;
      if (refused === false) this.wrongAnswers.push(`${key} is bad and was taken`);
      return;
    }
    if (refused === true) {
      this.wrongAnswers.push(`${key} is good and was refused`);
      return;
    }
    const entry = this.entries.get(key)!;
    if (entry.ackedMs !== null) return;
    entry.ackedMs = nowMs;
    this.ackedCount += 1;
    this.freshlyAcked.push(entry);
  }

  /** What was acknowledged since this was last asked. */
  takeFreshlyAcked(): readonly Entry[] {
    const fresh = this.freshlyAcked;
    this.freshlyAcked = [];
    return fresh;
  }

  counts(): LedgerCounts {
    const { sentCount: sent, ackedCount: acked } = this;
    return { sent, distinct: this.entries.size, acked, bad: this.bad.size };
  }
}

export function keyOf(unit: number, timeMs: number): string {
  return `${unit} ${timeMs}`;
}

function isSame(a: Fix, b: Fix): boolean {
  return (
    a.latDeg === b.latDeg &&
    a.lonDeg === b.lonDeg &&
    a.speedMps === b.speedMps &&
    a.headingDeg === b.headingDeg &&
    Object.is(a.accuracyM, b.accuracyM) &&
    a.temperatureC === b.temperatureC
  );
}

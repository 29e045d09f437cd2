/**
 * What one device sends, decided by its own stream of chance: most fixes of its journey in order, some held back and
 * sent after newer ones, some twice, two with one timestamp, whole buffers from hours ago, clocks in 1970 and 2080, and
 * now and then a record that must be refused. Knows journeys; refuses to know sockets, and what becomes of a record.
 *
 * The same seed and unit give the same records in the same order, however they are then delivered.
 */
import { Random } from '../demo/random.ts';
import { FIX_COUNT, journeyOf, type Fix } from '../proof/journey.ts';

/**
 * Why a record must be refused, by the reason that must be kept with it. `storage_refused` is a fix that every decoder
 * lets pass and the database under torture does not take (`house.ts` adds that constraint).
 */
export type BadReason = 'time_range' | 'lat_range' | 'storage_refused';

/** One record on its way. */
export interface Planned {
  /** Counts from 0. */
  readonly unit: number;
  readonly fix: Fix;
  /** `null`: good, to be stored. A bad one has a time that no other record of its unit has. */
  readonly bad: BadReason | null;
}

/** Shares of all records, 0 to 1. */
export interface Mix {
  readonly duplicates: number;
  readonly outOfOrder: number;
  /** Another fix with the time of one that was sent. */
  readonly twins: number;
  /** How often a buffer of old fixes begins. */
  readonly oldBuffers: number;
  readonly clocks: number;
  readonly broken: number;
  readonly poison: number;
}

/** What the issue asks for: 10 % twice, 30 % out of order, one poison row in 5,000, and the rest now and then. */
export const MIX: Mix = {
  duplicates: 0.1,
  outOfOrder: 0.3,
  twins: 0.01,
  oldBuffers: 1 / 400,
  clocks: 0.002,
  broken: 0.001,
  poison: 1 / 5_000,
};

/** Satellites of a poison row; good rows have another number. */
export const POISON_SATELLITES = 13;
const GOOD_SATELLITES = 9;

/** What a record says of satellites. */
export function satellitesOf(bad: BadReason | null): number {
  return bad === 'storage_refused' ? POISON_SATELLITES : GOOD_SATELLITES;
}

/** Between the ends of two rounds of a journey: they follow on each other. */
const ROUND_MS = FIX_COUNT * 5_000;
/** Rounds ahead: at one fix in 5 s of its own time a device has 41 hours to tell. */
const ROUNDS = 60;
/** How many records later one that is held back is sent, at most. */
const HELD_RECORDS_MAX = 40;
/** Sent records that may be sent again. */
const RECENT_MAX = 200;
const OLD_BUFFER_FIXES = [30, 80] as const;
const CLOCKS = [Date.UTC(1970, 0, 1), Date.UTC(2080, 0, 1)] as const;
/** Later than all fixes of a plan, and in the past for the server. */
const MARGIN_MS = 60_000;

interface Held {
  readonly due: number;
  readonly planned: Planned;
}

export interface PlanOptions {
  readonly seed: string;
  readonly unit: number;
  /** The present; the same one must be given for the same records. */
  readonly nowMs: number;
  readonly mix: Mix;
  /** A fix as the device's wire can say it. */
  readonly asSaid?: (fix: Fix) => Fix;
}

export class DevicePlan {
  readonly unit: number;
  private readonly asSaid: (fix: Fix) => Fix;
  private readonly random: Random;
  private readonly mix: Mix;
  private readonly startMs: number;
  private round = 0;
  private ahead: Fix[] = [];
  private oldRound = -1;
  private old: Fix[] = [];
  private oldLeft = 0;
  private readonly held: Held[] = [];
  private readonly recent: Planned[] = [];
  private count = 0;
  private badCount = 0;

  constructor(options: PlanOptions) {
    this.unit = options.unit;
    this.mix = options.mix;
    this.asSaid = options.asSaid ?? ((fix) => fix);
    this.random = new Random(`${options.seed}/device/${options.unit}`);
    this.startMs = options.nowMs - MARGIN_MS - (ROUNDS - 1) * ROUND_MS;
  }

  /** The next record; `null` when the journey is over. */
  next(): Planned | null {
    const { random, mix } = this;
    for (;;) {
      this.count += 1;
      const due = this.held.findIndex((one) => one.due <= this.count);
      if (due >= 0) return this.held.splice(due, 1)[0]!.planned;
      if (this.oldLeft > 0) {
        this.oldLeft -= 1;
        return this.good(this.nextOld());
      }
      const recent = this.recent.length > 0 ? random.pick(this.recent) : null;
      if (recent !== null && random.chance(mix.duplicates)) return recent;
      if (recent !== null && random.chance(mix.twins)) return this.twinOf(recent);
      const bad = this.badRecord();
      if (bad !== null) return bad;
      if (random.chance(mix.oldBuffers)) this.oldLeft = random.whole(...OLD_BUFFER_FIXES);
      const fix = this.nextFix();
      if (fix === null) return null;
      const planned = this.good(fix);
      if (!random.chance(mix.outOfOrder)) return planned;
      this.held.push({ due: this.count + random.whole(1, HELD_RECORDS_MAX), planned });
    }
  }

  private good(fix: Fix): Planned {
    const planned: Planned = { unit: this.unit, fix, bad: null };
    if (this.recent.length < RECENT_MAX) this.recent.push(planned);
    else this.recent[this.random.whole(0, RECENT_MAX - 1)] = planned;
    return planned;
  }

  /** The same time, somewhere else: whichever comes first is stored. */
  private twinOf({ fix }: Planned): Planned {
    const other = this.random.pick(this.recent).fix;
    return { unit: this.unit, fix: { ...other, timeMs: fix.timeMs }, bad: null };
  }

  private badRecord(): Planned | null {
    const { random, mix } = this;
    const clock = random.chance(mix.clocks);
    const broken = random.chance(mix.broken);
    const poison = random.chance(mix.poison);
    const bad = clock ? 'time_range' : broken ? 'lat_range' : poison ? 'storage_refused' : null;
    if (bad === null) return null;
    const fix = this.nextFix();
    return fix === null ? null : this.badOf(fix, bad);
  }

  private badOf(fix: Fix, bad: BadReason): Planned {
    this.badCount += 1;
    const timeMs =
      bad === 'time_range' ? this.random.pick(CLOCKS) + this.badCount * 1_000 : fix.timeMs;
    const latDeg = bad === 'lat_range' ? 91 : fix.latDeg;
    // Without a reading, so that nothing of the record is to be stored.
    return { unit: this.unit, bad, fix: { ...fix, timeMs, latDeg, temperatureC: null } };
  }

  private nextFix(): Fix | null {
    if (this.ahead.length === 0) {
      if (this.round === ROUNDS) return null;
      this.ahead = journeyOf(this.unit, this.startMs + this.round * ROUND_MS);
      this.round += 1;
    }
    return this.asSaid(this.ahead.shift()!);
  }

  /** Fixes of the hours before the journey, each round oldest first. */
  private nextOld(): Fix {
    if (this.old.length === 0) {
      this.old = journeyOf(this.unit, this.startMs + this.oldRound * ROUND_MS);
      this.oldRound -= 1;
    }
    return this.asSaid(this.old.shift()!);
  }
}

/** The record as it goes over the wires that speak JSON; `device` where the sender speaks for many. */
export function recordOf({ fix, bad }: Planned, device?: string): object {
  return {
    ...(device === undefined ? {} : { device }),
    time: fix.timeMs,
    lat: fix.latDeg,
    lon: fix.lonDeg,
    speed_mps: fix.speedMps,
    heading_deg: fix.headingDeg,
    accuracy_m: fix.accuracyM,
    satellites: satellitesOf(bad),
    ...(fix.temperatureC === null ? {} : { temperature_c: fix.temperatureC }),
  };
}

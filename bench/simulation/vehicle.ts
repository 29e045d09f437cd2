/**
 * One vehicle's months: it parks, drives to another place, loses coverage and delivers later, in order or the newest
 * first, says things twice, is inaccurate for a while. Knows places and time; not who listens.
 */
import type { FixRow, ReadingRow } from '../../engine/test-data.ts';
import type { LonLat } from '../../engine/types.ts';
import type { Random } from '../demo/random.ts';
import { DEGREE_M } from './town.ts';

/** What the vehicle says, and when it arrives. */
export interface Message {
  readonly arriveMs: number;
  readonly fix: FixRow;
  readonly reading: ReadingRow | null;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

export class Vehicle {
  private readonly deviceId: number;
  private readonly random: Random;
  private readonly places: readonly LonLat[];
  /** How far its clock is ahead of the true time. */
  private readonly aheadMs: number;
  private nowMs: number;
  private at: LonLat;
  /** Until then nothing it says gets through. */
  private deafUntilMs = -Infinity;
  private inaccurateUntilMs = -Infinity;
  private held: Message[] = [];
  private out: Message[] = [];

  constructor(deviceId: number, random: Random, places: readonly LonLat[], startMs: number) {
    this.deviceId = deviceId;
    this.random = random;
    this.places = places;
    this.nowMs = startMs + random.between(0, 6 * HOUR_MS);
    this.at = random.pick(places);
    this.aheadMs = random.chance(0.2) ? random.whole(1, 300) * SECOND_MS : 0;
  }

  /** Everything that it says until it has lived past `untilMs`, in no particular order. */
  live(untilMs: number): Message[] {
    this.out = [];
    while (this.nowMs < untilMs) {
      this.park();
      this.driveTo(this.random.pick(this.places));
    }
    return this.out;
  }

  private park(): void {
    const { random } = this;
    const isNight = random.chance(0.25);
    const untilMs =
      this.nowMs + (isNight ? random.between(6, 30) : random.between(0.1, 3)) * HOUR_MS;
    // Some sleep soundly, some report every few minutes whatever happens.
    const paceMs = random.pick([2, 10, 30, 90]) * MINUTE_MS;
    const jitterM = random.pick([0, 4, 15, 60]);
    while (this.nowMs < untilMs) {
      this.say(this.at, jitterM, 0);
      this.nowMs += paceMs * random.between(0.5, 1.5);
    }
  }

  private driveTo(place: LonLat): void {
    const { random } = this;
    const paceMs = random.pick([15, 30, 60, 120]) * SECOND_MS;
    const speedMps = random.between(7, 24);
    const [fromLon, fromLat] = this.at;
    const [toLon, toLat] = place;
    const distanceM = Math.hypot(toLon - fromLon, toLat - fromLat) * DEGREE_M;
    const steps = Math.ceil((distanceM * 1_000) / (speedMps * paceMs));
    const bowDeg = (random.between(-0.2, 0.2) * distanceM) / DEGREE_M;
    for (let i = 1; i <= steps; i++) {
      const share = i / steps;
      const bow = bowDeg * Math.sin(Math.PI * share);
      const lonDeg = fromLon + share * (toLon - fromLon) + bow;
      this.at = [lonDeg, fromLat + share * (toLat - fromLat) - bow];
      this.nowMs += paceMs + random.whole(0, 3) * SECOND_MS;
      this.say(this.at, 8, speedMps);
    }
    this.at = place;
  }

  private say([lonDeg, latDeg]: LonLat, jitterM: number, speedMps: number): void {
    const { random } = this;
    this.spells();
    const isBad = this.nowMs < this.inaccurateUntilMs;
    const errorM = isBad ? random.pick([100, 800, 5_000]) : jitterM;
    const timeMs = Math.round((this.nowMs + this.aheadMs) / SECOND_MS) * SECOND_MS;
    const fix: FixRow = {
      deviceId: this.deviceId,
      timeMs,
      lonDeg: lonDeg + (random.between(-1, 1) * errorM) / DEGREE_M,
      latDeg: latDeg + (random.between(-1, 1) * errorM) / DEGREE_M,
      // A bad receiver does not always know that it is.
      accuracyM: isBad && random.chance(0.8) ? errorM : random.pick([5, 12, 50.1, NaN]),
      speedMps,
    };
    const value = random.whole(0, 30);
    const reading = random.chance(0.1)
      ? { deviceId: this.deviceId, timeMs, metricCode: 'temperature_c', value }
      : null;
    this.send({ arriveMs: this.nowMs + random.between(0.2, 20) * SECOND_MS, fix, reading });
  }

  /** Now and then a spell without coverage, or of bad accuracy, begins. */
  private spells(): void {
    const { random, nowMs } = this;
    if (nowMs >= this.inaccurateUntilMs && random.chance(0.004)) {
      this.inaccurateUntilMs = nowMs + random.between(1, 60) * MINUTE_MS;
    }
    if (nowMs < this.deafUntilMs) return;
    this.deliverHeld();
    if (random.chance(0.006)) this.deafUntilMs = nowMs + random.between(0.1, 20) * HOUR_MS;
  }

  private send(message: Message): void {
    const { random } = this;
    if (this.nowMs < this.deafUntilMs) {
      this.held.push(message);
      return;
    }
    this.out.push(message);
    if (random.chance(0.02)) {
      // Said twice, because the answer did not come; now and then much later.
      const againMs = random.chance(0.3) ? random.between(0, 40) * HOUR_MS : 30 * SECOND_MS;
      this.out.push({ ...message, arriveMs: message.arriveMs + againMs });
    }
    if (random.chance(0.003)) {
      const fix = { ...message.fix, lonDeg: message.fix.lonDeg + 0.01 };
      this.out.push({ arriveMs: message.arriveMs + SECOND_MS, fix, reading: null });
    }
  }

  /** What was said without coverage comes in pieces, in order or from its end. */
  private deliverHeld(): void {
    if (this.held.length === 0) return;
    const { random } = this;
    const held = random.chance(0.5) ? this.held : this.held.toReversed();
    const gapMs = random.pick([0, SECOND_MS, MINUTE_MS]);
    for (const [i, message] of held.entries()) {
      this.out.push({ ...message, arriveMs: this.nowMs + i * gapMs });
    }
    this.held = [];
  }
}

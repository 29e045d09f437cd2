/**
 * What a vehicle's instruments show beside its speed: where the receiver thinks it is, how warm the cargo is, how full the
 * device's battery. Each is one quantity that moves a little with every step. Knows no roads and no wire format.
 */
import type { Random } from './random.ts';

/** Position noise forgets itself over this time, and so does the accuracy that is claimed for it. */
const NOISE_S = 40;
/** The noise on each axis, as a part of the accuracy that is reported. */
const NOISE_SHARE = 0.4;
const CANYON_EVERY_S = 700;
const CANYON_S: [number, number] = [15, 50];
/** Between tall buildings it becomes so many times as bad. */
const CANYON_FACTOR = 3;

/** The receiver: metres off to the east and north, and the accuracy it claims. */
export class Receiver {
  private readonly random: Random;
  private readonly openSkyM: number;
  private canyonS = 0;
  private claimedM: number;
  eastM: number;
  northM: number;

  constructor(random: Random) {
    this.random = random;
    this.openSkyM = random.between(3, 6.5);
    this.claimedM = this.openSkyM;
    this.eastM = random.normal() * this.openSkyM * NOISE_SHARE;
    this.northM = random.normal() * this.openSkyM * NOISE_SHARE;
  }

  /** As large as the noise is: after tall buildings it recovers no sooner than the position does. */
  get accuracyM(): number {
    return this.claimedM;
  }

  get satellites(): number {
    return Math.round(this.canyonS > 0 ? 6 : 16 - this.openSkyM);
  }

  step(seconds: number): void {
    this.canyonS -= seconds;
    if (this.canyonS <= 0 && this.random.chance(seconds / CANYON_EVERY_S)) {
      this.canyonS = this.random.between(...CANYON_S);
    }
    const keep = Math.exp(-seconds / NOISE_S);
    const underSkyM = this.openSkyM * (this.canyonS > 0 ? CANYON_FACTOR : 1);
    const fresh = Math.sqrt(1 - keep * keep) * underSkyM * NOISE_SHARE;
    this.claimedM = Math.hypot(this.claimedM * keep, underSkyM * Math.sqrt(1 - keep * keep));
    this.eastM = this.eastM * keep + this.random.normal() * fresh;
    this.northM = this.northM * keep + this.random.normal() * fresh;
  }
}

/** Degrees Celsius that the cooler keeps to. */
export const SET_POINT_C = { frozen: -20, chilled: 5 } as const;
/** An excursion heads this far off, and takes this long for most of the way. */
const FAULT_C = 18;
const FAULT_RATE_S = 240;
const FAULT_EVERY_S = 2_400;
const FAULT_S: [number, number] = [150, 320];
/** A fault that is under way at the start has come this far. */
const FAULT_HEAD_START_C = 4.5;
const DOOR_C = 12;
const DOOR_RATE_S = 650;
const COOL_RATE_S = 180;

/** A cooled body: holds its set point, warms at the door, and now and then leaves its range for some minutes. */
export class Cooler {
  private readonly random: Random;
  private readonly setPointC: number;
  private faultC = 0;
  private faultS = 0;
  private insideC: number;

  /** `isFailing` lets it begin in the midst of a fault. */
  constructor(cargo: keyof typeof SET_POINT_C, random: Random, isFailing: boolean) {
    this.random = random;
    this.setPointC = SET_POINT_C[cargo];
    this.insideC = this.setPointC + random.normal() * 0.3;
    if (!isFailing) return;
    this.insideC = this.setPointC + FAULT_HEAD_START_C;
    this.faultC = FAULT_C;
    this.faultS = random.between(...FAULT_S);
  }

  get temperatureC(): number {
    return this.insideC;
  }

  step(seconds: number, isDoorOpen: boolean): void {
    this.faultS -= seconds;
    if (this.faultS <= 0 && this.random.chance(seconds / FAULT_EVERY_S)) {
      this.faultS = this.random.between(...FAULT_S);
      // Chilled goods can also freeze.
      this.faultC = this.setPointC > 0 && this.random.chance(0.3) ? -FAULT_C : FAULT_C;
    }
    const [offC, rateS] =
      this.faultS > 0
        ? [this.faultC, FAULT_RATE_S]
        : isDoorOpen
          ? [DOOR_C, DOOR_RATE_S]
          : [0, COOL_RATE_S];
    const nearer = 1 - Math.exp(-seconds / rateS);
    this.insideC += (this.setPointC + offC - this.insideC) * nearer;
    this.insideC += this.random.normal() * 0.02 * Math.sqrt(seconds);
  }
}

const CHARGE_PCT_S = 0.02;
const DRAIN_PCT_S = 0.002;
const WEAK_DRAIN_PCT_S = 0.03;
/** At this level somebody puts in a fresh one. */
const SWAPPED_BELOW_PCT = 9;

/** The device's own battery: charged while the ignition is on, unless it is weak. */
export class Battery {
  private readonly isWeak: boolean;
  private level: number;

  constructor(random: Random, isWeak: boolean) {
    this.isWeak = isWeak;
    this.level = isWeak ? random.between(20.5, 24) : random.between(60, 100);
  }

  get levelPct(): number {
    return this.level;
  }

  step(seconds: number, ignition: boolean): void {
    if (this.isWeak) this.level -= WEAK_DRAIN_PCT_S * seconds;
    else this.level += (ignition ? CHARGE_PCT_S : -DRAIN_PCT_S) * seconds;
    if (this.level < SWAPPED_BELOW_PCT) this.level = 96;
    this.level = Math.min(100, this.level);
  }
}

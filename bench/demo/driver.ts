/**
 * Someone driving along a path: speeds up, keeps to the limit or above it, brakes for bends and lights, stops at the end.
 * Knows one path at a time and its own speed; refuses to know what comes after.
 *
 * States: driving → waiting (at a light) → driving → arrived, from which only another path leads.
 */
import { brakingSpeed, type Path } from './path.ts';
import type { Random } from './random.ts';

/** Simulated in steps of at most this long. */
export const STEP_S_MAX = 0.5;
const ACCELERATION_MPS2 = 1.2;
const COASTING_MPS2 = 0.8;
/** What the brakes can do when something was not planned for. */
const BRAKING_MPS2_MAX = 2.8;
/** Closer than this to a stop is there. */
const STOP_M = 0.6;

/** Times the limit that this driver keeps to when not in a hurry. */
const HABIT: [number, number] = [0.9, 1.05];
/** A driver in a hurry. */
const HURRY_S: [number, number] = [25, 70];
const HURRY_FACTOR: [number, number] = [1.22, 1.36];
/** How often a driver who is inclined to it gets into a hurry. */
const HURRY_EVERY_S = 120;

/** Moves along one path at a time, in steps that the caller takes. */
export class Driver {
  private readonly random: Random;
  private readonly habit: number;
  private readonly isHasty: boolean;
  private path: Path;
  private segment = 0;
  private waitS = 0;
  private hurryS = 0;
  private hurryFactor = 1;
  /** Metres from the beginning of the path. */
  atM = 0;
  speedMps = 0;
  /** Metres driven on all paths. */
  drivenM = 0;

  /** A hasty driver speeds now and then. */
  constructor(path: Path, random: Random, isHasty: boolean) {
    this.random = random;
    this.habit = random.between(...HABIT);
    this.isHasty = isHasty;
    this.path = path;
  }

  get arrived(): boolean {
    return this.atM === this.path.lengthM;
  }

  get headingDeg(): number {
    return this.path.headingOn(this.segment);
  }

  get position(): [number, number] {
    return this.path.positionOn(this.segment, this.atM);
  }

  get way(): Path {
    return this.path;
  }

  /** Puts the vehicle on another path, standing at its beginning. */
  take(path: Path): void {
    this.path = path;
    this.segment = 0;
    this.atM = 0;
    this.speedMps = 0;
    this.waitS = 0;
    this.hurryS = 0;
  }

  /** Puts the vehicle on the path under way, at the speed that it would have there by now. */
  placeAt(atM: number): void {
    this.atM = Math.min(Math.max(0, atM), this.path.lengthM);
    this.segment = this.path.segmentAt(this.atM);
    const { cruiseMps, curveMps } = this.speeds(0);
    this.speedMps = this.arrived ? 0 : Math.min(cruiseMps, curveMps);
  }

  /** Drives on. `seconds` is at least 0 and at most `STEP_S_MAX`. */
  step(seconds: number): void {
    if (this.arrived) return;
    if (this.waitS > 0) {
      this.waitS -= seconds;
      if (this.waitS > 0) return;
      this.pass();
    }
    this.feel(seconds);
    const before = this.speedMps;
    const { cruiseMps, curveMps } = this.speeds(before * seconds);
    if (before > curveMps) {
      this.speedMps = Math.max(curveMps, before - BRAKING_MPS2_MAX * seconds);
    } else if (before > cruiseMps) {
      this.speedMps = Math.max(cruiseMps, before - COASTING_MPS2 * seconds);
    } else {
      this.speedMps = Math.min(cruiseMps, curveMps, before + ACCELERATION_MPS2 * seconds);
    }
    this.roll(((before + this.speedMps) / 2) * seconds);
  }

  private roll(metres: number): void {
    let leftM = metres;
    for (;;) {
      const end = this.path.endOf(this.segment);
      const toEndM = end.atM - this.atM;
      const stopsThere = end.haltS > 0 || end.atM === this.path.lengthM;
      if (leftM < toEndM - (stopsThere ? STOP_M : 0)) {
        this.move(leftM);
        return;
      }
      this.move(toEndM);
      leftM -= toEndM;
      this.atM = end.atM;
      if (end.atM === this.path.lengthM) {
        this.speedMps = 0;
        return;
      }
      if (end.haltS > 0) {
        this.speedMps = 0;
        this.waitS = end.haltS;
        return;
      }
      this.segment++;
    }
  }

  private move(metres: number): void {
    this.atM += metres;
    this.drivenM += metres;
  }

  // Leaves the light, which stands at the end of the segment.
  private pass(): void {
    this.waitS = 0;
    this.segment++;
  }

  private feel(seconds: number): void {
    this.hurryS -= seconds;
    if (this.hurryS > 0 || !this.isHasty) return;
    if (!this.random.chance(seconds / HURRY_EVERY_S)) return;
    this.hurryS = this.random.between(...HURRY_S);
    this.hurryFactor = this.random.between(...HURRY_FACTOR);
  }

  // What the driver likes here, and what can still be braked for what lies ahead by the end of this step.
  private speeds(stepM: number): { readonly cruiseMps: number; readonly curveMps: number } {
    const factor = this.hurryS > 0 ? this.hurryFactor : this.habit;
    const end = this.path.endOf(this.segment);
    return {
      cruiseMps: this.path.limitOn(this.segment) * factor,
      curveMps: brakingSpeed(end.passMps, end.atM - this.atM - stepM),
    };
  }
}

/**
 * All simulated vehicles, and when each of them has a fix to send. Pure: the present comes in as an argument. The fixes
 * of one interval are spread evenly over it, as those of devices that know nothing of each other.
 */
import type { VehiclePlan } from './plan.ts';
import { Vehicle, type LastSeen, type NativeFix } from './vehicle.ts';

/** The demo's own seed: everybody sees the same fleet. */
export const FLEET_SEED = 'milepost demo 1';

/** What a fleet is made of. */
export interface FleetOptions {
  readonly plans: readonly VehiclePlan[];
  readonly fixIntervalS: number;
  /** Epoch milliseconds. */
  readonly startMs: number;
  readonly seed?: string;
  /** By unit number; who is missing starts at home. */
  readonly lastSeen?: ReadonlyMap<string, LastSeen>;
}

/** The vehicles, each with its own rhythm. */
export class Fleet {
  readonly vehicles: readonly Vehicle[];
  private readonly intervalMs: number;
  private readonly dueMs: Float64Array;

  constructor(options: FleetOptions) {
    const { plans, startMs, seed = FLEET_SEED, lastSeen } = options;
    this.intervalMs = options.fixIntervalS * 1000;
    this.vehicles = plans.map(
      (plan) => new Vehicle(plan, seed, startMs, lastSeen?.get(plan.unitNumber) ?? null),
    );
    this.dueMs = Float64Array.from(
      plans,
      (_, index) => startMs + Math.floor((index / plans.length) * this.intervalMs),
    );
  }

  /**
   * Hands over every fix that is due by now, with the number of its vehicle. After a pause (the machine slept, the clock was
   * set) each vehicle goes on with one fix; what it missed is not made up.
   */
  emitDue(nowMs: number, emit: (index: number, fix: NativeFix) => void): void {
    for (let index = 0; index < this.vehicles.length; index++) {
      const dueMs = this.dueMs[index]!;
      const isFarAhead = dueMs - nowMs > 2 * this.intervalMs;
      if (dueMs > nowMs && !isFarAhead) continue;
      const missed = Math.floor((nowMs - dueMs) / this.intervalMs);
      const timeMs = dueMs + missed * this.intervalMs;
      this.dueMs[index] = timeMs + this.intervalMs;
      emit(index, this.vehicles[index]!.fixAt(timeMs));
    }
  }
}

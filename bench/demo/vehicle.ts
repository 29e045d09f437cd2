/**
 * One simulated vehicle: drives its trips, stands at its stops, and says in the native format what its device would send.
 * Pure: the same plan and the same times give the same fixes. Refuses to know connections and clocks.
 *
 * States: standing (until its time is up) → driving a trip → standing at its end.
 */
import { cityOf } from './cities.ts';
import { Driver, STEP_S_MAX } from './driver.ts';
import { shifted } from './geo.ts';
import type { Path } from './path.ts';
import type { VehiclePlan } from './plan.ts';
import { Random } from './random.ts';
import { Battery, Cooler, Receiver } from './sensors.ts';
import { Trips, type Stand, type Trip } from './trips.ts';

/** A fix as it goes over the wire, keys as in the native format. */
export interface NativeFix {
  /** Epoch milliseconds. */
  readonly time: number;
  readonly lat: number;
  readonly lon: number;
  readonly speed_mps: number;
  readonly heading_deg: number;
  readonly altitude_m: number;
  readonly accuracy_m: number;
  readonly satellites: number;
  readonly odometer_m: number;
  readonly ignition: boolean;
  readonly motion: boolean;
  readonly battery_pct: number;
  readonly temperature_c?: number;
}

/** Where a vehicle was when it was last heard of. */
export interface LastSeen {
  readonly lonDeg: number;
  readonly latDeg: number;
  readonly odometerM: number;
}

/** Time between two fixes beyond this is not simulated: the machine slept, and so did the vehicle. */
export const GAP_S_MAX = 900;

const STAND_S = {
  depot: [50, 240],
  customer: [40, 160],
  fuel: [70, 200],
  address: [20, 60],
} as const;
const FIRST_STAND_S: [number, number] = [3, 25];
/** The engine runs on after arrival, and is started this long before leaving. */
const IGNITION_AFTER_S = 12;
const IGNITION_BEFORE_S = 6;
const MOVING_MPS = 0.4;
/** One vehicle in so many begins in its depot; the others are on their way. */
const IN_DEPOT_EVERY = 3;
/** One cooler in so many begins in the midst of a fault. */
const FAILING_EVERY = 8;

/** One vehicle and its device. */
export class Vehicle {
  readonly plan: VehiclePlan;
  private readonly random: Random;
  private readonly trips: Trips;
  private readonly driver: Driver;
  private readonly receiver: Receiver;
  private readonly cooler: Cooler | null;
  private readonly battery: Battery;
  private readonly odometerM: number;
  private timeMs: number;
  private stand: Stand;
  private isDriving: boolean;
  private standingS = 0;
  private standS = 0;

  /** Starts where it was `lastSeen`, or else in its depot or on its way from there. */
  constructor(plan: VehiclePlan, seed: string, startMs: number, lastSeen: LastSeen | null) {
    this.plan = plan;
    this.timeMs = startMs;
    this.random = new Random(`${seed}:vehicle:${plan.index}`);
    this.trips = new Trips(plan, new Random(`${seed}:trips:${plan.index}`));
    this.receiver = new Receiver(new Random(`${seed}:receiver:${plan.index}`));
    this.battery = new Battery(this.random, plan.hasWeakBattery);
    const isFailing = plan.index % FAILING_EVERY === 0;
    this.cooler = plan.cargo === null ? null : new Cooler(plan.cargo, this.random, isFailing);
    this.odometerM = lastSeen?.odometerM ?? this.random.between(2e7, 3e8);
    const begin = this.beginning(lastSeen);
    this.stand = begin.trip.to;
    this.driver = new Driver(begin.trip.path, this.random, plan.isHasty);
    if (begin.standS === 0) this.driver.placeAt(begin.atM);
    this.isDriving = begin.standS === 0;
    this.standS = begin.standS;
  }

  /** The way it is on, or the one it will leave by. */
  get way(): Path {
    return this.driver.way;
  }

  /** Where it truly is, `[lonDeg, latDeg]`, without the receiver's error. */
  get position(): [number, number] {
    return this.driver.position;
  }

  /** Lives until this time and says what it sends then. Times do not go back; a gap is bridged as far as `GAP_S_MAX`. */
  fixAt(timeMs: number): NativeFix {
    let seconds = Math.min(Math.max(0, (timeMs - this.timeMs) / 1000), GAP_S_MAX);
    this.timeMs = timeMs;
    while (seconds > 0) {
      const step = Math.min(seconds, STEP_S_MAX);
      this.step(step);
      seconds -= step;
    }
    return this.fix();
  }

  private step(seconds: number): void {
    if (this.isDriving) this.drive(seconds);
    else this.wait(seconds);
    this.receiver.step(seconds);
    this.battery.step(seconds, this.ignition);
    const isDoorOpen = this.driver.arrived && this.stand.site?.kind === 'customer';
    this.cooler?.step(seconds, isDoorOpen);
  }

  private drive(seconds: number): void {
    this.driver.step(seconds);
    if (!this.driver.arrived) return;
    this.isDriving = false;
    this.standingS = 0;
    const [min, max] = STAND_S[this.stand.site?.kind ?? 'address'];
    this.standS = this.random.between(min, max);
  }

  private wait(seconds: number): void {
    this.standingS += seconds;
    if (this.standingS < this.standS) return;
    if (this.driver.arrived) this.leave(this.trips.next(this.stand));
    this.isDriving = true;
  }

  private leave(trip: Trip): void {
    this.stand = trip.to;
    this.driver.take(trip.path);
  }

  private get ignition(): boolean {
    if (this.isDriving) return true;
    const isJustIn = this.driver.arrived && this.standingS < IGNITION_AFTER_S;
    return isJustIn || this.standS - this.standingS < IGNITION_BEFORE_S;
  }

  private beginning(lastSeen: LastSeen | null): { trip: Trip; atM: number; standS: number } {
    const standS = this.random.between(...FIRST_STAND_S);
    if (lastSeen !== null) {
      const { lonDeg, latDeg } = lastSeen;
      const underWay = this.trips.onInterstate(lonDeg, latDeg);
      if (underWay !== null) return { ...underWay, standS: 0 };
      const stand = this.trips.standAt(lonDeg, latDeg);
      if (stand !== null) return { trip: this.trips.next(stand), atM: 0, standS };
    }
    const trip = this.trips.next(this.trips.home());
    if (this.plan.index % IN_DEPOT_EVERY === 0) return { trip, atM: 0, standS };
    // Some are close to their stop, so that something happens soon.
    const { lengthM } = trip.path;
    const atM = this.random.chance(0.25)
      ? lengthM - this.random.between(80, 500)
      : lengthM * this.random.between(0.1, 0.95);
    return { trip, atM, standS: 0 };
  }

  private fix(): NativeFix {
    const { driver, receiver } = this;
    const [lonDeg, latDeg] = driver.position;
    const [lon, lat] = shifted(lonDeg, latDeg, receiver.eastM, receiver.northM);
    const isMoving = driver.speedMps > MOVING_MPS;
    const speedNoise = isMoving ? this.random.normal() * 0.15 : 0;
    const turn = isMoving ? this.random.normal() * 1.5 : 0;
    const hillsM = 9 * Math.sin((this.odometerM + driver.drivenM) / 2_600);
    return {
      time: this.timeMs,
      lat: round(lat, 6),
      lon: round(lon, 6),
      speed_mps: isMoving ? Math.max(0, round(driver.speedMps + speedNoise, 1)) : 0,
      heading_deg: Math.round((driver.headingDeg + turn + 360) % 360) % 360,
      altitude_m: round(cityOf(this.plan.cityKey).altitudeM + hillsM, 1),
      accuracy_m: round(receiver.accuracyM, 1),
      satellites: receiver.satellites,
      odometer_m: Math.round(this.odometerM + driver.drivenM),
      ignition: this.ignition,
      motion: isMoving,
      battery_pct: round(this.battery.levelPct, 1),
      ...(this.cooler === null ? {} : { temperature_c: round(this.cooler.temperatureC, 1) }),
    };
  }
}

function round(value: number, digits: number): number {
  const scale = 10 ** digits;
  return Math.round(value * scale) / scale;
}

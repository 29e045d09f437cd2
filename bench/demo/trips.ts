/**
 * Where a vehicle goes next and along which way: deliveries through its city, or the interstate from depot to depot.
 * Knows places and ways; refuses to know speed and time of day.
 */
import { cityOf, type City } from './cities.ts';
import { Path, type RoadPoint } from './path.ts';
import { addressIn, depotOf, planeOf, SITES, type Site, type VehiclePlan } from './plan.ts';
import type { Random } from './random.ts';
import { anywhere, interstateWay, rampOf, streetWay, type Place } from './roads.ts';

/** A place in a city, with the site it belongs to, if any. */
export interface Stand {
  readonly cityKey: string;
  readonly place: Place;
  readonly site: Site | null;
}

/** A way and where it leads. */
export interface Trip {
  readonly path: Path;
  readonly to: Stand;
}

/** The two ends of the interstate, first end first. */
const INTERSTATE_CITIES = ['dallas', 'fort-worth'] as const;
/** A position this far from the interstate is still on it. */
const ON_INTERSTATE_M_MAX = 150;
/** A position this far outside of a city still counts to its streets. */
const OUTSKIRTS_M_MAX = 2_000;
/** A stop closer than this is not worth a trip. */
const TRIP_M_MIN = 250;
const STOP_CHOICES = 3;
const STOPS_A_LOOP: [number, number] = [2, 4];

/** One vehicle's trips; each that is asked for uses up some of its chance. */
export class Trips {
  private readonly plan: VehiclePlan;
  private readonly random: Random;
  private stopsLeft: number;

  constructor(plan: VehiclePlan, random: Random) {
    this.plan = plan;
    this.random = random;
    this.stopsLeft = random.whole(...STOPS_A_LOOP);
  }

  /** The depot that the vehicle belongs to. */
  home(): Stand {
    return this.depot(this.plan.cityKey);
  }

  /** The trip that follows on a stop at `from`. */
  next(from: Stand): Trip {
    if (this.plan.duty === 'line_haul') return this.lineHaul(from);
    const to = this.nextStop(from);
    return { path: new Path(this.way(from, to.place)), to };
  }

  /** Where a vehicle that was last seen here stands now; null when that is on no street of its own. */
  standAt(lonDeg: number, latDeg: number): Stand | null {
    const cityKeys = this.plan.duty === 'line_haul' ? INTERSTATE_CITIES : [this.plan.cityKey];
    for (const cityKey of cityKeys) {
      const spot = planeOf(cityKey).fromEarth(lonDeg, latDeg);
      if (isWithin(cityOf(cityKey), spot)) return { cityKey, place: anywhere(spot), site: null };
    }
    return null;
  }

  /** For a line-haul vehicle seen on the interstate: the trip it is on and how far it has come; null for all others. */
  onInterstate(lonDeg: number, latDeg: number): { trip: Trip; atM: number } | null {
    if (this.plan.duty !== 'line_haul') return null;
    const trip = this.lineHaul(this.depot(INTERSTATE_CITIES[0]));
    const { atM, offM } = trip.path.nearest(lonDeg, latDeg);
    return offM > ON_INTERSTATE_M_MAX ? null : { trip, atM };
  }

  private depot(cityKey: string): Stand {
    const site = depotOf(this.plan.customer, cityKey);
    return { cityKey, place: site.place, site };
  }

  private nextStop(from: Stand): Stand {
    if (this.stopsLeft === 0) {
      this.stopsLeft = this.random.whole(...STOPS_A_LOOP);
      return this.home();
    }
    this.stopsLeft--;
    // The closest of some, or else everyone would be on the road for most of the day.
    for (;;) {
      const choices = Array.from({ length: STOP_CHOICES }, () => this.anyStop(from.cityKey));
      const near = choices
        .filter((stop) => apartM(from, stop) >= TRIP_M_MIN)
        .sort((a, b) => apartM(from, a) - apartM(from, b))[0];
      if (near !== undefined) return near;
    }
  }

  private anyStop(cityKey: string): Stand {
    const draw = this.random.unit();
    if (draw < 0.2) {
      return { cityKey, place: addressIn(cityOf(cityKey), this.random), site: null };
    }
    const kind = draw < 0.28 ? 'fuel' : 'customer';
    const sites = SITES.filter((site) => site.cityKey === cityKey && site.kind === kind);
    const own = sites.filter((site) => site.customer === this.plan.customer);
    const site = this.random.pick(own.length > 0 ? own : sites);
    return { cityKey, place: site.place, site };
  }

  private lineHaul(from: Stand): Trip {
    const isBack = from.cityKey === INTERSTATE_CITIES[1];
    const to = this.depot(INTERSTATE_CITIES[isBack ? 0 : 1]);
    const [fromPlane, toPlane] = [planeOf(from.cityKey), planeOf(to.cityKey)];
    const path = new Path([
      ...streetWay(fromPlane, from.place, rampOf(fromPlane, !isBack), this.random),
      ...interstateWay(isBack),
      ...streetWay(toPlane, rampOf(toPlane, isBack), to.place, this.random),
    ]);
    return { path, to };
  }

  private way(from: Stand, to: Place): RoadPoint[] {
    return streetWay(planeOf(from.cityKey), from.place, to, this.random);
  }
}

function apartM(a: Stand, b: Stand): number {
  return Math.hypot(a.place.spot.xM - b.place.spot.xM, a.place.spot.yM - b.place.spot.yM);
}

function isWithin(city: City, { xM, yM }: { xM: number; yM: number }): boolean {
  return (
    xM > city.westM - OUTSKIRTS_M_MAX &&
    xM < city.eastM + OUTSKIRTS_M_MAX &&
    yM > city.southM - OUTSKIRTS_M_MAX &&
    yM < city.northM + OUTSKIRTS_M_MAX
  );
}

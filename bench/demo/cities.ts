/**
 * The cities of the demo: where they are, how their streets lie, and the interstate between two of them. Streets are not
 * taken from a map: each city has a grid of blocks, turned and gently bent, within a box that is dry land. Knows
 * positions and nothing of vehicles.
 */
import { EARTH_RADIUS_M } from './geo.ts';
import { Random } from './random.ts';

/** Region of the big customer, and so its account. */
export type Region = 'midwest' | 'south' | 'coasts';

/** The demo's city. Lengths in metres from its centre, east and north. */
export interface City {
  readonly key: string;
  readonly name: string;
  readonly latDeg: number;
  readonly lonDeg: number;
  readonly altitudeM: number;
  readonly region: Region;
  readonly westM: number;
  readonly eastM: number;
  readonly southM: number;
  readonly northM: number;
}

/** The order counts: vehicles are dealt out to the cities in it. */
export const CITIES: readonly City[] = [
  city('chicago', 'Chicago', { at: [41.85, -87.75], altitudeM: 181, region: 'midwest', boxKm: [-12, 6, -10, 12] }),
  city('dallas', 'Dallas', { at: [32.79, -96.8], altitudeM: 131, region: 'south', boxKm: [-9, 9, -9, 10] }),
  city('atlanta', 'Atlanta', { at: [33.77, -84.4], altitudeM: 320, region: 'south', boxKm: [-11, 11, -11, 11] }),
  city('denver', 'Denver', { at: [39.73, -104.95], altitudeM: 1609, region: 'midwest', boxKm: [-11, 11, -11, 11] }),
  city('los-angeles', 'Los Angeles', { at: [34, -118.2], altitudeM: 71, region: 'coasts', boxKm: [-13, 14, -11, 6] }),
  city('seattle', 'Seattle', { at: [47.41, -122.24], altitudeM: 13, region: 'coasts', boxKm: [-4, 6, -8, 6] }),
  city('newark', 'Newark', { at: [40.74, -74.21], altitudeM: 9, region: 'coasts', boxKm: [-11, 2, -4, 9] }),
  city('fort-worth', 'Fort Worth', { at: [32.73, -97.32], altitudeM: 199, region: 'south', boxKm: [-8, 8, -8, 8] }),
]; // prettier-ignore

/** The city with this key, which must be one of ours. */
export function cityOf(key: string): City {
  const found = CITIES.find((candidate) => candidate.key === key);
  if (found === undefined) throw new Error(`no city ${key}`);
  return found;
}

/** Interstate 30 from Dallas to Fort Worth: [lonDeg, latDeg], a few kilometres apart. */
export const INTERSTATE: readonly (readonly [number, number])[] = [
  [-96.805, 32.771], [-96.826, 32.7665], [-96.855, 32.7655], [-96.9, 32.765], [-96.95, 32.7625],
  [-97.0, 32.761], [-97.04, 32.7595], [-97.08, 32.7585], [-97.115, 32.757], [-97.16, 32.7565],
  [-97.21, 32.754], [-97.25, 32.748], [-97.285, 32.7425], [-97.315, 32.741],
]; // prettier-ignore

function city(
  key: string,
  name: string,
  lies: {
    at: readonly [number, number];
    altitudeM: number;
    region: Region;
    boxKm: readonly [number, number, number, number];
  },
): City {
  const [latDeg, lonDeg] = lies.at;
  const [westKm, eastKm, southKm, northKm] = lies.boxKm;
  return {
    key,
    name,
    latDeg,
    lonDeg,
    altitudeM: lies.altitudeM,
    region: lies.region,
    westM: westKm * 1000,
    eastM: eastKm * 1000,
    southM: southKm * 1000,
    northM: northKm * 1000,
  };
}

/** A place in a city's own plane, in which streets are straight: metres east and north of its centre. */
export interface GridPoint {
  readonly xM: number;
  readonly yM: number;
}

/** How far the streets swing out, and over which length. */
const BEND_M = 110;
const BEND_LENGTH_M = 5_000;
const TURN_DEG_MAX = 8;
/** Rounds by which `fromEarth` closes in on the point; each gains about a digit. */
const INVERSE_ROUNDS = 8;

/** Carries a city's straight streets over to the earth and back. */
export class CityPlane {
  readonly city: City;
  private readonly cos: number;
  private readonly sin: number;
  private readonly phase: readonly [number, number];
  private readonly degM: number;
  private readonly lonDegM: number;

  constructor(city: City) {
    this.city = city;
    const random = new Random(`streets:${city.key}`);
    const turn = (random.between(-TURN_DEG_MAX, TURN_DEG_MAX) * Math.PI) / 180;
    this.cos = Math.cos(turn);
    this.sin = Math.sin(turn);
    this.phase = [random.between(0, 2 * Math.PI), random.between(0, 2 * Math.PI)];
    this.degM = (Math.PI / 180) * EARTH_RADIUS_M;
    this.lonDegM = this.degM * Math.cos((city.latDeg * Math.PI) / 180);
  }

  /** `[lonDeg, latDeg]` of a point of the plane. */
  toEarth({ xM, yM }: GridPoint): [number, number] {
    const [x, y] = this.bend(xM, yM);
    const east = x * this.cos - y * this.sin;
    const north = x * this.sin + y * this.cos;
    return [this.city.lonDeg + east / this.lonDegM, this.city.latDeg + north / this.degM];
  }

  /** The point of the plane at this position, to within a few millimetres. */
  fromEarth(lonDeg: number, latDeg: number): GridPoint {
    const east = (lonDeg - this.city.lonDeg) * this.lonDegM;
    const north = (latDeg - this.city.latDeg) * this.degM;
    const x = east * this.cos + north * this.sin;
    const y = north * this.cos - east * this.sin;
    let guess: [number, number] = [x, y];
    for (let round = 0; round < INVERSE_ROUNDS; round++) {
      const [bentX, bentY] = this.bend(...guess);
      guess = [guess[0] + x - bentX, guess[1] + y - bentY];
    }
    return { xM: guess[0], yM: guess[1] };
  }

  private bend(xM: number, yM: number): [number, number] {
    const perMetre = (2 * Math.PI) / BEND_LENGTH_M;
    return [
      xM + BEND_M * Math.sin(yM * perMetre + this.phase[0]),
      yM + BEND_M * Math.sin(xM * perMetre + this.phase[1]),
    ];
  }
}

/**
 * Who and what there is in the demo: two customers, their sites, and vehicles dealt out over the cities. The same on
 * every machine; vehicle 17 is the same one in a fleet of 20 and of 2,000. Knows neither SQL nor motion.
 */
import { CITIES, CityPlane, cityOf, type City, type Region } from './cities.ts';
import { Random } from './random.ts';
import { curbAt, yardAt, type Place } from './roads.ts';

/** Whose a vehicle, a site or a user is. */
export type CustomerKey = 'northline' | 'cascade';

/** Where vehicles stop. */
export interface Site {
  readonly customer: CustomerKey;
  readonly cityKey: string;
  readonly kind: 'depot' | 'customer' | 'fuel';
  readonly name: string;
  readonly place: Place;
}

/** A vehicle before it drives: a row of `equipment`, and its device. */
export interface VehiclePlan {
  /** From 0; gives everything else. */
  readonly index: number;
  readonly customer: CustomerKey;
  readonly cityKey: string;
  readonly region: Region;
  readonly unitNumber: string;
  /** The device's name on the wire: an IMEI out of the range for test equipment. */
  readonly deviceIdentifier: string;
  /** `line_haul` drives the interstate from depot to depot. */
  readonly duty: 'delivery' | 'line_haul';
  /** What a cooled body carries; null for one that is not cooled. */
  readonly cargo: 'frozen' | 'chilled' | null;
  readonly isHasty: boolean;
  /** Its device's battery takes no charge. */
  readonly hasWeakBattery: boolean;
}

/** One vehicle in so many is the small customer's. */
const SMALL_CUSTOMER_EVERY = 20;
const SMALL_CUSTOMER_CITY = 'seattle';
const CUSTOMERS_PER_CITY = 5;
/** Between two sites of a city. */
const SITES_APART_M_MIN = 1_700;
/** From a site to the edge of its city. */
const EDGE_M = 1_500;
/** From the corner of a block to the middle of it. */
const YARD_IN_M = 200;
const FUEL_IN_M = 75;
const PLACE_TRIES = 500;

const FIRST_NAMES = [
  'Lakeside',
  'Prairie',
  'Union',
  'Summit',
  'Granite',
  'Orchard',
  'Keystone',
  'Meridian',
];
const LAST_NAMES = [
  'Grocers',
  'Pharmacy',
  'Hardware',
  'Produce',
  'Cold Storage',
  'Paper',
  'Bakery',
];

const planes = new Map(CITIES.map((city) => [city.key, new CityPlane(city)]));

/** The plane of the city with this key, which must be one of ours. */
export function planeOf(cityKey: string): CityPlane {
  return planes.get(cityOf(cityKey).key)!;
}

/** Every site there is. */
export const SITES: readonly Site[] = CITIES.flatMap(sitesOf);

/** The depot of a customer in a city where it has one. */
export function depotOf(customer: CustomerKey, cityKey: string): Site {
  const found = SITES.find(
    (site) => site.customer === customer && site.cityKey === cityKey && site.kind === 'depot',
  );
  if (found === undefined) throw new Error(`${customer} has no depot in ${cityKey}`);
  return found;
}

/** The first `count` vehicles. */
export function planVehicles(count: number): VehiclePlan[] {
  return Array.from({ length: count }, (_, index) => planVehicle(index));
}

function planVehicle(index: number): VehiclePlan {
  const random = new Random(`plan:${index}`);
  const isSmall = index % SMALL_CUSTOMER_EVERY === SMALL_CUSTOMER_EVERY - 1;
  const cityKey = isSmall ? SMALL_CUSTOMER_CITY : CITIES[index % CITIES.length]!.key;
  const { region } = cityOf(cityKey);
  const isOnInterstate = cityKey === 'dallas' || cityKey === 'fort-worth';
  const isLineHaul = !isSmall && isOnInterstate && Math.floor(index / CITIES.length) % 2 === 0;
  // The first vehicle is cooled, so that even the smallest fleet has something to show.
  const isCooled = isSmall || index === 0 || random.chance(0.3);
  const isChilled = isSmall || region === 'south';
  return {
    index,
    customer: isSmall ? 'cascade' : 'northline',
    cityKey,
    region,
    unitNumber: `${isSmall ? 'CC' : 'NL'}-${String(index + 1).padStart(4, '0')}`,
    deviceIdentifier: imei(index),
    duty: isLineHaul ? 'line_haul' : 'delivery',
    cargo: isCooled ? (isChilled ? 'chilled' : 'frozen') : null,
    isHasty: isLineHaul || random.chance(0.35),
    hasWeakBattery: index === 2 || random.chance(0.03),
  };
}

// 00 begins the numbers of test equipment (3GPP TS 23.003, 6.2); the last digit is Luhn's.
function imei(index: number): string {
  const body = `00101700${String(index + 1).padStart(6, '0')}`;
  let sum = 0;
  for (const [i, digit] of [...body].entries()) {
    const doubled = Number(digit) * (i % 2 === 1 ? 2 : 1);
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return body + String((10 - (sum % 10)) % 10);
}

function sitesOf(city: City): Site[] {
  const random = new Random(`sites:${city.key}`);
  const taken: Place[] = [];
  const add = (customer: CustomerKey, kind: Site['kind'], name: string): Site => {
    const place = freePlace(city, random, taken, kind === 'fuel' ? FUEL_IN_M : YARD_IN_M);
    taken.push(place);
    return { customer, cityKey: city.key, kind, name, place };
  };
  const sites = [add('northline', 'depot', `Depot ${city.name}`)];
  const shift = random.whole(0, FIRST_NAMES.length - 1);
  for (let i = 0; i < CUSTOMERS_PER_CITY; i++) {
    const name = `${FIRST_NAMES[(shift + i) % FIRST_NAMES.length]} ${random.pick(LAST_NAMES)}`;
    sites.push(add('northline', 'customer', `${name}, ${city.name}`));
  }
  sites.push(add('northline', 'fuel', `Fuel stop ${city.name}`));
  if (city.key === SMALL_CUSTOMER_CITY) {
    sites.push(add('cascade', 'depot', 'Kent warehouse'));
    for (const name of ['Harbor Fish Market', 'Rainier Dairy', 'Evergreen Clinic']) {
      sites.push(add('cascade', 'customer', name));
    }
  }
  return sites;
}

function freePlace(city: City, random: Random, taken: readonly Place[], inM: number): Place {
  for (let tries = 0; tries < PLACE_TRIES; tries++) {
    const xM = random.between(city.westM + EDGE_M, city.eastM - EDGE_M);
    const yM = random.between(city.southM + EDGE_M, city.northM - EDGE_M);
    const place = yardAt(xM, yM, inM);
    const isFree = taken.every(
      ({ spot }) =>
        Math.hypot(spot.xM - place.spot.xM, spot.yM - place.spot.yM) >= SITES_APART_M_MIN,
    );
    if (isFree) return place;
  }
  throw new Error(`${city.name} has no room for another site`);
}

/** A house number in no fence at all. */
export function addressIn(city: City, random: Random): Place {
  return curbAt(
    random.between(city.westM + EDGE_M, city.eastM - EDGE_M),
    random.between(city.southM + EDGE_M, city.northM - EDGE_M),
  );
}

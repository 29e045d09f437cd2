/**
 * The two fleets of the month: units with their trackers, made through the API. How far each drives on a day is said
 * here, so that every odometer can be reckoned by hand.
 */
import { dayIn, addDays, startOfDayMs, type Day } from '../../api/calendar.ts';
import type { Answer, Device, House, Person } from './house.ts';

export interface Unit {
  /** From 1. */
  readonly number: number;
  readonly equipmentId: number;
  readonly device: Device;
}

export interface Fleet {
  readonly person: Person;
  readonly timeZone: string;
  readonly accounts: Readonly<Record<string, number>>;
  /** By their number: `units[1]` is the first; nothing is at 0. */
  readonly units: readonly Unit[];
}

/** Days that the story goes on. */
export const DAYS = 30;
/** What every odometer shows as the month begins: 100,000 km. */
export const START_ODOMETER_M = 100_000_000;

/** Metres that a unit drives on each day: unit 1 drives 101 km, unit 2 102 km, and so on. */
export function perDayM(unit: number): number {
  return (100 + unit) * 1_000;
}

/** What its odometer shows at the end of a day of the month; 0 is the evening before the first. */
export function odometerM(unit: number, day: number): number {
  return START_ODOMETER_M + day * perDayM(unit);
}

/** Day 1 is such that day 30 is yesterday, wherever on earth: devices tell of no times but near ones. */
export const FIRST_DAY: Day = addDays(dayIn('UTC', Date.now()), -DAYS - 1);

/** The date of a day of the month. */
export function dateOf(day: number): Day {
  return addDays(FIRST_DAY, day - 1);
}

/** Epoch milliseconds of an hour of a day of the month, as the clock on the wall has it. */
export function atMs(fleet: Pick<Fleet, 'timeZone'>, day: number, hour: number): number {
  return startOfDayMs(fleet.timeZone, dateOf(day)) + hour * 3_600_000;
}

/** Makes accounts, units of one type, and a tracker on each; tokens are told once and kept here. */
export async function makeFleet(
  person: Person,
  options: {
    readonly prefix: string;
    readonly timeZone: string;
    readonly unitCount: number;
    readonly equipmentTypeId: number;
    /** By the names under which the fleet has them. */
    readonly accounts: Readonly<Record<string, object>>;
  },
): Promise<Fleet> {
  const { prefix, timeZone, unitCount, equipmentTypeId } = options;
  const accounts: Record<string, number> = {};
  for (const [name, account] of Object.entries(options.accounts)) {
    accounts[name] = await make(person, '/v1/accounts', account);
  }
  const numbers = Array.from({ length: unitCount }, (_, index) => index + 1);
  const items = numbers.map((number) => ({
    unit_number: `${prefix}-${String(number).padStart(3, '0')}`,
    equipment_type_lookup_id: equipmentTypeId,
  }));
  const { results } = await bodyOf<{ results: { id: number }[] }>(
    person.post('/v1/equipment/bulk', { items }),
  );
  const units: Unit[] = [];
  for (const number of numbers) {
    const equipmentId = results[number - 1]!.id;
    const identifier = `${prefix.toLowerCase()}-tracker-${number}`;
    const device = { device_identifier: identifier, device_type: 'tracker' };
    const path = `/v1/iot-devices/${await make(person, '/v1/iot-devices', device)}`;
    const { token } = await bodyOf<{ token: string }>(person.post(`${path}/token`));
    await bodyOf(person.put(`${path}/equipment`, { equipment_id: equipmentId }));
    units[number] = { number, equipmentId, device: { identifier, token } };
  }
  return { person, timeZone, accounts, units };
}

/** Every tracker tells of the days from `from` to `to`: one fix a day, at eight in the evening, at its unit's yard. */
export async function drive(house: House, fleet: Fleet, from: number, to: number): Promise<void> {
  for (const unit of fleet.units.filter(Boolean)) {
    const fixes = [];
    for (let day = from; day <= to; day++) {
      fixes.push({
        time: new Date(atMs(fleet, day, 20)).toISOString(),
        lat: 41 + unit.number / 100,
        lon: -88,
        accuracy_m: 5,
        odometer_m: odometerM(unit.number, day),
      });
    }
    await house.publish(unit.device, 'fixes', fixes);
  }
}

/** The body of an answer that must be a success. */
export async function bodyOf<T = unknown>(asked: Promise<Answer>): Promise<T> {
  const { status, text, body } = await asked;
  if (status >= 200 && status < 300) return body as T;
  throw new Error(`${status}: ${text}`);
}

/** Makes a record and gives its id, which its address ends with. */
export async function make(person: Person, path: string, values: object): Promise<number> {
  const { status, headers, text } = await person.post(path, values);
  if (status === 201) return Number(headers.get('location')!.split('/').at(-1));
  throw new Error(`POST ${path} gives ${status}: ${text}`);
}

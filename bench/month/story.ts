/** What the acts of the month share: the two fleets, the clock, and what earlier acts have made. */
import { atMs, bodyOf, drive, type Fleet } from './fleet.ts';
import type { Answer, House } from './house.ts';

export interface Story {
  readonly house: House;
  readonly north: Fleet;
  readonly hafen: Fleet;
  /** Ids by the names that the acts give them. */
  readonly ids: Record<string, number>;
  /** The last day of which the trackers have told. */
  drivenTo: number;
}

/** Sets the clock to an hour of a day, on the wall of a fleet. */
export function setClock(story: Story, fleet: Fleet, day: number, hour: number): void {
  story.house.nowMs = atMs(fleet, day, hour);
}

/** Every tracker tells of the days up to this one, and it is nine in the evening of it in Chicago. */
export async function driveTo(story: Story, day: number): Promise<void> {
  const { house, north, hafen } = story;
  setClock(story, north, day, 21);
  for (const fleet of [north, hafen]) await drive(house, fleet, story.drivenTo + 1, day);
  story.drivenTo = day;
}

/** Takes a record to another state. */
export function move(fleet: Fleet, path: string, body: object): Promise<Answer> {
  return fleet.person.post(`${path}/transitions`, body);
}

/** A record as it is now. */
export function read<T = Record<string, unknown>>(fleet: Fleet, path: string): Promise<T> {
  return bodyOf<T>(fleet.person.get(path));
}

/** The unit's id. */
export function unitOf({ units }: Fleet, number: number): number {
  return units[number]!.equipmentId;
}

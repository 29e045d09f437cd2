/** The whole story of a town as turns: what is changed, then what arrives. The same seed makes the same turns. */
import type { FixRow, ReadingRow } from '../../engine/test-data.ts';
import type { Edit } from '../../engine/types.ts';
import { Random } from '../demo/random.ts';
import { Town } from './town.ts';
import { Vehicle, type Message } from './vehicle.ts';

export interface SimulationParams {
  readonly seed: number;
  readonly days: number;
  readonly vehicles: number;
  readonly fences: number;
}

/** One step of a simulation. */
export interface Turn {
  /** From 0. */
  readonly step: number;
  readonly nowMs: number;
  readonly edits: readonly Edit[];
  readonly fixes: readonly FixRow[];
  readonly readings: readonly ReadingRow[];
}

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const EDITS_SHARE = 0.04;
/** From here three months hold a change of the clocks in most zones, from the others another one. */
const STARTS = ['2026-03-01T00:00Z', '2026-09-20T00:00Z', '2026-06-01T00:00Z'];

/** Turns of some minutes each, until the days are over. */
export function* turnsOf({ seed, days, vehicles, fences }: SimulationParams): Generator<Turn> {
  const random = new Random(`${seed} turns`);
  const startMs = Date.parse(random.pick(STARTS));
  const town = new Town(seed, Math.max(4, Math.ceil(fences / 3)));
  const fleet = Array.from({ length: vehicles }, (_, i) => {
    return new Vehicle(i + 1, new Random(`${seed} vehicle ${i + 1}`), town.places, startMs);
  });
  const endMs = startMs + days * DAY_MS;
  let waiting: Message[] = [];
  let livedMs = startMs;
  let edits = town.begin(vehicles, fences);
  for (let step = 0, nowMs = startMs; nowMs < endMs; step++) {
    nowMs = Math.min(endMs, nowMs + Math.round(random.between(1, 20) * MINUTE_MS));
    if (nowMs >= livedMs) {
      livedMs += DAY_MS;
      const said = fleet.flatMap((vehicle) => vehicle.live(livedMs));
      waiting = [...waiting, ...said].sort((a, b) => b.arriveMs - a.arriveMs);
    }
    const fixes: FixRow[] = [];
    const readings: ReadingRow[] = [];
    for (let next = waiting.at(-1); next && next.arriveMs <= nowMs; next = waiting.at(-1)) {
      waiting.pop();
      fixes.push(next.fix);
      if (next.reading !== null) readings.push(next.reading);
    }
    yield { step, nowMs, edits, fixes, readings };
    edits = random.chance(EDITS_SHARE) ? town.change() : [];
  }
}

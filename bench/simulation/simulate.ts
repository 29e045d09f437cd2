/**
 * One seed's months, lived twice at once: calmly, and with everything going wrong that may; and then a third time
 * from what the store has kept. The three must tell the same.
 */
import { createHash } from 'node:crypto';
import { createEngine } from '../../engine/engine.ts';
import { batchOf } from '../../engine/test-data.ts';
import type { Edit, EngineEvent } from '../../engine/types.ts';
import { applyEdits, createWorld } from '../../engine/world.ts';
import { Random } from '../demo/random.ts';
import { Breach, hold } from './breach.ts';
import { House } from './house.ts';
import { playCalm, RoughPlay, type Mishaps } from './play.ts';
import { Store, withoutNames } from './store.ts';
import { turnsOf, type SimulationParams } from './turns.ts';

export interface SimulationResult {
  readonly steps: number;
  /** Stored, each once. */
  readonly fixes: number;
  readonly events: number;
  /** Closed. */
  readonly visits: number;
  readonly mishaps: Mishaps;
  /** Of all events in their order. */
  readonly hash: string;
}

/** A breach, and the step at which it was seen. */
export class SimulationFailure extends Error {
  constructor(step: number, nowMs: number, cause: Breach) {
    super(`step ${step}, ${new Date(nowMs).toISOString()}: ${cause.message}`, { cause });
  }
}

const PARTITIONS = 3;
/** Every so many steps all states are compared, not only those that changed. */
const ALL_STATES_STEPS = 100;

/** What one turn was, without its rows. */
interface PastTurn {
  readonly step: number;
  readonly nowMs: number;
  readonly edits: readonly Edit[];
  /** What was told in it, by device. */
  readonly told: string;
}

/** Throws a `SimulationFailure` at the first thing that does not hold. Some 100,000 fixes a second. */
export function simulate(params: SimulationParams): SimulationResult {
  const calm = new House(new Store(), PARTITIONS);
  const rough = new House(new Store(), PARTITIONS);
  const play = new RoughPlay(rough, new Random(`${params.seed} mishaps`));
  const past: PastTurn[] = [];
  const hash = createHash('sha256');
  for (const turn of turnsOf(params)) {
    const { step, nowMs, edits } = turn;
    at(step, nowMs, () => {
      const told = linesOf(playCalm(calm, turn));
      const roughly = linesOf(play.play(turn));
      holdSame(told, roughly, 'restarts, failures and redeliveries change nothing');
      holdStates(calm, rough, step, nowMs);
      hash.update(told);
      past.push({ step, nowMs, edits, told });
    });
  }
  replay(past, rough.store);
  const { store } = rough;
  return {
    steps: past.length,
    fixes: store.fixCount,
    events: store.eventCount,
    visits: store.visits.closed,
    mishaps: play.mishaps,
    hash: hash.digest('hex').slice(0, 16),
  };
}

/** The stored rows once more, step by step, through one engine for all, which searches every fix anew. */
function replay(past: readonly PastTurn[], store: Store): void {
  const world = createWorld();
  const engine = createEngine(world, { usesClearBox: false });
  for (const { step, nowMs, edits, told } of past) {
    at(step, nowMs, () => {
      applyEdits(world, edits);
      const { fixes, readings } = store.rowsByStep.get(step) ?? { fixes: [], readings: [] };
      const { events } = engine.evaluate(batchOf(fixes, readings, nowMs));
      engine.commit();
      holdSame(told, linesOf(events), 'what is stored tells the same again');
    });
  }
}

function at(step: number, nowMs: number, run: () => void): void {
  try {
    run();
  } catch (error) {
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const breach = error instanceof Breach ? error : new Breach('nothing throws', told);
    throw new SimulationFailure(step, nowMs, breach);
  }
}

/**
 * A line an event, by device. What is told of a deleted fence names it as it was last seen, and a new process saw
 * less.
 */
function linesOf(events: readonly EngineEvent[]): string {
  return events
    .toSorted((a, b) => a.deviceId - b.deviceId)
    .map((event) =>
      event.cause === 'fence_removed'
        ? JSON.stringify({ ...event, subjectName: '', subjectVersion: 0 })
        : JSON.stringify(event),
    )
    .join('\n');
}

function holdSame(wanted: string, got: string, invariant: string): void {
  if (wanted === got) return;
  const wantedLines = wanted.split('\n');
  const gotLines = got.split('\n');
  const index = wantedLines.findIndex((line, i) => line !== gotLines[i]);
  const pair = [index < 0 ? 'nothing' : wantedLines[index], gotLines[Math.max(index, 0)]];
  throw new Breach(invariant, `${pair[0]} against ${pair[1] ?? 'nothing'}`);
}

/** Both houses hold the same of every device, their stores hold it too, and so do the visits. */
function holdStates(calm: House, rough: House, step: number, nowMs: number): void {
  const isThorough = step % ALL_STATES_STEPS === 0;
  for (const [deviceId, { text }] of rough.store.states) {
    if (
      !isThorough &&
      calm.store.states.get(deviceId)?.text === text &&
      step % 7 !== deviceId % 7
    ) {
      continue;
    }
    for (const house of [calm, rough]) {
      const held = JSON.stringify(house.snapshot(deviceId));
      const seen = (): string => `device ${deviceId}: ${held} against ${text}`;
      const isSame = withoutNames(held) === withoutNames(text);
      hold(isSame, 'a state in memory is the one in the store', seen);
      holdVisits(house, deviceId);
    }
    if (isThorough) rough.holdIdentity(deviceId, nowMs);
  }
}

/** A visit is open where the engine is inside, and nowhere else. */
function holdVisits({ store }: House, deviceId: number): void {
  const row = store.states.get(deviceId);
  const open = store.visits.openOf(deviceId);
  const told = open.map(({ fenceId, enteredMs }) => `${fenceId} ${enteredMs}`).join(', ');
  const { inside } = JSON.parse(row?.text ?? '{"inside":[]}') as { inside: typeof open };
  const held = inside.map(({ fenceId, enteredMs }) => `${fenceId} ${enteredMs}`).join(', ');
  hold(
    told === held,
    'a visit is open where the engine is inside',
    () => `${told} against ${held}`,
  );
}

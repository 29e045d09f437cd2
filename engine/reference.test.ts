/**
 * The engine against the slow reference on random stories: the same events one by one, the same states, the same late
 * rows, whatever is rolled back and tried again. And the engine with its box ahead of each vehicle against the engine
 * without.
 */
import t from 'tap';
import { createEngine, type Engine } from './engine.ts';
import { batchOf } from './test-data.ts';
import { Dice, randomStory } from './test-random-story.ts';
import { Reference, type Outcome } from './test-reference.ts';
import type { EngineBatch, EngineEvent, Evaluation } from './types.ts';
import { applyEdits, createWorld } from './world.ts';

const SEED = 1;
const STORIES = 1_000;
const BOX_STORIES = 150;
const KINDS = [
  ...['move', 'first_fix', 'fence_changed', 'schedule'].map((cause) => `geofence_enter ${cause}`),
  ...['move', 'fence_changed', 'fence_removed', 'schedule'].map(
    (cause) => `geofence_exit ${cause}`,
  ),
  ...['assignment_changed', 'device_removed'].map((cause) => `geofence_exit ${cause}`),
  ...['dwell', 'cross'].map((type) => `geofence_${type} move`),
  ...['alert_raised move', 'alert_cleared move', 'alert_cleared rule_changed'],
];

/** In their order; of what edits and the clock have caused, the contract leaves the order of devices open. */
function linesOf(events: readonly EngineEvent[], { byEdits, byRows }: Outcome): string[] {
  const byDevice = (some: readonly EngineEvent[]): EngineEvent[] =>
    some.toSorted((a, b) => a.deviceId - b.deviceId);
  return [
    ...byDevice(events.slice(0, byEdits)),
    ...events.slice(byEdits, byRows),
    ...byDevice(events.slice(byRows)),
  ].map((event) => JSON.stringify(event));
}

function factsOf(evaluation: Pick<Evaluation, 'lateCount' | 'lateFixes'>, rows: Iterable<number>) {
  return JSON.stringify([
    evaluation.lateCount,
    evaluation.lateFixes.toSorted((a, b) => a.deviceId - b.deviceId),
    [...rows].sort((a, b) => a - b),
  ]);
}

/** Evaluates; now and then rolls back and evaluates again, once or twice. */
function evaluate(engine: Engine, batch: EngineBatch, dice: Dice): Evaluation {
  for (let tries = dice.chance(0.3) ? dice.whole(1, 2) : 0; tries > 0; tries--) {
    engine.evaluate(batch);
    engine.rollback();
  }
  return engine.evaluate(batch);
}

/** Where and how the two differ; empty where they do not. Counts what is told by kind and cause. */
function difference(seed: number, kinds: Map<string, number>): string {
  const { deviceIds, steps } = randomStory(seed);
  const dice = new Dice(seed + 1e6);
  const world = createWorld();
  const engine = createEngine(world);
  const reference = new Reference();
  for (const [i, step] of steps.entries()) {
    applyEdits(world, step.edits);
    reference.apply(step.edits);
    const batch = batchOf(step.fixes, step.readings, step.nowMs);
    const got = evaluate(engine, batch, dice);
    const wanted = reference.evaluate(batch);
    for (const { type, cause } of wanted.events) {
      kinds.set(`${type} ${cause}`, (kinds.get(`${type} ${cause}`) ?? 0) + 1);
    }
    const pairs: [string, string, string][] = [];
    const gotLines = linesOf(got.events, wanted);
    const wantedLines = linesOf(wanted.events, wanted);
    for (let k = 0; k < Math.max(gotLines.length, wantedLines.length); k++) {
      pairs.push([`event ${k}`, gotLines[k] ?? 'none', wantedLines[k] ?? 'none']);
    }
    pairs.push(['rows', factsOf(got, got.latestFixRows), factsOf(wanted, wanted.latestFixRows)]);
    engine.commit();
    pairs.push(['next due', `${engine.nextDueMs()}`, `${reference.nextDueMs()}`]);
    for (const id of deviceIds) {
      const states = [engine.snapshot(id), reference.snapshot(id)].map((s) => JSON.stringify(s));
      pairs.push([`state of ${id}`, states[0]!, states[1]!]);
    }
    const unequal = pairs.find(([, a, b]) => a !== b);
    if (unequal === undefined) continue;
    const [what, a, b] = unequal;
    return `seed ${seed}, step ${i}, ${what}:\n  engine    ${a}\n  reference ${b}`;
  }
  return '';
}

t.test(`the reference tells the same, ${STORIES} stories from seed ${SEED}`, (t) => {
  const kinds = new Map<string, number>();
  const differing: string[] = [];
  for (let seed = SEED; seed < SEED + STORIES; seed++) {
    const told = difference(seed, kinds);
    if (told !== '') differing.push(told);
  }
  t.same(differing.slice(0, 3), [], `${differing.length} stories differ`);
  const rare = KINDS.filter((kind) => (kinds.get(kind) ?? 0) < STORIES / 100);
  t.same(rare, [], `every kind was told: ${[...kinds].map((kind) => kind.join(' ')).join(', ')}`);
  t.end();
});

t.test(`the box ahead of a vehicle changes nothing, ${BOX_STORIES} stories`, (t) => {
  let fixes = 0;
  let events = 0;
  const searches = [0, 0];
  const differing: string[] = [];
  for (let seed = 1; seed <= BOX_STORIES; seed++) {
    const { deviceIds, steps } = randomStory(seed, {
      fixesMax: 600,
      // Some mostly stand, the others drive.
      stillness: seed % 2 === 0 ? 0.9 : 0.1,
    });
    const dice = [new Dice(seed), new Dice(seed)];
    const worlds = [createWorld(), createWorld()];
    const engines = worlds.map((world, i) => createEngine(world, { usesClearBox: i === 0 }));
    const isDifferent = steps.some((step) => {
      for (const world of worlds) applyEdits(world, step.edits);
      const batch = batchOf(step.fixes, step.readings, step.nowMs);
      const told = engines.map((engine, i) => {
        const evaluation = evaluate(engine, batch, dice[i]!);
        engine.commit();
        fixes += step.fixes.length / 2;
        events += evaluation.events.length / 2;
        const states = deviceIds.map((id) => engine.snapshot(id));
        return JSON.stringify([evaluation.events, states, engine.nextDueMs()]);
      });
      return told[0] !== told[1];
    });
    if (isDifferent) differing.push(`seed ${seed}`);
    for (const [i, world] of worlds.entries()) searches[i]! += world.searchCount;
  }
  t.same(differing, []);
  t.ok(fixes > 300 * BOX_STORIES, `${fixes} fixes`);
  t.ok(events > 20 * BOX_STORIES, `${events} events`);
  t.ok(searches[0]! < 0.8 * searches[1]!, `${searches.join(' searches, without boxes ')}`);
  t.end();
});

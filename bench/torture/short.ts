/** The short form of scenarios, as tests: one after the other in one house, with a seed that is told. */
import type { Test } from 'tap';
import { ensureBuilt, withBuildLock } from '../proof/built.ts';
import { playInOneHouse } from './play.ts';
import type { Scenario } from './stage.ts';

const SEED = 'short';
const UNITS = 40;

/** Plays them and holds each to its verdict. */
export async function holdShort(t: Test, scenarios: readonly Scenario[]): Promise<void> {
  t.comment(`seed ${SEED}, ${UNITS} devices`);
  const results = await playInOneHouse(t, scenarios, {
    guard: (start) =>
      withBuildLock(async () => {
        await ensureBuilt();
        return start();
      }),
    seed: SEED,
    units: UNITS,
    isLong: false,
    say: (line) => t.comment(line),
  });
  for (const { scenario, skipped, breaches, figures, seconds } of results) {
    const name = `${scenario.name}: ${scenario.what}`;
    if (skipped !== null) t.pass(name, { skip: skipped });
    else t.same(breaches, [], name);
    t.comment(`${scenario.name}: ${seconds} s ${JSON.stringify(figures)}`);
  }
}

/** A short run of every target; `scripts/fuzz.ts` is the long one. */
import t from 'tap';
import { fuzzTargets } from './test-all.ts';
import { runTarget } from './test-run.ts';
import { hasCorpus } from './test-seeds.ts';

const INPUTS = 400;
const seed = Date.now() % 0x7fff_ffff;

t.comment(`seed ${seed}; the corpus is ${hasCorpus ? '' : 'not '}among the seeds`);

for (const target of fuzzTargets()) {
  t.test(target.name, async (t) => {
    const { reached } = await runTarget(target, { inputs: INPUTS, seed });
    t.ok(
      target.isBlind || reached > INPUTS / 50,
      `${reached} of ${INPUTS} came further than the first refusal`,
    );
  });
}

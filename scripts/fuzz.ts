/**
 * `npm run fuzz -- --inputs N --seed S --target WORDS`: the long run of everything in `ingest/fuzz`, a million inputs when
 * nothing is said. Prints what each target has been through, and ends with 1 at the first promise that is broken, telling
 * the least input that breaks it. The same seed gives the same inputs.
 */
import { parseArgs } from 'node:util';
import { fuzzTargets } from '../ingest/fuzz/test-all.ts';
import { current, runTarget, shown, type TargetResult } from '../ingest/fuzz/test-run.ts';
import { hasCorpus } from '../ingest/fuzz/test-seeds.ts';

const INPUTS = 1_000_000;
const SEED_MAX = 0x7fff_ffff;

function integer(name: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new Error(`--${name} must be a whole number from 1 to ${max}, not ${JSON.stringify(text)}`);
}

function told({ name, inputs, reached, ms }: TargetResult): string {
  const share = `${((100 * reached) / inputs).toFixed(1)} %`.padStart(7);
  const rate = Math.round(inputs / (ms / 1000));
  return `${name.padEnd(26)} ${String(inputs).padStart(9)} inputs  ${share} beyond the first refusal  ${String(rate).padStart(7)}/s`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: String(INPUTS) },
      seed: { type: 'string', default: String(1 + (Date.now() % SEED_MAX)) },
      target: { type: 'string', default: '' },
    },
  });
  const inputs = integer('inputs', values.inputs, 1e9);
  const seed = integer('seed', values.seed, SEED_MAX);
  const targets = fuzzTargets().filter(({ name }) => name.includes(values.target));
  if (targets.length === 0) throw new Error(`no target has ${values.target} in its name`);
  const each = Math.ceil(inputs / targets.length);
  console.log(
    `seed ${seed}; the corpus is ${hasCorpus ? '' : 'not '}among the messages begun from`,
  );
  const startMs = performance.now();
  for (const target of targets) console.log(told(await runTarget(target, { inputs: each, seed })));
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  const rssMb = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(
    `${each * targets.length} inputs, ${targets.length} targets, ${seconds} s, at most ${rssMb} MB: nothing broke`,
  );
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

// What is thrown where nobody waits for it belongs to the input that is being tried.
process.on('uncaughtException', (error) => {
  console.error(`${current.target}: an error that nobody caught, at ${shown(current.input)}`);
  fail(error);
});

await main().catch(fail);

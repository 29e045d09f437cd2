/** Files that end in every way that a file can, run by the runner itself. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { runTests, type TestRun } from './run-tests.ts';

const TAP = JSON.stringify(
  pathToFileURL(join(process.cwd(), 'node_modules/tap/dist/esm/index.js')).href,
);
const LONG_MS = 60_000;

/** Runs programs of these texts one after the other; what was printed, without times, and the counts. */
async function run(texts: Record<string, string>, options: Partial<TestRun> = {}) {
  const dir = t.testdir({});
  const names = Object.keys(texts);
  const files = names.map((name) => ({ name, program: join(dir, `${name}.mjs`) }));
  for (const { name, program } of files) {
    await writeFile(program, `import t from ${TAP};\n${texts[name]!}`);
  }
  const lines: string[] = [];
  const counts = await runTests({
    files,
    jobs: 1,
    env: {},
    print: (line) => lines.push(line.replace(/time=[\d.]+ms/, 'time')),
    signal: new AbortController().signal,
    ...options,
  });
  return { lines, counts };
}

t.test('sums up what passed, failed and was left out', async (t) => {
  const { lines, counts } = await run({
    good: `t.test('inner', (t) => { t.ok(1); t.ok(1); t.end(); });`,
    bad: `t.ok(true, 'kept quiet');\n\n\n\n\n\n\nt.test('inner', (t) => { t.equal(1, 2, 'sums'); t.end(); });`,
    left: `t.test('away', { skip: 'no root' }, () => {}); t.ok(1);`,
  });
  t.match(counts, { passed: 4, failed: 1, skipped: 1, skips: ['away # SKIP no root'] });
  const shown = lines.join('\n');
  t.match(shown, /^ok - good # time\n/);
  t.match(shown, / {4}not ok 1 - sums\n {6}---\n[^]*\nnot ok - bad # time\nok - left # time$/);
  t.match(shown, 'bad.mjs', 'it says where');
  t.notMatch(shown, 'kept quiet');
});

t.test('a file that ends badly is a failure, and the others go on', async (t) => {
  const { lines, counts } = await run({
    crashed: `t.ok(1); process.exit(7);`,
    killed: `t.ok(1); process.kill(process.pid, 'SIGKILL');`,
    broken: `import './there-is-no-such-file.mjs';`,
    empty: '',
    good: `t.ok(1);`,
  });
  t.equal(counts.failed, 4);
  t.same(
    lines.filter((line) => /^(not )?ok - /.test(line)),
    [
      ...['crashed', 'killed', 'broken', 'empty'].map((name) => `not ok - ${name} # time`),
      'ok - good # time',
    ],
  );
  const shown = lines.join('\n');
  t.match(shown, 'it ended with SIGKILL');
  t.match(shown, 'it holds no test');
});

t.test('a file that stands still is killed', async (t) => {
  const { lines, counts } = await run(
    {
      still: `t.ok(1); t.test('for ever', () => new Promise(() => setInterval(() => {}, ${LONG_MS})));`,
    },
    { fileTimeoutMs: 1 },
  );
  t.equal(counts.failed, 1);
  t.match(lines.join('\n'), 'it had not ended after 1 ms');
});

t.test('when it is to end, what runs is ended and nothing begins', async (t) => {
  const stopping = new AbortController();
  const { lines, counts } = await run(
    { first: `t.ok(1);`, second: `t.ok(1);` },
    { signal: stopping.signal, print: () => stopping.abort('SIGINT') },
  );
  t.same([counts.passed, counts.failed, lines], [1, 0, []]);
});

t.test('as many run at once as are told', async (t) => {
  // Each waits for the other, so that neither could end alone.
  const other = (mine: string, theirs: string) => `
    import { existsSync, watch, writeFileSync } from 'node:fs';
    const dir = new URL('.', import.meta.url);
    await new Promise((resolve) => {
      const look = () => existsSync(new URL('${theirs}.told', dir)) && resolve();
      const watcher = watch(dir, look);
      t.teardown(() => watcher.close());
      writeFileSync(new URL('${mine}.told', dir), '');
      look();
    });
    t.ok(1);`;
  const { counts } = await run({ a: other('a', 'b'), b: other('b', 'a') }, { jobs: 2 });
  t.match(counts, { passed: 2, failed: 0 });
});

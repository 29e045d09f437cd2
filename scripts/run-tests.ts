/**
 * Runs test files side by side, each a program of its own that tells on its standard output, as TAP, how it went. There is
 * no loader between a test and Node: a file that imports the whole server starts in half of the time that it takes under
 * tap's own command. Knows nothing of databases.
 *
 * Of each file it prints what failed, and then one line, `ok` or `not ok`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { countTap, tellingLines, type TapCount } from './tap-output.ts';

/** What a test may take unless it says otherwise, in seconds as tap reads it. */
const TEST_TIMEOUT_S = '120';
/** After this a file is killed, whatever it says of itself. */
const FILE_TIMEOUT_MS = 600_000;

export interface TestFile {
  readonly name: string;
  /** The path of what it is compiled to. */
  readonly program: string;
}

export interface TestRun {
  readonly files: readonly TestFile[];
  /** How many run at once. */
  readonly jobs: number;
  readonly env: NodeJS.ProcessEnv;
  readonly print: (line: string) => void;
  /** When aborted, no further file begins, and those that run are ended. */
  readonly signal: AbortSignal;
  readonly fileTimeoutMs?: number;
}

/**
 * Resolves with the sum over all files. A file that ends badly without a failed test (it crashed, was killed, or held no
 * test at all) counts as a failure.
 */
export async function runTests(run: TestRun): Promise<TapCount> {
  const counts: TapCount[] = [];
  const waiting = run.files.values();
  const work = async () => {
    for (const file of waiting) {
      if (run.signal.aborted) return;
      counts.push(await runFile(file, run));
    }
  };
  await Promise.all(Array.from({ length: run.jobs }, work));
  const sum = (of: (count: TapCount) => number) => counts.reduce((all, one) => all + of(one), 0);
  return {
    passed: sum(({ passed }) => passed),
    failed: sum(({ failed }) => failed),
    skipped: sum(({ skipped }) => skipped),
    skips: counts.flatMap(({ skips }) => skips),
  };
}

async function runFile(file: TestFile, run: TestRun): Promise<TapCount> {
  const startedMs = performance.now();
  const { text, end } = await outputOf(file.program, run);
  const count = countTap(text);
  const isEmpty = count.passed + count.failed + count.skipped === 0;
  for (const line of tellingLines(text)) run.print(line);
  if (count.failed === 0 && (end !== null || isEmpty)) {
    run.print(`    not ok - ${end ?? 'it holds no test'}`);
    count.failed = 1;
  }
  const tookMs = Math.round(performance.now() - startedMs);
  run.print(`${count.failed === 0 ? 'ok' : 'not ok'} - ${file.name} # time=${tookMs}ms`);
  return count;
}

/** What the program says, and how it ended: null when well. */
async function outputOf(
  program: string,
  run: TestRun,
): Promise<{ text: string; end: string | null }> {
  const child = spawn(process.execPath, ['--enable-source-maps', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...run.env, TAP_TIMEOUT: TEST_TIMEOUT_S },
  });
  const timeoutMs = run.fileTimeoutMs ?? FILE_TIMEOUT_MS;
  let isOverdue = false;
  const overdue = setTimeout(() => {
    isOverdue = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const abort = () => child.kill('SIGTERM');
  run.signal.addEventListener('abort', abort);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const [code, signal] = (await once(child, 'close')) as Exit;
  clearTimeout(overdue);
  run.signal.removeEventListener('abort', abort);
  if (isOverdue) return { text, end: `it had not ended after ${timeoutMs} ms` };
  return { text, end: code === 0 ? null : `it ended with ${code ?? signal}` };
}

type Exit = [code: number | null, signal: NodeJS.Signals | null];

/**
 * Runs a scenario in a process of its own and passes its figures on: none then runs on code that another has made general, or
 * in a heap that another has filled.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Figure, Report } from '../report.ts';

/** Room for a million fences, and their GeoJSON beside them. */
const HEAP_MIB_MAX = 12_288;

/** Rejects when the process fails. */
export async function runApart(
  scenario: string,
  params: Readonly<Record<string, string | number>>,
  report: Report,
): Promise<void> {
  const program = join(import.meta.dirname, '../run.js');
  const child = spawn(
    process.execPath,
    [
      `--max-old-space-size=${HEAP_MIB_MAX}`,
      program,
      scenario,
      '--json',
      ...Object.entries(params).flatMap(([name, value]) => [`--${name}`, String(value)]),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'exit') as Promise<[number | null]>;
  for await (const line of createInterface({ input: child.stdout })) {
    report(JSON.parse(line) as Figure);
  }
  const [code] = await exited;
  if (code !== 0) throw new Error(`${scenario} ended with ${code}`);
}

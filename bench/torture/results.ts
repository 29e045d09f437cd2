/** The last full run as a document: when, on what, by which command, and what came of each scenario. Decides nothing. */
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem, type } from 'node:os';
import { projectDir } from '../../db/project-dir.ts';
import type { Result } from './play.ts';
import { mib, RECOVERY_MS_MAX, RSS_BYTES_MAX } from './stage.ts';

export interface RunFacts {
  readonly seed: string;
  readonly devices: number;
  readonly command: string;
  readonly startedAt: Date;
  readonly postgresVersion: string;
}

/** Markdown. */
export function resultsDocument(facts: RunFacts, results: readonly Result[]): string {
  const { seed, devices, command, startedAt, postgresVersion } = facts;
  const failed = results.filter(({ breaches }) => breaches.length > 0).length;
  const skipped = results.filter((result) => result.skipped !== null).length;
  const passed = results.length - failed - skipped;
  const minutes = Math.round(results.reduce((sum, result) => sum + result.seconds, 0) / 60);
  return [
    '# The last full torture run',
    '',
    'Written by `npm run torture` when all scenarios were played in their long form. What they are and what is held',
    'against what: [README.md](README.md).',
    '',
    `- **${passed} passed, ${failed} failed, ${skipped} not run**, ${minutes} minutes`,
    `- ${startedAt.toISOString().slice(0, 16).replace('T', ' ')} UTC, commit ${commit()}`,
    `- \`${command}\`, ${devices} devices, seed \`${seed}\``,
    `- ${cpus().length} × ${cpus()[0]!.model.trim()}, ${Math.round(totalmem() / 1e9)} GB, ${type()} ${release()}`,
    `- Node ${process.version}, PostgreSQL ${postgresVersion} with fsync on, on the same machine as devices and server`,
    `- limits: ${mib(RSS_BYTES_MAX)} MiB of memory, ${RECOVERY_MS_MAX / 1_000} s from the database's return to an answer`,
    '',
    '| Scenario | Verdict | s | Figures |',
    '|---|---|---:|---|',
    ...results.map(row),
    '',
    ...results.flatMap(breachesOf),
  ].join('\n');
}

function row({ scenario, skipped, breaches, figures, seconds }: Result): string {
  const verdict = skipped !== null ? `not run: ${skipped}` : breaches.length > 0 ? 'FAIL' : 'pass';
  const told = Object.entries(figures).map(([name, value]) => {
    const text = typeof value === 'number' ? value.toLocaleString('en-US') : value;
    return `${name.replaceAll('_', ' ')} ${text}`;
  });
  const cells = [`**${scenario.name}**: ${scenario.what}`, verdict, seconds, told.join(', ')];
  return `| ${cells.join(' | ')} |`;
}

function breachesOf({ scenario, breaches }: Result): string[] {
  if (breaches.length === 0) return [];
  return [`## ${scenario.name}`, '', '```', ...breaches, '```', ''];
}

/** The commit that the files are of, and whether they are. */
function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: projectDir, stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  try {
    const isClean = git('status', '--porcelain', '--untracked-files=no') === '';
    return `\`${git('rev-parse', '--short', 'HEAD')}\`${isClean ? '' : ' with changes'}`;
  } catch {
    return 'unknown';
  }
}

/**
 * Milepost as a user starts it: a child process with its settings in the environment, in a process group of its own,
 * known by what it prints. Refuses to know anything of its inside.
 *
 * States: starting → running (it said so) → gone. Whatever happens, the whole group is killed at the end of the test.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { projectDir } from '../../db/project-dir.ts';
import { endWithTest } from './last-will.ts';
import { withPatience } from './patience.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Something of its group went on without it, and had to be killed. */
  readonly orphaned: boolean;
  /** All that it printed. */
  readonly output: string;
}

export interface Program {
  readonly urls: { readonly http: string; readonly live: string; readonly mqtt: string };
  /** Resolves when the process that was started has ended. */
  readonly exited: Promise<Exit>;
  output(): string;
  /** Resolves when it prints a line with this text, from now on. */
  said(text: string): Promise<void>;
  /** SIGKILL to the whole group, at once. */
  kill(): void;
  /** A signal to the process that was started. */
  signal(name: NodeJS.Signals): void;
}

/** `npm start` builds first, which changes nothing of what the tests run from. */
export type Command = 'npm start' | `node ${string}`;

interface Tearable {
  teardown(work: () => Promise<unknown>): unknown;
}

/** Settings that every test wants, besides the database and the issuer. */
export const QUIET_SETTINGS = {
  HTTP_HOST: '127.0.0.1',
  MQTT_HOST: '127.0.0.1',
  LIVE_HOST: '127.0.0.1',
  HTTP_PORT: '0',
  MQTT_PORT: '0',
  LIVE_PORT: '0',
} as const;

/** Starts it and resolves when it says that it runs; rejects with its output when it ends instead. */
export async function startProgram(
  t: Tearable,
  settings: Record<string, string>,
  command: Command = 'node dist/main.js',
): Promise<Program> {
  const { urls, ...program } = launch(t, settings, command);
  const answer = Promise.race([urls, program.exited]);
  const first = await withPatience(answer, () => `for ${command} to run:\n${program.output()}`);
  if ('http' in first) return { ...program, urls: first };
  throw new Error(`${command} ended with ${first.code ?? first.signal}:\n${first.output}`);
}

/** Starts it and resolves when it has ended; it is expected to refuse to run. */
export async function runProgram(
  t: Tearable,
  settings: Record<string, string>,
  command: Command = 'node dist/main.js',
): Promise<Exit> {
  const { urls, exited, kill, output } = launch(t, settings, command);
  const answer = Promise.race([urls, exited]);
  const first = await withPatience(answer, () => `for ${command} to end:\n${output()}`);
  if ('code' in first) return first;
  kill();
  throw new Error(`${command} runs, though it was expected to refuse`);
}

/** What a user's shell has, and none of the settings of the test run. */
export function plainEnvironment(): Record<string, string> {
  const env: Record<string, string> = { npm_config_update_notifier: 'false' };
  for (const name of ['PATH', 'HOME', 'USER', 'LANG', 'TMPDIR']) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

type Urls = Program['urls'];
type Launched = Omit<Program, 'urls'> & { readonly urls: Promise<Urls> };

function launch(t: Tearable, settings: Record<string, string>, command: Command): Launched {
  const [file, ...args] = command.split(' ');
  const child = spawn(file!, args, {
    cwd: projectDir,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...plainEnvironment(), ...settings },
  });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const lines = createInterface({ input: child.stdout });
  const urls = new Promise<Urls>((resolve) => {
    lines.on('line', (line) => {
      output += `${line}\n`;
      const told = line.includes('Milepost is running') ? (JSON.parse(line) as Urls) : null;
      if (told !== null) resolve({ http: told.http, live: told.live, mqtt: told.mqtt });
    });
  });
  const signalGroup = groupOf(child);
  let orphaned = false;
  child.once('exit', () => (orphaned = signalGroup('SIGKILL')));
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, orphaned, output }));
  });
  endWithTest(child, true);
  t.teardown(() => {
    signalGroup('SIGKILL');
    return exited;
  });
  return {
    urls,
    exited,
    output: () => output,
    said: (text) =>
      new Promise((resolve) => {
        lines.on('line', (line) => {
          if (line.includes(text)) resolve();
        });
      }),
    kill: () => void signalGroup('SIGKILL'),
    signal: (name) => void child.kill(name),
  };
}

/** Sends a signal to a child's group; false when nothing is left of it. Its number may be another's by then. */
function groupOf(
  child: ChildProcessByStdio<null, Readable, Readable>,
): (name: NodeJS.Signals) => boolean {
  let isGone = false;
  child.once('close', () => (isGone = true));
  return (name) => {
    if (child.pid === undefined || isGone) return false;
    try {
      return process.kill(-child.pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
      throw error;
    }
  };
}

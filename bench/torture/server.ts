/**
 * Milepost as a user starts it, to be killed and started again: a child process with its settings in the environment, in
 * a process group of its own, known by what it prints, by `/proc`, and by its own health and metrics. Refuses to know
 * anything of its inside.
 *
 * States: down → starting → running (it said so) → down, by a signal or by itself.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { projectDir } from '../../db/project-dir.ts';
import { plainEnvironment } from '../proof/program.ts';
import { endWithTest } from '../proof/last-will.ts';
import { withPatience } from '../proof/patience.ts';
import { readMetrics } from '../proof/portal.ts';
import type { Tearable } from './cleanup.ts';

export interface ServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  /** From the last signal that was sent. */
  readonly ms: number;
}

export interface ServerOptions {
  readonly t: Tearable;
  readonly settings: Readonly<Record<string, string>>;
}

/** Characters of output that are kept: what it said last. */
const OUTPUT_CHARS_MAX = 200_000;
const RSS_SAMPLE_MS = 200;

export class TorturedServer {
  /** The most memory that any of its processes has held, in bytes. */
  rssBytesMax = 0;
  startCount = 0;
  private readonly options: ServerOptions;
  private child: ChildProcess | null = null;
  private exit: Promise<ServerExit> = Promise.resolve({ code: 0, signal: null, output: '', ms: 0 });
  private output = '';
  private signalledMs = NaN;

  constructor(options: ServerOptions) {
    this.options = options;
    options.t.teardown(() => {
      this.kill();
      return this.exited;
    });
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.options.settings['HTTP_PORT']}`;
  }

  get liveUrl(): string {
    return `ws://127.0.0.1:${this.options.settings['LIVE_PORT']}/v1/live`;
  }

  get isAlive(): boolean {
    return this.child !== null;
  }

  /** Resolves when the process that was started last has ended. */
  get exited(): Promise<ServerExit> {
    return this.exit;
  }

  /** What it has printed since it was started. */
  get said(): string {
    return this.output;
  }

  /** Resolves when it says that it runs; rejects with its output when it ends instead. */
  async start(): Promise<void> {
    const running = this.launch();
    const ended = this.exit.then(({ code, signal, output }) => {
      throw new Error(`Milepost ended with ${code ?? signal} instead of starting:\n${output}`);
    });
    await withPatience(Promise.race([running, ended]), () => `for it to run:\n${this.output}`);
  }

  /** Starts it and kills it after so long, wherever it has got to. */
  async startAndKill(afterMs: number): Promise<void> {
    void this.launch();
    await wait(afterMs);
    this.kill();
    await this.exit;
  }

  /** SIGKILL to the whole group. */
  kill(): void {
    this.signal('SIGKILL');
  }

  signal(name: NodeJS.Signals): void {
    const pid = this.child?.pid;
    if (pid === undefined) return;
    this.signalledMs = performance.now();
    try {
      process.kill(name === 'SIGKILL' ? -pid : pid, name);
    } catch (error) {
      // It has just ended by itself.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  /** `/readyz`: 200, 503, or 0 when it does not answer within two seconds. */
  async readiness(): Promise<number> {
    const signal = AbortSignal.timeout(2_000);
    return fetch(`${this.httpUrl}/readyz`, { signal }).then(
      async (response) => {
        await response.arrayBuffer();
        return response.status;
      },
      () => 0,
    );
  }

  metrics(): Promise<Map<string, number>> {
    return readMetrics(this.httpUrl);
  }

  private launch(): Promise<void> {
    const child = spawn(process.execPath, [join(projectDir, 'dist', 'main.js')], {
      cwd: projectDir,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...plainEnvironment(), ...this.options.settings },
    });
    this.child = child;
    this.startCount += 1;
    this.output = '';
    this.signalledMs = NaN;
    endWithTest(child, true);
    const say = (text: string): void => {
      this.output = (this.output + text).slice(-OUTPUT_CHARS_MAX);
    };
    child.stderr.on('data', (chunk: Buffer) => say(chunk.toString()));
    const sampler = setInterval(() => void this.sampleRss(child), RSS_SAMPLE_MS);
    this.exit = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        clearInterval(sampler);
        if (this.child === child) this.child = null;
        const ms = performance.now() - this.signalledMs;
        resolve({ code, signal, output: this.output, ms });
      });
    });
    return new Promise((resolve) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        say(`${line}\n`);
        if (line.includes('Milepost is running')) resolve();
      });
    });
  }

  /** The kernel keeps the peak itself, so none is missed between two samples. */
  private async sampleRss(child: ChildProcess): Promise<void> {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
    const kib = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
    this.rssBytesMax = Math.max(this.rssBytesMax, kib * 1024);
  }
}

/**
 * A durable PostgreSQL of our own that may be killed, all of it, and started again on the same port and data; on a disk
 * of its own that can be filled, where this process may mount one. Knows processes, files and mounts; refuses to know
 * what is stored.
 *
 * States: up ⇄ killed; stopped at the end of the run, whatever happened.
 */
import { execFileSync, spawn } from 'node:child_process';
import { appendFile, mkdtemp, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../db/embedded.ts';
import type { Tearable } from './cleanup.ts';

/** Small enough that a disk of some hundred MB is a whole database's. */
const SETTINGS = {
  max_wal_size: '64MB',
  min_wal_size: '32MB',
  max_connections: '100',
  shared_buffers: '64MB',
} as const;

const MIB = 1024 * 1024;
/** While the cluster is made. */
const DISK_MIB_FIRST = 2_048;
const BALLAST_PIECE = Buffer.alloc(MIB, 0x55);

export class TorturedPostgres {
  private readonly dataDir: string;
  private server: EmbeddedPostgres;
  private readonly port: number;

  private constructor(dataDir: string, server: EmbeddedPostgres) {
    this.dataDir = dataDir;
    this.server = server;
    this.port = server.port;
  }

  /** With `onDisk`, its data lies on a file system of its own. */
  static async start(t: Tearable, onDisk: Disk | null): Promise<TorturedPostgres> {
    const dataDir = onDisk?.dir ?? (await mkdtemp(join(tmpdir(), 'milepost-torture-')));
    if (onDisk === null) t.teardown(() => rm(dataDir, { recursive: true, force: true }));
    t.teardown(leaveLastWill(dataDir));
    const server = await startEmbeddedPostgres({ dataDir, port: 0, settings: SETTINGS });
    const postgres = new TorturedPostgres(dataDir, server);
    t.teardown(() => postgres.server.stop());
    return postgres;
  }

  /** To the database `milepost`, as its owner. */
  get url(): string {
    return this.server.connectionString;
  }

  get version(): string {
    return this.server.serverVersion;
  }

  urlThrough(port: number): string {
    const url = new URL(this.url);
    url.port = String(port);
    return url.href;
  }

  /** SIGKILL to the postmaster and every process it has; resolves when none of them is left. */
  async killAll(): Promise<void> {
    const postmaster = await this.postmasterPid();
    if (postmaster === null) return;
    // Its children first learn of it through a pipe, but not before they are killed too.
    const pids = [postmaster, ...(await childrenOf(postmaster))];
    for (const pid of pids) kill(pid);
    while ((await Promise.all(pids.map(isRunning))).some(Boolean)) await wait(5);
  }

  /** After `killAll`, or after it went down by itself; resolves when it takes connections again. */
  async startAgain(): Promise<void> {
    const { dataDir, port } = this;
    this.server = await startEmbeddedPostgres({ dataDir, port, settings: SETTINGS });
  }

  /** Whether the postmaster runs. */
  async isUp(): Promise<boolean> {
    const pid = await this.postmasterPid();
    return pid !== null && (await isRunning(pid));
  }

  private async postmasterPid(): Promise<number | null> {
    const path = join(this.dataDir, 'cluster', 'postmaster.pid');
    const text = await readFile(path, 'utf8').catch(() => '');
    const pid = Number(text.split('\n')[0]);
    return pid > 0 ? pid : null;
  }
}

/**
 * However this process ends, the server ends with it, and its folder goes: a shell waits on a pipe that only this process
 * holds open. Gives what takes the shell away, after a proper end.
 */
function leaveLastWill(dataDir: string): () => Promise<void> {
  const script = `read -r _
    pid=$(head -n 1 "$0/cluster/postmaster.pid") && grep -q "$0" "/proc/$pid/cmdline" && kill -9 "$pid"
    sleep 1; umount --lazy "$0"; rm -rf "$0"`;
  const shell = spawn('sh', ['-c', script, dataDir], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  shell.unref();
  return () => {
    shell.kill('SIGKILL');
    return Promise.resolve();
  };
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Fields after the name in parentheses, which may hold anything: state, parent, … */
async function statOf(pid: number | string): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

async function childrenOf(parent: number): Promise<number[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(names.map(statOf));
  return names.filter((_, i) => Number(stats[i]![1]) === parent).map(Number);
}

/** False also for one that has ended and that nobody has reaped. */
async function isRunning(pid: number): Promise<boolean> {
  const [state] = await statOf(pid);
  return state !== undefined && state !== '' && state !== 'Z' && state !== 'X';
}

/** A file system in memory that can be made as small as what is on it, and filled to the last byte. */
export class Disk {
  readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** Mounts it, or says why it cannot. */
  static async mount(t: Tearable): Promise<Disk | { readonly refused: string }> {
    if (process.platform !== 'linux') return { refused: 'there is no tmpfs on this system' };
    const dir = await mkdtemp(join(tmpdir(), 'milepost-disk-'));
    try {
      mountTmpfs(`size=${DISK_MIB_FIRST}m,mode=0755`, dir);
    } catch (error) {
      await rm(dir, { recursive: true });
      const { stderr } = error as { stderr?: Buffer };
      const why = stderr?.toString().trim().split('\n')[0] ?? String(error);
      return { refused: `a small file system cannot be mounted here: ${why}` };
    }
    t.teardown(async () => {
      execFileSync('umount', ['--lazy', dir]);
      await rm(dir, { recursive: true, force: true });
    });
    return new Disk(dir);
  }

  /** From now on there is this much room beside what is there. */
  async shrink(freeMib: number): Promise<void> {
    const { blocks, bfree, bsize } = await statfs(this.dir);
    const usedMib = Math.ceil(((blocks - bfree) * bsize) / MIB);
    mountTmpfs(`remount,size=${usedMib + freeMib}m`, this.dir);
  }

  /** Another program writes until nothing fits any more. */
  async fill(): Promise<void> {
    try {
      for (;;) await appendFile(this.ballast, BALLAST_PIECE);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  /** It takes away what it has written. */
  async free(): Promise<void> {
    await writeFile(this.ballast, '');
    await rm(this.ballast);
  }

  private get ballast(): string {
    return join(this.dir, 'ballast');
  }
}

function mountTmpfs(options: string, dir: string): void {
  const args = ['-t', 'tmpfs', '-o', options, 'tmpfs', dir];
  execFileSync('mount', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

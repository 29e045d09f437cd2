/** What processes cost: CPU time and memory as Linux tells them under `/proc`. NaN where there is none. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Linux counts CPU time in hundredths of a second for every user program. */
const TICKS_PER_S = 100;
const PAGE_BYTES = 4_096;

/** CPU seconds of a PostgreSQL server: of its processes that live, and of those that it has seen end. */
export async function postgresCpuS(dataDir: string): Promise<number> {
  try {
    const pidFile = await readFile(join(dataDir, 'cluster', 'postmaster.pid'), 'utf8');
    const postmaster = Number(pidFile.split('\n')[0]);
    const stats = await Promise.all((await readdir('/proc')).filter(isPid).map(readStat));
    let ticks = 0;
    for (const stat of stats) {
      if (stat?.pid === postmaster) ticks += stat.ticks + stat.childTicks;
      else if (stat?.parent === postmaster) ticks += stat.ticks;
    }
    return ticks / TICKS_PER_S;
  } catch {
    return NaN;
  }
}

/** CPU seconds of one process. */
export async function processCpuS(pid: number): Promise<number> {
  return ((await readStat(String(pid)))?.ticks ?? NaN) / TICKS_PER_S;
}

/** Resident memory of a process in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  try {
    const fields = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ');
    return Number(fields[1]) * PAGE_BYTES;
  } catch {
    return NaN;
  }
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly ticks: number;
  /** Of children that ended. */
  readonly childTicks: number;
}

async function readStat(pid: string): Promise<Stat | null> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The name, in brackets, may hold spaces.
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const at = (field: number): number => fields[field - 3]!;
    return { pid: Number(pid), parent: at(4), ticks: at(14) + at(15), childTicks: at(16) + at(17) };
  } catch {
    // It has ended meanwhile.
    return null;
  }
}

function isPid(name: string): boolean {
  return /^\d+$/.test(name);
}

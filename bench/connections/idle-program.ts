/** The bench's side of the idle clients: starts as many programs as it takes, waits for them, ends them. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What one program is to hold: connections of the devices `from` … `from + count - 1`. */
export interface IdleJob {
  readonly port: number;
  readonly from: number;
  readonly count: number;
  readonly keepAliveS: number;
  /** A device is this and its number; its token that and its name. */
  readonly devicePrefix: string;
  readonly tokenPrefix: string;
}

export type IdleWord =
  { readonly word: 'connected' } | { readonly word: 'failed'; readonly message: string };

/** Connections of one program, under the limit of open files that is common. */
const PROGRAM_CONNECTIONS_MAX = 15_000;

export interface IdleClients {
  stop(): Promise<void>;
}

/** Connects all of them; rejects when one was refused or lost before that. */
export async function startIdleClients(job: IdleJob): Promise<IdleClients> {
  const programs: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    const exits = programs.map((program) => once(program, 'exit'));
    for (const program of programs) program.disconnect();
    await Promise.all(exits);
  };
  try {
    for (let done = 0; done < job.count; done += PROGRAM_CONNECTIONS_MAX) {
      const count = Math.min(PROGRAM_CONNECTIONS_MAX, job.count - done);
      const program = startProgram();
      programs.push(program);
      program.send({ ...job, from: job.from + done, count });
      const [word] = (await once(program, 'message')) as [IdleWord];
      if (word.word === 'failed') throw new Error(`the idle clients: ${word.message}`);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}

function startProgram(): ChildProcess {
  return fork(join(import.meta.dirname, 'idle-clients.js'), { execArgv: [] });
}

/** The bench's side of the load program: starts it, gives it one job after the other, ends it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { LoadAnswer, LoadJob, LoadOrder, LoadResult } from './load-jobs.ts';

export interface LoadProgram {
  /** Encodes, connects and signs in; what is returned sends everything and waits for the last answer. */
  prepare(job: LoadJob): Promise<() => Promise<LoadResult>>;
  stop(): Promise<void>;
}

/** Starts the load program as a process of its own. */
export function startLoadProgram(): LoadProgram {
  const child = fork(join(import.meta.dirname, 'load-program.js'), { execArgv: [] });
  const exited = once(child, 'exit');
  const ask = async (order: LoadOrder): Promise<LoadAnswer> => {
    child.send(order);
    const answered = once(child, 'message') as Promise<[LoadAnswer]>;
    const ended = exited.then(() => {
      throw new Error('the load program ended');
    });
    const [answer] = await Promise.race([answered, ended]);
    if (answer.answer === 'failed') throw new Error(`the load program: ${answer.message}`);
    return answer;
  };
  return {
    async prepare(job) {
      await ask({ order: 'prepare', job });
      return async () => {
        const answer = await ask({ order: 'go' });
        if (answer.answer !== 'done') throw new Error('the load program gave no result');
        return answer.result;
      };
    },
    async stop() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

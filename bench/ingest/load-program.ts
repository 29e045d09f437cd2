/**
 * The load program, a process of its own: it encodes everything before it is told to go, so that making never pollutes
 * measuring. Spoken to by load.ts over the channel of `fork`; ends with that channel.
 */
import type { LoadAnswer, LoadJob, LoadOrder, LoadResult } from './load-jobs.ts';
import { prepareHttp } from './http-senders.ts';
import { prepareMqtt } from './mqtt-senders.ts';

/** Something ready to go: connected, signed in, encoded. */
export interface PreparedLoad {
  /** Sends everything; gives the time from each message's writing to its answer. */
  run(): Promise<Float64Array>;
  close(): void;
}

let prepared: PreparedLoad | null = null;

function answer(message: LoadAnswer): void {
  process.send!(message);
}

async function prepare(job: LoadJob): Promise<void> {
  prepared?.close();
  prepared = job.kind === 'mqtt' ? await prepareMqtt(job) : await prepareHttp(job);
  answer({ answer: 'ready' });
}

async function go(load: PreparedLoad): Promise<void> {
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  const latenciesMs = await load.run();
  const seconds = (performance.now() - startedMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  load.close();
  answer({
    answer: 'done',
    result: { seconds, ...summary(latenciesMs), cpuS: (cpu.user + cpu.system) / 1e6 },
  });
}

function summary(latenciesMs: Float64Array): Omit<LoadResult, 'seconds' | 'cpuS'> {
  const sorted = latenciesMs.toSorted();
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)]!;
  return { messages: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

process.on('message', (order: LoadOrder) => {
  const work = order.order === 'prepare' ? prepare(order.job) : go(prepared!);
  work.catch((error: unknown) => answer({ answer: 'failed', message: String(error) }));
});
process.on('disconnect', () => process.exit());

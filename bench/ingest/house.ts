/** What the scenarios share: where the bench runs, its parameters, and how a load is measured against a server. */
import pg from 'pg';
import type { LoadProgram } from './load.ts';
import type { LoadJob, LoadResult, MqttJob } from './load-jobs.ts';
import type { BenchFleet } from './seed.ts';
import type { BenchServer } from './server.ts';

export interface IngestBenchParams {
  readonly seed: number;
  /** Devices that speak, each with a connection of its own. */
  readonly devices: number;
  readonly fences: number;
  /** Fixes of each device in each scenario; a paced one takes a third of them. */
  readonly fixesPerDevice: number;
  readonly fixesPerPublish: number;
  /** Publishes of one device that may wait for their PUBACK. */
  readonly window: number;
  /** Publishes that a device writes at once in the paced scenarios, one after the other. */
  readonly bursts: readonly number[];
  /** Paces in percent of the rate that MQTT reached before; each with each of `bursts`. */
  readonly percents: readonly number[];
  readonly fixesPerRequest: number;
  readonly httpConnections: number;
  /** Partitions of the server. */
  readonly partitions: number;
  /** Rows of one COPY of the floor, and the server's batch limit. */
  readonly batchRows: number;
  readonly lingerMs: number;
  /** Devices that the server knows in each step of the growth scenario, the silent ones included; empty leaves it out. */
  readonly known: readonly number[];
}

/** Where a bench runs: the database, the fleet in it, and the load program. */
export interface BenchHouse {
  readonly params: IngestBenchParams;
  readonly ownerUrl: string;
  readonly fleet: BenchFleet;
  readonly load: LoadProgram;
  /** The time of fix 0. */
  readonly startMs: number;
  readonly postgresCpuS: () => Promise<number>;
}

/** Fixes of each device that warm the server up. */
export function warmUpFixes(params: IngestBenchParams): number {
  return Math.ceil(params.fixesPerDevice / 4);
}

/** What one load cost, by fix. */
export interface Measured {
  readonly load: LoadResult;
  readonly fixesPerS: number;
  readonly serverUs: number;
  readonly postgresUs: number;
  readonly loadUs: number;
  readonly stallMs: number;
  readonly residentMib: number;
  readonly fixesPerBatch: number;
}

/** Runs a job against the server, after a checkpoint: none pays for what another one wrote. */
export async function measure(
  house: BenchHouse,
  server: BenchServer,
  job: LoadJob,
): Promise<Measured> {
  const run = await house.load.prepare(job);
  await checkpoint(house.ownerUrl);
  const before = await server.cost();
  const postgresBefore = await house.postgresCpuS();
  const load = await run();
  const after = await server.cost();
  const fixes = job.devices * job.count;
  const usPerFix = (seconds: number): number => (seconds * 1e6) / fixes;
  return {
    load,
    fixesPerS: fixes / load.seconds,
    serverUs: usPerFix(after.cpuS - before.cpuS),
    postgresUs: usPerFix((await house.postgresCpuS()) - postgresBefore),
    loadUs: usPerFix(load.cpuS),
    stallMs: after.stallMs,
    residentMib: after.residentMib,
    fixesPerBatch: fixes / (after.batches - before.batches),
  };
}

/** A load of MQTT as fast as acks come, but for which fixes it sends. */
export function mqttJob(
  { params, startMs }: BenchHouse,
  port: number,
): Omit<MqttJob, 'from' | 'count'> {
  const { seed, devices, fixesPerPublish, window } = params;
  const how = { fixesPerPublish, window, perS: 0, burst: 1 };
  return { kind: 'mqtt', port, seed, startMs, devices, ...how };
}

/** Lists as text, so that they fit a report. */
export function tellable(params: IngestBenchParams): Record<string, string | number> {
  const { bursts, percents, known } = params;
  return { ...params, bursts: bursts.join(), percents: percents.join(), known: known.join() };
}

async function checkpoint(ownerUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    await client.query('checkpoint');
  } finally {
    await client.end();
  }
}

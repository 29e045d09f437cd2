/**
 * What a connection costs that says nothing: the real server as a process of its own, so many devices connected to it
 * with a will, a kept session and a subscription to their commands, all of them silent. Memory is that of the whole
 * server before and after, as the system sees it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEmbeddedPostgres } from '../../db/embedded.ts';
import { migrate } from '../../migrations/run.ts';
import { seedBenchFleet, tokenOf } from '../ingest/seed.ts';
import { startServer, type BenchServer } from '../ingest/server.ts';
import type { Figure, Report } from '../report.ts';
import { startIdleClients } from './idle-program.ts';

export interface ConnectionsBenchParams {
  /** The server needs a limit of open files above it. */
  readonly connections: number;
  readonly keepAliveS: number;
  /** For how long the connections are held while CPU time is measured. */
  readonly holdS: number;
}

export const CONNECTIONS_PARAMS: ConnectionsBenchParams = {
  connections: 15_000,
  keepAliveS: 300,
  holdS: 20,
};

export const CONNECTIONS_PARAMS_TINY: ConnectionsBenchParams = {
  connections: 50,
  keepAliveS: 300,
  holdS: 1,
};

/** What the devices of seed.ts are called. */
const DEVICE_PREFIX = 'bench-';
/** The number that the project states a bound for: 1.5 GiB. */
const STATED_CONNECTIONS = 50_000;

export async function benchConnections(
  params: ConnectionsBenchParams,
  report: Report,
): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'milepost-bench-'));
  const database = await startEmbeddedPostgres({ dataDir, port: 0 });
  try {
    const ownerUrl = database.connectionString;
    await migrate(ownerUrl);
    await seedBenchFleet(ownerUrl, { seed: 1, devices: params.connections, fences: 0 });
    const server = await startServer(ownerUrl, { partitions: 2, batchRows: 5_000, lingerMs: 25 });
    try {
      await measure(params, report, server);
    } finally {
      await server.stop();
    }
  } finally {
    await database.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function measure(
  params: ConnectionsBenchParams,
  report: Report,
  server: BenchServer,
): Promise<void> {
  const { connections, keepAliveS, holdS } = params;
  const before = await server.cost();
  const startedMs = performance.now();
  const clients = await startIdleClients({
    port: server.mqttPort,
    from: 0,
    count: connections,
    keepAliveS,
    devicePrefix: DEVICE_PREFIX,
    tokenPrefix: tokenOf(''),
  });
  try {
    const connectS = (performance.now() - startedMs) / 1_000;
    const connected = await server.cost();
    await sleep(holdS * 1_000);
    const after = await server.cost();
    const bytes = ((after.residentMib - before.residentMib) * 2 ** 20) / connections;
    const stated = before.residentMib + (bytes * STATED_CONNECTIONS) / 2 ** 20;
    const figure = (metric: string, value: number, unit: string): Figure => ({
      scenario: 'connections_idle',
      metric,
      value,
      unit,
      params: { ...params },
    });
    report(figure('resident_before_mib', before.residentMib, 'MiB'));
    report(figure('resident_after_mib', after.residentMib, 'MiB'));
    report(figure('bytes_per_connection', bytes, 'bytes'));
    report(figure(`resident_at_${STATED_CONNECTIONS}_mib`, stated, 'MiB'));
    report(figure('connects_per_s', connections / connectS, 'connections/s'));
    const connectUs = ((connected.cpuS - before.cpuS) * 1e6) / connections;
    report(figure('cpu_us_per_connect', connectUs, 'µs'));
    report(figure('cpu_while_idle', ((after.cpuS - connected.cpuS) / holdS) * 100, '%'));
  } finally {
    await clients.stop();
  }
}

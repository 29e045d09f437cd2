/**
 * From MQTT QoS 1 to commit: the real server as a process of its own on a durable embedded PostgreSQL, many devices on
 * real sockets, everything acknowledged. Beside it, before and after in the same run, the floor of copy-floor.ts.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../db/embedded.ts';
import { valueTypes } from '../../db/pools.ts';
import { migrate } from '../../migrations/run.ts';
import type { Figure, Report } from '../report.ts';
import { copyFloor, type FloorFix } from './copy-floor.ts';
import { runLoad, type LoadResult } from './load.ts';
import { seedBenchFleet, tokenOf } from './seed.ts';
import { cpuSeconds, startServer } from './server.ts';
import { encodeTrack, fixesOf, type TrackFix } from './track.ts';

export interface IngestBenchParams {
  readonly seed: number;
  readonly devices: number;
  readonly fixesPerDevice: number;
  readonly fixesPerPublish: number;
  /** Publishes of one device that may wait for their PUBACK. */
  readonly window: number;
  readonly fences: number;
  /** Partitions of the server. */
  readonly partitions: number;
  /** Rows of one COPY of the floor, and the server's batch limit. */
  readonly batchRows: number;
}

export const INGEST_PARAMS: IngestBenchParams = {
  seed: 1,
  devices: 200,
  fixesPerDevice: 2_000,
  fixesPerPublish: 1,
  window: 100,
  fences: 50,
  partitions: 4,
  batchRows: 5_000,
};

export const INGEST_PARAMS_TINY: IngestBenchParams = {
  ...INGEST_PARAMS,
  devices: 10,
  fixesPerDevice: 50,
  fences: 5,
};

export async function benchIngest(params: IngestBenchParams, report: Report): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'milepost-bench-'));
  const database = await startEmbeddedPostgres({ dataDir, port: 0 });
  try {
    await migrate(database.connectionString);
    await measure(params, report, database.connectionString);
  } finally {
    await database.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function measure(params: IngestBenchParams, report: Report, ownerUrl: string): Promise<void> {
  const deviceIds = await seedBenchFleet(ownerUrl, params);
  const endMs = Math.floor(Date.now() / 60_000) * 60_000;
  const fixes = deviceIds.map((_, n) => fixesOf(params, n, endMs));
  const rows = interleaved(fixes, deviceIds);
  await makePartitions(ownerUrl, params, endMs);
  await copyFloor(ownerUrl, rows.slice(0, Math.ceil(rows.length / 10)), params.batchRows);
  const floorBefore = await copyFloor(ownerUrl, rows, params.batchRows);

  const server = await startServer(ownerUrl, params);
  let load: LoadResult;
  let cpuS: number;
  try {
    const tracks = fixes.map((track, n) => encodeTrack(params, `bench-${n}`, track));
    const cpuBefore = await cpuSeconds(server);
    load = await runLoad({ port: server.mqttPort, tracks, token: tokenOf, window: params.window });
    cpuS = (await cpuSeconds(server)) - cpuBefore;
  } finally {
    await server.stop();
  }
  const stored = await readStored(ownerUrl);
  if (stored.count !== rows.length)
    throw new Error(`${stored.count} of ${rows.length} fixes stored`);
  await copyFloorAfter(ownerUrl);
  const floorAfter = await copyFloor(ownerUrl, rows, params.batchRows);

  const floor = (floorBefore + floorAfter) / 2;
  const rate = rows.length / load.seconds;
  const told = { ...params, fixes: rows.length, events: stored.events, hash: stored.hash };
  const figure = (metric: string, value: number, unit: string): Figure => ({
    scenario: 'ingest_mqtt_qos1',
    metric,
    value,
    unit,
    params: told,
  });
  report(figure('fixes_per_s', rate, 'fixes/s'));
  report(figure('copy_rows_per_s', floor, 'rows/s'));
  report(figure('ratio_to_copy', rate / floor, '×'));
  report(figure('cpu_us_per_fix', (cpuS * 1e6) / rows.length, 'µs'));
  const sorted = load.latenciesMs.toSorted();
  report(figure('ack_p50_ms', sorted[Math.floor(sorted.length * 0.5)]!, 'ms'));
  report(figure('ack_p99_ms', sorted[Math.floor(sorted.length * 0.99)]!, 'ms'));
}

/** As they arrive: the first fix of every device, then the second of every device, and so on. */
function interleaved(fixes: readonly TrackFix[][], deviceIds: readonly number[]): FloorFix[] {
  const rows: FloorFix[] = [];
  for (let i = 0; i < fixes[0]!.length; i++) {
    for (let n = 0; n < fixes.length; n++) rows.push({ ...fixes[n]![i]!, deviceId: deviceIds[n]! });
  }
  return rows;
}

async function makePartitions(
  ownerUrl: string,
  params: IngestBenchParams,
  endMs: number,
): Promise<void> {
  await withClient(ownerUrl, (client) =>
    client.query('select ensure_time_partitions($1, $2)', [
      new Date(endMs - params.fixesPerDevice * 5_000),
      new Date(endMs),
    ]),
  );
}

async function copyFloorAfter(ownerUrl: string): Promise<void> {
  await withClient(ownerUrl, (client) => client.query('truncate equipment_gps_location'));
}

/** Rows and events that are there, and a hash of where the devices were. */
function readStored(ownerUrl: string): Promise<{ count: number; events: number; hash: string }> {
  return withClient(ownerUrl, async (client) => {
    const { rows } = await client.query<{ count: number; sum: string; events: number }>(
      `select count(*)::int as count, sum(round(latitude::numeric * 1000000) + round(longitude::numeric * 1000000))::text as sum,
         (select count(*)::int from activity_feed) as events
       from equipment_gps_location`,
    );
    const { count, sum, events } = rows[0]!;
    const hash = createHash('sha256')
      .update(`${count} ${sum} ${events}`)
      .digest('hex')
      .slice(0, 12);
    return { count, events, hash };
  });
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, types: valueTypes });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

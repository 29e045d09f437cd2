/**
 * From a wire to commit: the real server as a process of its own on a durable embedded PostgreSQL, a load program as another,
 * everything acknowledged. Beside it, before and after in the same run, the floor of copy-floor.ts. Scenarios, one after the
 * other on the same server: MQTT one fix a message, HTTP NDJSON, MQTT at a half and a quarter of the rate reached before, the
 * messages of a device alone or in small bursts; then growth.ts.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../db/embedded.ts';
import { valueTypes } from '../../db/pools.ts';
import { migrate } from '../../migrations/run.ts';
import type { Report } from '../report.ts';
import { copyFloor, type FloorFix } from './copy-floor.ts';
import { measureGrowth } from './growth.ts';
import {
  measure,
  mqttJob,
  tellable,
  warmUpFixes,
  type BenchHouse,
  type IngestBenchParams,
  type Measured,
} from './house.ts';
import { startLoadProgram } from './load.ts';
import { postgresCpuS } from './process-cost.ts';
import { GATEWAY_TOKEN, seedBenchFleet } from './seed.ts';
import { startServer } from './server.ts';
import { FIX_EVERY_MS, fixesOf } from './track.ts';

export const INGEST_PARAMS: IngestBenchParams = {
  seed: 1,
  devices: 1_000,
  fences: 10_000,
  fixesPerDevice: 1_200,
  fixesPerPublish: 1,
  window: 40,
  bursts: [1, 4],
  percents: [50, 25],
  fixesPerRequest: 500,
  httpConnections: 40,
  partitions: 2,
  batchRows: 5_000,
  lingerMs: 25,
  known: [1_000, 10_000, 100_000, 1_000_000],
};

export const INGEST_PARAMS_TINY: IngestBenchParams = {
  ...INGEST_PARAMS,
  devices: 10,
  fences: 20,
  fixesPerDevice: 60,
  fixesPerRequest: 50,
  httpConnections: 2,
  known: [10, 30],
};

export async function benchIngest(params: IngestBenchParams, report: Report): Promise<void> {
  if (params.bursts.includes(0)) throw new Error('--bursts: 1 or more each');
  if (params.percents.includes(0)) throw new Error('--percents: 1 or more each');
  const dataDir = await mkdtemp(join(tmpdir(), 'milepost-bench-'));
  const database = await startEmbeddedPostgres({ dataDir, port: 0 });
  const load = startLoadProgram();
  try {
    const ownerUrl = database.connectionString;
    await migrate(ownerUrl);
    const fleet = await seedBenchFleet(ownerUrl, params);
    const startMs = await makeRoom(ownerUrl, fixesInAll(params) * FIX_EVERY_MS);
    const house = {
      params,
      ownerUrl,
      fleet,
      load,
      startMs,
      postgresCpuS: () => postgresCpuS(dataDir),
    };
    await measureWires(house, report);
    await measureGrowth(house, fixesOfWires(params), report);
  } finally {
    await load.stop();
    await database.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

function pacedFixes(params: IngestBenchParams): number {
  return Math.ceil(params.fixesPerDevice / 3);
}

function fixesOfWires(params: IngestBenchParams): number {
  const paced = params.bursts.length * params.percents.length * pacedFixes(params);
  return 2 * (warmUpFixes(params) + params.fixesPerDevice) + paced;
}

/** Fixes of one device in all scenarios; every fix is sent once and newer than those before. */
function fixesInAll(params: IngestBenchParams): number {
  return fixesOfWires(params) + params.known.length * 2 * warmUpFixes(params);
}

async function measureWires(house: BenchHouse, report: Report): Promise<void> {
  const { params, ownerUrl } = house;
  const { devices, fixesPerDevice } = params;
  const rows = floorRows(house);
  await copyFloor(ownerUrl, rows.slice(0, Math.ceil(rows.length / 10)), params.batchRows);
  const floorBefore = await measureFloor(house, rows);
  const server = await startServer(ownerUrl, params);
  try {
    const mqtt = mqttJob(house, server.mqttPort);
    let from = warmUpFixes(params);
    await (
      await house.load.prepare({ ...mqtt, from: 0, count: from })
    )();
    const flood = await measure(house, server, { ...mqtt, from, count: fixesPerDevice });
    from += fixesPerDevice;
    const requests = {
      kind: 'http',
      port: server.httpPort,
      seed: params.seed,
      startMs: house.startMs,
      devices,
      fixesPerRequest: params.fixesPerRequest,
      connections: params.httpConnections,
      token: GATEWAY_TOKEN,
    } as const;
    await (
      await house.load.prepare({ ...requests, from, count: warmUpFixes(params) })
    )();
    from += warmUpFixes(params);
    const http = await measure(house, server, { ...requests, from, count: fixesPerDevice });
    from += fixesPerDevice;
    const messagesPerS = flood.fixesPerS / params.fixesPerPublish;
    const paced = new Map<string, Measured>();
    for (const percent of params.percents) {
      const perS = Math.max(1, Math.floor((messagesPerS * percent) / 100));
      for (const burst of params.bursts) {
        const pace = { perS, burst, from, count: pacedFixes(params) };
        const measured = await measure(house, server, { ...mqtt, ...pace });
        paced.set(`mqtt_${percent}_percent_by_${burst}`, measured);
        from += pacedFixes(params);
      }
    }
    const stored = await readStored(ownerUrl);
    const expected = devices * fixesOfWires(params);
    if (stored.count !== expected) throw new Error(`${stored.count} of ${expected} fixes stored`);
    await withClient(ownerUrl, (client) => client.query('truncate equipment_gps_location'));
    const floorAfter = await measureFloor(house, rows);

    const floor = (floorBefore.rowsPerS + floorAfter.rowsPerS) / 2;
    const told = { ...tellable(params), events: stored.events, hash: stored.hash };
    const figures = (scenario: string, values: readonly [string, number, string][]): void => {
      for (const [metric, value, unit] of values) {
        report({ scenario: `ingest_${scenario}`, metric, value, unit, params: told });
      }
    };
    figures('floor', [
      ['copy_rows_per_s', floor, 'rows/s'],
      ['copy_rows_per_s_before', floorBefore.rowsPerS, 'rows/s'],
      ['copy_rows_per_s_after', floorAfter.rowsPerS, 'rows/s'],
      ['postgres_us_per_row', floorAfter.postgresUs, 'µs'],
    ]);
    figures('mqtt_qos1', [...costFigures(flood), ['ratio_to_copy', flood.fixesPerS / floor, '×']]);
    figures('http_ndjson', [...costFigures(http), ['ratio_to_copy', http.fixesPerS / floor, '×']]);
    for (const [scenario, measured] of paced) figures(scenario, costFigures(measured));
  } finally {
    await server.stop();
  }
}

function costFigures(measured: Measured): [string, number, string][] {
  return [
    ['fixes_per_s', measured.fixesPerS, 'fixes/s'],
    ['server_us_per_fix', measured.serverUs, 'µs'],
    ['postgres_us_per_fix', measured.postgresUs, 'µs'],
    ['load_us_per_fix', measured.loadUs, 'µs'],
    ['ack_p50_ms', measured.load.p50Ms, 'ms'],
    ['ack_p99_ms', measured.load.p99Ms, 'ms'],
    ['stall_max_ms', measured.stallMs, 'ms'],
    ['resident_mib', measured.residentMib, 'MiB'],
    ['fixes_per_batch', measured.fixesPerBatch, 'fixes'],
  ];
}

async function measureFloor(
  house: BenchHouse,
  rows: readonly FloorFix[],
): Promise<{ rowsPerS: number; postgresUs: number }> {
  const before = await house.postgresCpuS();
  const rowsPerS = await copyFloor(house.ownerUrl, rows, house.params.batchRows);
  const postgresUs = (((await house.postgresCpuS()) - before) * 1e6) / rows.length;
  return { rowsPerS, postgresUs };
}

/** The fixes of the first scenario as they arrive: the first of every device, then the second of every device, and so on. */
function floorRows(house: BenchHouse): FloorFix[] {
  const { params, fleet } = house;
  const track = { seed: params.seed, startMs: house.startMs };
  const tracks = fleet.deviceIds.map((_, n) =>
    fixesOf(track, n, warmUpFixes(params), params.fixesPerDevice),
  );
  const rows: FloorFix[] = [];
  for (let i = 0; i < params.fixesPerDevice; i++) {
    for (let n = 0; n < tracks.length; n++) {
      rows.push({ ...tracks[n]![i]!, deviceId: fleet.deviceIds[n]! });
    }
  }
  return rows;
}

/** Makes the days ready that end now and last so long; gives their beginning. */
async function makeRoom(ownerUrl: string, lengthMs: number): Promise<number> {
  const endMs = Math.floor(Date.now() / 60_000) * 60_000;
  const startMs = endMs - lengthMs;
  await withClient(ownerUrl, (client) =>
    client.query('select ensure_time_partitions($1, $2)', [new Date(startMs), new Date(endMs)]),
  );
  return startMs;
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

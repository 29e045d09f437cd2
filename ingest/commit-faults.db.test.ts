/** One transaction under every fault of its connection and of each table it writes: all of it is there once, or nothing. */
import type { Socket } from 'node:net';
import pg from 'pg';
import t, { type Test } from 'tap';
import { connectTestClient } from '../db/test-database.ts';
import { ensureTimePartitions } from '../db/time-series.ts';
import type { Evaluation } from '../engine/types.ts';
import { FillingBatch } from './batch.ts';
import { commitBatch, commitWork, prepareCommitSession, type CommitWork } from './commit.ts';
import { isConnectionError } from './faults.ts';
import { lineTo } from './test-line.ts';
import { startPipeline, type TestPipeline } from './test-pipeline.ts';

const NOW_MS = Math.floor(Date.now() / 1000) * 1000;
const TABLES = ['equipment_gps_location', 'iot_device_metric', 'activity_feed', 'ingest_reject'];
/** Steps in which a transaction of some 4 kB, and the 400 bytes of its answers, are cut. */
const STEP_BYTES = { up: 127, down: 29 } as const;

/** Something for every table: the `n`th second of dev-1. `n` is kept in the engine's state, too. */
function workOf(house: TestPipeline, n: number): CommitWork {
  const link = house.registry.deviceNamed('dev-1')!.link!;
  const { deviceId, equipmentId, tenantId, accountId } = link;
  const timeMs = NOW_MS - 3_000_000 + n * 1_000;
  const place = { latDeg: 41.5, lonDeg: -87.5 };
  const batch = new FillingBatch();
  const fix = {
    ...place, index: 0, device: null, timeMs, altitudeM: NaN, speedMps: 1, headingDeg: NaN,
    accuracyM: NaN, odometerM: NaN, satellites: NaN, ignition: NaN, motion: NaN, seq: NaN, event: null,
  }; // prettier-ignore
  batch.addFix(link, fix, 0, NOW_MS);
  const reading = { index: 0, device: null, timeMs, metricCode: 'oil', value: n, uomCode: null };
  batch.addReading(link, reading, null, 0, NOW_MS);
  batch.rejects.push({
    key: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
    tenantId, iotDeviceId: null, deviceName: null, source: 'mqtt', topic: null, reason: 'lat_range',
    detail: 'n', payload: Buffer.from('payload'), payloadBytes: 7, receivedMs: NOW_MS,
  }); // prettier-ignore
  const event = {
    ...place, type: 'geofence_enter', deviceId, equipmentId, tenantId, accountId, timeMs,
    fenceId: null, ruleId: null, subjectName: 'yard', subjectVersion: 1, metricCode: null, metricValue: null,
    severity: 'info', initial: false, cause: 'fix',
  }; // prettier-ignore
  const evaluation = {
    events: [event],
    changed: [{ deviceId, tenantId, state: { inside: [], entering: [], ended: [], rules: [], n } }],
    latestFixRows: Int32Array.of(0),
    lateFixes: [],
    lateCount: 0,
  };
  return commitWork(batch, evaluation as unknown as Evaluation);
}

async function writer(t: Test, url: string, queryTimeoutMs = 0): Promise<pg.Client> {
  const client = await connectTestClient(t, url, queryTimeoutMs);
  await prepareCommitSession(client);
  await ensureTimePartitions(client, NOW_MS - 3_600_000, NOW_MS);
  return client;
}

/** The rows of each table, and the `n` of the engine's state. */
async function stored(house: TestPipeline): Promise<Record<string, number>> {
  const { rows } = await house.pool.query<{ n: number }>(
    `select (state->>'n')::int as n from engine_state`,
  );
  const counts: Record<string, number> = { state: rows[0]?.n ?? 0 };
  for (const table of TABLES) counts[table] = await house.count(table);
  return counts;
}

function all(n: number): Record<string, number> {
  return Object.fromEntries(['state', ...TABLES].map((name) => [name, n]));
}

t.test('the connection is cut anywhere, and the same work goes again', async (t) => {
  const house = await startPipeline(t);
  const second = await writer(t, house.ownerUrl);
  const { url, cutAfter } = await cuttable(t, house.ownerUrl);
  let n = 0;
  let cutCount = 0;
  let arrivedCount = 0;
  for (const staged of [false, true]) {
    for (const way of ['up', 'down'] as const) {
      for (let bytes = 1, isWhole = false; !isWhole; bytes += STEP_BYTES[way]) {
        cutAfter('up', Infinity);
        const first = new pg.Client({ connectionString: url });
        first.on('error', () => undefined);
        await first.connect();
        await prepareCommitSession(first);
        const work = workOf(house, ++n);
        cutAfter(way, bytes);
        isWhole = await commitBatch(first, work, staged).then(
          () => true,
          () => false,
        );
        void first.end().catch(() => undefined);
        if (isWhole) continue;
        cutCount++;
        const result = await commitBatch(second, work, true);
        if (result.fixDuplicate !== null) arrivedCount++;
      }
    }
  }
  t.comment(`${cutCount} cuts; ${arrivedCount} times it had been committed`);
  t.ok(cutCount > 40 && arrivedCount > 2 && arrivedCount < cutCount, 'both happened');
  t.same(await stored(house), all(n));
});

t.test('what is refused by any table leaves nothing, and the connection goes on', async (t) => {
  const house = await startPipeline(t);
  const client = await writer(t, house.ownerUrl);
  const owner = await connectTestClient(t, house.ownerUrl);
  await owner.query(`create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'refused' using errcode = '22023'; end $$`);
  const before = [...TABLES, 'telematics', 'engine_state'].map(
    (table) => [table, `trigger refuse before insert or update on ${table}`] as const,
  );
  const atCommit = 'constraint trigger refuse after insert or update on engine_state deferrable';
  const triggers = [...before, ['engine_state', `${atCommit} initially deferred`] as const];
  let n = 0;
  for (const staged of [false, true]) {
    for (const [table, trigger] of triggers) {
      await owner.query(`create ${trigger} for each row execute function refuse()`);
      const work = workOf(house, n + 1);
      await t.rejects(commitBatch(client, work, staged), { code: '22023' }, trigger);
      t.same(await stored(house), all(n), 'nothing is left of it');
      await owner.query(`drop trigger refuse on ${table}`);
      await commitBatch(client, work, staged);
      t.same(await stored(house), all(++n));
    }
  }
});

t.test('an optimistic one that arrives behind its own repeat and a newer one fails', async (t) => {
  const house = await startPipeline(t);
  const first = await writer(t, house.ownerUrl, 1_500);
  const second = await writer(t, house.ownerUrl);
  const { rows } = await first.query<{ pid: number }>('select pg_backend_pid() as pid');
  const { pid } = rows[0]!;
  const goOn = (): void => void process.kill(pid, 'SIGCONT');
  process.kill(pid, 'SIGSTOP');
  try {
    const work = workOf(house, 1);
    await t.rejects(commitBatch(first, work, false), { message: 'Query read timeout' });
    await commitBatch(second, work, true);
    await commitBatch(second, workOf(house, 2), false);
  } finally {
    goOn();
  }
  await first.end();
  const isThere = `select from pg_stat_activity where pid = ${pid}`;
  while ((await second.query(isThere)).rowCount === 1);
  t.same(await stored(house), all(2));
});

t.test('a connection that is silent behind an error is not used again', async (t) => {
  const house = await startPipeline(t);
  const second = await writer(t, house.ownerUrl);
  const work = workOf(house, 1);
  await commitBatch(second, work, false);
  const { url, arm } = await silentAfterError(t, house.ownerUrl);
  const first = await writer(t, url, 500);
  arm();
  const silent = await commitBatch(first, work, false).then(
    () => null,
    (error: unknown) => error,
  );
  t.match(silent, { message: /silent behind an error/, cause: { code: '23505' } });
  t.ok(isConnectionError(silent), 'so that the next try takes another');
  await t.rejects(first.query('select 1'), /connection/i);
  t.same(await stored(house), all(1));
});

type Way = 'up' | 'down';

/** A line that is cut for good after so many more bytes up or down. */
async function cuttable(
  t: Test,
  ownerUrl: string,
): Promise<{ url: string; cutAfter: (way: Way, bytes: number) => void }> {
  const left = { up: Infinity, down: Infinity };
  const url = await lineTo(t, ownerUrl, (client, server) => {
    const pass = (way: Way, from: Socket, to: Socket): void => {
      from.on('data', (chunk) => {
        const bytes = chunk.subarray(0, Math.min(chunk.length, left[way]));
        to.write(bytes);
        left[way] -= bytes.length;
        if (left[way] > 0) return;
        client.resetAndDestroy();
        server.end();
      });
    };
    pass('up', client, server);
    pass('down', server, client);
  });
  return {
    url,
    cutAfter(way, bytes) {
      left.up = left.down = Infinity;
      left[way] = bytes;
    },
  };
}

const ERROR_CODE = 0x45;
/** Code and length of a message. */
const HEAD_BYTES = 5;

/** A line on which, once `arm` was called, nothing comes through any more behind the server's next error. */
async function silentAfterError(
  t: Test,
  ownerUrl: string,
): Promise<{ url: string; arm: () => void }> {
  let isArmed = false;
  const url = await lineTo(t, ownerUrl, (client, server) => {
    let isSilent = false;
    let bytes = Buffer.alloc(0);
    client.on('data', (chunk) => isSilent || server.write(chunk));
    server.on('data', (chunk) => {
      if (isSilent) return;
      bytes = Buffer.concat([bytes, chunk]);
      let at = 0;
      while (!isSilent && bytes.length - at >= HEAD_BYTES) {
        const end = at + 1 + bytes.readUInt32BE(at + 1);
        if (end > bytes.length) break;
        isSilent = isArmed && bytes[at] === ERROR_CODE;
        at = end;
      }
      client.write(bytes.subarray(0, at));
      bytes = Buffer.from(bytes.subarray(at));
    });
  });
  return { url, arm: () => void (isArmed = true) };
}

import t, { type Test } from 'tap';
import { connectTestClient } from '../db/test-database.ts';
import { ensureTimePartitions } from '../db/time-series.ts';
import { FillingBatch } from './batch.ts';
import { commitBatch, commitWork, prepareCommitSession, type CommitWork } from './commit.ts';
import { startPipeline, type TestPipeline } from './test-pipeline.ts';

const NOW_MS = Math.floor(Date.now() / 1000) * 1000;

/** One fix of dev-1, and a state that says that it was heard. */
function workOf(house: TestPipeline): CommitWork {
  const link = house.registry.deviceNamed('dev-1')!.link!;
  const batch = new FillingBatch();
  const fix = {
    index: 0, device: null, timeMs: NOW_MS, latDeg: 41.5, lonDeg: -87.5, altitudeM: NaN, speedMps: 1, headingDeg: NaN,
    accuracyM: NaN, odometerM: NaN, satellites: NaN, ignition: NaN, motion: NaN, seq: NaN, event: null,
  }; // prettier-ignore
  batch.addFix(link, fix, 0, NOW_MS);
  const evaluation = {
    events: [],
    changed: [
      {
        deviceId: link.deviceId,
        tenantId: link.tenantId,
        state: { inside: [], entering: [], ended: [], rules: [] },
      },
    ],
    latestFixRows: Int32Array.of(0),
    lateFixes: [],
    lateCount: 0,
  };
  return commitWork(batch, evaluation);
}

/** Commits while somebody holds a lock, gives up, and lets the server go on; what is stored once its session is gone. */
async function storedAfterGivingUp(t: Test, staged: boolean): Promise<number> {
  const house = await startPipeline(t);
  const client = await connectTestClient(t, house.ownerUrl, 2_000);
  await prepareCommitSession(client);
  await ensureTimePartitions(client, NOW_MS, NOW_MS);
  const session = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const { pid } = session.rows[0]!;
  const locker = await connectTestClient(t, house.ownerUrl);
  await locker.query('begin; lock table telematics in exclusive mode');
  await t.rejects(commitBatch(client, workOf(house), staged), { message: 'Query read timeout' });
  await locker.query('commit');
  const state = async (): Promise<string | undefined> => {
    const sql = 'select state from pg_stat_activity where pid = $1';
    return (await locker.query<{ state: string }>(sql, [pid])).rows[0]?.state;
  };
  while ((await state()) === 'active');
  await client.end();
  while ((await state()) !== undefined);
  return house.count('equipment_gps_location');
}

t.test('a staged batch that was given up does not come true later', async (t) => {
  t.equal(await storedAfterGivingUp(t, true), 0);
});

t.test('an optimistic one may, and once: sent late, it finds itself there', async (t) => {
  t.equal(await storedAfterGivingUp(t, false), 1);
});

t.test('the same work again, staged, changes nothing and says so', async (t) => {
  const house = await startPipeline(t);
  const client = await connectTestClient(t, house.ownerUrl);
  await prepareCommitSession(client);
  await ensureTimePartitions(client, NOW_MS, NOW_MS);
  const work = workOf(house);
  t.same(await commitBatch(client, work, false), {
    fixDuplicate: null,
    readingDuplicate: null,
    eventDuplicate: null,
  });
  await t.rejects(commitBatch(client, work, false), { code: '23505' });
  t.match(await commitBatch(client, work, true), { fixDuplicate: Uint8Array.of(1) });
  t.equal(await house.count('equipment_gps_location'), 1);
});

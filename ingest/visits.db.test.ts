/** Visits in the live transaction, and what late fixes leave for the reviser, however often the same work is written. */
import type { ClientBase } from 'pg';
import t, { type Test } from 'tap';
import { connectTestClient } from '../db/test-database.ts';
import { ensureTimePartitions } from '../db/time-series.ts';
import type { EngineEvent, Evaluation, LateFixes } from '../engine/types.ts';
import { FillingBatch } from './batch.ts';
import { commitBatch, commitWork, prepareCommitSession, type CommitWork } from './commit.ts';
import { startPipeline, type TestPipeline } from './test-pipeline.ts';

const NOW_MS = Math.floor(Date.now() / 1000) * 1000;
const ENTERED_MS = NOW_MS - 100_000;

interface House extends TestPipeline {
  readonly client: ClientBase;
  /** Work with a fix at each of these times, and these consequences. */
  readonly work: (fixMs: readonly number[], events: readonly EngineEvent[], late?: LateFixes[]) => CommitWork; // prettier-ignore
  readonly event: (type: EngineEvent['type'], more: Partial<EngineEvent>) => EngineEvent;
  visits(): Promise<unknown[]>;
  asked(): Promise<unknown[]>;
}

async function openHouse(t: Test): Promise<House> {
  const house = await startPipeline(t);
  const client = await connectTestClient(t, house.ownerUrl);
  await prepareCommitSession(client);
  await ensureTimePartitions(client, NOW_MS - 3_600_000, NOW_MS);
  const link = house.registry.deviceNamed('dev-1')!.link!;
  const { deviceId, equipmentId, tenantId, accountId } = link;
  return {
    ...house,
    client,
    work(fixMs, events, late = []) {
      const batch = new FillingBatch();
      for (const timeMs of fixMs) {
        const fix = {
          index: 0, device: null, timeMs, latDeg: 41.5, lonDeg: -87.5, altitudeM: NaN, speedMps: 1, headingDeg: NaN,
          accuracyM: NaN, odometerM: NaN, satellites: NaN, ignition: NaN, motion: NaN, seq: NaN, event: null,
        }; // prettier-ignore
        batch.addFix(link, fix, 0, NOW_MS);
      }
      const state = { inside: [], entering: [], ended: [], rules: [] };
      const changed = [{ deviceId, tenantId, state }];
      const evaluation: Evaluation & { readonly lateFixes: LateFixes[] } = {
        events,
        changed,
        latestFixRows: Int32Array.from(fixMs.length > 0 ? [fixMs.length - 1] : []),
        lateCount: late.length,
        lateFixes: late,
      };
      return commitWork(batch, evaluation);
    },
    event: (type, more) => ({
      type, deviceId, equipmentId, tenantId, accountId, timeMs: NOW_MS, lonDeg: -87.5, latDeg: 41.5, fenceId: 5,
      ruleId: null, subjectName: 'Yard', subjectVersion: 3, metricCode: null, metricValue: null, severity: 'info',
      initial: false, cause: 'move', enteredMs: ENTERED_MS, leftMs: NaN, lastFixMs: NaN, ...more,
    }), // prettier-ignore
    async visits() {
      const { rows } = await client.query(
        `select geofence_id, geofence_name as name, geofence_version as version, account_id = ${accountId} as ours,
                equipment_id = ${equipmentId} as unit,
                (extract(epoch from opened_at) * 1000)::float8 - ${ENTERED_MS} as opened, entered_at = opened_at as same,
                (extract(epoch from left_at) * 1000)::float8 - ${ENTERED_MS} as left, duration_s as lasted,
                (extract(epoch from last_fix_at) * 1000)::float8 - ${ENTERED_MS} as last,
                (extract(epoch from dwelled_at) * 1000)::float8 - ${ENTERED_MS} as dwelled,
                entered_cause, left_cause, revision, retracted
         from geofence_visit order by geofence_id, opened_at`,
      );
      return rows as unknown[];
    },
    async asked() {
      const { rows } = await client.query(
        `select (extract(epoch from from_at) * 1000)::float8 - ${NOW_MS} as from,
                (extract(epoch from to_at) * 1000)::float8 - ${NOW_MS} as to, is_waiting as waiting from visit_revision`,
      );
      return rows as unknown[];
    },
  };
}

const OPEN = {
  geofence_id: 5, name: 'Yard', version: 3, ours: true, unit: true, opened: 0, same: true, left: null, lasted: null,
  last: null, dwelled: null, entered_cause: 'first_fix', left_cause: null, revision: 1, retracted: false,
}; // prettier-ignore

t.test('an enter opens a visit, a dwell marks it, an exit closes it, once', async (t) => {
  const house = await openHouse(t);
  const { client, work, event } = house;
  const both = async (fixMs: number, events: EngineEvent[]): Promise<void> => {
    const one = work([fixMs], events);
    await commitBatch(client, one, false);
    await commitBatch(client, one, true);
  };
  const enter = event('geofence_enter', { cause: 'first_fix' });
  await both(NOW_MS - 90_000, [enter]);
  t.same(await house.visits(), [OPEN]);
  await both(NOW_MS - 80_000, [event('geofence_dwell', { timeMs: ENTERED_MS + 15_000 })]);
  t.same(await house.visits(), [{ ...OPEN, dwelled: 15_000 }]);
  const exit = event('geofence_exit', { leftMs: ENTERED_MS + 40_000, lastFixMs: ENTERED_MS + 35_000, cause: 'schedule' }); // prettier-ignore
  await both(NOW_MS - 60_000, [exit]);
  const left = { left: 40_000, lasted: 40, last: 35_000, left_cause: 'schedule' };
  t.same(await house.visits(), [{ ...OPEN, dwelled: 15_000, ...left }]);

  const late = { ...exit, leftMs: ENTERED_MS + 50_000, timeMs: NOW_MS + 1, cause: 'fence_removed' } as const; // prettier-ignore
  await both(NOW_MS - 50_000, [late]);
  t.same(await house.visits(), [{ ...OPEN, dwelled: 15_000, ...left }], 'what is closed stays so');
});

t.test('a visit may come and go within one batch, and others beside it', async (t) => {
  const house = await openHouse(t);
  const { client, work, event } = house;
  const times = { leftMs: ENTERED_MS + 10_000, lastFixMs: ENTERED_MS };
  const again = { enteredMs: ENTERED_MS + 20_000, timeMs: NOW_MS + 5 };
  await commitBatch(
    client,
    work([NOW_MS - 90_000], [
      event('geofence_enter', {}),
      event('geofence_exit', times),
      event('geofence_enter', { ...again }),
      event('geofence_enter', { fenceId: 6 }),
    ]),
    false,
  ); // prettier-ignore
  const move = { ...OPEN, entered_cause: 'move' };
  t.same(await house.visits(), [
    { ...move, left: 10_000, lasted: 10, last: 0, left_cause: 'move' },
    { ...move, opened: 20_000 },
    { ...move, geofence_id: 6 },
  ]);
});

t.test('an exit does not end a visit before it begins', async (t) => {
  const house = await openHouse(t);
  const { client, work, event } = house;
  await commitBatch(client, work([NOW_MS - 90_000], [event('geofence_enter', {})]), false);
  await client.query(
    `update geofence_visit set entered_at = entered_at + interval '60 s', revision = 2`,
  );
  const exit = event('geofence_exit', { leftMs: ENTERED_MS + 10_000 });
  await commitBatch(client, work([NOW_MS - 80_000], [exit]), false);
  t.match(await house.visits(), [{ left: 60_000, lasted: 0 }]);
});

t.test('late fixes ask for a revision, repeats do not', async (t) => {
  const house = await openHouse(t);
  const { client, work, registry } = house;
  const { deviceId } = registry.deviceNamed('dev-1')!.link!;
  const lateFrom = (from: number, to: number): LateFixes[] => [
    { deviceId, fromMs: NOW_MS + from, toMs: NOW_MS + to },
  ];
  await commitBatch(client, work([NOW_MS - 10_000], []), false);
  t.same(await house.asked(), []);
  const late = work([NOW_MS - 30_000, NOW_MS - 25_000], [], lateFrom(-30_000, -25_000));
  await commitBatch(client, late, false);
  t.same(await house.asked(), [{ from: -30_000, to: -25_000, waiting: false }]);
  await client.query('update visit_revision set is_waiting = true');
  const more = work([NOW_MS - 40_000], [], lateFrom(-40_000, -40_000));
  await commitBatch(client, more, false);
  t.same(await house.asked(), [{ from: -40_000, to: -25_000, waiting: false }], 'both together');

  await client.query('delete from visit_revision');
  await commitBatch(client, late, true);
  t.same(await house.asked(), [], 'they were stored already');
  const partly = work([NOW_MS - 50_000, NOW_MS - 30_000], [], lateFrom(-50_000, -30_000));
  await commitBatch(client, partly, true);
  t.same(
    await house.asked(),
    [{ from: -50_000, to: -50_000, waiting: false }],
    'of those that were not',
  );
});

/**
 * Every connection between ingestion and its database dies without a word, and new ones pass: the batch that waits for an
 * answer is sent again on a new connection, and stored once.
 */
import Fastify from 'fastify';
import t from 'tap';
import { connectTestClient, createTestDatabase } from '../../db/test-database.ts';
import { createIngest } from '../../ingest/ingest.ts';
import { seedTestFleet, testIngestOptions } from '../../ingest/test-fleet.ts';
import { Proxy } from '../torture/proxy.ts';
import { lastingPort } from './run.ts';

t.test('connections to the database die without a word', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const fleet = await seedTestFleet(ownerUrl, 1);
  const owner = await connectTestClient(t, ownerUrl);
  const url = new URL(ownerUrl);
  const proxy = new Proxy(await lastingPort(), Number(url.port), 'postgres');
  await proxy.listen();
  t.teardown(() => proxy.close());
  url.port = String(proxy.port);

  const said: string[] = [];
  const say = (_: object, message: string): void => void said.push(message);
  const ingest = createIngest({
    ...testIngestOptions(url.href),
    log: { info: say, warn: say, error: say },
    onLeadershipLost: () => t.fail('nobody else leads'),
  });
  await ingest.load();
  await ingest.start();
  const app = Fastify();
  await app.register(ingest.plugin);
  t.teardown(() => app.close());
  t.teardown(() => ingest.stop(AbortSignal.timeout(5_000)));
  // Upkeep has dead connections too, and would wait for its statement timeout.
  t.teardown(() => proxy.reset());
  const startMs = Date.now() - 60_000;
  const post = async (second: number): Promise<unknown> => {
    const response = await app.inject({
      method: 'POST',
      url: '/v1/telemetry',
      headers: { authorization: `Bearer ${fleet.gatewayToken}` },
      payload: { device: 'dev-1', time: startMs + second * 1000, lat: 1, lon: 2 },
    });
    return response.json();
  };
  const stored = { accepted: 1, duplicates: 0, rejected: [] };
  const cuts = (): number => said.filter((line) => line.includes('died without a word')).length;
  t.same(await post(0), stored);

  // The batch never arrives.
  proxy.freeze(Infinity);
  t.same(await post(1), stored);
  t.equal(cuts(), 1, 'the session was found waiting');

  // The batch arrives and is committed, but for its answer.
  await owner.query('begin; lock table telematics');
  const held = post(2);
  await waiting();
  proxy.freeze(Infinity);
  await owner.query('commit');
  t.same(await held, { accepted: 0, duplicates: 1, rejected: [] });
  t.equal(cuts(), 2, 'and so after a lock');

  t.same(await post(3), stored, 'it goes on');
  const { rows } = await owner.query('select count(*)::int as n from equipment_gps_location');
  t.same(rows, [{ n: 4 }], 'each of them once');

  /** Resolves when the batch waits for the lock. */
  async function waiting(): Promise<void> {
    const sql = `select from pg_stat_activity where datname = current_database()
      and application_name like 'milepost-ingest%' and wait_event_type = 'Lock'`;
    while ((await owner.query(sql)).rowCount === 0);
  }
});

/**
 * PostgreSQL is killed under a running ingest and comes back: what was acknowledged is there, what was held goes in, and
 * ingestion goes on in the same process. Needs a server of its own, durable, to kill.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify from 'fastify';
import pg from 'pg';
import t from 'tap';
import { startEmbeddedPostgres } from '../../db/embedded.ts';
import { migrate } from '../../migrations/run.ts';
import { createIngest } from '../../ingest/ingest.ts';
import { seedTestFleet, testIngestOptions } from '../../ingest/test-fleet.ts';

t.test('the database is killed and comes back', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'milepost-crash-'));
  let server = await startEmbeddedPostgres({ dataDir, port: 0 });
  t.teardown(async () => {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  const { connectionString, port } = server;
  await migrate(connectionString);
  const fleet = await seedTestFleet(connectionString, 2);

  let onHeld: () => void = () => undefined;
  let lostCount = 0;
  const log = { info: () => undefined, error: () => undefined, warn: () => onHeld() };
  const ingest = createIngest({
    ...testIngestOptions(connectionString),
    log,
    onLeadershipLost: () => lostCount++,
  });
  await ingest.load();
  await ingest.start();
  const app = Fastify();
  await app.register(ingest.plugin);
  t.teardown(() => app.close());
  t.teardown(() => ingest.stop(AbortSignal.timeout(5_000)));

  const startMs = Date.now() - 60_000;
  const post = async (second: number): Promise<unknown> => {
    const response = await app.inject({
      method: 'POST',
      url: '/v1/telemetry',
      headers: {
        authorization: `Bearer ${fleet.gatewayToken}`,
        'content-type': 'application/json',
      },
      payload: JSON.stringify([
        { device: 'dev-1', time: startMs + second * 1000, lat: 1, lon: 2 },
        { device: 'dev-2', time: startMs + second * 1000, lat: 1, lon: 2 },
      ]),
    });
    return response.json();
  };
  const all = { accepted: 2, duplicates: 0, rejected: [] };
  t.same(await post(0), all);

  const pidFile = await readFile(join(dataDir, 'cluster', 'postmaster.pid'), 'utf8');
  process.kill(Number(pidFile.split('\n')[0]), 'SIGKILL');
  const held = new Promise<void>((resolve) => {
    onHeld = () => {
      if (ingest.notReady().length > 0) resolve();
    };
  });
  const answer = post(1);
  await held;
  server = await startEmbeddedPostgres({ dataDir, port });
  t.same(await answer, all, 'what was held goes in');
  t.same(await post(2), all, 'and what comes after');
  t.equal(lostCount, 0, 'nobody else has led');
  const client = new pg.Client({ connectionString });
  await client.connect();
  const { rows } = await client.query<{ n: number }>(
    'select count(*)::int as n from equipment_gps_location',
  );
  await client.end();
  t.equal(rows[0]?.n, 6);
});

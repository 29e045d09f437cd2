/** From a token that the API's role sets to the connections that it opens and closes, over a real database and sockets. */
import { EventEmitter, once } from 'node:events';
import type pg from 'pg';
import t, { type Test } from 'tap';
import { createChangeFeed } from '../db/change-feed.ts';
import { createPool } from '../db/pools.ts';
import { withTenant } from '../db/tenancy.ts';
import { createTestDatabase } from '../db/test-database.ts';
import { ConfigSync } from './config-sync.ts';
import {
  connectPacket,
  openRaw,
  startListener,
  PINGREQ,
  type RawClient,
} from './mqtt/test-listener.ts';
import { Registry } from './registry.ts';
import { seedTestFleet, sha256 } from './test-fleet.ts';

async function openHouse(t: Test) {
  const { ownerUrl } = await createTestDatabase(t);
  const { customerId } = await seedTestFleet(ownerUrl, 2);
  const open = (role: 'milepost_ingest' | 'milepost_api'): pg.Pool => {
    const options = { connectionString: ownerUrl, role, max: 2, applicationName: 'test' };
    const pool = createPool({ ...options, statementTimeoutMs: 10_000 });
    t.teardown(() => pool.end());
    return pool;
  };
  const api = open('milepost_api');
  const registry = new Registry();
  const applied = new EventEmitter();
  const { listener, port } = await startListener(t, {
    authenticate: (username, password) => {
      const checked = registry.checkSecret(username ?? '', password ?? Buffer.alloc(0));
      if (!checked.ok) return Promise.resolve({ refused: checked.reason });
      const { deviceName, iotDeviceId, tenantId } = checked.device;
      return Promise.resolve({ deviceName, iotDeviceId, tenantId });
    },
  });
  const sync = new ConfigSync({
    pool: open('milepost_ingest'),
    registry,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    target: {
      applyEdits: (edits) => edits.length > 0 && applied.emit('applied'),
      restore: () => undefined,
      deviceRevoked: (iotDeviceId) => listener.disconnectDevice(iotDeviceId),
    },
  });
  await sync.load();
  const feed = createChangeFeed({
    connectionString: ownerUrl,
    onChange: (change) => sync.onChange(change),
    onReset: () => undefined,
  });
  await feed.start();
  t.teardown(async () => {
    await feed.stop();
    await sync.stop();
  });
  /** As the API does it; resolves when ingestion has heard of it. */
  const set = async (assignments: string): Promise<void> => {
    const heard = once(applied, 'applied');
    await withTenant(api, { customerId, accountIds: null }, (_db, client) =>
      client.query(`update iot_device set ${assignments} where device_identifier = 'dev-1'`),
    );
    await heard;
    await sync.settled();
  };
  const rotate = (token: string, overlapS: number): Promise<void> =>
    set(
      `token_hash = '\\x${sha256(token).toString('hex')}',
       previous_token_until = now() + make_interval(secs => ${overlapS})`,
    );
  /** Opens a connection with this token; `null`: it was refused. */
  const signIn = async (token: string): Promise<RawClient | null> => {
    const client = await openRaw(t, port);
    client.send(connectPacket(4, { clientId: token, password: Buffer.from(token) }));
    const connack = await client.next();
    return connack?.cmd === 'connack' && connack.returnCode === 0 ? client : null;
  };
  const bearer = (token: string): string | null => registry.senderOf(token)?.kind ?? null;
  return { sync, rotate, set, signIn, bearer };
}

async function isOpen(client: RawClient): Promise<boolean> {
  client.send(PINGREQ);
  return (await client.next())?.cmd === 'pingresp';
}

/** Runs `work` as if so much time had passed. */
async function later<T>(ms: number, work: () => Promise<T>): Promise<T> {
  const now = Date.now;
  Date.now = () => now() + ms;
  try {
    return await work();
  } finally {
    Date.now = now;
  }
}

t.test(
  'with an overlap the connection stays, and both tokens sign in until it is over',
  async (t) => {
    const { rotate, signIn, bearer, sync } = await openHouse(t);
    const old = await signIn('token-1');
    await rotate('second', 3_600);
    t.ok(await isOpen(old!));
    const again = await signIn('token-1');
    const fresh = await signIn('second');
    t.ok(again && fresh);
    t.same([bearer('token-1'), bearer('second')], ['device', 'device']);

    sync.endTokens(Date.now() + 3_590_000);
    t.ok(await isOpen(again!), 'not before its time');
    await later(3_600_001, async () => {
      sync.endTokens(Date.now());
      await again!.closed;
      t.equal(await signIn('token-1'), null);
      t.equal(bearer('token-1'), null);
      const current = await signIn('second');
      t.ok(await isOpen(current!));
      sync.endTokens(Date.now());
      t.ok(await isOpen(current!), 'once');
    });
  },
);

t.test('without an overlap the connection is closed, and the old token refused', async (t) => {
  const { rotate, signIn, bearer } = await openHouse(t);
  const old = await signIn('token-1');
  await rotate('second', 0);
  await old!.closed;
  t.equal(await signIn('token-1'), null);
  t.equal(bearer('token-1'), null);
  t.ok(await signIn('second'));
  t.equal(bearer('second'), 'device');
});

t.test('of three tokens the first is gone, with the connections that it opened', async (t) => {
  const { rotate, signIn } = await openHouse(t);
  await rotate('second', 3_600);
  const first = await signIn('token-1');
  await rotate('third', 3_600);
  await first!.closed;
  t.equal(await signIn('token-1'), null);
  t.ok(await signIn('second'));
  t.ok(await signIn('third'));
});

t.test(
  'a change that comes just when a token runs out does not save its connections',
  async (t) => {
    const { rotate, set, signIn } = await openHouse(t);
    const old = await signIn('token-1');
    await rotate('second', 60);
    await later(60_001, async () => {
      await set(`device_type = 'renamed'`);
      await old!.closed;
      const current = await signIn('second');
      await set(`device_type = 'again'`);
      t.ok(await isOpen(current!), 'and closes no others from then on');
    });
  },
);

t.test('a token taken away, a device disabled: nothing stays open', async (t) => {
  for (const change of ['token_hash = null, previous_token_until = null', `status = 'disabled'`]) {
    const { rotate, set, signIn, bearer } = await openHouse(t);
    await rotate('second', 3_600);
    const open = [await signIn('token-1'), await signIn('second')];
    await set(change);
    await Promise.all(open.map((client) => client!.closed));
    t.equal(await signIn('token-1'), null, change);
    t.equal(await signIn('second'), null, change);
    t.same([bearer('token-1'), bearer('second')], [null, null], change);
  }
});

t.test('other changes leave connections alone', async (t) => {
  const { set, signIn } = await openHouse(t);
  const open = await signIn('token-1');
  await set(`sign_in_by_name = true, device_type = 'FMB920'`);
  t.ok(await isOpen(open!));
});

import { EventEmitter, once } from 'node:events';
import type pg from 'pg';
import t, { type Test } from 'tap';
import { createPool } from '../db/pools.ts';
import { createTestDatabase } from '../db/test-database.ts';
import {
  KNOCK_ADDRESS_NAMES_PER_MINUTE_MAX,
  KNOCK_ADDRESSES_MAX,
  KNOCK_PAYLOAD_BYTES_MAX,
  KNOCK_TENANT_NAMES_PER_MINUTE_MAX,
  KnockBook,
  KNOCKS_MAX,
  type Knock,
} from './knocking.ts';

const MINUTE_MS = 60_000;

interface Row {
  customer_id: number | null;
  protocol: string;
  device_identifier: string;
  knock_count: number;
  last_payload: Buffer | null;
  last_payload_bytes: number | null;
  remote_address: string | null;
  first_seen_at: Date;
  last_seen_at: Date;
}

async function openBook(t: Test, rowsMax = 1_000) {
  const { ownerUrl } = await createTestDatabase(t);
  const open = (role: 'owner' | 'milepost_ingest'): pg.Pool => {
    const options = { connectionString: ownerUrl, role, max: 2, applicationName: 'test' };
    const pool = createPool({ ...options, statementTimeoutMs: 10_000 });
    t.teardown(() => pool.end());
    return pool;
  };
  const owner = open('owner');
  const ingest = open('milepost_ingest');
  const clock = { nowMs: Date.parse('2026-03-01T12:00:00Z') };
  const refused = new Map<string, number>();
  const warnings: string[] = [];
  const database = { away: false, asked: new EventEmitter() };
  const pool = {
    query: async (text: string, values?: unknown[]) => {
      database.asked.emit('query');
      if (database.away) throw new Error('away');
      return ingest.query(text, values);
    },
  } as unknown as pg.Pool;
  const log = { info: () => undefined, error: () => undefined };
  const book = new KnockBook({
    pool,
    rowsMax,
    metrics: {
      refused: (source, reason) => {
        refused.set(`${source} ${reason}`, (refused.get(`${source} ${reason}`) ?? 0) + 1);
      },
    },
    log: { ...log, warn: (_fields, message) => void warnings.push(message) },
    nowMs: () => clock.nowMs,
  });
  t.teardown(() => book.stop());
  const rows = async (): Promise<Row[]> =>
    (await owner.query<Row>('select * from knocking_device order by knocking_device_id')).rows;
  const names = async () => (await rows()).map((row) => row.device_identifier).sort();
  return { owner, book, clock, refused, warnings, database, rows, names };
}

const knock = (deviceName: string, more: Partial<Knock> = {}): Knock => ({
  protocol: 'mqtt',
  deviceName,
  tenantId: null,
  payload: null,
  remoteAddress: '192.0.2.1',
  ...more,
});

async function register(owner: pg.Pool, deviceName: string): Promise<void> {
  await owner.query(
    `with tenant as (insert into customer (customer_name) values ($1) returning customer_id)
     insert into iot_device (customer_id, device_identifier, device_type)
     select customer_id, $1, 'tracker' from tenant`,
    [deviceName],
  );
}

t.test('knocks add up to one row: count, last payload, first and last time', async (t) => {
  const { book, clock, rows } = await openBook(t);
  const first = new Date(clock.nowMs);
  const reused = Buffer.from('first');
  book.knock(knock('a', { payload: reused }));
  reused.fill('x');
  await book.flush();
  t.match(await rows(), [
    { device_identifier: 'a', protocol: 'mqtt', customer_id: null, remote_address: '192.0.2.1' },
  ]);
  t.match((await rows())[0], { last_payload: Buffer.from('first'), last_payload_bytes: 5 });

  clock.nowMs += 5_000;
  const long = Buffer.alloc(KNOCK_PAYLOAD_BYTES_MAX + 10, 'z');
  book.knock(knock('a', { payload: long, remoteAddress: 'fe80::1%eth0' }));
  book.knock(knock('a', { remoteAddress: 'not an address' }));
  book.knock(knock('a', { protocol: 'http', tenantId: 7 }));
  await book.flush();
  const [anonymous, vouched, ...more] = await rows();
  t.same(more, []);
  t.match(anonymous, {
    knock_count: 3,
    last_payload_bytes: long.length,
    remote_address: '192.0.2.1',
    first_seen_at: first,
    last_seen_at: new Date(clock.nowMs),
  });
  t.same(anonymous!.last_payload, long.subarray(0, KNOCK_PAYLOAD_BYTES_MAX));
  t.match(vouched, { customer_id: 7, protocol: 'http', knock_count: 1, last_payload: null });
  await book.flush();
  t.equal((await rows())[0]!.knock_count, 3, 'nothing is counted twice');
  book.knock(knock('a', { remoteAddress: null }));
  await book.flush();
  t.match(
    (await rows())[0],
    { knock_count: 4, last_payload_bytes: long.length, remote_address: '192.0.2.1' },
    'what is not told does not undo what was',
  );
  t.equal((await rows())[0]!.last_payload?.length, KNOCK_PAYLOAD_BYTES_MAX);
});

t.test('names that cannot be kept are counted', async (t) => {
  const { book, refused } = await openBook(t);
  for (const name of ['', 'x'.repeat(65), 'a\nb', 'ü', '\u0000', 'y'.repeat(1_000_000)]) {
    book.knock(knock(name));
  }
  t.equal(book.size, 0);
  t.equal(refused.get('mqtt knock_name'), 6);
});

t.test('an address brings so many new names a minute, and others are not held up', async (t) => {
  const { book, clock, refused } = await openBook(t);
  const max = KNOCK_ADDRESS_NAMES_PER_MINUTE_MAX;
  const scan = (remoteAddress: string, prefix: string) => {
    for (let n = 0; n < max + 5; n++) book.knock(knock(`${prefix}${n}`, { remoteAddress }));
  };
  scan('192.0.2.1', 'a');
  t.equal(book.size, max);
  t.equal(refused.get('mqtt knock_rate'), 5);
  book.knock(knock('honest', { remoteAddress: '192.0.2.2' }));
  t.equal(book.size, max + 1);
  book.knock(knock('a0'));
  t.equal(refused.get('mqtt knock_rate'), 5, 'a name that is there is not new');
  await book.flush();
  book.knock(knock('a0'));
  t.equal(refused.get('mqtt knock_rate'), 5, 'nor when it is written');

  for (let n = 0; n < max; n++) {
    book.knock(knock(`six${n}`, { remoteAddress: `2001:db8:0:1::${n.toString(16)}` }));
  }
  const before = book.size;
  book.knock(knock('same network', { remoteAddress: '2001:db8::1:0:0:0:ffff' }));
  t.equal(book.size, before);
  book.knock(knock('other network', { remoteAddress: '2001:db8:0:2::1' }));
  t.equal(book.size, before + 1);
  scan('::ffff:192.0.2.1', 'mapped');
  t.equal(book.size, before + 1, 'an IPv4 address in IPv6 is that address');

  clock.nowMs += MINUTE_MS;
  book.knock(knock('next minute'));
  t.equal(book.size, before + 2);
});

t.test('a tenant brings more, and its share is not that of the addresses', async (t) => {
  const { book } = await openBook(t);
  const max = KNOCK_TENANT_NAMES_PER_MINUTE_MAX;
  for (let n = 0; n < max + 5; n++) book.knock(knock(`a${n}`, { tenantId: 1 }));
  t.equal(book.size, max);
  book.knock(knock('b', { tenantId: 2 }));
  book.knock(knock('c'));
  t.equal(book.size, max + 2);
});

t.test('addresses beyond those that are counted share one allowance', async (t) => {
  const { book, refused } = await openBook(t);
  const from = (n: number) => ({ remoteAddress: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}` });
  for (let n = 0; n < KNOCK_ADDRESSES_MAX; n++) {
    if (n % KNOCKS_MAX === 0) await book.flush();
    book.knock(knock(`n${n}`, from(n)));
  }
  await book.flush();
  t.equal(refused.size, 0);
  for (let n = 0; n < 100; n++) book.knock(knock(`late ${n}`, from(KNOCK_ADDRESSES_MAX + n)));
  t.equal(refused.get('mqtt knock_rate'), 100 - KNOCK_ADDRESS_NAMES_PER_MINUTE_MAX);
  book.knock(knock('counted before', from(3)));
  t.equal(refused.get('mqtt knock_rate'), 100 - KNOCK_ADDRESS_NAMES_PER_MINUTE_MAX);
});

t.test('the database away: names wait, up to the limit, and go in later', async (t) => {
  const { book, database, refused, warnings, names, rows } = await openBook(t, 2 * KNOCKS_MAX);
  database.away = true;
  for (let n = 0; n < KNOCKS_MAX + 3; n++) {
    book.knock(knock(`n${n}`, { remoteAddress: `10.0.${n >> 8}.${n & 255}` }));
  }
  await book.flush();
  await book.flush();
  t.equal(book.size, KNOCKS_MAX);
  t.equal(refused.get('mqtt knock_book_full'), 3);
  t.equal(warnings.length, 1, 'told once');
  book.knock(knock('n5'));

  database.away = false;
  await book.flush();
  t.equal((await rows()).find((row) => row.device_identifier === 'n5')?.knock_count, 2);
  t.equal(book.size, KNOCKS_MAX, 'remembered as written');
  book.knock(knock('newcomer', { remoteAddress: '10.9.9.9' }));
  t.equal(book.size, KNOCKS_MAX, 'and the oldest of those makes room');
  await book.flush();
  t.ok((await names()).includes('newcomer'));
});

t.test('what comes while it is being written is written next', async (t) => {
  const { book, rows } = await openBook(t);
  book.knock(knock('a'));
  const writing = book.flush();
  book.knock(knock('a', { payload: Buffer.from('late') }));
  await writing;
  await book.flush();
  t.match(await rows(), [{ knock_count: 2, last_payload: Buffer.from('late') }]);
});

t.test('rows beyond the limit: of whoever has the most, the longest silent', async (t) => {
  const { book, clock, names } = await openBook(t, 6);
  const add = async (name: string, more: Partial<Knock> = {}) => {
    clock.nowMs += 1_000;
    book.knock(knock(name, more));
    await book.flush();
  };
  await add('vouched', { tenantId: 1 });
  await add('honest', { remoteAddress: '192.0.2.9' });
  for (let n = 0; n < 6; n++) await add(`v4 ${n}`);
  for (let n = 0; n < 3; n++) await add(`v6 ${n}`, { remoteAddress: `2001:db8::${n + 1}` });
  await add('v4 0');
  await book.trim();
  t.same(await names(), ['honest', 'v4 0', 'v4 5', 'v6 1', 'v6 2', 'vouched']);
  await book.trim();
  t.equal((await names()).length, 6);
});

t.test('many new names are trimmed before the minute is over', async (t) => {
  const { book, names } = await openBook(t, 10);
  for (let n = 0; n < KNOCKS_MAX; n++) {
    book.knock(knock(`n${n}`, { remoteAddress: `10.0.${n >> 8}.${n & 255}` }));
  }
  await book.flush();
  t.equal((await names()).length, 10);
});

t.test('who is registered, is not knocking', async (t) => {
  const { book, owner, names } = await openBook(t);
  for (const name of ['a', 'b']) {
    book.knock(knock(name));
    book.knock(knock(name, { tenantId: 1, protocol: 'http' }));
  }
  await book.flush();
  await register(owner, 'a');
  t.same(await names(), ['b', 'b'], 'its rows are gone, whoever vouched');
  book.knock(knock('a'));
  await book.flush();
  t.same(await names(), ['b', 'b'], 'and do not come back');
  // As when both happen at once, and neither sees the other.
  await owner.query(`alter table iot_device disable trigger forget_knocks`);
  await register(owner, 'b');
  t.same(await names(), ['b', 'b']);
  await book.trim();
  t.same(await names(), []);
  // A retired device has given its name away.
  await owner.query(`update iot_device set status = 'retired' where device_identifier = 'a'`);
  book.knock(knock('a'));
  await book.flush();
  await book.trim();
  t.same(await names(), ['a']);
});

t.test('it writes by itself, and what is left when it stops', async (t) => {
  const { book, database, names } = await openBook(t);
  book.knock(knock('a'));
  const asked = once(database.asked, 'query');
  // Its timers keep no process alive.
  const alive = setInterval(() => undefined, MINUTE_MS);
  book.start();
  await asked;
  clearInterval(alive);
  await book.flush();
  t.same(await names(), ['a']);
  book.knock(knock('b'));
  await book.stop();
  t.same(await names(), ['a', 'b']);
});

/**
 * Many write at once, some for long and some in vain, in two tenants, while copies are kept all along: in the end each copy
 * is what the lists say, and no change was told twice or out of order of the commits.
 */
import fc from 'fast-check';
import t from 'tap';
import { createPool } from '../../db/pools.ts';
import { testServerUrl } from '../../db/test-database.ts';
import { withTenant } from '../../db/tenancy.ts';
import { startTestPortal, type Who } from '../test-portal.ts';
import { differences, readLists, TestCopy } from './test-copy.ts';

const WRITERS = 100;
const ROUNDS = 3;
const many = 10_000_000;
const portal = await startTestPortal(t, {
  rateLimits: { perAddressMax: many, perUserMax: many, perTenantMax: many },
});
const { owner, seed } = portal;
const { rows: databases } = await owner.query<{ name: string }>(
  'select current_database() as name',
);
const url = new URL(testServerUrl());
url.pathname = `/${databases[0]!.name}`;
const pool = createPool({
  connectionString: url.href,
  role: 'milepost_api',
  max: 60,
  applicationName: 'writers',
  statementTimeoutMs: 10_000,
});
t.teardown(() => pool.end());

const LISTS = [
  { path: 'tags', key: 'tag_lookup_id' },
  { path: 'equipment', key: 'equipment_id' },
  { path: 'equipment-load-details', key: 'equipment_load_detail_id' },
  { path: 'quick-links', key: 'ten_quick_link_id' },
];

/** What one writer does in its transaction. */
interface Step {
  readonly kind: 'insert' | 'update' | 'delete' | 'move' | 'part' | 'link';
  readonly n: number;
}
interface Writer {
  readonly isForeign: boolean;
  readonly steps: readonly Step[];
  readonly end: 'commit' | 'rollback';
  /** Commits only when so many others have ended. */
  readonly waitsFor: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('insert', 'update', 'delete', 'move', 'part', 'link'),
  n: fc.integer({ min: 0, max: 19 }),
});
const UNITS = 3;
const TABLES: readonly (readonly Step['kind'][])[] = [
  ['insert', 'update', 'delete'],
  ['move', 'part'],
  ['link'],
];
const placeOf = ({ kind, n }: Step): number => {
  const table = TABLES.findIndex((kinds) => kinds.includes(kind));
  return table * 100 + (table === 1 ? n % UNITS : n);
};

const writer: fc.Arbitrary<Writer> = fc.record({
  isForeign: fc.boolean(),
  // Rows in one order, so that they wait for each other and never in a circle.
  steps: fc
    .array(step, { minLength: 1, maxLength: 5 })
    .map((steps) => steps.toSorted((a, b) => placeOf(a) - placeOf(b))),
  end: fc.constantFrom('commit', 'commit', 'commit', 'rollback'),
  waitsFor: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 3, 10),
});

const SQL: Readonly<Record<Step['kind'], string>> = {
  insert: `insert into tag_lookup (customer_id, tag_name) values (app_customer_id(), 'tag ' || $1::int) on conflict do nothing`,
  update: `update tag_lookup set color = '#00' || lpad((random() * 9999)::int::text, 4, '0') where tag_name = 'tag ' || $1::int`,
  delete: `delete from tag_lookup where tag_name = 'tag ' || $1::int`,
  move: `update equipment set account_id = (select account_id from account order by random() limit 1)
    where equipment_id = (select equipment_id from equipment order by equipment_id offset $1::int % ${UNITS} limit 1)`,
  part: `insert into equipment_load_detail (customer_id, equipment_id, load_number, equipment_load_date, equipment_load_status)
    select customer_id, equipment_id, 'load ' || $1::int, current_date, 'loaded' from equipment order by equipment_id offset $1::int % ${UNITS} limit 1`,
  link: `insert into ten_quick_link (customer_id, name, link)
    values (app_customer_id(), 'link ' || $1::int, 'https://example.test/') on conflict (customer_id, name)
    do update set sort_order = ten_quick_link.sort_order + 1`,
};

class Wanted extends Error {}

async function write(writers: readonly Writer[]): Promise<string[]> {
  let ended = 0;
  let wake: (() => void)[] = [];
  const end = (): void => {
    ended += 1;
    for (const go of wake) go();
    wake = [];
  };
  const wrong: string[] = [];
  const others = async (count: number): Promise<void> => {
    // Those that wait do not count on each other: some do not wait at all.
    const free = writers.filter(({ waitsFor }) => waitsFor === 0).length;
    while (ended < Math.min(count, free)) await new Promise<void>((resolve) => wake.push(resolve));
  };
  const queue = writers.toSorted((a, b) => b.waitsFor - a.waitsFor);
  await Promise.all(
    queue.map(async ({ isForeign, steps, end: how, waitsFor }) => {
      const { customerId } = isForeign ? seed.foreign : seed.mine;
      const isSlow = waitsFor > 0;
      try {
        await withTenant(pool, { customerId, accountIds: null }, async (_db, client) => {
          // A slow one holds nothing that others wait for.
          const own = isSlow ? steps.filter(({ kind }) => kind === 'part') : steps;
          for (const { kind, n } of own) await client.query(SQL[kind], [n]);
          await others(waitsFor);
          if (how === 'rollback') throw new Wanted('back');
        });
      } catch (error) {
        if (!(error instanceof Wanted))
          wrong.push(`${String(error)} ${(error as { detail?: string }).detail ?? ''}`);
      }
      end();
    }),
  );
  return wrong;
}

const copyOf = (who: Who, limit: number) =>
  new TestCopy(
    portal,
    who,
    LISTS.map(({ path }) => path),
    limit,
  );

t.test('copies that are kept while a hundred write are right in the end', async (t) => {
  const copies: [Who, TestCopy][] = [
    ['admin', copyOf('admin', 7)],
    ['held', copyOf('held', 100)],
    ['foreign', copyOf('foreign', 3)],
  ];
  const seedGiven = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);
  t.comment(`FC_SEED=${seedGiven}`);
  const rounds = fc.sample(fc.array(writer, { minLength: WRITERS, maxLength: WRITERS }), {
    seed: seedGiven,
    numRuns: ROUNDS,
  });
  for (const writers of rounds) {
    let isOver = false;
    const writing = write(writers).finally(() => (isOver = true));
    // One more copy begins in the middle of it.
    const late: [Who, TestCopy] = ['admin', copyOf('admin', 5)];
    copies.push(late);
    const keeping = copies.map(async ([, copy]) => {
      while (!isOver) await copy.poll();
    });
    t.same(await writing, [], 'nobody is refused, and no circle of waiting');
    await Promise.all(keeping);
    for (const [who, copy] of copies) {
      await copy.catchUp();
      t.same(differences(copy.rows, await readLists(portal, who, LISTS)), [], who);
    }
  }
  const [[, whole]] = copies as [[Who, TestCopy]];
  const versions = new Map<string, number>();
  const backwards = whole.told.filter(({ resource, id, version }) => {
    const key = `${resource}/${id}`;
    const isBack = (versions.get(key) ?? 0) > version!;
    versions.set(key, version!);
    return isBack;
  });
  t.same(backwards, [], 'versions only rise');
  t.ok(whole.told.length > WRITERS / 2, `${whole.told.length} changes were told`);
});

t.test('numbers are given in the order of the commits', async (t) => {
  const { rows } = await owner.query<{ backwards: number; count: number }>(`
    select count(*) as count, count(*) filter (where changed_at < before) as backwards from (
      select changed_at, lag(changed_at) over (partition by customer_id order by record_change_id) as before
      from record_change) c`);
  t.equal(rows[0]!.backwards, 0);
  t.ok(rows[0]!.count > WRITERS);
});

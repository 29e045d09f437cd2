/**
 * The newest position of each unit and the newest metrics of each device as feeds. Their rows have no versions; what is told
 * later is newer, or the same again.
 */
import { sql, type SQL } from 'drizzle-orm';
import type { JsonRow } from '../../db/json-rows.ts';
import { valueTypes } from '../../db/pools.ts';
import { equipmentHasIotDevice, telematics } from '../../db/schema.ts';
import { readAsTenant, readJsonAsTenant } from '../../db/tenancy.ts';
import { fieldsOf } from '../resources/fields.ts';
import { projection, toStatement } from '../resources/query.ts';
import { Metric } from '../telematics/history.ts';
import { Telematics } from '../telematics/latest.ts';
import type { Entry, Feed, Item, Key, Reading } from './feed.ts';
import { streamOf } from './stream.ts';

/** Metrics that were recorded before that are not looked for. */
export const METRIC_AGE_D_MAX = 7;
/** Devices whose metrics are looked up for one page of all. */
const LISTED_DEVICES_MAX = 200;

const readInstant = valueTypes.getTypeParser(1184, 'text') as (text: string) => Date;

function shownItem(id: Key, json: string, at: string): Item {
  return { id, operation: 'updated', changedAt: readInstant(at), version: null, row: json };
}

function tombstone(id: Key, { changed_at: changedAt }: Entry): Item {
  return { id, operation: 'deleted', changedAt, version: null, row: null };
}

function readRows({ pool, reader }: Reading, query: SQL): Promise<JsonRow[]> {
  return readJsonAsTenant(pool, reader, toStatement(query));
}

const positionShown = projection(
  fieldsOf(telematics).filter(({ name }) => name in Telematics.properties),
);
const positionBeside = sql`${telematics.equipment_id}::text as "~key", ${telematics.received_at} as "~at"`;
const positionItem = (json: string, key: string, at: string): Item =>
  shownItem(Number(key), json, at);

function readPositions(reading: Reading, where: SQL): Promise<JsonRow[]> {
  return readRows(
    reading,
    sql`select ${positionShown}, ${positionBeside} from ${telematics} where ${where}`,
  );
}

/** As `GET /v1/telematics` shows them, by unit. */
export const positionsFeed: Feed = {
  path: 'latest-positions',
  right: 'telematics:read',
  // It repeats number and account of its unit, is seen by those who see that, and goes with it.
  kinds: ['equipment'],
  async tell(reading, entries) {
    const ids = entries.map(({ entity_id }) => entity_id);
    const rows = await readPositions(
      reading,
      sql`${telematics.equipment_id} = any (${sql.param(ids)}::bigint[])`,
    );
    const itemOf = new Map(
      rows.map(({ json, aside: [key, at] }) => [key!, positionItem(json, key!, at!)]),
    );
    return new Map(
      entries.map((entry) => {
        const item = itemOf.get(entry.entity_id);
        // A new unit has no position yet.
        const isNew = entry.operation === 'created';
        const gone = isNew ? [] : [tombstone(Number(entry.entity_id), entry)];
        return [entry, item ? [item] : gone];
      }),
    );
  },
  async list(reading, after, rowsMax) {
    const rows = await readPositions(
      reading,
      sql`${telematics.equipment_id} > ${after ?? 0} order by ${telematics.equipment_id} limit ${rowsMax}`,
    );
    const items = rows.map(({ json, aside: [key, at] }) => positionItem(json, key!, at!));
    return { items, after: items.length < rowsMax ? null : items.at(-1)!.id };
  },
  stream: streamOf({
    isMetrics: false,
    shown: positionShown,
    beside: positionBeside,
    from: sql`join ${telematics} on ${telematics.equipment_id} = s.source_id and ${telematics.written_xid} = s.written_xid`,
    itemOf: positionItem,
  }),
};

const metricShown = sql.raw(
  Object.keys(Metric.properties)
    .map((name) => `m.${name}`)
    .join(', '),
);
const metricBeside = sql`m.equipment_has_iot_device_id || '/' || m.metric_code as "~key", m.received_at as "~at"`;
const metricItem = (json: string, key: string, at: string): Item => shownItem(key, json, at);
const metricsSince = sql.raw(`now() - interval '${METRIC_AGE_D_MAX} days'`);

/** The newest of one metric of one device; `since` bounds the days that are looked through. */
function newestMetric(device: SQL, code: SQL, since: SQL): SQL {
  return sql`(select m.* from tenant_device_metric m
    where m.equipment_has_iot_device_id = ${device} and m.metric_code = ${code}
      and m.recorded_at >= ${since} and m.recorded_at >= ${metricsSince}
    order by m.recorded_at desc limit 1) m`;
}

interface KnownMetric {
  readonly mount: number;
  readonly code: string;
}

/** Names of the metrics of these devices, in their order; also where the caller does not see them. */
async function readNames(
  { pool, reader }: Reading,
  mounts: readonly unknown[],
): Promise<KnownMetric[]> {
  if (mounts.length === 0) return [];
  const query = sql`select equipment_has_iot_device_id as mount, metric_code as code
    from metric_codes_since(${sql.param(mounts)}::bigint[], ${metricsSince}) order by 1, metric_code collate "C"`;
  return readAsTenant<KnownMetric>(pool, reader, toStatement(query));
}

async function readMetrics(
  reading: Reading,
  known: readonly KnownMetric[],
): Promise<Map<string, Item>> {
  if (known.length === 0) return new Map();
  const mounts = sql.param(known.map(({ mount }) => mount));
  const codes = sql.param(known.map(({ code }) => code));
  const newest = newestMetric(sql`p.mount`, sql`p.code`, metricsSince);
  const rows = await readRows(
    reading,
    sql`select ${metricShown}, ${metricBeside} from unnest(${mounts}::bigint[], ${codes}::text[]) p (mount, code)
      cross join lateral ${newest}`,
  );
  return new Map(rows.map(({ json, aside: [key, at] }) => [key!, metricItem(json, key!, at!)]));
}

const keyOf = ({ mount, code }: KnownMetric): string => `${mount}/${code}`;

/** As `GET /v1/equipment/{id}/metrics` shows them, by mount of a device and code. */
export const metricsFeed: Feed = {
  path: 'latest-metrics',
  right: 'telematics:read',
  kinds: ['equipment_has_iot_device'],
  async tell(reading, entries) {
    const known = await readNames(
      reading,
      entries.map(({ entity_id }) => entity_id),
    );
    const items = await readMetrics(reading, known);
    return new Map(
      entries.map((entry) => [
        entry,
        known
          .filter(({ mount }) => String(mount) === entry.entity_id)
          .map((one) => items.get(keyOf(one)) ?? tombstone(keyOf(one), entry)),
      ]),
    );
  },
  async list(reading, after, rowsMax) {
    const [fromText, ...codeTexts] = String(after ?? '0/').split('/');
    const from = Number(fromText);
    const fromCode = codeTexts.join('/');
    const mount = equipmentHasIotDevice;
    const query = sql`select ${mount.equipment_has_iot_device_id} as mount from ${mount}
      where ${mount.equipment_has_iot_device_id} >= ${from} order by 1 limit ${LISTED_DEVICES_MAX}`;
    const { pool, reader } = reading;
    const mounts = await readAsTenant<{ mount: number }>(pool, reader, toStatement(query));
    const known = await readNames(
      reading,
      mounts.map((one) => one.mount),
    );
    const rest = known.filter(({ mount, code }) => mount > from || code > fromCode);
    const asked = rest.slice(0, rowsMax);
    const items = await readMetrics(reading, asked);
    const next = (): string | null => {
      if (rest.length > asked.length) return keyOf(asked.at(-1)!);
      const last = mounts.at(-1);
      return mounts.length < LISTED_DEVICES_MAX || !last ? null : `${last.mount + 1}/`;
    };
    return { items: asked.flatMap((one) => items.get(keyOf(one)) ?? []), after: next() };
  },
  stream: streamOf({
    isMetrics: true,
    shown: metricShown,
    beside: metricBeside,
    from: sql`cross join lateral ${newestMetric(sql`s.source_id`, sql`s.metric_code`, sql`s.since_at`)}
      where m.recorded_at <= s.until_at`,
    itemOf: metricItem,
  }),
};

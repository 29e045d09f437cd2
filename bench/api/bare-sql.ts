/**
 * The SQL of the bare server: that of the portal, text for text, with one condition more, on the tenant, which row-level
 * security puts in for the portal. Statements are made once; what a request gives goes into places that have names.
 */
import { is, Placeholder, sql, type SQL } from 'drizzle-orm';
import { CATALOG } from '../../api/catalog/catalog.ts';
import { readList, type ListRequest } from '../../api/resources/list.ts';
import { selectPage, selectRow, toStatement } from '../../api/resources/query.ts';

/** Rows of a page, as the portal gives them when nothing else is asked. */
export const PAGE_ROWS = 100;

export interface BareStatement {
  readonly text: string;
  /** Values, and names of what the request gives. */
  readonly values: readonly unknown[];
}

/** The values of a statement for one request. */
export function valuesOf(
  { values }: BareStatement,
  given: Readonly<Record<string, unknown>>,
): unknown[] {
  return values.map((value) => (is(value, Placeholder) ? given[value.name] : value));
}

interface BareList {
  readonly first: BareStatement;
  /** The page after the position `after0`, `after1`, …. */
  readonly next: BareStatement;
}

const place = (name: string) => sql.placeholder(name);
const ofTenant = sql`customer_id = ${place('customer')}`;
const ofAccount = sql`account_id = ${place('account')}::bigint`;

/** By the names that scenarios use. */
export const LISTS: Readonly<Record<string, BareList>> = {
  invoices: bareList('invoice', { sort: '-date' }, [ofTenant]),
  invoices_open: bareList('invoice', { sort: '-date', filter: { status: { eq: 'open' } } }, [
    ofTenant,
  ]),
  invoices_overdue: bareList(
    'invoice',
    { sort: 'due_date', filter: { status: { eq: 'overdue' } } },
    [ofTenant],
  ),
  invoices_held: bareList('invoice', { sort: '-date' }, [ofTenant, ofAccount]),
  invoices_by_key: bareList('invoice', {}, [ofTenant]),
  equipment: bareList('equipment', {}, [ofTenant]),
};

function bareList(name: string, query: ListRequest, conditions: readonly SQL[]): BareList {
  const resource = CATALOG.get(name)!;
  const select = readList(resource, query);
  // A place is a value to whoever composes SQL, whatever its type says.
  const after = select.sort.map((_key, index) => place(`after${index}`) as unknown as string);
  const page = (position: string[] | null) =>
    toStatement(
      selectPage(resource, {
        ...select,
        conditions: [...conditions, ...select.conditions],
        after: position,
        rowsMax: place('rows') as unknown as number,
      }),
    );
  return { first: page(null), next: page(after) };
}

/** One row by its key. */
export const GETS: Readonly<Record<string, BareStatement>> = {
  invoice: bareGet('invoice'),
  equipment: bareGet('equipment'),
};

function bareGet(name: string): BareStatement {
  const id = place('id') as unknown as string;
  const row = selectRow(CATALOG.get(name)!, id, { lock: false });
  return toStatement(sql`${row} and ${ofTenant}`);
}

/** Fixes of one unit, the newest first: the view that the portal reads, and the order in which it does. */
export const HISTORY: BareStatement = toStatement(sql`
  select h.equipment_id, l.equipment_has_iot_device_id, l.recorded_at, l.received_at, l.latitude, l.longitude,
    l.altitude_m, l.speed_mps, l.heading_deg, l.accuracy_m, l.odometer_m, l.satellites, l.ignition, l.motion_status,
    l.event, l.recorded_at::text as recorded_text
  from equipment_gps_location l
  join equipment_has_iot_device h using (equipment_has_iot_device_id)
  join equipment e on e.customer_id = h.customer_id and e.equipment_id = h.equipment_id
  where h.customer_id = ${place('customer')} and h.equipment_id = ${place('id')}
    and l.recorded_at >= ${place('from')}::timestamptz and l.recorded_at < ${place('to')}::timestamptz
  order by l.recorded_at desc, l.equipment_has_iot_device_id desc limit ${PAGE_ROWS}`);

const FOUND_TYPES = [
  'equipment',
  'vehicle',
  'account',
  'service_request',
  'workorder',
  'invoice',
  'geofence',
  'user',
];

/** The statements of `global_search`, one after the other in one. */
export const SEARCH: BareStatement = toStatement(
  sql.join(
    FOUND_TYPES.map(
      (
        type,
      ) => sql`(select f.id, f.type, f.title, f.subtitle, left(f.description, 200) as description, f.route from (
        select v.* from global_search_view v
        where v.type = ${sql.raw(`'${type}'`)} and v.customer_id = ${place('customer')}
          and v.search_text like any (${place('patterns')}::text[]) limit 500) f
      order by lower(f.title) = ${place('asked')} desc, starts_with(lower(f.title), ${place('asked')}) desc,
        similarity(f.search_text, ${place('asked')}) desc, f.title, f.id limit ${place('rows')})`,
    ),
    sql` union all `,
  ),
);

/**
 * One list of all that runs out, the soonest first. Each kind gives its own first rows by an index on its day, and these few
 * are put in order: a page costs as much at the end of the list as at its beginning.
 */
import { and, sql, type SQL } from 'drizzle-orm';
import { addDays, daysBetween, type Day } from '../calendar.ts';
import type { Position } from '../pagination.ts';
import { run, type Work } from '../resources/store.ts';
import { EXPIRATION_KINDS, type Asked, type ExpirationKind } from './kinds.ts';

/** Days before its last one from which a thing is said to be due soon. */
export const DUE_SOON_DAYS_MAX = 30;

/** Days from today that can be looked ahead: ten years. */
export const WITHIN_DAYS_MAX = 3_650;

/** `due_soon` on its last day too; `expired` from the day after. */
export type ExpirationStatus = 'ok' | 'due_soon' | 'expired';

export interface ExpirationFilters {
  readonly kinds: readonly string[];
  readonly withinDays: number;
  readonly includePast: boolean;
  readonly accountId?: number | undefined;
  readonly equipmentId?: number | undefined;
}

export interface Expiration {
  readonly kind: string;
  readonly record: string;
  readonly id: number;
  readonly label: string;
  readonly equipment_id: number | null;
  readonly unit_number: string | null;
  readonly vehicle_id: string | null;
  readonly account_id: number | null;
  readonly attached_to: string | null;
  readonly expires_on: Day;
  readonly days_left: number;
  readonly status: ExpirationStatus;
}

type FoundRow = Omit<Expiration, 'record' | 'days_left' | 'status'>;

/** What the days that are left come to. */
export function statusOf(daysLeft: number): ExpirationStatus {
  if (daysLeft < 0) return 'expired';
  return daysLeft <= DUE_SOON_DAYS_MAX ? 'due_soon' : 'ok';
}

/** Where a row stands: day, kind, key. */
export function positionOf({ expires_on, kind, id }: Expiration): Position {
  return [expires_on, kind, id];
}

/** Rows after a position; those of kinds that the caller may not read are for the caller of this to leave out. */
export async function readExpirations(
  { client, principal, nowMs }: Work,
  today: Day,
  filters: ExpirationFilters,
  page: { readonly after: Position | null; readonly rowsMax: number },
): Promise<Expiration[]> {
  const { permissions } = principal;
  if (filters.kinds.length === 0) return [];
  const asked = { today, nowMs, permissions, equipmentId: filters.equipmentId };
  const selects = filters.kinds.map((kind) => sql`(${selectKind(kind, asked, filters, page)})`);
  const unitNumber = permissions.has('equipment:read') ? sql`e.unit_number` : sql`null`;
  const rows = (await run(
    client,
    sql`select f.*, ${unitNumber} as unit_number
      from (select * from (${sql.join(selects, sql` union all `)}) u
            order by expires_on, kind collate "C", id limit ${page.rowsMax}) f
      left join equipment e on e.equipment_id = f.equipment_id
      order by f.expires_on, f.kind collate "C", f.id`,
  )) as unknown as FoundRow[];
  return rows.map((row) => {
    const daysLeft = daysBetween(today, row.expires_on);
    const record = `/v1/${EXPIRATION_KINDS[row.kind]!.path}/${row.id}`;
    return { ...row, record, days_left: daysLeft, status: statusOf(daysLeft) };
  });
}

function selectKind(
  name: string,
  asked: Asked,
  { withinDays, includePast, accountId, equipmentId }: ExpirationFilters,
  { after, rowsMax }: { readonly after: Position | null; readonly rowsMax: number },
): SQL {
  const kind = EXPIRATION_KINDS[name]!;
  const { id, expiresOn } = kind;
  const where = and(
    kind.where(asked),
    sql`${expiresOn} <= ${addDays(asked.today, withinDays)}::date`,
    includePast ? undefined : sql`${expiresOn} >= ${asked.today}::date`,
    accountId === undefined ? undefined : sql`${kind.accountId} = ${accountId}::bigint`,
    equipmentId === undefined ? undefined : sql`${kind.equipmentId} = ${equipmentId}::bigint`,
    after ? isAfter(name, kind, after) : undefined,
  );
  // What one unit has is few, and found by the unit: an index on days would be read to its end for it.
  const order = equipmentId === undefined ? expiresOn : sql`${expiresOn} + 0`;
  return sql`select ${name}::text as kind, ${id}::bigint as id, ${expiresOn} as expires_on, ${kind.label} as label,
      ${kind.equipmentId}::bigint as equipment_id, ${kind.vehicleId}::text as vehicle_id,
      ${kind.accountId}::bigint as account_id, ${kind.attachedTo}::text as attached_to
    from ${kind.from(asked)} where ${where} order by ${order}, ${id} limit ${rowsMax}`;
}

/** Of one kind: where the page before ended decides whether its rows of that day are still to come. */
function isAfter(name: string, { id, expiresOn }: ExpirationKind, after: Position): SQL {
  const [day, kind, key] = after as readonly [Day, string, number];
  if (name < kind) return sql`${expiresOn} > ${day}::date`;
  if (name > kind) return sql`${expiresOn} >= ${day}::date`;
  return sql`(${expiresOn}, ${id}) > (${day}::date, ${key}::bigint)`;
}

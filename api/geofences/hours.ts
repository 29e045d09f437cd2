/** Whether hours that somebody sends for a fence can be. They are the engine's to judge; here its answer becomes a 422. */
import { readActiveHours } from '../../engine/active-hours.ts';
import { isTimeZone } from '../../engine/time-zone.ts';
import { customer } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { fieldProblem } from '../problem.ts';

/** The columns of a fence that say when it is in force. */
export interface HoursFields {
  readonly active_hours: unknown;
  readonly time_zone: string | null;
}

/**
 * Throws 422, naming the field, when what is `sent` makes of what is `stored` (nothing, for a new fence) hours that the
 * engine cannot read, or a time zone that it does not know: the fence's own, or that of the customer where it has none.
 */
export async function requireHours(
  db: TenantDb,
  stored: HoursFields | null,
  sent: Partial<HoursFields>,
): Promise<void> {
  if (sent.active_hours === undefined && sent.time_zone === undefined) return;
  const hours = sent.active_hours === undefined ? stored?.active_hours : sent.active_hours;
  const own = sent.time_zone === undefined ? stored?.time_zone : sent.time_zone;
  if (own !== undefined && own !== null && !isTimeZone(own)) {
    throw refusal('/time_zone', `${JSON.stringify(own)} is not a time zone that is known here`);
  }
  if (hours === undefined || hours === null) return;
  const read = readActiveHours(hours, own ?? (await readCustomerZone(db)));
  if (read.ok) return;
  const isCustomers = read.reason === 'time_zone';
  throw refusal(
    read.pointer,
    isCustomers ? `name one: of the customer's own, ${read.detail}` : read.detail,
  );
}

async function readCustomerZone(db: TenantDb): Promise<string | undefined> {
  const rows = await db.select({ time_zone: customer.time_zone }).from(customer);
  return rows[0]?.time_zone;
}

function refusal(pointer: string, detail: string) {
  return fieldProblem('unprocessable', 'body', pointer, detail);
}

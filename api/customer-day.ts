/** What day it is for a customer: by the customer's own time zone, at the instant that a request is answered. */
import { customer } from '../db/schema.ts';
import type { TenantDb } from '../db/tenancy.ts';
import { dayIn, type Day } from './calendar.ts';
import type { RuleContext } from './resources/define.ts';

/** What a rule needs to know the day. */
export type Clock = Pick<RuleContext, 'db' | 'nowMs'>;

/** The time zone (IANA) of the tenant whose transaction it is. */
export async function readZone(db: TenantDb): Promise<string> {
  const [row] = await db.select({ time_zone: customer.time_zone }).from(customer);
  return row!.time_zone;
}

/** The day that it is there now. */
export async function readToday({ db, nowMs }: Clock): Promise<Day> {
  return dayIn(await readZone(db), nowMs);
}

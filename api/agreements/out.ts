/** What is out stands in the way: of who would delete a part of an agreement or move its days, or retire the unit. */
import { sql } from 'drizzle-orm';
import { dayIn, type Day } from '../calendar.ts';
import { readZone, type Clock } from '../customer-day.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { Row } from '../resources/define.ts';

/**
 * Throws 409 while units are out on a part of an agreement: `where` names it. Holds what is below it, so that whoever is
 * about to hand a unit out comes before, or finds it gone.
 */
export async function requireNoneOut(
  { db }: Pick<Clock, 'db'>,
  where: { masterId: number } | { scheduleId: number } | { lineId: number },
): Promise<void> {
  const { masterId = null, scheduleId = null, lineId = null } = where as Record<string, number>;
  const { rows } = await db.execute<{ units: number | string }>(
    sql`select hold_units_out(${masterId}, ${scheduleId}, ${lineId}) as units`,
  );
  const units = Number(rows[0]!.units);
  if (units === 0) return;
  throw new Problem('conflict', `${units} units are out on it: end it, or take them back first`);
}

/**
 * Throws 409 for new days of a part of an agreement, which is held, that leave out a unit which is out on it: a first day
 * after that on which one went out, or a last day that has passed.
 */
export async function requireOutWithin(
  { db, nowMs }: Clock,
  where: { scheduleId: number } | { lineId: number } | { allocationId: number },
  { effective_date, termination_date }: Row,
): Promise<void> {
  const first = (effective_date ?? null) as Day | null;
  const last = (termination_date ?? null) as Day | null;
  if (first === null && last === null) return;
  const { scheduleId = null, lineId = null, allocationId = null } = where as Record<string, number>;
  const { rows } = await db.execute<{ units: number | string; since: Date | string }>(
    sql`select * from hold_units_out_since(${scheduleId}, ${lineId}, ${allocationId})`,
  );
  const units = Number(rows[0]!.units);
  if (units === 0) return;
  const zone = await readZone(db);
  if (last !== null && last < dayIn(zone, nowMs)) {
    throw clash('/termination_date', `has passed, and ${units} units are out on it`);
  }
  const since = dayIn(zone, new Date(rows[0]!.since).getTime());
  if (first === null || first <= since) return;
  throw clash('/effective_date', `units are out on it since ${since}, which is before that day`);
}

/**
 * Throws 409 for a unit, which is held, that is to be retired, or to be of a type that its allocation does not take, while
 * it is out or reserved; with whatever account that is.
 */
export async function requireUnitStays(
  { db }: Pick<Clock, 'db'>,
  values: Row,
  stored: Row,
): Promise<void> {
  const { status, equipment_type_lookup_id: type } = values;
  if (status !== 'retired' && type === undefined) return;
  const { rows } = await db.execute<{ type_taken: number | string | null }>(
    sql`select * from unit_out(${stored['equipment_id']})`,
  );
  const [out] = rows;
  if (!out) return;
  if (status === 'retired')
    throw clash('/status', 'the unit is out or reserved: take it back first');
  if (type === undefined || out.type_taken === null || Number(out.type_taken) === type) return;
  const detail = `the unit is out on an allocation for units of type ${out.type_taken}`;
  throw clash('/equipment_type_lookup_id', detail);
}

const clash = (pointer: string, detail: string) =>
  fieldProblem('conflict', 'body', pointer, detail);

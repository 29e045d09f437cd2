/**
 * Which account has which unit: one at a time, no more of them than the allocation allows, and none that is unfit. A unit
 * counts from the moment it is reserved until it is returned, so `units_assigned` does not change with the hour. Locks are
 * taken from above: the schedule, its allocation, the unit, the assignment.
 */
import { and, asc, eq, gt, isNull, lt, ne, or, sql } from 'drizzle-orm';
import { equipment, equipmentAssignment as assignment } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { dayIn } from '../calendar.ts';
import { readZone } from '../customer-day.ts';
import { requireFitForService } from '../inspections/fitness.ts';
import { holdUnit } from '../inspections/inspections.ts';
import { fieldProblem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { odometerAt } from './meters.ts';
import { holdAllocation, requireDay, requireRoom, requireRunning, type Place } from './places.ts';

export const assignmentRules: ResourceRules = {
  holding: ({ db }, key, patch) =>
    holdAround(
      db,
      key as number,
      (patch?.['equipment_type_allocation_id'] ?? null) as number | null,
    ),
  async prepare(context, values, stored) {
    const { db } = context;
    const whole: Row = { ...stored, ...values };
    const unitId = whole['equipment_id'] as number;
    const allocationId = (whole['equipment_type_allocation_id'] ?? null) as number | null;
    const place = allocationId === null ? null : await holdAllocation(db, allocationId);
    await holdUnit(db, unitId);
    requireTimes(context, values, whole);
    if (place) await requirePlace(context, place, { values, whole, stored });
    if (goesOut(context, whole, stored)) {
      await requireInFleet(db, unitId);
      await requireFitForService(context, unitId);
    }
    await requireFree(db, values, whole);
    await requireSubstitute(db, values, whole);
    const written = { ...values, ...overAllocation(place, whole, stored) };
    return stored ? written : withPickup(context, written);
  },
  async written({ db, nowMs }, row, stored) {
    if (row['is_over_allocation'] !== true || stored?.['is_over_allocation'] === true) return;
    const place = await holdAllocation(db, row['equipment_type_allocation_id'] as number);
    const subject = `${place!.unitsAssigned} of ${place!.unitsAllowed} units`;
    await db.execute(
      sql`select note_activity('over_allocated', ${row['equipment_id']}, ${row['account_id']},
        ${new Date(nowMs).toISOString()}::timestamptz, ${subject}, 'warning')`,
    );
  },
};

/**
 * Holds what stands above an assignment: the schedules of its allocation and of that which it is moved to, by their ids,
 * these allocations by theirs, and its unit.
 */
export async function holdAround(
  db: TenantDb,
  id: number,
  movedTo: number | null = null,
): Promise<void> {
  const [row] = await db
    .select({
      allocationId: assignment.equipment_type_allocation_id,
      unitId: assignment.equipment_id,
    })
    .from(assignment)
    .where(eq(assignment.equipment_assignment_id, id));
  if (!row) return;
  const places = [row.allocationId, movedTo].filter((place) => place !== null);
  // All schedules before any allocation: whoever ends a master takes them in their order.
  await db.execute(sql`select hold_schedules_of(${sql.param(places)}::bigint[])`);
  for (const place of places.sort((a, b) => a - b)) await holdAllocation(db, place);
  await holdUnit(db, row.unitId);
}

const refuse = (pointer: string, detail: string) =>
  fieldProblem('unprocessable', 'body', pointer, detail);

/** Out or reserved: it counts. */
function isOut(row: Row | null): boolean {
  return row !== null && (row['returned_at'] ?? null) === null;
}

/** Whether it goes out by this change: it was not out before, or was reserved for later and is handed over already. */
function goesOut({ nowMs }: Pick<RuleContext, 'nowMs'>, whole: Row, stored: Row | null): boolean {
  if (!isOut(whole)) return false;
  if (!isOut(stored)) return true;
  return msOf(stored!['assigned_at']) > nowMs && msOf(whole['assigned_at']) <= nowMs;
}

/** The body has instants as text, and the database as dates. */
function msOf(value: unknown): number {
  return value instanceof Date ? value.getTime() : Date.parse(value as string);
}

/** Throws 422 for a return that is yet to come, comes before it went out, or with a meter that ran backwards. */
export function requireTimes({ nowMs }: Pick<RuleContext, 'nowMs'>, values: Row, whole: Row): void {
  const { assigned_at: from, returned_at: to = null } = whole;
  if (values['returned_at'] !== undefined && to !== null && msOf(to) > nowMs) {
    throw refuse('/returned_at', 'lies ahead: it is noted when the unit is back');
  }
  if (to !== null && msOf(to) <= msOf(from)) {
    throw refuse('/returned_at', 'is not after assigned_at');
  }
  const pickup = (whole['pickup_odometer_m'] ?? null) as number | null;
  const back = (whole['return_odometer_m'] ?? null) as number | null;
  if (pickup !== null && back !== null && back < pickup) {
    throw refuse(
      '/return_odometer_m',
      `a meter does not run backwards: it was ${pickup} at pickup`,
    );
  }
}

/** Throws unless the allocation takes the unit: 422 for another type or day, 409 for a schedule not in force, or no room. */
async function requirePlace(
  context: RuleContext,
  place: Place,
  { values, whole, stored }: { values: Row; whole: Row; stored: Row | null },
): Promise<void> {
  const isMoved = !stored || 'equipment_type_allocation_id' in values;
  const isNewlyOut = isOut(whole) && (!isOut(stored) || isMoved);
  if (!isMoved && !isNewlyOut && !('assigned_at' in values)) return;
  if (isNewlyOut || goesOut(context, whole, stored)) requireRunning(place);
  const zone = await readZone(context.db);
  requireDay(place, dayIn(zone, msOf(whole['assigned_at'])));
  await requireType(context.db, place, whole['equipment_id'] as number);
  if (isNewlyOut) requireRoom(place);
}

async function requireInFleet(db: TenantDb, unitId: number): Promise<void> {
  const [unit] = await db
    .select({ status: equipment.status })
    .from(equipment)
    .where(eq(equipment.equipment_id, unitId));
  if (unit?.status !== 'retired') return;
  throw fieldProblem('conflict', 'body', '/equipment_id', 'is retired');
}

/** A contract counts units of a type, so one whose type is not known fills no place of it. */
async function requireType(db: TenantDb, place: Place, unitId: number): Promise<void> {
  const [unit] = await db
    .select({ type: equipment.equipment_type_lookup_id })
    .from(equipment)
    .where(eq(equipment.equipment_id, unitId));
  if (unit?.type === place.typeId) return;
  const has = unit?.type == null ? 'has no type' : `is of type ${unit.type}`;
  throw refuse('/equipment_id', `${has}, and the allocation is for units of type ${place.typeId}`);
}

/** Whether it goes out beyond the quota; undecided where it does not newly go out. */
function overAllocation(place: Place | null, whole: Row, stored: Row | null): Row {
  const before = (stored?.['equipment_type_allocation_id'] ?? null) as number | null;
  const isMoved = before !== ((whole['equipment_type_allocation_id'] ?? null) as number | null);
  if (!isOut(whole) || (isOut(stored) && !isMoved)) return {};
  const isOver = place !== null && place.unitsAssigned >= place.unitsAllowed;
  if (!isOver && stored === null) return {};
  return { is_over_allocation: isOver };
}

/**
 * Throws 409 naming who has the unit in that time, where the caller may see it. Others are found by the database, which
 * does not tell.
 */
async function requireFree(db: TenantDb, values: Row, whole: Row): Promise<void> {
  if (!('assigned_at' in values) && !('returned_at' in values)) return;
  const from = new Date(msOf(whole['assigned_at']));
  const end = whole['returned_at'] ?? null;
  const [other] = await db
    .select()
    .from(assignment)
    .where(
      and(
        eq(assignment.equipment_id, whole['equipment_id'] as number),
        ne(assignment.equipment_assignment_id, (whole['equipment_assignment_id'] ?? 0) as number),
        isNull(assignment.deleted_at),
        end === null ? undefined : lt(assignment.assigned_at, new Date(msOf(end))),
        or(isNull(assignment.returned_at), gt(assignment.returned_at, from)),
      ),
    )
    .orderBy(asc(assignment.assigned_at))
    .limit(1);
  if (!other) return;
  const until = other.returned_at === null ? 'and is out' : `to ${other.returned_at.toISOString()}`;
  const detail =
    `overlaps with assignment ${other.equipment_assignment_id}: account ${other.account_id} has the unit ` +
    `from ${other.assigned_at.toISOString()} ${until}`;
  throw fieldProblem('conflict', 'body', '/assigned_at', detail);
}

/** Throws 422 where it stands in for a unit that is not out with the same account, or for itself. */
async function requireSubstitute(db: TenantDb, values: Row, whole: Row): Promise<void> {
  const id = (values['substitute_for_id'] ?? null) as number | null;
  if (id === null) return;
  const [other] = await db
    .select()
    .from(assignment)
    .where(eq(assignment.equipment_assignment_id, id));
  const isGood =
    other !== undefined &&
    other.returned_at === null &&
    other.deleted_at === null &&
    other.account_id === whole['account_id'] &&
    other.equipment_id !== whole['equipment_id'];
  if (isGood) return;
  throw refuse('/substitute_for_id', 'is not of another unit that is out with this account');
}

/** The meter when it was handed over, where its devices have told and nobody says otherwise. */
async function withPickup({ db, nowMs }: RuleContext, values: Row): Promise<Row> {
  const atMs = msOf(values['assigned_at']);
  if (values['pickup_odometer_m'] !== undefined || atMs > nowMs) return values;
  const pickup = await odometerAt(db, values['equipment_id'] as number, atMs);
  const back = (values['return_odometer_m'] ?? null) as number | null;
  if (pickup === null || (back !== null && back < pickup)) return values;
  return { ...values, pickup_odometer_m: pickup };
}

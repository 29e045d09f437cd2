/**
 * What the end of a schedule or an allocation releases: allocations of the schedule end, the units that are out on it are
 * taken back, and what was reserved is let go. Whoever calls this holds the schedule; allocations and assignments are held
 * from here, in this order and each by their ids, as everyone does.
 */
import { and, asc, eq, inArray, isNull, sql, type SQL } from 'drizzle-orm';
import {
  equipmentAssignment as assignment,
  equipmentTypeAllocation as allocation,
  scheduleAgreement as schedule,
  scheduleAgreementLineItem as line,
} from '../../db/schema.ts';
import { addDays, startOfDayMs, type Day } from '../calendar.ts';
import { readZone, type Clock } from '../customer-day.ts';

/** Units that are taken back by one statement: each of them ends well within its time limit. */
const RELEASE_ROWS_MAX = 2_000;

/** How an agreement ends, and the last day on which it holds. */
export interface Ending {
  readonly status: 'expired' | 'terminated';
  readonly lastDay: Day;
}

/** Ends the schedules of a master agreement, which is held, with it. */
export async function endSchedulesOf(
  clock: Clock,
  masterId: number,
  ending: Ending,
): Promise<void> {
  const open = await clock.db
    .select({ id: schedule.schedule_agreement_id, status: schedule.status })
    .from(schedule)
    .where(
      and(
        eq(schedule.master_agreement_id, masterId),
        isNull(schedule.deleted_at),
        inArray(schedule.status, ['draft', 'active', 'suspended']),
      ),
    )
    .orderBy(asc(schedule.schedule_agreement_id))
    .for('no key update');
  for (const { id, status } of open) {
    // What never was in force does not run out.
    await endSchedule(clock, id, status === 'draft' ? { ...ending, status: 'terminated' } : ending);
  }
}

/** Ends a schedule, which is held, and releases what is out on it. */
export async function endSchedule(clock: Clock, id: number, ending: Ending): Promise<void> {
  const { lastDay, status } = ending;
  await clock.db
    .update(schedule)
    .set({
      status,
      termination_date: sql`greatest(${schedule.effective_date}, least(${schedule.termination_date}, ${lastDay}::date))`,
    })
    .where(eq(schedule.schedule_agreement_id, id));
  await releaseSchedule(clock, id, lastDay);
}

/** Releases what is out on a schedule that has ended. */
export async function releaseSchedule(clock: Clock, id: number, lastDay: Day): Promise<void> {
  const { db } = clock;
  const held = await db
    .select({ id: allocation.equipment_type_allocation_id })
    .from(allocation)
    .innerJoin(
      line,
      eq(line.schedule_agreement_line_item_id, allocation.schedule_agreement_line_item_id),
    )
    .where(and(eq(line.schedule_agreement_id, id), isNull(allocation.deleted_at)))
    .orderBy(asc(allocation.equipment_type_allocation_id))
    .for('no key update', { of: allocation });
  const ids = held.map((row) => row.id);
  if (ids.length === 0) return;
  const places = sql`${allocation.equipment_type_allocation_id} = any(${idsIn(ids)})`;
  await db
    .update(allocation)
    .set({
      termination_date: sql`greatest(${allocation.effective_date}, least(${allocation.termination_date}, ${lastDay}::date))`,
    })
    .where(
      and(places, sql`coalesce(${allocation.termination_date}, 'infinity') > ${lastDay}::date`),
    );
  await releaseAllocations(clock, ids, lastDay);
}

/** Releases what is out on allocations that are held, at the end of that day, or now where that is sooner. */
export async function releaseAllocations(
  { db, nowMs }: Clock,
  allocationIds: readonly number[],
  lastDay: Day,
): Promise<void> {
  const endMs = Math.min(nowMs, startOfDayMs(await readZone(db), addDays(lastDay, 1)));
  const out = await db
    .select({ id: assignment.equipment_assignment_id, assigned_at: assignment.assigned_at })
    .from(assignment)
    .where(
      and(
        sql`${assignment.equipment_type_allocation_id} = any(${idsIn(allocationIds)})`,
        isNull(assignment.returned_at),
        isNull(assignment.deleted_at),
      ),
    )
    .orderBy(asc(assignment.equipment_assignment_id))
    .for('no key update');
  const now = new Date(nowMs);
  const reserved = out.filter((row) => row.assigned_at.getTime() > nowMs);
  const begun = out.filter((row) => row.assigned_at.getTime() <= nowMs);
  const late = begun.filter((row) => row.assigned_at.getTime() >= endMs);
  const others = begun.filter((row) => row.assigned_at.getTime() < endMs);
  const back = {
    return_reason: 'agreement_ended' as const,
    deactivation_date: sql`greatest(${assignment.activation_date}, least(${assignment.deactivation_date}, ${lastDay}::date))`,
  };
  for (const [rows, set] of [
    // Nobody had what was only reserved.
    [reserved, { deleted_at: now, deleted_by: sql`app_user_id()` }],
    [others, { ...back, returned_at: new Date(endMs) }],
    // Handed over after the day that it was said to have ended on; nothing comes back before it has been out.
    [
      late,
      {
        ...back,
        returned_at: sql`greatest(${now.toISOString()}::timestamptz, ${assignment.assigned_at} + interval '1 ms')`,
      },
    ],
  ] as const) {
    for (let from = 0; from < rows.length; from += RELEASE_ROWS_MAX) {
      const ids = rows.slice(from, from + RELEASE_ROWS_MAX).map(({ id }) => id);
      await db
        .update(assignment)
        .set(set)
        .where(sql`${assignment.equipment_assignment_id} = any(${idsIn(ids)})`);
    }
  }
}

/** One parameter, however many they are. */
const idsIn = (ids: readonly number[]): SQL => sql`${sql.param([...ids])}::bigint[]`;

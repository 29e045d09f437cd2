/**
 * What a work order does for the maintenance that is linked to it: when the order is done, so is that. An order that is
 * opened again leaves it done; whoever finds it was not deletes the event, and the schedule counts as before.
 */
import { sql } from 'drizzle-orm';
import { dayIn } from '../calendar.ts';
import { readZone } from '../customer-day.ts';
import type { Row, RuleContext } from '../resources/define.ts';
import { completionOf, lastDone } from './completion.ts';
import { evaluateSchedules, lockSchedules } from './evaluate.ts';
import { keepBrought } from './event-rules.ts';

/**
 * Completes the open events that are linked to a work order which has just been completed: on the day of its completion in
 * the customer's zone, at the meters of its completion (or else those of the unit), with its resolution as the work that
 * was performed where the event says nothing itself. Gives up nothing: an order that was done before the schedule's last
 * time counts as done at that time. An event whose schedule or unit the caller does not see stays as it is. To be called in
 * the transaction that completes the order, which holds it.
 */
export async function completeEventsOfWorkorder(
  context: RuleContext,
  workorder: Row,
): Promise<void> {
  const { db, nowMs } = context;
  const { rows } = await db.execute<{ event: Row }>(sql`
    select to_json(e) as event from preventive_maintenance_event e
    where e.customer_id = app_customer_id() and e.workorder_id = ${workorder['workorder_id']}
      and e.status in ('open', 'in_progress') and e.deleted_at is null
    order by e.pm_schedule_id, e.pm_event_id for update of e`);
  for (const { event } of rows) {
    const scheduleId = event['pm_schedule_id'] as number;
    await lockSchedules(db, [scheduleId]);
    const said = await doneBy(context, event, workorder);
    if (said === null) continue;
    const done = await completionOf(context, { ...event, ...said });
    await keepBrought(context, event);
    await db.execute(sql`
      update preventive_maintenance_event set status = 'completed', status_reason = '',
        performed_date = ${done['performed_date']}, odometer_m = ${done['odometer_m']},
        engine_hours_h = ${done['engine_hours_h']}, cost = coalesce(${done['cost'] ?? null}::numeric, cost),
        currency_code = coalesce(${done['currency_code'] ?? null}::text, currency_code),
        work_performed = case when work_performed = '' then ${workorder['resolution'] ?? ''} else work_performed end,
        performed_by = coalesce(performed_by, ${workorder['technician_name'] ?? workorder['vendor_name'] ?? null})
      where pm_event_id = ${event['pm_event_id']}`);
    await evaluateSchedules(db, nowMs, [scheduleId]);
  }
}

/**
 * Day and meters by the order; those that lie before the last time are that of the last time, and the unit's own. Null where
 * the caller does not see the schedule or its unit.
 */
async function doneBy(context: RuleContext, event: Row, workorder: Row): Promise<Row | null> {
  const zone = await readZone(context.db);
  const today = dayIn(zone, context.nowMs);
  const last = await lastDone(context, event['pm_schedule_id'] as number, today);
  if (!last?.is_seen) return null;
  const completedAt = workorder['completed_at'] as Date | string | null;
  const atMs = completedAt === null ? context.nowMs : new Date(completedAt).getTime();
  const day = dayIn(zone, Math.min(atMs, context.nowMs));
  const meter = (name: string, before: number | null) => {
    const value = (workorder[name] ?? null) as number | null;
    return value !== null && before !== null && value < before ? null : value;
  };
  return {
    performed_date: last.last_done_on !== null && day < last.last_done_on ? last.last_done_on : day,
    odometer_m: meter('completion_odometer_m', last.last_done_odometer_m),
    engine_hours_h: meter('completion_engine_hours_h', last.last_done_engine_hours_h),
  };
}

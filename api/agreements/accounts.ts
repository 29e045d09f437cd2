/** Which accounts an agreement covers: that of the agreement, and those below it; all of them where it names none. */
import { sql } from 'drizzle-orm';
import type { TenantDb } from '../../db/tenancy.ts';
import { fieldProblem } from '../problem.ts';

/** Held while accounts stay where they are, by those who rely on that together, and by whoever moves one alone. */
const PLACES_LOCK = sql`hashtextextended('places of accounts/' || app_customer_id(), 0)`;

/** Whether an agreement of `above` covers `account`; null is the whole customer. */
export async function isWithinAccount(
  db: TenantDb,
  account: number | null,
  above: number | null,
): Promise<boolean> {
  if (above === null || account === above) return true;
  if (account === null) return false;
  // No account is moved meanwhile, and what is made here is seen by whoever moves one next.
  await db.execute(sql`select pg_advisory_xact_lock_shared(${PLACES_LOCK})`);
  const { rows } = await db.execute<{ within: boolean }>(
    sql`select account_is_within(${account}, ${above}) as within`,
  );
  return rows[0]!.within;
}

/** Throws 422 where a schedule has an allocation that its account does not cover: both may have been moved meanwhile. */
export async function requireAllocationsCovered(
  db: TenantDb,
  scheduleId: number,
  account: number | null,
): Promise<void> {
  const { rows } = await db.execute<{ id: string }>(sql`
    select t.equipment_type_allocation_id as id from equipment_type_allocation t
    join schedule_agreement_line_item l using (customer_id, schedule_agreement_line_item_id)
    where l.schedule_agreement_id = ${scheduleId} and t.deleted_at is null
      and not account_is_within(t.account_id, ${account}::bigint)
    order by 1 limit 1`);
  const [left] = rows;
  if (!left) return;
  const detail = `does not cover that of allocation ${left.id}: move the account back, or delete the allocation`;
  throw fieldProblem('unprocessable', 'body', '/account_id', detail);
}

/**
 * Throws 409 where an account that is moved from below one account to below another, or to the top, would leave an agreement
 * that has not ended, while it or an account below it has a schedule or an allocation of it. The caller sees all accounts.
 */
export async function requireStillCovered(
  db: TenantDb,
  id: number,
  { from, to }: { from: number | null; to: number | null },
): Promise<void> {
  if (from === null) return;
  await db.execute(sql`select pg_advisory_xact_lock(${PLACES_LOCK})`);
  const { rows } = await db.execute<{ name: string }>(sql`
    with recursive moved as (
      select ${id}::bigint as account_id
      union
      select a.account_id from account a join moved on a.parent_account_id = moved.account_id
    ), part as (
      select s.account_id, m.account_id as above, 'schedule ' || s.schedule_number as name
      from schedule_agreement s join master_agreement m using (customer_id, master_agreement_id)
      where s.deleted_at is null and s.status not in ('expired', 'terminated')
      union all
      select t.account_id, s.account_id,
        'allocation ' || t.equipment_type_allocation_id || ' of schedule ' || s.schedule_number
      from equipment_type_allocation t join schedule_agreement_line_item l using (customer_id, schedule_agreement_line_item_id)
      join schedule_agreement s using (customer_id, schedule_agreement_id)
      where t.deleted_at is null and s.deleted_at is null and s.status not in ('expired', 'terminated')
    )
    select part.name from part join moved using (account_id)
    where account_is_within(${from}, part.above) and not account_is_within(${to}::bigint, part.above)
    order by part.name limit 1`);
  const [left] = rows;
  if (!left) return;
  const detail = `would take ${left.name} from under its agreement: end it first, or delete it`;
  throw fieldProblem('conflict', 'body', '/parent_account_id', detail);
}

-- Whoever is held to accounts may see a schedule or an order, and not all that it follows from or that follows from it.

-- Those of schedules that count from events of accounts which the caller does not see: the newest that is completed,
-- and the newest that is completed or skipped (see readSchedules). None for those who are not held to accounts.
grant select on preventive_maintenance_event to milepost_definer;
create function schedules_with_unseen_events(schedule_ids bigint[]) returns setof bigint
  language sql stable security definer set search_path = public, pg_temp as $$
  select s.id from unnest(schedule_ids) s (id)
  where app_account_ids() is not null and exists (
    select from (
      (select e.account_id from preventive_maintenance_event e
        where e.customer_id = app_customer_id() and e.pm_schedule_id = s.id and e.status = 'completed'
        order by e.deleted_at is not null, e.pm_event_id desc limit 1)
      union all
      (select e.account_id from preventive_maintenance_event e
        where e.customer_id = app_customer_id() and e.pm_schedule_id = s.id and e.status in ('completed', 'skipped')
          and e.deleted_at is null
        order by e.pm_event_id desc limit 1)) newest
    where newest.account_id <> all (app_account_ids()))
$$;
call step_over_tenants('schedules_with_unseen_events(bigint[])');
revoke execute on function schedules_with_unseen_events(bigint[]) from public;
grant execute on function schedules_with_unseen_events(bigint[]) to milepost_api;

-- Whether a work order, by its completion at that instant, has corrected violations of inspections that the caller does
-- not see. The caller holds the unit.
create function corrected_unseen(workorder bigint, completed timestamptz) returns boolean
  language sql stable security definer set search_path = public, pg_temp as $$
  select app_account_ids() is not null and exists (
    select from dot_inspection_violation v
    join workorder o on o.customer_id = v.customer_id and o.workorder_id = v.workorder_id
    join dot_inspection i on i.customer_id = v.customer_id and i.dot_inspection_id = v.dot_inspection_id
    where v.customer_id = app_customer_id() and v.workorder_id = corrected_unseen.workorder and v.status = 'corrected'
      and v.corrected_at = completed and v.deleted_at is null and i.equipment_id = o.equipment_id
      and i.account_id <> all (app_account_ids()))
$$;
call step_over_tenants('corrected_unseen(bigint, timestamptz)');
revoke execute on function corrected_unseen(bigint, timestamptz) from public;
grant execute on function corrected_unseen(bigint, timestamptz) to milepost_api;

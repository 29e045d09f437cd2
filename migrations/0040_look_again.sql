-- Whoever enters a reading may be held to accounts, and not see all schedules of the unit: those are for the next round to
-- look at, as what was never looked at is. The caller holds the unit; schedules are held in the order of their ids.
create function look_again_at_schedules(unit_ids bigint[]) returns void
  language sql security definer set search_path = public, pg_temp as $$
  with held as materialized (
    select s.pm_schedule_id from preventive_maintenance_schedule s
    where s.customer_id = app_customer_id() and s.equipment_id = any (unit_ids) and s.status = 'active'
      and s.deleted_at is null and s.account_id <> all (app_account_ids())
      and s.status_changes_on is distinct from date '2000-01-01'
    order by s.pm_schedule_id for no key update)
  update preventive_maintenance_schedule s set status_changes_on = '2000-01-01'
  from held h where s.pm_schedule_id = h.pm_schedule_id
$$;
grant update (status_changes_on) on preventive_maintenance_schedule to milepost_definer;
call step_over_tenants('look_again_at_schedules(bigint[])');
revoke execute on function look_again_at_schedules from public;
grant execute on function look_again_at_schedules to milepost_api;

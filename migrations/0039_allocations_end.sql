-- Allocations and lines end like what they are a part of: on their last day, with what is out on them.

-- Agreements and allocations of all tenants whose last day has passed at that instant, by each customer's own days, after
-- the one that is named: allocations with units out on them, whose own last day has passed or that of their line, then
-- masters, then schedules.
create or replace function agreements_ended(at timestamptz, after_kind text, after_id bigint, rows_max integer)
  returns table (customer_id bigint, kind text, id bigint)
  language sql stable security definer set search_path = public, pg_temp as $$
  select e.customer_id, e.kind, e.id from (
    select t.customer_id, 'allocation' as kind, t.equipment_type_allocation_id as id
      from equipment_type_allocation t join customer c using (customer_id)
      join schedule_agreement_line_item l using (customer_id, schedule_agreement_line_item_id)
      where t.units_assigned > 0 and t.deleted_at is null
        and least(t.termination_date, l.termination_date) < (at at time zone c.time_zone)::date
    union all
    select m.customer_id, 'master', m.master_agreement_id
      from master_agreement m join customer c using (customer_id)
      where m.deleted_at is null and (
        m.status in ('active', 'suspended') and m.contract_end_date < (at at time zone c.time_zone)::date
        or m.status in ('draft', 'active', 'suspended') and m.terminated_on < (at at time zone c.time_zone)::date)
    union all
    select s.customer_id, 'schedule', s.schedule_agreement_id
      from schedule_agreement s join customer c using (customer_id)
      where s.deleted_at is null and s.termination_date < (at at time zone c.time_zone)::date and (
        s.status in ('active', 'suspended') or s.status = 'draft' and s.termination_requested_at is not null)
  ) e
  where (e.kind, e.id) > (after_kind, after_id)
  order by e.kind, e.id
  limit rows_max
$$;

-- How many units are out on a schedule, a line or an allocation, named by one of the three, and since when the first of
-- them is. Holds schedules, lines and allocations as hold_units_out does; an allocation is held by who asks.
create function hold_units_out_since(schedule bigint, line bigint, allocation bigint)
  returns table (units bigint, since timestamptz)
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform hold_units_out(app_customer_id(), null, schedule, line);
  return query
    select count(*), min(a.assigned_at) from equipment_assignment a
    join equipment_type_allocation t using (customer_id, equipment_type_allocation_id)
    join schedule_agreement_line_item l using (customer_id, schedule_agreement_line_item_id)
    where a.customer_id = app_customer_id() and a.returned_at is null and a.deleted_at is null
      and (l.schedule_agreement_id = schedule or l.schedule_agreement_line_item_id = line
        or t.equipment_type_allocation_id = allocation);
end
$$;
call step_over_tenants('hold_units_out_since(bigint, bigint, bigint)');
revoke execute on function hold_units_out_since(bigint, bigint, bigint) from public;
grant execute on function hold_units_out_since(bigint, bigint, bigint) to milepost_api;

-- Whether a unit is out or reserved, and the type of units that the allocation is for where it is on one. Whoever has it.
create function unit_out(unit bigint) returns table (type_taken bigint)
  language sql volatile security definer set search_path = public, pg_temp as $$
  select l.equipment_type_lookup_id from equipment_assignment a
    left join equipment_type_allocation t using (customer_id, equipment_type_allocation_id)
    left join schedule_agreement_line_item l using (customer_id, schedule_agreement_line_item_id)
    where a.customer_id = app_customer_id() and a.equipment_id = unit and a.returned_at is null and a.deleted_at is null
$$;
call step_over_tenants('unit_out(bigint)');
revoke execute on function unit_out(bigint) from public;
grant execute on function unit_out(bigint) to milepost_api;

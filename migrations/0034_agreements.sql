-- Rules of agreements, assignments and inspections.

-- A day on which an agreement ends early may be named ahead: it holds until then.
alter table master_agreement
  drop constraint master_agreement_terminated_on_check_status,
  add constraint master_agreement_terminated_on_check_status
    check (status <> 'terminated' or terminated_on is not null);
-- When somebody asked that it is terminated on its last day, which lay ahead then; NULL: it runs out on it.
alter table schedule_agreement add column termination_requested_at timestamptz;

-- It went out beyond the quota of its allocation, which warns of such units or bills them.
alter table equipment_assignment add column is_over_allocation boolean not null default false;
-- It names the columns that there were when it was made.
create or replace function equipment_assignment_at(unit bigint, instant timestamptz) returns setof equipment_assignment
  language sql stable parallel safe
  begin atomic
    select a.* from equipment_assignment a
    where a.customer_id = app_customer_id() and a.equipment_id = unit and a.deleted_at is null
      and tstzrange(a.assigned_at, a.returned_at) @> instant;
  end;
create index equipment_assignment_over on equipment_assignment (customer_id, equipment_type_allocation_id)
  where is_over_allocation;
create index schedule_agreement_line_item_schedule
  on schedule_agreement_line_item (customer_id, schedule_agreement_id);

-- Last day on which the report has to be kept. US law: 49 CFR 396.21(b) for the annual, 396.9(d) for the roadside, 396.11
-- for the driver's report, 396.3(c) for records of maintenance, 180.417(b) for tanks, of which the longest test is due every
-- five years. A state's own programme stands in for the annual one.
create function inspection_kept_until(kind text, inspected_on date) returns date
  language sql immutable as $$
  select (inspected_on + make_interval(months => case kind when 'annual' then 14 when 'state' then 14
    when 'roadside' then 12 when 'brake' then 12 when 'dvir' then 3 when 'tank' then 60 end))::date
$$;
-- Reckoned by the table itself for those that are there, and by keep_inspection from then on.
alter table dot_inspection add column retain_until date not null
  generated always as (inspection_kept_until(inspection_kind, inspection_date)) stored;
alter table dot_inspection alter column retain_until drop expression;

-- What was signed stays as it was, a result is not made better, and no change shortens how long a report is kept.
create function keep_inspection() returns trigger
  language plpgsql as $$
declare
  ranks text[] := array['pass', 'fail', 'out_of_service'];
  word text;
begin
  new.retain_until := inspection_kept_until(new.inspection_kind, new.inspection_date);
  if tg_op = 'INSERT' then return new; end if;
  new.retain_until := greatest(new.retain_until, old.retain_until);
  word := case
    when array_position(ranks, new.inspection_result) < array_position(ranks, old.inspection_result)
      then 'inspection_result_check_worse'
    when old.status = 'open' then null
    when new.inspection_result <> old.inspection_result then 'inspection_result_check_signed'
    when new.inspection_kind <> old.inspection_kind then 'inspection_kind_check_signed'
    when new.inspection_date <> old.inspection_date then 'inspection_date_check_signed' end;
  if word is not null then
    raise exception 'the report of an inspection stays as it was made' using errcode = 'check_violation',
      table = tg_table_name, constraint = tg_table_name || '_' || word;
  end if;
  return new;
end
$$;
create trigger keep before insert or update on dot_inspection for each row execute function keep_inspection();

-- What an inspection found is repaired on the same unit, and what puts it out of service is lifted by repair alone.
create function check_violation_of_unit() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'UPDATE' and old.is_out_of_service and not new.is_out_of_service then
    raise exception 'it is lifted by its repair alone' using errcode = 'check_violation', table = tg_table_name,
      constraint = 'dot_inspection_violation_is_out_of_service_check_repaired';
  end if;
  if new.workorder_id is null
    or tg_op = 'UPDATE' and (old.workorder_id, old.dot_inspection_id) = (new.workorder_id, new.dot_inspection_id) then
    return new;
  end if;
  if exists (
    select from workorder w, dot_inspection i
    where w.customer_id = new.customer_id and w.workorder_id = new.workorder_id
      and i.customer_id = new.customer_id and i.dot_inspection_id = new.dot_inspection_id
      and w.equipment_id is distinct from i.equipment_id) then
    raise exception 'the order is of another unit' using errcode = 'check_violation', table = tg_table_name,
      constraint = 'dot_inspection_violation_workorder_id_check_unit';
  end if;
  return new;
end
$$;
grant select on workorder to milepost_definer;
call step_over_tenants('check_violation_of_unit()');
create trigger unit before insert or update of workorder_id, dot_inspection_id, is_out_of_service
  on dot_inspection_violation for each row execute function check_violation_of_unit();

create index dot_inspection_annual_pass
  on dot_inspection (customer_id, equipment_id, inspection_date desc, dot_inspection_id desc) include (expires_on)
  where inspection_kind = 'annual' and inspection_result = 'pass' and deleted_at is null;

grant select, update on master_agreement, schedule_agreement, schedule_agreement_line_item, equipment_type_allocation,
  equipment_assignment, dot_inspection, dot_inspection_violation, equipment to milepost_definer;
grant select on account to milepost_definer;

-- What is stored already, counted and stamped once. As the role that steps over tenants, for the owner may not see it.
create function count_once() returns void
  language sql security definer set search_path = public, pg_temp as $$
  update equipment_type_allocation t set units_assigned = c.units from (
    select t.equipment_type_allocation_id, (select count(*) from equipment_assignment a
      where a.customer_id = t.customer_id and a.equipment_type_allocation_id = t.equipment_type_allocation_id
        and a.returned_at is null and a.deleted_at is null) as units
    from equipment_type_allocation t) c
  where c.equipment_type_allocation_id = t.equipment_type_allocation_id and t.units_assigned <> c.units;
  update dot_inspection i set back_in_service_at = coalesce(i.certified_at, i.returned_at, i.closed_at, i.updated_at)
  where i.back_in_service_at is null and i.status <> 'open' and not exists (
    select from dot_inspection_violation v where v.customer_id = i.customer_id
      and v.dot_inspection_id = i.dot_inspection_id and v.deleted_at is null and v.is_out_of_service
      and v.status in ('open', 'repair_scheduled'))
    and (i.inspection_result = 'out_of_service' or exists (
      select from dot_inspection_violation v where v.customer_id = i.customer_id
        and v.dot_inspection_id = i.dot_inspection_id and v.deleted_at is null and v.is_out_of_service));
$$;
call step_over_tenants('count_once()');
select count_once();
drop function count_once();

-- Holds a schedule and an allocation of it, in this order, until the transaction ends, and tells what a unit that goes out
-- on them has to fit. Whoever has an allocation may be held to an account that does not see the schedule.
create function hold_allocation_of(customer bigint, allocation bigint)
  returns table (schedule_status text, schedule_from date, schedule_to date, master_status text, master_to date,
    line_from date, line_to date, line_type bigint, own_from date, own_to date, units_allowed integer,
    units_assigned integer, over_allocation_policy text, is_gone boolean)
  language plpgsql security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
begin
  perform from schedule_agreement s
    join schedule_agreement_line_item l using (customer_id, schedule_agreement_id)
    join equipment_type_allocation t using (customer_id, schedule_agreement_line_item_id)
    where t.customer_id = customer and t.equipment_type_allocation_id = allocation
    for share of s;
  perform from equipment_type_allocation t
    where t.customer_id = customer and t.equipment_type_allocation_id = allocation
    for no key update;
  return query
    select s.status, s.effective_date, s.termination_date, m.status,
      case when m.auto_renews then m.terminated_on else least(m.contract_end_date, m.terminated_on) end,
      l.effective_date, l.termination_date, l.equipment_type_lookup_id, t.effective_date, t.termination_date,
      t.units_allowed, t.units_assigned, t.over_allocation_policy,
      t.deleted_at is not null or l.deleted_at is not null or s.deleted_at is not null or m.deleted_at is not null
    from equipment_type_allocation t
    join schedule_agreement_line_item l using (customer_id, schedule_agreement_line_item_id)
    join schedule_agreement s using (customer_id, schedule_agreement_id)
    join master_agreement m using (customer_id, master_agreement_id)
    where t.customer_id = customer and t.equipment_type_allocation_id = allocation;
end
$$;
call step_over_tenants('hold_allocation_of(bigint, bigint)');
revoke execute on function hold_allocation_of(bigint, bigint) from public;

-- The same, of the tenant's own.
create function hold_allocation(allocation bigint)
  returns table (schedule_status text, schedule_from date, schedule_to date, master_status text, master_to date,
    line_from date, line_to date, line_type bigint, own_from date, own_to date, units_allowed integer,
    units_assigned integer, over_allocation_policy text, is_gone boolean)
  language sql security definer set search_path = public, pg_temp
  as $$ select * from hold_allocation_of(app_customer_id(), allocation) $$;
call step_over_tenants('hold_allocation(bigint)');
revoke execute on function hold_allocation(bigint) from public;
grant execute on function hold_allocation(bigint) to milepost_api;

-- Holds the schedules of several allocations by their ids, for whoever moves a unit from one to another: all schedules
-- before any allocation.
create function hold_schedules_of(allocations bigint[]) returns void
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform from schedule_agreement s
    where s.customer_id = app_customer_id() and s.schedule_agreement_id in (
      select l.schedule_agreement_id from equipment_type_allocation t
      join schedule_agreement_line_item l using (customer_id, schedule_agreement_line_item_id)
      where t.customer_id = app_customer_id() and t.equipment_type_allocation_id = any (allocations))
    order by s.schedule_agreement_id for share of s;
end
$$;
call step_over_tenants('hold_schedules_of(bigint[])');
revoke execute on function hold_schedules_of(bigint[]) from public;
grant execute on function hold_schedules_of(bigint[]) to milepost_api;

-- How many units are out on a part of an agreement, named by one of the three. Holds its schedules, lines and allocations,
-- in this order and by their ids, so that whoever hands a unit out has done so, or finds it gone.
create function hold_units_out(customer bigint, master bigint, schedule bigint, line bigint) returns bigint
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  schedules bigint[];
  lines bigint[];
  places bigint[];
begin
  select array_agg(s.schedule_agreement_id) into schedules from (
    select s.schedule_agreement_id from schedule_agreement s
    where s.customer_id = customer and (s.master_agreement_id = master or s.schedule_agreement_id = schedule)
    order by s.schedule_agreement_id for no key update) s;
  select array_agg(l.schedule_agreement_line_item_id) into lines from (
    select l.schedule_agreement_line_item_id from schedule_agreement_line_item l
    where l.customer_id = customer
      and (l.schedule_agreement_id = any (schedules) or l.schedule_agreement_line_item_id = line)
    order by l.schedule_agreement_line_item_id for no key update) l;
  select array_agg(t.equipment_type_allocation_id) into places from (
    select t.equipment_type_allocation_id from equipment_type_allocation t
    where t.customer_id = customer and t.schedule_agreement_line_item_id = any (lines)
    order by t.equipment_type_allocation_id for no key update) t;
  return (select coalesce(sum(t.units_assigned), 0) from equipment_type_allocation t
    where t.customer_id = customer and t.equipment_type_allocation_id = any (places) and t.deleted_at is null);
end
$$;
call step_over_tenants('hold_units_out(bigint, bigint, bigint, bigint)');
revoke execute on function hold_units_out(bigint, bigint, bigint, bigint) from public;

-- The same, of the tenant's own.
create function hold_units_out(master bigint, schedule bigint, line bigint) returns bigint
  language sql security definer set search_path = public, pg_temp
  as $$ select hold_units_out(app_customer_id(), master, schedule, line) $$;
call step_over_tenants('hold_units_out(bigint, bigint, bigint)');
revoke execute on function hold_units_out(bigint, bigint, bigint) from public;
grant execute on function hold_units_out(bigint, bigint, bigint) to milepost_api;

-- The most units that the allocations of a line allow on any day.
create function line_units_peak(customer bigint, line bigint) returns bigint
  language sql volatile security definer set search_path = public, pg_temp as $$
  select coalesce(max(running), 0) from (
    select sum(sum(units)) over (order by day) as running from (
      select effective_date as day, units_allowed as units from equipment_type_allocation
        where customer_id = customer and schedule_agreement_line_item_id = line and deleted_at is null
      union all
      select termination_date + 1, -units_allowed from equipment_type_allocation
        where customer_id = customer and schedule_agreement_line_item_id = line and deleted_at is null
          and termination_date is not null
    ) change group by day
  ) sums
$$;
call step_over_tenants('line_units_peak(bigint, bigint)');
revoke execute on function line_units_peak(bigint, bigint) from public;

-- Holds the schedule of a line, and the line, in this order, and tells whether more can be put on it.
create function hold_line(line bigint)
  returns table (schedule_status text, schedule_account bigint, number_of_units integer, units_peak bigint)
  language plpgsql security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
begin
  perform from schedule_agreement s join schedule_agreement_line_item l using (customer_id, schedule_agreement_id)
    where l.customer_id = app_customer_id() and l.schedule_agreement_line_item_id = line
    for share of s;
  perform from schedule_agreement_line_item l
    where l.customer_id = app_customer_id() and l.schedule_agreement_line_item_id = line
    for no key update;
  return query
    select s.status, s.account_id, l.number_of_units, line_units_peak(l.customer_id, line)
    from schedule_agreement_line_item l join schedule_agreement s using (customer_id, schedule_agreement_id)
    where l.customer_id = app_customer_id() and l.schedule_agreement_line_item_id = line;
end
$$;
call step_over_tenants('hold_line(bigint)');
revoke execute on function hold_line(bigint) from public;
grant execute on function hold_line(bigint) to milepost_api;

-- Whether an account is another one or below it.
create function account_is_within(account bigint, above bigint) returns boolean
  language sql stable security definer set search_path = public, pg_temp as $$
  with recursive up as (
    select a.account_id, a.parent_account_id from account a
      where a.customer_id = app_customer_id() and a.account_id = account
    union
    select p.account_id, p.parent_account_id from up
      join account p on p.customer_id = app_customer_id() and p.account_id = up.parent_account_id
  )
  select exists (select from up where up.account_id = above)
$$;
call step_over_tenants('account_is_within(bigint, bigint)');
revoke execute on function account_is_within(bigint, bigint) from public;
grant execute on function account_is_within(bigint, bigint) to milepost_api;

-- Holds a unit until the transaction ends: who gives it away and who finds something wrong with it take turns.
create function hold_unit(unit bigint) returns void
  language sql security definer set search_path = public, pg_temp as $$
  select from equipment where customer_id = app_customer_id() and equipment_id = unit for no key update
$$;
call step_over_tenants('hold_unit(bigint)');
revoke execute on function hold_unit(bigint) from public;
grant execute on function hold_unit(bigint) to milepost_api;

-- Nothing goes out on a schedule that has ended. Whoever ends one holds it, and takes back what is out.
create function place_assignment() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  place record;
begin
  if new.equipment_type_allocation_id is null or new.returned_at is not null or new.deleted_at is not null then
    return new;
  end if;
  if tg_op = 'UPDATE' and old.returned_at is null and old.deleted_at is null
    and old.equipment_type_allocation_id is not distinct from new.equipment_type_allocation_id then
    return new;
  end if;
  select * into place from hold_allocation_of(new.customer_id, new.equipment_type_allocation_id);
  if place.is_gone or place.schedule_status in ('expired', 'terminated') then
    raise exception 'the schedule of the allocation has ended' using errcode = 'check_violation',
      table = 'equipment_assignment', column = 'equipment_type_allocation_id',
      constraint = 'equipment_assignment_equipment_type_allocation_id_check_ended';
  end if;
  return new;
end
$$;
call step_over_tenants('place_assignment()');
create trigger place before insert or update of equipment_type_allocation_id, returned_at, deleted_at
  on equipment_assignment for each row execute function place_assignment();

-- units_assigned is counted anew under a lock of the allocation, so no two at once count past each other: once a statement
-- for each allocation that it touches, however many units it moves.
create function count_assigned_units() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  places bigint[];
begin
  case tg_op
    when 'INSERT' then
      select array_agg(distinct a.equipment_type_allocation_id) into places from added a
        where a.equipment_type_allocation_id is not null;
    when 'DELETE' then
      select array_agg(distinct r.equipment_type_allocation_id) into places from removed r
        where r.equipment_type_allocation_id is not null;
    else
      select array_agg(distinct p.place) into places
        from removed r join added a using (equipment_assignment_id)
        cross join lateral (values (r.equipment_type_allocation_id), (a.equipment_type_allocation_id)) p (place)
        where p.place is not null
          and (r.equipment_type_allocation_id, r.returned_at is null, r.deleted_at is null)
            is distinct from (a.equipment_type_allocation_id, a.returned_at is null, a.deleted_at is null);
  end case;
  if places is null then return null; end if;
  perform from equipment_type_allocation t where t.equipment_type_allocation_id = any (places)
    order by t.equipment_type_allocation_id for no key update;
  update equipment_type_allocation t set units_assigned = c.units from (
    select p.place, (select count(*)::integer from equipment_assignment a
      where a.customer_id = h.customer_id and a.equipment_type_allocation_id = p.place
        and a.returned_at is null and a.deleted_at is null) as units
    from unnest(places) p (place) join equipment_type_allocation h on h.equipment_type_allocation_id = p.place) c
  where t.equipment_type_allocation_id = c.place and t.units_assigned <> c.units;
  return null;
end
$$;
call step_over_tenants('count_assigned_units()');
create trigger count_made after insert on equipment_assignment
  referencing new table as added for each statement execute function count_assigned_units();
create trigger count_moved after update on equipment_assignment
  referencing old table as removed new table as added for each statement execute function count_assigned_units();
create trigger count_removed after delete on equipment_assignment
  referencing old table as removed for each statement execute function count_assigned_units();

-- Rows that are older than this rule may have more units than they allow: they may only get better.
create function check_allocation() returns trigger
  language plpgsql as $$
declare
  word text := case
    when tg_op = 'UPDATE' and new.deleted_at is not null and old.deleted_at is null and new.units_assigned > 0
      then 'units_assigned_check_out'
    when new.deleted_at is not null then null
    when tg_op = 'UPDATE' and new.units_allowed < old.units_allowed and new.units_allowed < new.units_assigned
      then 'units_allowed_check_assigned'
    when new.over_allocation_policy = 'block' and new.units_assigned > new.units_allowed and (tg_op = 'INSERT'
        or new.units_assigned > old.units_assigned or old.over_allocation_policy <> 'block')
      then 'units_assigned_check_block' end;
begin
  if word is not null then
    raise exception '% units of % are assigned', new.units_assigned, new.units_allowed using errcode = 'check_violation',
      table = tg_table_name, constraint = tg_table_name || '_' || word;
  end if;
  return new;
end
$$;
create trigger quota before insert or update of units_allowed, units_assigned, over_allocation_policy, deleted_at
  on equipment_type_allocation for each row execute function check_allocation();

-- The quantity of a line is the ceiling of all its allocations together, day by day. Looked at when the transaction ends,
-- for whoever writes one has looked already, and says more of it.
create function check_line_units() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  ceiling integer;
begin
  if new.deleted_at is not null then return null; end if;
  if tg_table_name = 'schedule_agreement_line_item' then
    if line_units_peak(new.customer_id, new.schedule_agreement_line_item_id) > new.number_of_units then
      raise exception 'its allocations allow more' using errcode = 'check_violation', table = tg_table_name,
        constraint = 'schedule_agreement_line_item_number_of_units_check_allocations';
    end if;
    return null;
  end if;
  if tg_op = 'UPDATE' and old.deleted_at is null and new.units_allowed <= old.units_allowed
    and new.effective_date >= old.effective_date
    and coalesce(new.termination_date, 'infinity') <= coalesce(old.termination_date, 'infinity') then
    return null;
  end if;
  select l.number_of_units into ceiling from schedule_agreement_line_item l
    where l.customer_id = new.customer_id
      and l.schedule_agreement_line_item_id = new.schedule_agreement_line_item_id;
  if line_units_peak(new.customer_id, new.schedule_agreement_line_item_id) > ceiling then
    raise exception 'the line has fewer units' using errcode = 'check_violation', table = tg_table_name,
      constraint = 'equipment_type_allocation_units_allowed_check_line';
  end if;
  return null;
end
$$;
call step_over_tenants('check_line_units()');
-- Two at once for one line come one after the other. Held before the row is written, for at the end nothing is waited for.
create function hold_line_of_allocation() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform from schedule_agreement_line_item l
    where l.customer_id = new.customer_id
      and l.schedule_agreement_line_item_id = new.schedule_agreement_line_item_id
    for no key update;
  return new;
end
$$;
call step_over_tenants('hold_line_of_allocation()');
create trigger hold_line before insert or update of units_allowed, effective_date, termination_date, deleted_at
  on equipment_type_allocation for each row execute function hold_line_of_allocation();
create constraint trigger line_units after insert or update of units_allowed, effective_date, termination_date, deleted_at
  on equipment_type_allocation deferrable initially deferred for each row execute function check_line_units();
create constraint trigger line_units after update of number_of_units on schedule_agreement_line_item
  deferrable initially deferred for each row
  when (new.number_of_units < old.number_of_units) execute function check_line_units();

-- Looked at when the transaction ends: whoever ends a schedule takes back in it what is out.
create function check_released() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if exists (
    select from equipment_assignment a
    join equipment_type_allocation t using (customer_id, equipment_type_allocation_id)
    join schedule_agreement_line_item l using (customer_id, schedule_agreement_line_item_id)
    join schedule_agreement s using (customer_id, schedule_agreement_id)
    where s.customer_id = new.customer_id and s.schedule_agreement_id = new.schedule_agreement_id
      and (s.status in ('expired', 'terminated') or s.deleted_at is not null)
      and a.returned_at is null and a.deleted_at is null) then
    raise exception 'units are out on it' using errcode = 'check_violation', table = tg_table_name,
      constraint = 'schedule_agreement_status_check_released';
  end if;
  return null;
end
$$;
call step_over_tenants('check_released()');
create constraint trigger released after update of status, deleted_at on schedule_agreement
  deferrable initially deferred for each row
  when (new.status in ('expired', 'terminated') or new.deleted_at is not null)
  execute function check_released();

-- What units are out on is not deleted, nor a master with schedules in force. Held before the row is written, for at the
-- end nothing is waited for.
create function keep_used_agreement() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  id bigint := (to_jsonb(new) ->> tg_argv[0])::bigint;
  units bigint;
begin
  units := hold_units_out(new.customer_id, case when tg_argv[0] = 'master_agreement_id' then id end,
    case when tg_argv[0] = 'schedule_agreement_id' then id end,
    case when tg_argv[0] = 'schedule_agreement_line_item_id' then id end);
  if units > 0 then
    raise exception '% units are out on it', units using errcode = 'check_violation', table = tg_table_name,
      constraint = tg_table_name || '_deleted_at_check_released';
  end if;
  if tg_table_name = 'master_agreement' and exists (
    select from schedule_agreement s where s.customer_id = new.customer_id and s.master_agreement_id = id
      and s.status in ('active', 'suspended') and s.deleted_at is null) then
    raise exception 'schedules under it are in force' using errcode = 'check_violation', table = tg_table_name,
      constraint = 'master_agreement_deleted_at_check_schedules';
  end if;
  return new;
end
$$;
call step_over_tenants('keep_used_agreement()');
create trigger keep_used before update of deleted_at on master_agreement for each row
  when (old.deleted_at is null and new.deleted_at is not null)
  execute function keep_used_agreement('master_agreement_id');
create trigger keep_used before update of deleted_at on schedule_agreement for each row
  when (old.deleted_at is null and new.deleted_at is not null)
  execute function keep_used_agreement('schedule_agreement_id');
create trigger keep_used before update of deleted_at on schedule_agreement_line_item for each row
  when (old.deleted_at is null and new.deleted_at is not null)
  execute function keep_used_agreement('schedule_agreement_line_item_id');

-- Nor does a schedule come into force under a master that is deleted.
create function check_schedule_above() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  gone timestamptz;
begin
  select m.deleted_at into gone from master_agreement m
    where m.customer_id = new.customer_id and m.master_agreement_id = new.master_agreement_id for share;
  if gone is not null then
    raise exception 'its master agreement is deleted' using errcode = 'check_violation', table = tg_table_name,
      column = 'master_agreement_id', constraint = 'schedule_agreement_master_agreement_id_check_deleted';
  end if;
  return new;
end
$$;
call step_over_tenants('check_schedule_above()');
create trigger above_new before insert on schedule_agreement for each row
  when (new.status in ('active', 'suspended') and new.deleted_at is null) execute function check_schedule_above();
create trigger above before update of status, master_agreement_id, deleted_at on schedule_agreement for each row
  when (new.status in ('active', 'suspended') and new.deleted_at is null
    and (old.status in ('active', 'suspended') and old.deleted_at is null
      and old.master_agreement_id = new.master_agreement_id) is not true)
  execute function check_schedule_above();

-- Agreements of all tenants whose last day has passed at that instant, by each customer's own days, after the one that is
-- named; masters before schedules.
create function agreements_ended(at timestamptz, after_kind text, after_id bigint, rows_max integer)
  returns table (customer_id bigint, kind text, id bigint)
  language sql stable security definer set search_path = public, pg_temp as $$
  select e.customer_id, e.kind, e.id from (
    select m.customer_id, 'master' as kind, m.master_agreement_id as id
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
call step_over_tenants('agreements_ended(timestamptz, text, bigint, integer)');
revoke execute on function agreements_ended(timestamptz, text, bigint, integer) from public;
grant execute on function agreements_ended(timestamptz, text, bigint, integer) to milepost_runner;

-- Tells in the feed of what the portal has found out about a unit.
create function note_activity(activity text, unit bigint, account bigint, at timestamptz, subject text, gravity text)
  returns void
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if activity not in ('over_allocated', 'unit_out_of_service', 'unit_back_in_service') then
    raise exception 'no such activity: %', activity using errcode = 'invalid_parameter_value';
  end if;
  if not exists (select from equipment e where e.customer_id = app_customer_id() and e.equipment_id = unit)
    or account is not null and not exists (
      select from account a where a.customer_id = app_customer_id() and a.account_id = account) then
    raise exception 'the unit or the account is not there' using errcode = 'invalid_parameter_value';
  end if;
  insert into activity_feed (event_key, customer_id, account_id, equipment_id, event_type, event_time, received_at,
      subject_name, severity, cause)
    values (gen_random_uuid(), app_customer_id(), account, unit, activity, at, at, subject, gravity, 'portal');
end
$$;
call step_over_tenants('note_activity(text, bigint, bigint, timestamptz, text, text)');
revoke execute on function note_activity(text, bigint, bigint, timestamptz, text, text) from public;
grant execute on function note_activity(text, bigint, bigint, timestamptz, text, text) to milepost_api;

-- The last annual inspection of each unit that it has passed, and the last day on which that counts; of the units of one
-- account where one is named. Whoever made it: what was found on a unit holds for whoever has it now.
create function last_annual_passes(account bigint)
  returns table (equipment_id bigint, dot_inspection_id bigint, inspection_date date, expires_on date)
  language plpgsql stable security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
begin
  if account is null then
    return query
      select distinct on (i.equipment_id) i.equipment_id, i.dot_inspection_id, i.inspection_date,
        coalesce(i.expires_on, (i.inspection_date + interval '12 months')::date)
      from dot_inspection i
      where i.customer_id = app_customer_id() and i.inspection_kind = 'annual' and i.inspection_result = 'pass'
        and i.deleted_at is null
      order by i.equipment_id, i.inspection_date desc, i.dot_inspection_id desc;
    return;
  end if;
  return query
    select e.equipment_id, p.dot_inspection_id, p.inspection_date,
      coalesce(p.expires_on, (p.inspection_date + interval '12 months')::date)
    from equipment e cross join lateral (
      select i.dot_inspection_id, i.inspection_date, i.expires_on from dot_inspection i
      where i.customer_id = e.customer_id and i.equipment_id = e.equipment_id and i.inspection_kind = 'annual'
        and i.inspection_result = 'pass' and i.deleted_at is null
      order by i.inspection_date desc, i.dot_inspection_id desc limit 1) p
    where e.customer_id = app_customer_id() and e.account_id = last_annual_passes.account;
end
$$;
call step_over_tenants('last_annual_passes(bigint)');
revoke execute on function last_annual_passes(bigint) from public;
grant execute on function last_annual_passes(bigint) to milepost_api;

-- Why a unit may not be used on that day; no rows: it may.
create function unit_unfit(unit bigint, today date, rows_max integer)
  returns table (reason text, dot_inspection_id bigint, inspection_kind text, report_number text,
    inspection_date date, expires_on date)
  language sql stable security definer set search_path = public, pg_temp as $$
  with own as (
    select i.*, coalesce(i.expires_on, (i.inspection_date + interval '12 months')::date) as counts_until
    from dot_inspection i
    where i.customer_id = app_customer_id() and i.equipment_id = unit and i.deleted_at is null
  ), annual as (
    select * from own where own.inspection_kind = 'annual'
    order by own.inspection_date desc, own.dot_inspection_id desc limit 1
  ), passed as (
    select * from own where own.inspection_kind = 'annual' and own.inspection_result = 'pass'
    order by own.inspection_date desc, own.dot_inspection_id desc limit 1
  ), found as (
    select 1 as rank, 'out_of_service' as reason, o.* from own o
      where o.back_in_service_at is null and (o.inspection_result = 'out_of_service' or exists (
        select from dot_inspection_violation v where v.customer_id = o.customer_id
          and v.dot_inspection_id = o.dot_inspection_id and v.is_out_of_service and v.deleted_at is null))
    union all
    select 2, 'annual_failed', a.* from annual a where a.inspection_result <> 'pass'
    union all
    select 3, 'annual_expired', p.* from passed p where p.counts_until < today
  )
  select f.reason, f.dot_inspection_id, f.inspection_kind, f.report_number, f.inspection_date,
    case when f.reason = 'annual_expired' then f.counts_until else f.expires_on end
  from found f order by f.rank, f.inspection_date, f.dot_inspection_id limit rows_max
$$;
call step_over_tenants('unit_unfit(bigint, date, integer)');
revoke execute on function unit_unfit(bigint, date, integer) from public;
grant execute on function unit_unfit(bigint, date, integer) to milepost_api;

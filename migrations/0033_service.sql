-- Rules of service: requests, work orders, roadside calls.

-- What comes of a request or a call is about the same unit. Rows that are older than this rule are not asked.
alter table service_request add unique (customer_id, service_request_id, equipment_id);
alter table workorder
  add unique (customer_id, workorder_id, equipment_id),
  add constraint workorder_service_request_id_equipment_id_fkey
    foreign key (customer_id, service_request_id, equipment_id)
    references service_request (customer_id, service_request_id, equipment_id) not valid;
alter table ers
  add constraint ers_service_request_id_equipment_id_fkey
    foreign key (customer_id, service_request_id, equipment_id)
    references service_request (customer_id, service_request_id, equipment_id) not valid,
  add constraint ers_workorder_id_equipment_id_fkey foreign key (customer_id, workorder_id, equipment_id)
    references workorder (customer_id, workorder_id, equipment_id) not valid;

-- Before a line is written. The order is held from here on, so that of lines that are written at once each is in the
-- sum. The parent's lock is one that lets others refer to it.
create function check_workorder_line() returns trigger
  language plpgsql as $$
declare
  parent record;
begin
  select w.workorder_status, w.currency_code into parent from workorder w
    where w.customer_id = new.customer_id and w.workorder_id = new.workorder_id for no key update;
  -- That there is none is told by the key.
  if not found then return new; end if;
  if parent.workorder_status in ('closed', 'cancelled') then
    raise exception 'nothing is added to an order that is %', parent.workorder_status using errcode = 'check_violation',
      table = 'workorder_vmrs', column = 'workorder_id', constraint = 'workorder_vmrs_workorder_id_check_open';
  elsif new.currency_code <> parent.currency_code and new.deleted_at is null
    and (tg_op = 'INSERT' or (old.currency_code, old.deleted_at) is distinct from (new.currency_code, new.deleted_at)) then
    raise exception 'a line is in the currency of its order' using errcode = 'check_violation',
      table = 'workorder_vmrs', column = 'currency_code', constraint = 'workorder_vmrs_currency_code_check_same';
  end if;
  return new;
end
$$;
create trigger line before insert or update on workorder_vmrs for each row execute function check_workorder_line();

-- What an order costs in parts and labour is the sum of its lines, once it has any.
create function sum_workorder_lines(tenant bigint, id bigint, currency text,
    out line_count bigint, out part numeric, out labour numeric)
  language sql stable as $$
    select count(*), coalesce(sum(l.workorder_part_cost), 0), coalesce(sum(l.workorder_labour_cost), 0)
    from workorder_vmrs l
    where l.customer_id = tenant and l.workorder_id = id and l.currency_code = currency and l.deleted_at is null
  $$;

create function roll_up_workorder() returns trigger
  language plpgsql as $$
declare
  line workorder_vmrs := new;
begin
  if tg_op = 'DELETE' then line := old; end if;
  update workorder w set part_cost = s.part, labour_cost = s.labour
    from workorder o, sum_workorder_lines(o.customer_id, o.workorder_id, o.currency_code) s
    where o.customer_id = line.customer_id and o.workorder_id = line.workorder_id
      and w.workorder_id = o.workorder_id and (w.part_cost, w.labour_cost) is distinct from (s.part, s.labour);
  return null;
end
$$;
create trigger roll_up after insert or update or delete on workorder_vmrs
  for each row execute function roll_up_workorder();

-- Before an order is written: its costs are those of its lines, and what goes beyond its limit waits for somebody who may
-- allow it. What was allowed has become the limit, so a cost that rises further is asked about again.
create function check_workorder_costs() returns trigger
  language plpgsql as $$
declare
  total numeric := new.part_cost + new.labour_cost + new.tax_cost;
  lines record;
  wrong text;
begin
  if tg_op = 'INSERT' then
    if total > new.cost_limit and new.approval_status = 'not_required' then new.approval_status := 'pending'; end if;
    return new;
  end if;
  if (new.part_cost, new.labour_cost, new.currency_code) is distinct from
     (old.part_cost, old.labour_cost, old.currency_code) then
    select * into lines from sum_workorder_lines(new.customer_id, new.workorder_id, old.currency_code);
    wrong := case when lines.line_count = 0 then null
      when new.currency_code <> old.currency_code then 'currency_code'
      when new.part_cost <> lines.part then 'part_cost'
      when new.labour_cost <> lines.labour then 'labour_cost' end;
    if wrong is not null then
      raise exception '% follows from the lines', wrong using errcode = 'check_violation', table = 'workorder',
        column = wrong, constraint = 'workorder_' || wrong || '_check_lines';
    end if;
  end if;
  if (total, new.cost_limit, new.currency_code) is distinct from
     (old.part_cost + old.labour_cost + old.tax_cost, old.cost_limit, old.currency_code) then
    if total <= new.cost_limit or new.cost_limit is null then
      if new.approval_status in ('pending', 'rejected') then new.approval_status := 'not_required'; end if;
    elsif not (new.approval_status = 'approved' and new.cost_limit = old.cost_limit
               and total <= old.part_cost + old.labour_cost + old.tax_cost) then
      new.approval_status := 'pending';
      new.approved_by_user_id := null;
      new.approved_at := null;
    end if;
  end if;
  if new.workorder_status in ('completed', 'closed') and new.workorder_status <> old.workorder_status
     and new.approval_status in ('pending', 'rejected') then
    raise exception 'the cost is not approved' using errcode = 'check_violation', table = 'workorder',
      column = 'approval_status', constraint = 'workorder_approval_status_check_allowed';
  end if;
  return new;
end
$$;
create trigger costs before insert or update on workorder for each row execute function check_workorder_costs();

-- The same of parts used at the roadside. A call without a currency takes that of its first part.
create function check_ers_part() returns trigger
  language plpgsql as $$
declare
  parent record;
begin
  select e.ers_status, e.currency_code into parent from ers e
    where e.customer_id = new.customer_id and e.ers_id = new.ers_id for no key update;
  if not found then return new; end if;
  if parent.ers_status in ('closed', 'cancelled') then
    raise exception 'nothing is added to a call that is %', parent.ers_status using errcode = 'check_violation',
      table = 'ers_parts_used', column = 'ers_id', constraint = 'ers_parts_used_ers_id_check_open';
  elsif new.currency_code <> parent.currency_code and new.deleted_at is null
    and (tg_op = 'INSERT' or (old.currency_code, old.deleted_at) is distinct from (new.currency_code, new.deleted_at)) then
    raise exception 'a part is in the currency of its call' using errcode = 'check_violation',
      table = 'ers_parts_used', column = 'currency_code', constraint = 'ers_parts_used_currency_code_check_same';
  end if;
  return new;
end
$$;
create trigger part before insert or update on ers_parts_used for each row execute function check_ers_part();

create function sum_ers_parts(tenant bigint, id bigint, currency text, out part_count bigint, out total numeric)
  language sql stable as $$
    select count(*), coalesce(sum(p.total_cost), 0) from ers_parts_used p
    where p.customer_id = tenant and p.ers_id = id and p.currency_code = currency and p.deleted_at is null
  $$;

-- A cost that was that of the parts, or was not known, is that of the parts again. One that somebody has stated includes
-- labour and the way: it stays, and is never less than the parts.
create function roll_up_ers() returns trigger
  language plpgsql as $$
declare
  part ers_parts_used := new;
  parts record;
  was numeric;
begin
  if tg_op = 'DELETE' then part := old; end if;
  select * into parts from sum_ers_parts(part.customer_id, part.ers_id, part.currency_code);
  was := parts.total;
  if tg_op <> 'DELETE' and new.deleted_at is null then was := was - new.total_cost; end if;
  if tg_op <> 'INSERT' and old.deleted_at is null then was := was + old.total_cost; end if;
  update ers e set currency_code = part.currency_code,
      cost = case when e.cost is not null and e.cost <> was then greatest(e.cost, parts.total)
        when parts.part_count > 0 then parts.total end
    where e.customer_id = part.customer_id and e.ers_id = part.ers_id
      and coalesce(e.currency_code, part.currency_code) = part.currency_code;
  return null;
end
$$;
create trigger roll_up after insert or update or delete on ers_parts_used for each row execute function roll_up_ers();

create function check_ers_cost() returns trigger
  language plpgsql as $$
declare
  parts record;
  wrong text;
begin
  if (new.cost, new.currency_code) is not distinct from (old.cost, old.currency_code) or old.currency_code is null then
    return new;
  end if;
  select * into parts from sum_ers_parts(new.customer_id, new.ers_id, old.currency_code);
  wrong := case when parts.part_count = 0 then null
    when new.currency_code is distinct from old.currency_code then 'currency_code'
    when coalesce(new.cost, 0) < parts.total then 'cost' end;
  if wrong is not null then
    raise exception '% does not go with the parts', wrong using errcode = 'check_violation', table = 'ers',
      column = wrong, constraint = 'ers_' || wrong || '_check_parts';
  end if;
  return new;
end
$$;
create trigger costs before update of cost, currency_code on ers for each row execute function check_ers_cost();

-- What came of a request, in all accounts: an order may be of another one than its request. Resolution: of what was done
-- last; NULL: nothing was. Towed: a unit was, and there is no order for what comes after.
grant select on service_request, workorder, ers to milepost_definer;
grant update (status, status_reason, closed_at, resolution) on service_request to milepost_definer;
create function work_of_request(id bigint, out is_open boolean, out is_towed boolean, out resolution text)
  language sql stable security definer set search_path = public, pg_temp as $$
  with work as (
    select workorder_status not in ('completed', 'closed', 'cancelled') as is_open,
      workorder_status in ('completed', 'closed') as is_done, false as is_towed, resolution, completed_at as done_at
    from workorder where customer_id = app_customer_id() and service_request_id = id and deleted_at is null
    union all
    select ers_status not in ('resolved', 'closed', 'cancelled'), ers_status in ('resolved', 'closed'),
      ers_status in ('resolved', 'closed') and outcome = 'towed' and workorder_id is null, resolution, resolved_at
    from ers where customer_id = app_customer_id() and service_request_id = id and deleted_at is null
  )
  select coalesce(bool_or(w.is_open), false), coalesce(bool_or(w.is_towed), false),
    (select d.resolution from work d where d.is_done order by d.done_at desc nulls last limit 1)
  from work w
$$;
revoke execute on function work_of_request from public;
grant execute on function work_of_request to milepost_api;
call step_over_tenants('work_of_request(bigint)');

-- Who ends the last of the work may be held to another account than that of the request: it closes all the same. Of those
-- that end at once, each waits here, and the last one sees that nothing is open.
create function close_request_when_done(id bigint, at timestamptz) returns void
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  request record;
  work record;
begin
  select r.status, r.resolution into request from service_request r
    where r.customer_id = app_customer_id() and r.service_request_id = id and r.deleted_at is null for no key update;
  if request.status is distinct from 'converted' then return; end if;
  select * into work from work_of_request(id);
  if work.is_open or work.is_towed or work.resolution is null then return; end if;
  update service_request r set status = 'closed', status_reason = '', closed_at = at,
      resolution = coalesce(nullif(request.resolution, ''), work.resolution)
    where r.service_request_id = id;
end
$$;
revoke execute on function close_request_when_done from public;
grant execute on function close_request_when_done to milepost_api;
call step_over_tenants('close_request_when_done(bigint, timestamptz)');

update simple_field_lookup set long_description = 'Waiting; the hold reason says for what.'
  where field_name = 'workorder.workorder_status' and field_code = 'on_hold';

-- To approve is a right of its own from here on: whoever could until now still can.
create function grant_approval_once() returns void
  language sql security definer set search_path = public, pg_temp as $$
  update user_role r set role_permission = r.role_permission || g.granted from (
    select u.user_role_id, jsonb_object_agg(p.key, p.value || '["approve"]') as granted
    from user_role u, jsonb_each(u.role_permission) p
    where p.key in ('service_request', 'workorder') and jsonb_typeof(p.value) = 'array'
      and p.value ? 'write' and not p.value ? 'approve'
    group by u.user_role_id
  ) g where g.user_role_id = r.user_role_id
$$;
grant update (role_permission) on user_role to milepost_definer;
call step_over_tenants('grant_approval_once()');
select grant_approval_once();
drop function grant_approval_once();
revoke update (role_permission) on user_role from milepost_definer;

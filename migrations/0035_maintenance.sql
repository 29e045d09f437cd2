-- Rules of preventive maintenance and service frequency.

-- When due_status changes next: by itself on a day, or when a meter reaches a value; NULL: not by this. So a round asks
-- for the schedules that need looking at, and not for all of them. The default is a day long gone: what was never looked
-- at is looked at next.
alter table preventive_maintenance_schedule
  add column status_changes_on date default '2000-01-01',
  add column status_changes_odometer_m double precision,
  add column status_changes_engine_hours_h double precision,
  -- When it was done last before anything was recorded here: what is left when all that was recorded is undone.
  add column brought_on date,
  add column brought_odometer_m double precision,
  add column brought_engine_hours_h double precision;

create index preventive_maintenance_schedule_watched on preventive_maintenance_schedule (customer_id, pm_schedule_id)
  where status = 'active' and deleted_at is null;
-- What a schedule counts from is its last event that was completed or skipped.
drop index preventive_maintenance_event_schedule;
create index preventive_maintenance_event_schedule
  on preventive_maintenance_event (customer_id, pm_schedule_id, pm_event_id desc);
-- The services of a vehicle, by kind.
create index vehicle_maintenance_service_history_vehicle
  on vehicle_maintenance_service_history (customer_id, vehicle_id_code, type_of_service, service_date desc);

-- What a unit of measure is in metres or hours; NULL for one that is neither. Months and years are UCUM's.
create function meter_factor(uom_code text) returns double precision
  language sql immutable parallel safe
  return case uom_code
    when 'm' then 1 when 'km' then 1000 when 'mm' then 0.001 when 'cm' then 0.01
    when 'mi' then 1609.344 when '[mi_i]' then 1609.344 when '[nmi_i]' then 1852
    when '[in_i]' then 0.0254 when '[ft_i]' then 0.3048 when '[yd_i]' then 0.9144
    when 'h' then 1 when 'h{engine}' then 1 when 'h{reefer}' then 1 when 'h{pto}' then 1
    when 'ms' then 1 / 3600000.0 when 's' then 1 / 3600.0 when 'min' then 1 / 60.0
    when 'd' then 24 when 'wk' then 168 when 'mo' then 730.5 when 'a' then 8766
  end;

-- Tenants that have something to look at, in their order, after the one that is given: what the background asks for all
-- of them together. What follows it does as each tenant.
grant select on preventive_maintenance_schedule to milepost_definer;
create function maintenance_tenants(after_id bigint, rows_max integer) returns setof bigint
  language sql stable security definer set search_path = public, pg_temp as $$
  select c.customer_id from customer c
  where c.customer_id > after_id and exists (
    select from preventive_maintenance_schedule s
    where s.customer_id = c.customer_id and s.status = 'active' and s.deleted_at is null)
  order by c.customer_id limit rows_max
$$;
revoke execute on function maintenance_tenants from public;
grant execute on function maintenance_tenants to milepost_runner;
call step_over_tenants('maintenance_tenants(bigint, integer)');

-- What the devices of units have reported of a meter: for each unit the newest row of a span of time, or the oldest. The
-- views that the API reads would sort all rows of the span; these stop at the first that the index gives. They take many
-- units at once, for to make ready for a hundred partitions takes longer than to look into one. Whose units they are they
-- ask themselves, as the views do.
grant select on equipment_gps_location, iot_device_metric to milepost_definer;

create function unit_mounts(unit_ids bigint[])
  returns table (equipment_id bigint, equipment_has_iot_device_id bigint)
  language sql stable security definer set search_path = public, pg_temp rows 1000 as $$
  select h.equipment_id, h.equipment_has_iot_device_id
  from equipment e
  join equipment_has_iot_device h on h.customer_id = e.customer_id and h.equipment_id = e.equipment_id
  where e.equipment_id = any (unit_ids) and e.customer_id = app_customer_id()
    and (e.account_id is null or coalesce(e.account_id = any (app_account_ids()), app_account_ids() is null))
$$;
call step_over_tenants('unit_mounts(bigint[])');
revoke execute on function unit_mounts from public;

create function unit_metrics(unit_ids bigint[], code text, from_at timestamptz, to_at timestamptz, is_newest boolean)
  returns table (equipment_id bigint, metric_value double precision, recorded_at timestamptz)
  language plpgsql stable security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
begin
  if is_newest then
    return query
      select distinct on (u.equipment_id) u.equipment_id, r.metric_value, r.recorded_at
      from unit_mounts(unit_ids) u cross join lateral (
        select m.metric_value, m.recorded_at from iot_device_metric m
        where m.equipment_has_iot_device_id = u.equipment_has_iot_device_id and m.metric_code = code
          and m.recorded_at >= from_at and m.recorded_at < to_at
        order by m.recorded_at desc limit 1) r
      order by u.equipment_id, r.recorded_at desc;
  else
    return query
      select distinct on (u.equipment_id) u.equipment_id, r.metric_value, r.recorded_at
      from unit_mounts(unit_ids) u cross join lateral (
        select m.metric_value, m.recorded_at from iot_device_metric m
        where m.equipment_has_iot_device_id = u.equipment_has_iot_device_id and m.metric_code = code
          and m.recorded_at >= from_at and m.recorded_at < to_at
        order by m.recorded_at limit 1) r
      order by u.equipment_id, r.recorded_at;
  end if;
end
$$;
call step_over_tenants('unit_metrics(bigint[], text, timestamptz, timestamptz, boolean)');
revoke execute on function unit_metrics from public;
grant execute on function unit_metrics to milepost_api;

create function unit_odometers(unit_ids bigint[], from_at timestamptz, to_at timestamptz, is_newest boolean)
  returns table (equipment_id bigint, odometer_m double precision, recorded_at timestamptz)
  language plpgsql stable security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
begin
  if is_newest then
    return query
      select distinct on (u.equipment_id) u.equipment_id, r.odometer_m, r.recorded_at
      from unit_mounts(unit_ids) u cross join lateral (
        select l.odometer_m, l.recorded_at from equipment_gps_location l
        where l.equipment_has_iot_device_id = u.equipment_has_iot_device_id and l.odometer_m is not null
          and l.recorded_at >= from_at and l.recorded_at < to_at
        order by l.recorded_at desc limit 1) r
      order by u.equipment_id, r.recorded_at desc;
  else
    return query
      select distinct on (u.equipment_id) u.equipment_id, r.odometer_m, r.recorded_at
      from unit_mounts(unit_ids) u cross join lateral (
        select l.odometer_m, l.recorded_at from equipment_gps_location l
        where l.equipment_has_iot_device_id = u.equipment_has_iot_device_id and l.odometer_m is not null
          and l.recorded_at >= from_at and l.recorded_at < to_at
        order by l.recorded_at limit 1) r
      order by u.equipment_id, r.recorded_at;
  end if;
end
$$;
call step_over_tenants('unit_odometers(bigint[], timestamptz, timestamptz, boolean)');
revoke execute on function unit_odometers from public;
grant execute on function unit_odometers to milepost_api;

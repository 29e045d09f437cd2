-- Devices and gateways are resources like all others: their lists have a choice of columns, and their rows can be deleted.
-- A device that was ever mounted stays, because its mount refers to it and the positions refer to the mount.
grant delete on iot_device, gateway_token to milepost_api;

insert into column_preference_table_name (table_name) values ('gateway_token');

-- How many rows of a kind the tenant at work has, of all its accounts: a quota is the tenant's, and whoever is held to
-- accounts sees only a part of what fills it. Counts no further than rows_max. Retired devices take up no room.
create function count_for_quota(counted text, rows_max integer) returns integer
  language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  tenant bigint := app_customer_id();
begin
  case counted
    when 'geofence' then
      return (select count(*) from (select from geofence where customer_id = tenant limit rows_max) r);
    when 'telematic_alert' then
      return (select count(*) from (select from telematic_alert where customer_id = tenant limit rows_max) r);
    when 'iot_device' then
      return (select count(*) from (
        select from iot_device where customer_id = tenant and status <> 'retired' limit rows_max) r);
    when 'gateway_token' then
      return (select count(*) from (select from gateway_token where customer_id = tenant limit rows_max) r);
    else
      raise exception 'no quota counts %', counted using errcode = 'invalid_parameter_value';
  end case;
end
$$;
grant select (customer_id) on geofence, telematic_alert, gateway_token to milepost_definer;
grant select (customer_id, status) on iot_device to milepost_definer;
revoke execute on function count_for_quota from public;
grant execute on function count_for_quota to milepost_api;
call step_over_tenants('count_for_quota(text, integer)');

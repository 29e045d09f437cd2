-- Tells listeners which row of the configuration changed: channel milepost_change, payload
-- {"table", "op", "id", "customer_id"}. The listener reads the row itself, and everything after a reconnect.

create function notify_change() returns trigger
  language plpgsql as $$
declare
  row_json jsonb := to_jsonb(case when tg_op = 'DELETE' then old else new end);
begin
  perform pg_notify('milepost_change', json_build_object(
    'table', tg_table_name,
    'op', lower(tg_op),
    'id', row_json -> tg_argv[0],
    'customer_id', row_json -> 'customer_id')::text);
  return null;
end
$$;

create trigger change after insert or update or delete on geofence
  for each row execute function notify_change('geofence_id');
create trigger change after insert or update or delete on telematic_alert
  for each row execute function notify_change('telematic_alert_id');
create trigger change after insert or update or delete on iot_device
  for each row execute function notify_change('iot_device_id');
create trigger change after insert or update or delete on gateway_token
  for each row execute function notify_change('gateway_token_id');
create trigger change after insert or update or delete on equipment_has_iot_device
  for each row execute function notify_change('equipment_has_iot_device_id');
create trigger change after insert or update or delete on equipment
  for each row execute function notify_change('equipment_id');
create trigger change after insert or update or delete on customer
  for each row execute function notify_change('customer_id');
create trigger change after insert or update or delete on "user"
  for each row execute function notify_change('user_id');
create trigger change after insert or update or delete on user_role
  for each row execute function notify_change('user_role_id');

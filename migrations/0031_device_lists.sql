-- Devices and gateways are resources like all others: their lists have a choice of columns, and their rows can be deleted.
-- A device that was ever mounted stays, because its mount refers to it and the positions refer to the mount.
grant delete on iot_device, gateway_token to milepost_api;

insert into column_preference_table_name (table_name) values ('gateway_token');

-- Content of the lookup tables that the telemetry path reads.

insert into uom_lookup (uom_type, uom_code, description) values
  ('speed', 'm/s', 'metre per second'),
  ('speed', 'km/h', 'kilometre per hour'),
  ('speed', 'mi/h', 'mile per hour'),
  ('length', 'm', 'metre'),
  ('length', 'km', 'kilometre'),
  ('length', 'mi', 'mile'),
  ('temperature', 'Cel', 'degree Celsius'),
  ('temperature', '[degF]', 'degree Fahrenheit'),
  ('angle', 'deg', 'degree'),
  ('ratio', '%', 'percent'),
  ('pressure', 'kPa', 'kilopascal'),
  ('pressure', '[psi]', 'pound per square inch'),
  ('voltage', 'V', 'volt'),
  ('voltage', 'mV', 'millivolt'),
  ('duration', 's', 'second'),
  ('duration', 'h', 'hour'),
  ('mass', 'kg', 'kilogram'),
  ('volume', 'L', 'litre'),
  ('acceleration', 'm/s2', 'metre per second squared'),
  ('state', '1', 'no unit: 1 is on or yes, 0 is off or no');

insert into iot_device_vendor_lookup (vendor_name, vendor_description) values
  ('Generic', 'Any device that speaks the native format'),
  ('Traccar Client', 'Phone application, OsmAnd protocol'),
  ('OwnTracks', 'Phone application'),
  ('Teltonika', 'Vehicle trackers, codec 8, 8 extended and 16'),
  ('Flespi', 'Gateway of telematics devices');

insert into geofence_event_type_lookup (event_name, event_category, description) values
  ('enter', 'geofence', 'The unit came into the fence'),
  ('exit', 'geofence', 'The unit left the fence'),
  ('dwell', 'geofence', 'The unit stayed inside for the fence''s dwell time'),
  ('cross', 'geofence', 'The unit passed through the fence between two fixes');

insert into alert_category_lookup (category_name) values
  ('Driving'), ('Cargo'), ('Power'), ('Tyres'), ('Access'), ('Position'), ('Connection');

-- Rows of no customer are for migrations alone: the policies let nobody write them, not even the owner.
alter table alert_type_lookup no force row level security;
insert into alert_type_lookup
  (alert_category_lookup_id, event_name, event_type, operation_type, metric_code, uom_lookup_id)
select c.alert_category_lookup_id, t.event_name, 'metric', t.operation_type, t.metric_code, u.uom_lookup_id
from (values
  ('Driving', 'Speed', 'number', 'speed_mps', 'm/s'),
  ('Driving', 'Ignition', 'boolean', 'ignition', '1'),
  ('Driving', 'Motion', 'boolean', 'motion', '1'),
  ('Cargo', 'Temperature', 'number', 'temperature_c', 'Cel'),
  ('Cargo', 'Humidity', 'number', 'humidity_pct', '%'),
  ('Power', 'Battery level', 'number', 'battery_pct', '%'),
  ('Power', 'Battery voltage', 'number', 'battery_v', 'V'),
  ('Power', 'Fuel level', 'number', 'fuel_pct', '%'),
  ('Tyres', 'Tyre pressure', 'number', 'tyre_pressure_kpa', 'kPa'),
  ('Access', 'Door open', 'boolean', 'door_open', '1'),
  ('Position', 'Accuracy', 'number', 'accuracy_m', 'm')
) as t (category_name, event_name, operation_type, metric_code, uom_code)
join alert_category_lookup c using (category_name)
join uom_lookup u using (uom_code);
alter table alert_type_lookup force row level security;

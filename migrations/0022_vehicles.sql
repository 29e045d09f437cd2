-- Vehicles as the transport side of the business knows them: one header, and around it insurance, permits, owners,
-- services, documents, transporters and drivers. A vehicle is also a unit of the fleet (equipment_id), and its tracker
-- a device (iot_device_id).
--
-- The numbers people say (VEH0001, OWN0001, …) come from sequences: each is given once in the whole system, however
-- many ask at the same time. What is taken back by a failed transaction stays a gap.
--
-- A chassis, a tracker, a plate and a permit exist once in the world, so they are unique over all tenants, among the
-- rows that are not marked as deleted: what was entered by mistake, or sold to another tenant, can be entered anew.

create sequence vehicle_number;
create sequence ownership_number;
create sequence permit_number;
create sequence maintenance_number;
create sequence document_number;
grant usage on sequence vehicle_number, ownership_number, permit_number, maintenance_number, document_number
  to milepost_api;

-- At least four digits. A plain lpad would cut the fifth off.
create function vehicle_code(prefix text, number bigint) returns text
  language sql immutable parallel safe
  return prefix || lpad(number::text, greatest(4, length(number::text)), '0');

-- Lists that vehicles choose from.

create table vehicle_type_master (
  vehicle_type_id text primary key check (vehicle_type_id ~ '^[A-Z0-9_]{1,40}$'),
  description text not null check (description <> ''),
  status text not null default 'active' check (status in ('active', 'disabled'))
);
create table usage_type_master (
  usage_type_id text primary key check (usage_type_id ~ '^[A-Z0-9_]{1,40}$'),
  description text not null check (description <> ''),
  status text not null default 'active' check (status in ('active', 'disabled'))
);
create table engine_type_master (
  engine_type_id text primary key check (engine_type_id ~ '^[A-Z0-9_]{1,40}$'),
  description text not null check (description <> ''),
  status text not null default 'active' check (status in ('active', 'disabled'))
);
create table fuel_type_master (
  fuel_type_id text primary key check (fuel_type_id ~ '^[A-Z0-9_]{1,40}$'),
  description text not null check (description <> ''),
  status text not null default 'active' check (status in ('active', 'disabled'))
);
create table document_type_master (
  document_type_id text primary key check (document_type_id ~ '^[A-Z0-9_]{1,40}$'),
  description text not null check (description <> ''),
  status text not null default 'active' check (status in ('active', 'disabled'))
);
create table coverage_type_master (
  coverage_type_id text primary key check (coverage_type_id ~ '^[A-Z0-9_]{1,40}$'),
  description text not null check (description <> ''),
  status text not null default 'active' check (status in ('active', 'disabled'))
);
call share_lookup('vehicle_type_master');
call share_lookup('usage_type_master');
call share_lookup('engine_type_master');
call share_lookup('fuel_type_master');
call share_lookup('document_type_master');
call share_lookup('coverage_type_master');

create table vehicle_basic_information_hdr (
  vehicle_id_code_hdr text primary key default vehicle_code('VEH', nextval('vehicle_number'))
    check (vehicle_id_code_hdr ~ '^VEH[0-9]{4,17}$'),
  customer_id bigint not null references customer,
  account_id bigint,
  -- The same vehicle as a unit of the fleet, and its tracker as a device.
  equipment_id bigint,
  iot_device_id bigint,
  maker_brand_description text check (maker_brand_description <> ''),
  maker_model text check (maker_model <> ''),
  -- A VIN of 17 characters, or the chassis number of an older vehicle or of one that was never given a VIN.
  vin_chassis_no text not null check (vin_chassis_no ~ '^[A-Z0-9-]{5,25}$'),
  vehicle_type_id text references vehicle_type_master,
  usage_type_id text references usage_type_master,
  engine_number text not null check (engine_number <> ''),
  engine_type_id text references engine_type_master,
  fuel_type_id text references fuel_type_master,
  gps_tracker_imei_number text not null check (gps_tracker_imei_number ~ '^[0-9]{15}$'),
  gps_tracker_active_flag boolean not null default true,
  manufacturing_month_year text check (manufacturing_month_year ~ '^(19|20)[0-9]{2}-(0[1-9]|1[0-2])$'),
  -- Empty, in kilograms.
  unloading_weight numeric(12, 3) check (unloading_weight > 0),
  gross_vehicle_weight_kg numeric(12, 3) check (gross_vehicle_weight_kg > 0),
  volume_capacity_cubic_meter numeric(12, 3) check (volume_capacity_cubic_meter > 0),
  fuel_tank_capacity_l numeric(12, 3) check (fuel_tank_capacity_l > 0),
  seating_capacity integer check (seating_capacity between 1 and 500),
  axle_count integer check (axle_count between 1 and 50),
  blacklist_status text not null default 'clear' check (blacklist_status in ('clear', 'blacklisted')),
  blacklist_reason text not null default '',
  status text not null default 'active' check (status in ('active', 'inactive', 'maintenance', 'sold', 'scrapped')),
  constraint vehicle_basic_information_hdr_unloading_weight_check_gross
    check (unloading_weight <= gross_vehicle_weight_kg),
  unique (customer_id, vehicle_id_code_hdr),
  foreign key (customer_id, account_id) references account (customer_id, account_id),
  foreign key (customer_id, equipment_id) references equipment (customer_id, equipment_id),
  foreign key (customer_id, iot_device_id) references iot_device (customer_id, iot_device_id)
);
call keep_evidence('vehicle_basic_information_hdr');
call isolate_account('vehicle_basic_information_hdr');
create unique index vehicle_basic_information_hdr_vin_chassis_no_key
  on vehicle_basic_information_hdr (vin_chassis_no) where deleted_at is null;
create unique index vehicle_basic_information_hdr_gps_tracker_imei_number_key
  on vehicle_basic_information_hdr (gps_tracker_imei_number) where deleted_at is null;
create unique index vehicle_basic_information_hdr_equipment_id_key
  on vehicle_basic_information_hdr (customer_id, equipment_id) where deleted_at is null;
create unique index vehicle_basic_information_hdr_iot_device_id_key
  on vehicle_basic_information_hdr (customer_id, iot_device_id) where deleted_at is null;
create index vehicle_basic_information_hdr_account
  on vehicle_basic_information_hdr (customer_id, account_id, vehicle_id_code_hdr);
create index vehicle_basic_information_hdr_status on vehicle_basic_information_hdr (customer_id, status);
create index vehicle_basic_information_hdr_vehicle_type on vehicle_basic_information_hdr (customer_id, vehicle_type_id);
create index vehicle_basic_information_hdr_usage_type on vehicle_basic_information_hdr (customer_id, usage_type_id);
create index vehicle_basic_information_hdr_fuel_type on vehicle_basic_information_hdr (customer_id, fuel_type_id);

-- The insurance in force: one a vehicle, and a renewal is written over it.
create table vehicle_basic_information_itm (
  vehicle_item_unique_id bigint generated by default as identity primary key,
  customer_id bigint not null references customer,
  vehicle_id_code_itm text not null generated always as (vehicle_id_code_hdr || '-INS') stored,
  vehicle_id_code_hdr text not null,
  insurance_provider text not null check (insurance_provider <> ''),
  policy_number text not null check (policy_number <> ''),
  coverage_type text references coverage_type_master,
  policy_start_date date,
  policy_expiry_date date not null,
  premium_amount numeric(14, 2) check (premium_amount >= 0),
  currency_code text references currency_lookup (currency_code),
  constraint vehicle_basic_information_itm_policy_expiry_date_check_order
    check (policy_expiry_date >= policy_start_date),
  constraint vehicle_basic_information_itm_currency_code_check_amount
    check (currency_code is not null or premium_amount is null),
  foreign key (customer_id, vehicle_id_code_hdr)
    references vehicle_basic_information_hdr (customer_id, vehicle_id_code_hdr)
);
call keep_evidence('vehicle_basic_information_itm');
call isolate_with_parent('vehicle_basic_information_itm', 'vehicle_basic_information_hdr', 'vehicle_id_code_hdr');
-- In this order: of two keys that clash, the one made first is named, and it is the column that is written.
create unique index vehicle_basic_information_itm_vehicle_id_code_hdr_key
  on vehicle_basic_information_itm (vehicle_id_code_hdr) where deleted_at is null;
create unique index vehicle_basic_information_itm_vehicle_id_code_itm_key
  on vehicle_basic_information_itm (vehicle_id_code_itm) where deleted_at is null;
create index vehicle_basic_information_itm_vehicle on vehicle_basic_information_itm (customer_id, vehicle_id_code_hdr);
create index vehicle_basic_information_itm_policy on vehicle_basic_information_itm (customer_id, policy_number);
create index vehicle_basic_information_itm_expiry on vehicle_basic_information_itm (customer_id, policy_expiry_date);

create table vehicle_special_permit (
  vehicle_permit_unique_id bigint generated by default as identity primary key,
  customer_id bigint not null references customer,
  vehicle_permit_id text not null unique default vehicle_code('PRM', nextval('permit_number'))
    check (vehicle_permit_id ~ '^PRM[0-9]{4,17}$'),
  vehicle_id_code_hdr text not null,
  -- National, state, tourist, goods, … as the authority names it.
  permit_category text not null check (permit_category <> ''),
  permit_code text,
  permit_issue_date date,
  permit_number text not null check (permit_number <> ''),
  permit_expiry_date date,
  issuing_authority text,
  remarks text not null default '',
  constraint vehicle_special_permit_permit_expiry_date_check_order check (permit_expiry_date >= permit_issue_date),
  foreign key (customer_id, vehicle_id_code_hdr)
    references vehicle_basic_information_hdr (customer_id, vehicle_id_code_hdr)
);
call keep_evidence('vehicle_special_permit');
call isolate_with_parent('vehicle_special_permit', 'vehicle_basic_information_hdr', 'vehicle_id_code_hdr');
create unique index vehicle_special_permit_permit_number_key
  on vehicle_special_permit (permit_number) where deleted_at is null;
create index vehicle_special_permit_vehicle on vehicle_special_permit (customer_id, vehicle_id_code_hdr);
create index vehicle_special_permit_category on vehicle_special_permit (customer_id, permit_category);
create index vehicle_special_permit_expiry on vehicle_special_permit (customer_id, permit_expiry_date);

create table vehicle_ownership_details (
  vehicle_ownership_unique_id bigint generated by default as identity primary key,
  customer_id bigint not null references customer,
  vehicle_ownership_id text not null unique default vehicle_code('OWN', nextval('ownership_number'))
    check (vehicle_ownership_id ~ '^OWN[0-9]{4,17}$'),
  vehicle_id_code text not null,
  ownership_name text not null check (ownership_name <> ''),
  -- Without blanks and hyphens, so that a plate is written in one way only. It stands on the ownership that holds it
  -- now: an earlier owner's row under the same plate has none.
  registration_number text check (registration_number ~ '^[A-Z0-9]{2,15}$'),
  registration_date date,
  registration_upto date,
  valid_from date,
  -- NULL: the present owner.
  valid_to date,
  purchase_date date,
  sale_amount numeric(14, 2) check (sale_amount >= 0),
  currency_code text references currency_lookup (currency_code),
  state_code text,
  rto_code text,
  contact_number text check (contact_number ~ '^[+]?[0-9 ()-]{4,24}$'),
  email text check (email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  constraint vehicle_ownership_details_registration_upto_check_order check (registration_upto >= registration_date),
  constraint vehicle_ownership_details_valid_to_check_order check (valid_to >= valid_from),
  constraint vehicle_ownership_details_currency_code_check_amount
    check (currency_code is not null or sale_amount is null),
  foreign key (customer_id, vehicle_id_code) references vehicle_basic_information_hdr (customer_id, vehicle_id_code_hdr)
);
call keep_evidence('vehicle_ownership_details');
call isolate_with_parent('vehicle_ownership_details', 'vehicle_basic_information_hdr', 'vehicle_id_code',
  'vehicle_id_code_hdr');
create unique index vehicle_ownership_details_registration_number_key
  on vehicle_ownership_details (registration_number) where deleted_at is null;
create index vehicle_ownership_details_vehicle
  on vehicle_ownership_details (customer_id, vehicle_id_code, valid_from desc);
create index vehicle_ownership_details_state on vehicle_ownership_details (customer_id, state_code);
create index vehicle_ownership_details_rto on vehicle_ownership_details (customer_id, rto_code);
create index vehicle_ownership_details_upto on vehicle_ownership_details (customer_id, registration_upto);

create table vehicle_maintenance_service_history (
  vehicle_maintenance_unique_id bigint generated by default as identity primary key,
  customer_id bigint not null references customer,
  vehicle_maintenance_id text not null unique default vehicle_code('MNT', nextval('maintenance_number'))
    check (vehicle_maintenance_id ~ '^MNT[0-9]{4,17}$'),
  vehicle_id_code text not null,
  service_date date not null,
  upcoming_service_date date not null,
  type_of_service text,
  service_expense numeric(14, 2) check (service_expense >= 0),
  currency_code text references currency_lookup (currency_code),
  service_remark text not null check (service_remark <> ''),
  -- Who did it, and what the vehicle had run by then.
  service_provider text,
  odometer_m numeric(14, 3) check (odometer_m >= 0),
  constraint vehicle_maintenance_service_history_service_date_check_order check (service_date <= upcoming_service_date),
  constraint vehicle_maintenance_service_history_currency_code_check_amount
    check (currency_code is not null or service_expense is null),
  -- For documents, which name the vehicle and one of its services.
  unique (customer_id, vehicle_id_code, vehicle_maintenance_id),
  foreign key (customer_id, vehicle_id_code) references vehicle_basic_information_hdr (customer_id, vehicle_id_code_hdr)
);
call keep_evidence('vehicle_maintenance_service_history');
call isolate_with_parent('vehicle_maintenance_service_history', 'vehicle_basic_information_hdr', 'vehicle_id_code',
  'vehicle_id_code_hdr');
create index vehicle_maintenance_service_history_date
  on vehicle_maintenance_service_history (customer_id, service_date desc);
create index vehicle_maintenance_service_history_upcoming
  on vehicle_maintenance_service_history (customer_id, upcoming_service_date);
create index vehicle_maintenance_service_history_type
  on vehicle_maintenance_service_history (customer_id, type_of_service);

-- How often a vehicle is due: after a time or a distance, whichever comes first.
create table service_frequency_master (
  -- How the API names a row; the primary key has two columns.
  service_frequency_id bigint generated by default as identity unique,
  customer_id bigint not null references customer,
  vehicle_id text not null,
  -- 1, 2, … within the vehicle. Left at 0, the next one is given.
  sequence_number integer not null default 0 check (sequence_number > 0),
  type_of_service text,
  time_period text check (time_period ~ '^[1-9][0-9]{0,3} (day|week|month|year)s?$'),
  km_drove numeric(12, 3) check (km_drove > 0),
  status text not null default 'active' check (status in ('active', 'paused')),
  primary key (vehicle_id, sequence_number),
  constraint service_frequency_master_time_period_check_given check (time_period is not null or km_drove is not null),
  foreign key (customer_id, vehicle_id) references vehicle_basic_information_hdr (customer_id, vehicle_id_code_hdr)
);
call keep_records('service_frequency_master');
drop trigger audit on service_frequency_master;
call audit_table('service_frequency_master', 'service_frequency_id');
call isolate_with_parent('service_frequency_master', 'vehicle_basic_information_hdr', 'vehicle_id',
  'vehicle_id_code_hdr');
create index service_frequency_master_vehicle on service_frequency_master (customer_id, vehicle_id);

create function number_service_frequency() returns trigger
  language plpgsql as $$
begin
  -- Two at once for one vehicle come one after the other. Keys that refer to the vehicle are not held up.
  perform from vehicle_basic_information_hdr
    where customer_id = new.customer_id and vehicle_id_code_hdr = new.vehicle_id for no key update;
  new.sequence_number := 1 + coalesce(
    (select max(sequence_number) from service_frequency_master where vehicle_id = new.vehicle_id), 0);
  return new;
end
$$;
create trigger number before insert on service_frequency_master
  for each row when (new.sequence_number = 0) execute function number_service_frequency();

create table vehicle_documents (
  document_unique_id bigint generated by default as identity primary key,
  customer_id bigint not null references customer,
  document_id text not null unique default vehicle_code('DOC', nextval('document_number'))
    check (document_id ~ '^DOC[0-9]{4,17}$'),
  vehicle_id_code text not null,
  document_type_id text not null references document_type_master,
  reference_number text,
  -- The service it belongs to, one of the same vehicle; NULL: it is the vehicle's own.
  vehicle_maintenance_id text,
  permit_category text,
  permit_code text,
  document_provider text,
  coverage_type_id text references coverage_type_master,
  premium_amount numeric(14, 2) check (premium_amount >= 0),
  currency_code text references currency_lookup (currency_code),
  valid_from date not null,
  valid_to date not null,
  remarks text not null check (remarks <> ''),
  -- The scan.
  attachment_id bigint,
  constraint vehicle_documents_valid_to_check_order check (valid_to >= valid_from),
  constraint vehicle_documents_currency_code_check_amount check (currency_code is not null or premium_amount is null),
  foreign key (customer_id, vehicle_id_code)
    references vehicle_basic_information_hdr (customer_id, vehicle_id_code_hdr),
  foreign key (customer_id, vehicle_id_code, vehicle_maintenance_id)
    references vehicle_maintenance_service_history (customer_id, vehicle_id_code, vehicle_maintenance_id),
  foreign key (customer_id, attachment_id) references attachment (customer_id, attachment_id)
);
call keep_evidence('vehicle_documents');
call isolate_with_parent('vehicle_documents', 'vehicle_basic_information_hdr', 'vehicle_id_code',
  'vehicle_id_code_hdr');
create index vehicle_documents_vehicle on vehicle_documents (customer_id, vehicle_id_code, vehicle_maintenance_id);
create index vehicle_documents_type on vehicle_documents (customer_id, document_type_id);
create index vehicle_documents_valid_to on vehicle_documents (customer_id, valid_to);
create index vehicle_documents_reference on vehicle_documents (customer_id, reference_number);
create index vehicle_documents_permit_category on vehicle_documents (customer_id, permit_category)
  where permit_category is not null;
create index vehicle_documents_attachment
  on vehicle_documents (customer_id, attachment_id) where attachment_id is not null;

-- Which transporter runs a vehicle, and when.
create table transporter_vehicle_mapping (
  transporter_vehicle_mapping_id bigint generated by default as identity primary key,
  customer_id bigint not null references customer,
  vehicle_id text not null,
  transporter_code text not null check (transporter_code <> ''),
  transporter_name text not null check (transporter_name <> ''),
  contact_number text check (contact_number ~ '^[+]?[0-9 ()-]{4,24}$'),
  valid_from date not null default current_date,
  -- NULL: until further notice.
  valid_to date,
  status text not null default 'active' check (status in ('active', 'suspended', 'ended')),
  remarks text not null default '',
  constraint transporter_vehicle_mapping_valid_to_check_order check (valid_to >= valid_from),
  unique (customer_id, vehicle_id, transporter_code, valid_from),
  foreign key (customer_id, vehicle_id) references vehicle_basic_information_hdr (customer_id, vehicle_id_code_hdr)
);
call keep_records('transporter_vehicle_mapping');
call isolate_with_parent('transporter_vehicle_mapping', 'vehicle_basic_information_hdr', 'vehicle_id',
  'vehicle_id_code_hdr');
create index transporter_vehicle_mapping_transporter
  on transporter_vehicle_mapping (customer_id, transporter_code, valid_from desc);

-- Who drives a vehicle, and when. A driver need not be a user.
create table vehicle_driver_mapping (
  vehicle_driver_mapping_id bigint generated by default as identity primary key,
  customer_id bigint not null references customer,
  vehicle_id text not null,
  driver_user_id bigint,
  driver_name text not null check (driver_name <> ''),
  driver_role text not null default 'primary' check (driver_role in ('primary', 'relief')),
  license_number text check (license_number <> ''),
  license_expiry_date date,
  contact_number text check (contact_number ~ '^[+]?[0-9 ()-]{4,24}$'),
  -- Instants: a toll or a fine is laid to whoever drove just then.
  valid_from timestamptz not null default now(),
  valid_to timestamptz,
  status text not null default 'active' check (status in ('active', 'suspended', 'ended')),
  remarks text not null default '',
  constraint vehicle_driver_mapping_valid_to_check_order check (valid_to > valid_from),
  foreign key (customer_id, vehicle_id) references vehicle_basic_information_hdr (customer_id, vehicle_id_code_hdr),
  foreign key (customer_id, driver_user_id) references "user" (customer_id, user_id)
);
call keep_records('vehicle_driver_mapping');
call isolate_with_parent('vehicle_driver_mapping', 'vehicle_basic_information_hdr', 'vehicle_id',
  'vehicle_id_code_hdr');
create index vehicle_driver_mapping_vehicle on vehicle_driver_mapping (customer_id, vehicle_id, valid_from desc);
create index vehicle_driver_mapping_driver on vehicle_driver_mapping (customer_id, driver_user_id, valid_from desc)
  where driver_user_id is not null;

insert into vehicle_type_master (vehicle_type_id, description) values
  ('VT001', 'Mini truck, up to 2 t gross'),
  ('VT002', 'Pickup'),
  ('VT003', 'Light commercial vehicle, up to 3.5 t gross'),
  ('VT004', 'Light truck, 3.5 to 7.5 t gross'),
  ('VT005', 'Medium truck, 7.5 to 16 t gross'),
  ('VT006', 'Heavy rigid truck, over 16 t gross'),
  ('VT007', 'Tractor unit for semi-trailers'),
  ('VT008', 'Tipper'),
  ('VT009', 'Tanker'),
  ('VT010', 'Refrigerated truck'),
  ('VT011', 'Container truck'),
  ('VT012', 'Flatbed truck'),
  ('VT013', 'Car carrier'),
  ('VT014', 'Cement mixer'),
  ('VT015', 'Semi-trailer'),
  ('VT016', 'Trailer'),
  ('VT017', 'Low-bed trailer'),
  ('VT018', 'Van'),
  ('VT019', 'Minibus'),
  ('VT020', 'Bus'),
  ('VT021', 'Coach'),
  ('VT022', 'Car'),
  ('VT023', 'Three-wheeler for goods'),
  ('VT024', 'Two-wheeler'),
  ('VT025', 'Crane'),
  ('VT026', 'Excavator or loader'),
  ('VT027', 'Recovery truck'),
  ('VT028', 'Ambulance or fire engine'),
  ('VT029', 'Agricultural tractor'),
  ('VT099', 'Other vehicle');

insert into usage_type_master (usage_type_id, description) values
  ('PASSENGER', 'Carries people'),
  ('CARGO', 'Carries goods'),
  ('SPECIAL_EQUIPMENT', 'Carries a machine or does work itself');

insert into engine_type_master (engine_type_id, description) values
  ('DIESEL_2CYL', 'Diesel, 2 cylinders'),
  ('DIESEL_3CYL', 'Diesel, 3 cylinders'),
  ('DIESEL_4CYL', 'Diesel, 4 cylinders'),
  ('DIESEL_5CYL', 'Diesel, 5 cylinders'),
  ('DIESEL_6CYL', 'Diesel, 6 cylinders'),
  ('DIESEL_8CYL', 'Diesel, 8 cylinders'),
  ('PETROL_1CYL', 'Petrol, 1 cylinder'),
  ('PETROL_3CYL', 'Petrol, 3 cylinders'),
  ('PETROL_4CYL', 'Petrol, 4 cylinders'),
  ('PETROL_6CYL', 'Petrol, 6 cylinders'),
  ('PETROL_8CYL', 'Petrol, 8 cylinders'),
  ('GAS_4CYL', 'Natural gas or LPG, 4 cylinders'),
  ('GAS_6CYL', 'Natural gas or LPG, 6 cylinders'),
  ('HYBRID', 'Combustion engine and electric motor'),
  ('ELECTRIC_MOTOR', 'Electric motor'),
  ('FUEL_CELL', 'Electric motor fed by a fuel cell'),
  ('NONE', 'No engine of its own'),
  ('OTHER', 'Other engine');

insert into fuel_type_master (fuel_type_id, description) values
  ('DIESEL', 'Diesel'),
  ('PETROL', 'Petrol'),
  ('CNG', 'Compressed natural gas'),
  ('LNG', 'Liquefied natural gas'),
  ('LPG', 'Liquefied petroleum gas'),
  ('PETROL_CNG', 'Petrol and compressed natural gas'),
  ('BIODIESEL', 'Biodiesel'),
  ('HVO', 'Hydrotreated vegetable oil'),
  ('ETHANOL', 'Ethanol or flexible fuel'),
  ('HYBRID_PETROL', 'Petrol and battery'),
  ('HYBRID_DIESEL', 'Diesel and battery'),
  ('ELECTRIC', 'Battery'),
  ('HYDROGEN', 'Hydrogen'),
  ('NONE', 'Takes no fuel');

insert into document_type_master (document_type_id, description) values
  ('VEHICLE_INSURANCE', 'Insurance policy'),
  ('REGISTRATION_CERTIFICATE', 'Registration certificate'),
  ('PUC_CERTIFICATE', 'Pollution or emission certificate'),
  ('FITNESS_CERTIFICATE', 'Certificate of fitness'),
  ('PERMIT', 'Permit'),
  ('ROAD_TAX', 'Receipt of road tax'),
  ('INSPECTION_REPORT', 'Report of a periodic inspection'),
  ('SERVICE_REPORT', 'Report or invoice of a service'),
  ('WARRANTY', 'Warranty'),
  ('LEASE_AGREEMENT', 'Lease or hire agreement'),
  ('PURCHASE_INVOICE', 'Invoice of the purchase'),
  ('TACHOGRAPH_CALIBRATION', 'Calibration of tachograph or speed limiter'),
  ('HAZARDOUS_GOODS', 'Approval for hazardous goods'),
  ('OTHER', 'Other document');

insert into coverage_type_master (coverage_type_id, description) values
  ('COMPREHENSIVE', 'Own damage, theft, and damage to others'),
  ('THIRD_PARTY', 'Injury and damage to others, as the law asks for'),
  ('OWN_DAMAGE', 'Own damage alone'),
  ('THIRD_PARTY_FIRE_THEFT', 'Damage to others, fire and theft'),
  ('COLLISION', 'Damage by collision'),
  ('CARGO', 'Goods carried'),
  ('PERSONAL_ACCIDENT', 'Accidents of driver and passengers'),
  ('ZERO_DEPRECIATION', 'Own damage without deduction for age'),
  ('ROADSIDE_ASSISTANCE', 'Breakdown and towing'),
  ('OTHER', 'Other cover');

insert into simple_field_lookup (field_name, field_code, short_description, long_description, sort_order) values
  ('vehicle_basic_information_hdr.blacklist_status', 'clear', 'Clear', 'The vehicle may be given work.', 1),
  ('vehicle_basic_information_hdr.blacklist_status', 'blacklisted', 'Blacklisted',
    'The vehicle must not be given work, for the reason that is stated.', 2),
  ('vehicle_basic_information_hdr.status', 'active', 'Active', 'The vehicle is in use.', 1),
  ('vehicle_basic_information_hdr.status', 'inactive', 'Inactive', 'The vehicle is laid up for now.', 2),
  ('vehicle_basic_information_hdr.status', 'maintenance', 'In maintenance', 'The vehicle is in the workshop.', 3),
  ('vehicle_basic_information_hdr.status', 'sold', 'Sold', 'The vehicle has left the fleet to another owner.', 4),
  ('vehicle_basic_information_hdr.status', 'scrapped', 'Scrapped', 'The vehicle has been taken apart.', 5),
  ('service_frequency_master.status', 'active', 'Active', 'The vehicle is reminded of this service.', 1),
  ('service_frequency_master.status', 'paused', 'Paused', 'No reminders are made for now.', 2),
  ('transporter_vehicle_mapping.status', 'active', 'Active', 'The transporter runs the vehicle.', 1),
  ('transporter_vehicle_mapping.status', 'suspended', 'Suspended',
    'The transporter may not use the vehicle for now.', 2),
  ('transporter_vehicle_mapping.status', 'ended', 'Ended', 'The transporter has given the vehicle back.', 3),
  ('vehicle_driver_mapping.driver_role', 'primary', 'Primary', 'The vehicle''s usual driver.', 1),
  ('vehicle_driver_mapping.driver_role', 'relief', 'Relief', 'Takes over where the usual driver rests or is away.', 2),
  ('vehicle_driver_mapping.status', 'active', 'Active', 'The driver drives the vehicle.', 1),
  ('vehicle_driver_mapping.status', 'suspended', 'Suspended', 'The driver may not drive the vehicle for now.', 2),
  ('vehicle_driver_mapping.status', 'ended', 'Ended', 'The driver no longer drives the vehicle.', 3),
  ('vehicle_type_master.status', 'active', 'Active', 'Can be chosen.', 1),
  ('vehicle_type_master.status', 'disabled', 'Disabled', 'Is no longer offered; vehicles that have it keep it.', 2),
  ('usage_type_master.status', 'active', 'Active', 'Can be chosen.', 1),
  ('usage_type_master.status', 'disabled', 'Disabled', 'Is no longer offered; vehicles that have it keep it.', 2),
  ('engine_type_master.status', 'active', 'Active', 'Can be chosen.', 1),
  ('engine_type_master.status', 'disabled', 'Disabled', 'Is no longer offered; vehicles that have it keep it.', 2),
  ('fuel_type_master.status', 'active', 'Active', 'Can be chosen.', 1),
  ('fuel_type_master.status', 'disabled', 'Disabled', 'Is no longer offered; vehicles that have it keep it.', 2),
  ('document_type_master.status', 'active', 'Active', 'Can be chosen.', 1),
  ('document_type_master.status', 'disabled', 'Disabled', 'Is no longer offered; documents that have it keep it.', 2),
  ('coverage_type_master.status', 'active', 'Active', 'Can be chosen.', 1),
  ('coverage_type_master.status', 'disabled', 'Disabled', 'Is no longer offered; policies that have it keep it.', 2);

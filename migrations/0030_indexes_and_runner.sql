-- Whoever removes a row makes the database look for what refers to it, in every table that may. Where rows can be
-- removed, and what refers to them grows with the fleet, an index serves that.

-- The unit's own, its readings of every kind, and papers and plans that are no longer in force.
create index equipment_reading_equipment on equipment_reading (customer_id, equipment_id, reading_at desc);
create index equipment_permit_equipment on equipment_permit (customer_id, equipment_id);
create index preventive_maintenance_schedule_equipment on preventive_maintenance_schedule (customer_id, equipment_id);
create index vehicle_basic_information_hdr_equipment on vehicle_basic_information_hdr (customer_id, equipment_id);
create index ers_replacement on ers (customer_id, replacement_equipment_id) where replacement_equipment_id is not null;
create index telematic_alert_equipment on telematic_alert (customer_id, equipment_id) where equipment_id is not null;

-- Of a chassis that was entered before.
create index vehicle_basic_information_hdr_deleted on vehicle_basic_information_hdr (customer_id, vin_chassis_no)
  where deleted_at is not null;

create index telematic_alert_account on telematic_alert (customer_id, account_id);
create index attachment_account on attachment (customer_id, account_id);
create index service_request_location_account on service_request_location (customer_id, account_id);

-- Keys to lists that are shipped and added to carry no tenant. Where an index began with it, it is turned round: lists
-- of one tenant are served by both.
drop index equipment_type;
create index equipment_type on equipment (equipment_type_lookup_id, customer_id);
drop index schedule_agreement_line_item_type;
create index schedule_agreement_line_item_type on schedule_agreement_line_item (equipment_type_lookup_id, customer_id);
drop index workorder_vmrs_vmrs;
create index workorder_vmrs_vmrs on workorder_vmrs (vmrs_id, customer_id);
create index preventive_maintenance_schedule_vmrs on preventive_maintenance_schedule (vmrs_id)
  where vmrs_id is not null;
create index service_request_issue on service_request (service_issues_lookup_id)
  where service_issues_lookup_id is not null;
create index ers_issue on ers (service_issues_lookup_id) where service_issues_lookup_id is not null;
create index telematic_alert_type on telematic_alert (alert_type_lookup_id) where alert_type_lookup_id is not null;

create index schedule_agreement_facility on schedule_agreement (customer_id, facility_lookup_id)
  where facility_lookup_id is not null;
create index equipment_type_allocation_facility on equipment_type_allocation (customer_id, facility_lookup_id)
  where facility_lookup_id is not null;
create index equipment_assignment_pickup on equipment_assignment (customer_id, pickup_facility_lookup_id)
  where pickup_facility_lookup_id is not null;
create index equipment_assignment_return on equipment_assignment (customer_id, return_facility_lookup_id)
  where return_facility_lookup_id is not null;
create index service_request_facility on service_request (customer_id, facility_lookup_id)
  where facility_lookup_id is not null;
create index workorder_facility on workorder (customer_id, facility_lookup_id) where facility_lookup_id is not null;
create index ers_towed_to on ers (customer_id, towed_to_facility_lookup_id)
  where towed_to_facility_lookup_id is not null;
create index preventive_maintenance_schedule_facility on preventive_maintenance_schedule
  (customer_id, facility_lookup_id) where facility_lookup_id is not null;
create index dot_inspection_facility on dot_inspection (customer_id, facility_lookup_id)
  where facility_lookup_id is not null;

-- What works in the background for all tenants is not for the role that answers people. milepost_runner may what
-- milepost_api may, under the same row-level security, and takes such work besides.
do $$
begin
  begin
    if not exists (select from pg_roles where rolname = 'milepost_runner') then
      create role milepost_runner nologin nosuperuser nobypassrls;
    end if;
  exception when duplicate_object or unique_violation then null;
  end;
  if not pg_has_role('milepost_runner', 'milepost_api', 'usage') then
    grant milepost_api to milepost_runner with inherit true;
  end if;
  if not pg_has_role('milepost_runner', 'set') then
    execute 'grant milepost_runner to current_user';
  end if;
exception when insufficient_privilege then
  raise exception 'the role milepost_runner is missing, and this owner may not make it' using
    errcode = 'insufficient_privilege', hint = 'See "Database roles" in docs/operations.md.';
end
$$;

do $$
declare work regprocedure;
begin
  foreach work in array array[
    'attachment_content_unused(double precision, double precision, integer)',
    'take_export_job(uuid, integer)',
    'sweep_export_jobs(interval, integer, integer)',
    'switch_identity_sync(boolean)',
    'take_identity_task(uuid, interval)',
    'beat_identity_task(bigint, uuid)',
    'settle_identity_task(bigint, uuid, text, text, interval, boolean)',
    'sweep_identity_tasks(interval, interval)']::regprocedure[]
  loop
    execute format('revoke execute on function %s from milepost_api', work);
    execute format('grant execute on function %s to milepost_runner', work);
  end loop;
end
$$;

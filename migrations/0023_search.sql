-- One search over what people look for by its name or number. What is searched is one text a row: the fields as they
-- stand in lower case, and names and numbers once more without punctuation, so that AB-12 34 is found as ab1234.

create extension if not exists pg_trgm with schema public;
create extension if not exists btree_gin with schema public;

create function search_text(names text, words text) returns text
  language sql immutable parallel safe
  return lower(names || ' ' || words) || ' ' || regexp_replace(lower(names), '[^[:alnum:] ]', '', 'g');

create view global_search_view with (security_invoker = true) as
  select equipment_id::text as id, 'equipment' as type, unit_number as title, coalesce(vin, '') as subtitle,
    description, '/equipment/' || equipment_id as route, customer_id, account_id,
    search_text(unit_number || ' ' || coalesce(vin, ''), description) as search_text
  from equipment
  union all
  select vehicle_id_code_hdr, 'vehicle', vehicle_id_code_hdr, vin_chassis_no,
    coalesce(maker_brand_description, '') || ' ' || coalesce(maker_model, ''), '/vehicles/' || vehicle_id_code_hdr,
    customer_id, account_id,
    search_text(vehicle_id_code_hdr || ' ' || vin_chassis_no || ' ' || gps_tracker_imei_number,
      coalesce(maker_brand_description, '') || ' ' || coalesce(maker_model, ''))
  from vehicle_basic_information_hdr where deleted_at is null
  union all
  select account_id::text, 'account', account_name, account_number, account_type, '/accounts/' || account_id,
    customer_id, account_id, search_text(account_name || ' ' || account_number, '')
  from account
  union all
  select service_request_id::text, 'service_request', service_request_number, status, issue_description,
    '/service-requests/' || service_request_id, customer_id, account_id,
    search_text(service_request_number, issue_description)
  from service_request where deleted_at is null
  union all
  select workorder_id::text, 'workorder', workorder_number, workorder_status, workorder_description,
    '/workorders/' || workorder_id, customer_id, account_id, search_text(workorder_number, workorder_description)
  from workorder where deleted_at is null
  union all
  select id::text, 'invoice', invoice_number, status, coalesce(purchase_order_number, ''), '/invoices/' || id,
    customer_id, account_id, search_text(invoice_number || ' ' || coalesce(purchase_order_number, ''), '')
  from invoice where deleted_at is null
  union all
  select geofence_id::text, 'geofence', geofence_name, shape_type, description, '/geofences/' || geofence_id,
    customer_id, account_id, search_text(geofence_name, description)
  from geofence
  union all
  select user_id::text, 'user', btrim(first_name || ' ' || last_name), email, status, '/users/' || user_id,
    customer_id, null, search_text(email, first_name || ' ' || last_name)
  from "user";

-- The tenant leads, or a word that others use often would be looked up among the rows of all.
create index equipment_search on equipment
  using gin (customer_id, search_text(unit_number || ' ' || coalesce(vin, ''), description) gin_trgm_ops);
create index vehicle_basic_information_hdr_search on vehicle_basic_information_hdr
  using gin (customer_id, search_text(vehicle_id_code_hdr || ' ' || vin_chassis_no || ' ' || gps_tracker_imei_number,
    coalesce(maker_brand_description, '') || ' ' || coalesce(maker_model, '')) gin_trgm_ops) where deleted_at is null;
create index account_search on account
  using gin (customer_id, search_text(account_name || ' ' || account_number, '') gin_trgm_ops);
create index service_request_search on service_request
  using gin (customer_id, search_text(service_request_number, issue_description) gin_trgm_ops) where deleted_at is null;
create index workorder_search on workorder
  using gin (customer_id, search_text(workorder_number, workorder_description) gin_trgm_ops) where deleted_at is null;
create index invoice_search on invoice
  using gin (customer_id, search_text(invoice_number || ' ' || coalesce(purchase_order_number, ''), '') gin_trgm_ops)
  where deleted_at is null;
create index geofence_search on geofence using gin (customer_id, search_text(geofence_name, description) gin_trgm_ops);
create index user_search on "user" using gin (customer_id, search_text(email, first_name || ' ' || last_name) gin_trgm_ops);

grant select on global_search_view to milepost_api, milepost_definer;
grant select on equipment, vehicle_basic_information_hdr, account, service_request, workorder, invoice, geofence, "user"
  to milepost_definer;

-- LIKE is not leakproof, so under row-level security no index would serve it: this looks past that, and asks for tenant
-- and accounts itself. Of each type so many are looked at, and the nearest given: exact titles, then beginnings, then the
-- most alike.
-- The exact one is looked for by itself: among many that are alike it could be one of those that were not looked at.
create function global_search(words text, types text[], rows_max integer)
  returns table (id text, type text, title text, subtitle text, description text, route text)
  language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  tenant bigint := app_customer_id();
  accounts bigint[] := app_account_ids();
  asked text := lower(btrim(words));
  bare text := regexp_replace(asked, '[^[:alnum:] ]', '', 'g');
  escaped text := regexp_replace(asked, '([\\%_])', '\\\1', 'g');
  patterns text[] := array['%' || escaped || '%'];
  one text;
begin
  -- What is nothing but punctuation, once bare, would match everything.
  if bare <> '' and bare <> asked then patterns := patterns || ('%' || bare || '%'); end if;
  foreach one in array types loop
    return query execute format($query$
      select f.id, f.type, f.title, f.subtitle, left(f.description, 200), f.route from (
        (select v.* from global_search_view v
         where v.type = %1$L and v.customer_id = $1 and v.search_text like $6 and lower(v.title) = $4
           and ($3 is null or v.account_id is null or v.account_id = any ($3))
         limit 50)
        union
        (select v.* from global_search_view v
         where v.type = %1$L and v.customer_id = $1 and v.search_text like any ($2)
           and ($3 is null or v.account_id is null or v.account_id = any ($3))
         limit 500)) f
      order by lower(f.title) = $4 desc, starts_with(lower(f.title), $4) desc,
        similarity(f.search_text, $4) desc, f.title, f.id
      limit $5$query$, one) using tenant, patterns, accounts, asked, rows_max, patterns[1];
  end loop;
end
$$;
revoke execute on function global_search from public;
grant execute on function global_search to milepost_api;
call step_over_tenants('global_search(text, text[], integer)');

-- Lists whose columns people arrange: every resource of the API, by its table.
insert into column_preference_table_name (table_name) values
  ('account'), ('alert_category_lookup'), ('alert_recipients'), ('alert_templates'), ('alert_type_lookup'),
  ('column_preference_table_name'), ('column_preferences'), ('communication_log'), ('contract_type_lookup'),
  ('country_lookup'), ('coverage_type_master'), ('currency_lookup'), ('customer'), ('delivery_method_lookup'),
  ('document_type_master'), ('dot_inspection'), ('dot_inspection_violation'), ('engine_type_master'), ('equipment'),
  ('equipment_addon'), ('equipment_assignment'), ('equipment_has_addon'), ('equipment_has_iot_device'),
  ('equipment_load_detail'), ('equipment_permit'), ('equipment_reading'), ('equipment_type_allocation'),
  ('equipment_type_lookup'), ('ers'), ('ers_parts_used'), ('facility_lookup'), ('fuel_type_master'),
  ('geofence_alert_config'), ('geofence_event_type_lookup'), ('invoice'), ('invoice_equipment'), ('invoice_items'),
  ('iot_device_vendor_lookup'), ('master_agreement'), ('oem_lookup'), ('oem_make_model_lookup'), ('payment'),
  ('payment_invoice'), ('pm_parts_used'), ('preventive_maintenance_event'), ('preventive_maintenance_schedule'),
  ('schedule_agreement'), ('schedule_agreement_line_item'), ('service_frequency_master'), ('service_issues_lookup'),
  ('service_request'), ('service_request_location'), ('service_urgency_lookup'), ('service_urgency_type_lookup'),
  ('simple_field_lookup'), ('tag_lookup'), ('ten_quick_link'), ('tire_size_lookup'), ('transporter_vehicle_mapping'),
  ('uom_lookup'), ('usage_type_master'), ('user'), ('user_metric_lookup'), ('user_role'),
  ('vehicle_basic_information_hdr'), ('vehicle_basic_information_itm'), ('vehicle_documents'),
  ('vehicle_driver_mapping'), ('vehicle_maintenance_service_history'), ('vehicle_ownership_details'),
  ('vehicle_special_permit'), ('vehicle_type_master'), ('vmrs_lookup'), ('workorder'), ('workorder_vmrs');

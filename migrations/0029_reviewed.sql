-- What a second review has found: files that stayed behind, numbers that stayed taken, amounts of other currencies.

-- A device that is retired has given its name away: another one, of this tenant or the next, may bear it.
alter table iot_device drop constraint iot_device_device_identifier_key;
create unique index iot_device_device_identifier_key on iot_device (device_identifier) where status <> 'retired';

-- Numbers of agreements that were entered by mistake can be given again.
alter table master_agreement drop constraint master_agreement_customer_id_agreement_number_key;
create unique index master_agreement_agreement_number_key
  on master_agreement (customer_id, agreement_number) where deleted_at is null;
alter table schedule_agreement drop constraint schedule_agreement_customer_id_schedule_number_key;
create unique index schedule_agreement_schedule_number_key
  on schedule_agreement (customer_id, schedule_number) where deleted_at is null;
do $$
declare key name := (select conname from pg_constraint where contype = 'u'
  and conrelid = 'schedule_agreement_line_item'::regclass
  and pg_get_constraintdef(oid) = 'UNIQUE (customer_id, schedule_agreement_id, line_number)');
begin
  execute format('alter table schedule_agreement_line_item drop constraint %I', key);
end
$$;
create unique index schedule_agreement_line_item_line_number_key
  on schedule_agreement_line_item (customer_id, schedule_agreement_id, line_number) where deleted_at is null;

-- An add-on that was taken off may be fitted again; what was fitted when is kept.
alter table equipment_has_addon
  drop constraint equipment_has_addon_customer_id_equipment_id_equipment_addo_key,
  add constraint equipment_has_addon_equipment_addon_id_check_overlap exclude using gist
    (customer_id with =, equipment_id with =, equipment_addon_id with =,
     daterange(installed_on, removed_on) with &&);
create unique index equipment_has_addon_equipment_addon_id_key
  on equipment_has_addon (customer_id, equipment_id, equipment_addon_id) where removed_on is null;

-- A file belongs to the account of what it hangs on, also when that moves. tg_argv: table of the links, key of the parent.
create function move_attachments() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  execute format('update attachment a set account_id = $1 from %I l
    where l.customer_id = $2 and l.%I = $3 and a.customer_id = $2 and a.attachment_id = l.attachment_id
      and a.account_id is distinct from $1', tg_argv[0], tg_argv[1])
    using new.account_id, new.customer_id, (to_jsonb(new) ->> tg_argv[1])::bigint;
  return null;
end
$$;
call step_over_tenants('move_attachments()');

create procedure attachments_follow(parent regclass, links regclass, key name)
  language plpgsql as $$
begin
  execute format('create trigger move_attachments after update of account_id on %s for each row
    when (old.account_id is distinct from new.account_id) execute function move_attachments(%L, %L)',
    parent, links, key);
  execute format('grant select on %s, %s to milepost_definer', parent, links);
end
$$;
grant select, update on attachment to milepost_definer;
call attachments_follow('equipment', 'equipment_has_attachment', 'equipment_id');
call attachments_follow('ers', 'ers_has_attachment', 'ers_id');
call attachments_follow('master_agreement', 'master_agreement_has_attachment', 'master_agreement_id');
call attachments_follow('schedule_agreement', 'schedule_agreement_has_attachment', 'schedule_agreement_id');
call attachments_follow('workorder', 'workorder_has_attachment', 'workorder_id');
drop procedure attachments_follow;

-- Those that stayed behind until now. As the role that steps over tenants, for the owner may not see them.
create function move_attachments_once() returns void
  language sql security definer set search_path = public, pg_temp as $$
  update attachment a set account_id = p.account_id from (
    select l.attachment_id, e.account_id from equipment_has_attachment l join equipment e using (equipment_id)
    union all select l.attachment_id, e.account_id from ers_has_attachment l join ers e using (ers_id)
    union all select l.attachment_id, m.account_id from master_agreement_has_attachment l
      join master_agreement m using (master_agreement_id)
    union all select l.attachment_id, s.account_id from schedule_agreement_has_attachment l
      join schedule_agreement s using (schedule_agreement_id)
    union all select l.attachment_id, w.account_id from workorder_has_attachment l join workorder w using (workorder_id)
  ) p where p.attachment_id = a.attachment_id and a.account_id is distinct from p.account_id
$$;
call step_over_tenants('move_attachments_once()');
select move_attachments_once();
drop function move_attachments_once();

-- A file may hang on things of several accounts: whoever sees one of them sees it.
drop policy account on attachment;
create policy account on attachment as restrictive using (
  account_id is null
  or coalesce(account_id = any ((select app_account_ids())::bigint[]), (select app_account_ids()) is null)
  or exists (select from equipment_has_attachment l where l.attachment_id = attachment.attachment_id)
  or exists (select from ers_has_attachment l where l.attachment_id = attachment.attachment_id)
  or exists (select from master_agreement_has_attachment l where l.attachment_id = attachment.attachment_id)
  or exists (select from schedule_agreement_has_attachment l where l.attachment_id = attachment.attachment_id)
  or exists (select from workorder_has_attachment l where l.attachment_id = attachment.attachment_id));

-- Whoever writes one writes it for accounts of their own, in the words that hold for all tables of accounts.
do $$
begin
  execute format('alter policy account on attachment with check (%s)', (
    select pg_get_expr(polwithcheck, polrelid) from pg_policy
    where polname = 'account' and polrelid = 'workorder'::regclass));
end
$$;

-- Amounts in the smallest unit of their currency, which has none to four decimals (ISO 4217). At most fifteen digits in
-- all, so that they are told exactly as numbers of JSON.
alter table workorder drop column total_cost;
alter table invoice drop column balance_amount;
alter table payment drop column unapplied_amount;
alter table ers_parts_used alter column total_cost drop expression, alter column total_cost set default 0;
alter table pm_parts_used alter column total_cost drop expression, alter column total_cost set default 0;

-- Before a row is written. tg_argv: its amounts. One that stays as it was is not asked again, so that rows which are
-- older than this rule can be changed elsewhere.
create function check_amounts() returns trigger
  language plpgsql as $$
declare
  row_values jsonb := to_jsonb(new);
  kept jsonb := '{}';
  digits integer;
  name text;
  amount numeric;
begin
  select c.minor_unit_digits into digits from currency_lookup c where c.currency_code = coalesce(
    row_values ->> 'currency_code',
    -- An account without a currency of its own has its customer's.
    (select m.currency_code from customer m where m.customer_id = (row_values ->> 'customer_id')::bigint));
  if not found then return new; end if;
  if tg_op = 'UPDATE' and to_jsonb(old) -> 'currency_code' is not distinct from row_values -> 'currency_code' then
    kept := to_jsonb(old);
  end if;
  foreach name in array tg_argv loop
    continue when kept -> name = row_values -> name;
    amount := (row_values ->> name)::numeric;
    if scale(trim_scale(amount)) > digits then
      raise exception '% has more decimals than its currency', name using errcode = 'check_violation',
        table = tg_table_name, column = name, constraint = tg_table_name || '_' || name || '_check_decimals';
    elsif abs(amount) >= power(10::numeric, 15 - digits) then
      raise exception '% has more than fifteen digits', name using errcode = 'check_violation',
        table = tg_table_name, column = name, constraint = tg_table_name || '_' || name || '_check_digits';
    end if;
  end loop;
  return new;
end
$$;

do $$
declare target record;
begin
  for target in
    select a.attrelid::regclass as name, array_agg(a.attname order by a.attnum) as amounts
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and not a.attisdropped
      and format_type(a.atttypid, a.atttypmod) = 'numeric(14,2)'
    group by a.attrelid
  loop
    execute format('alter table %s %s', target.name,
      (select string_agg(format('alter column %I type numeric(16, 4)', amount), ', ') from unnest(target.amounts) amount));
    continue when target.amounts = '{total_cost}';
    execute format('create trigger amounts before insert or update of %s, currency_code on %s for each row
      execute function check_amounts(%s)',
      (select string_agg(quote_ident(amount), ', ') from unnest(target.amounts) amount), target.name,
      (select string_agg(quote_literal(amount), ', ') from unnest(target.amounts) amount));
  end loop;
end
$$;

alter table workorder add column total_cost numeric(16, 4) not null
  generated always as (part_cost + labour_cost + tax_cost) stored;
alter table invoice add column balance_amount numeric(16, 4) not null
  generated always as (case when status = 'void' then 0 else total_amount - applied_amount end) stored;
alter table payment add column unapplied_amount numeric(16, 4) not null
  generated always as (case when status in ('failed', 'reversed') then 0 else payment_amount - applied_amount end) stored;
create index payment_unapplied on payment (customer_id, account_id) where unapplied_amount > 0;

create function price_parts() returns trigger
  language plpgsql as $$
begin
  if tg_op = 'UPDATE' and (new.part_quantity, new.part_cost, new.currency_code, new.total_cost)
    is not distinct from (old.part_quantity, old.part_cost, old.currency_code, old.total_cost) then
    return new;
  end if;
  new.total_cost := round(new.part_quantity * new.part_cost,
    coalesce((select c.minor_unit_digits from currency_lookup c where c.currency_code = new.currency_code), 2));
  return new;
end
$$;
create trigger price before insert or update of part_quantity, part_cost, currency_code, total_cost on ers_parts_used
  for each row execute function price_parts();
create trigger price before insert or update of part_quantity, part_cost, currency_code, total_cost on pm_parts_used
  for each row execute function price_parts();

-- A line is quantity times rate, to the nearest smallest unit of its currency.
alter table invoice_items drop constraint invoice_items_amount_check_product;
create function check_line_amount() returns trigger
  language plpgsql as $$
declare
  digits integer := (select c.minor_unit_digits from currency_lookup c where c.currency_code = new.currency_code);
begin
  if tg_op = 'UPDATE' and (new.amount, new.quantity, new.rate, new.currency_code)
    is not distinct from (old.amount, old.quantity, old.rate, old.currency_code) then
    return new;
  end if;
  if abs(new.amount - new.quantity * new.rate) > 0.5 * power(10::numeric, -digits) then
    raise exception 'the amount of a line is quantity times rate' using errcode = 'check_violation',
      table = 'invoice_items', column = 'amount', constraint = 'invoice_items_amount_check_product';
  end if;
  return new;
end
$$;
create trigger line_amount before insert or update of amount, quantity, rate, currency_code on invoice_items
  for each row execute function check_line_amount();

-- Hours of an engine are hours, and so are those of a refrigeration unit and of a power take-off.
create or replace function require_reading_unit() returns trigger
  language plpgsql as $$
declare
  given record;
begin
  select u.uom_type, u.uom_code into given from uom_lookup u where u.uom_lookup_id = new.uom_lookup_id;
  if not (case
    when new.reading_type in ('odometer', 'hub_odometer') then given.uom_type = 'length'
    when new.reading_type = 'fuel_level' then given.uom_type in ('ratio', 'volume')
    when given.uom_type = 'engine_hours' then given.uom_code = case new.reading_type
      when 'engine_hours' then 'h{engine}' when 'reefer_hours' then 'h{reefer}' else 'h{pto}' end
    else given.uom_type = 'duration' end) then
    raise exception 'a reading of % is no %', new.reading_type, given.uom_type using errcode = 'check_violation',
      table = 'equipment_reading', column = 'uom_lookup_id', constraint = 'equipment_reading_uom_lookup_id_check';
  end if;
  return new;
end
$$;

-- What is refused is told by its column, which the name of a constraint begins with after that of its table.
do $$
declare one record;
begin
  for one in select * from (values
    ('column_preferences_default', 'column_preferences_is_default_key'),
    ('attachment_content_attachment', 'attachment_content_attachment_id_key'),
    ('dot_inspection_report', 'dot_inspection_report_number_key'),
    ('equipment_has_iot_device_current', 'equipment_has_iot_device_iot_device_id_key'),
    ('equipment_permit_equipment', 'equipment_permit_equipment_id_key'),
    ('equipment_permit_license_plate', 'equipment_permit_license_plate_number_key'),
    ('identity_task_waiting', 'identity_task_task_kind_key'),
    ('preventive_maintenance_event_open', 'preventive_maintenance_event_pm_schedule_id_key'),
    ('preventive_maintenance_schedule_name', 'preventive_maintenance_schedule_schedule_name_key'),
    ('user_metric_default', 'user_metric_lookup_is_default_key')
  ) as i (old_name, new_name) loop
    execute format('alter index %I rename to %I', one.old_name, one.new_name);
  end loop;
  for one in select * from (values
    ('equipment_has_iot_device', 'equipment_has_iot_device_check', 'equipment_has_iot_device_removed_at_check_order'),
    ('equipment_type_allocation', 'equipment_type_allocation_customer_id_schedule_agreement_l_fkey',
      'equipment_type_allocation_schedule_agreement_line_item_id_fkey'),
    ('geofence', 'geofence_check', 'geofence_shape_type_check_shape'),
    ('geofence_visit', 'geofence_visit_check', 'geofence_visit_left_at_check_order'),
    ('geofence_visit', 'geofence_visit_check1', 'geofence_visit_left_cause_check_left'),
    ('iot_device', 'iot_device_check', 'iot_device_previous_token_until_check_pair'),
    ('master_agreement_has_attachment', 'master_agreement_has_attachme_customer_id_master_agreement_fkey',
      'master_agreement_has_attachment_master_agreement_id_fkey'),
    ('master_agreement_has_attachment', 'master_agreement_has_attachme_customer_id_master_agreement_key1',
      'master_agreement_has_attachment_attachment_id_key'),
    ('preventive_maintenance_schedule', 'preventive_maintenance_schedu_customer_id_facility_lookup__fkey',
      'preventive_maintenance_schedule_facility_lookup_id_fkey'),
    ('preventive_maintenance_schedule', 'preventive_maintenance_schedu_customer_id_pm_schedule_id_eq_key',
      'preventive_maintenance_schedule_pm_schedule_id_equipment_id_key'),
    ('schedule_agreement_has_attachment', 'schedule_agreement_has_attach_customer_id_schedule_agreeme_fkey',
      'schedule_agreement_has_attachment_schedule_agreement_id_fkey'),
    ('schedule_agreement_has_attachment', 'schedule_agreement_has_attach_customer_id_schedule_agreeme_key1',
      'schedule_agreement_has_attachment_attachment_id_key'),
    ('schedule_agreement_has_attachment', 'schedule_agreement_has_attachmen_customer_id_attachment_id_fkey',
      'schedule_agreement_has_attachment_attachment_id_fkey'),
    -- A schedule that is not there is refused before; this one says that the currency is another.
    ('schedule_agreement_line_item', 'schedule_agreement_line_item_customer_id_schedule_agreemen_fkey',
      'schedule_agreement_line_item_currency_code_fkey'),
    ('telematic_alert', 'telematic_alert_check', 'telematic_alert_operator_value_high_check_given'),
    ('telematic_alert', 'telematic_alert_check1', 'telematic_alert_operator_value_high_check_order'),
    ('vehicle_basic_information_itm', 'vehicle_basic_information_itm_customer_id_vehicle_id_code__fkey',
      'vehicle_basic_information_itm_vehicle_id_code_hdr_fkey'),
    ('vehicle_maintenance_service_history', 'vehicle_maintenance_service_h_customer_id_vehicle_id_code_v_key',
      'vehicle_maintenance_service_history_vehicle_id_code_key'),
    ('vehicle_maintenance_service_history', 'vehicle_maintenance_service_hi_customer_id_vehicle_id_code_fkey',
      'vehicle_maintenance_service_history_vehicle_id_code_fkey'),
    ('vehicle_maintenance_service_history', 'vehicle_maintenance_service_histor_vehicle_maintenance_id_check',
      'vehicle_maintenance_service_history_vehicle_maintenance_id_form'),
    ('visit_revision', 'visit_revision_check', 'visit_revision_to_at_check_order')
  ) as c (table_name, old_name, new_name) loop
    execute format('alter table %I rename constraint %I to %I', one.table_name, one.old_name, one.new_name);
  end loop;
end
$$;

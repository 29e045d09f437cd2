-- What a review of 0010 to 0025 has found.

-- A person may work for two customers, and that an address is known to another is nobody's business.
alter table "user" drop constraint user_email_key, add unique (customer_id, email);

-- A row that went from one account to another: what it was is not for those who see the other alone.
create or replace function audit_write() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  hidden text[] := tg_argv[1:];
  old_row jsonb := case when tg_op = 'INSERT' then null else to_jsonb(old) - hidden end;
  new_row jsonb := case when tg_op = 'DELETE' then null else to_jsonb(new) - hidden end;
  whole jsonb := coalesce(new_row, old_row);
  before_values jsonb;
  after_values jsonb;
begin
  if tg_op = 'UPDATE' then
    select jsonb_object_agg(o.key, audit_value(o.value)), jsonb_object_agg(o.key, audit_value(new_row -> o.key))
      into before_values, after_values
      from jsonb_each(old_row) o
      where o.key not in ('version', 'updated_at') and o.value is distinct from new_row -> o.key;
    if before_values is null then return null; end if;
  else
    select jsonb_object_agg(w.key, audit_value(w.value)) into after_values
      from jsonb_each(whole) w where w.value <> 'null';
    if tg_op = 'DELETE' then before_values := after_values; after_values := null; end if;
  end if;
  insert into activity_feed (event_key, customer_id, account_id, equipment_id, event_type, event_time, received_at,
      subject_version, cause, entity_type, entity_id, actor_user_id, request_id, before, after)
    values (gen_random_uuid(), (whole ->> 'customer_id')::bigint,
      case when coalesce(before_values, '{}') ? 'account_id' and tg_op = 'UPDATE' then null
        else (whole ->> 'account_id')::bigint end,
      (whole ->> 'equipment_id')::bigint,
      case when tg_op = 'INSERT' then 'record_created'
        when tg_op = 'DELETE' or before_values ? 'deleted_at' and before_values ->> 'deleted_at' is null
          then 'record_deleted'
        else 'record_updated' end,
      now(), now(), (whole ->> 'version')::integer, case when app_user_id() is null then 'system' else 'user' end,
      tg_table_name, whole ->> tg_argv[0], app_user_id(), app_request_id(), before_values, after_values);
  return null;
end
$$;

-- Where the bytes lie is nobody's to know.
drop trigger audit on attachment;
call audit_table('attachment', 'attachment_id', '{storage_key}');

-- As many as a user may be held to.
alter table export_job drop constraint export_job_account_ids_check,
  add constraint export_job_account_ids_check check (cardinality(account_ids) <= 5000);

-- Whoever removes a recipient sees what hangs on it, or is told that something does.
do $$
declare key record;
begin
  for key in select conrelid::regclass as target, conname, pg_get_constraintdef(oid) as definition from pg_constraint
             where contype = 'f' and conrelid = 'geofence_alert_config'::regclass
               and confrelid = 'alert_recipients'::regclass and confdeltype = 'c' loop
    execute format('alter table %s drop constraint %I, add constraint %I %s', key.target, key.conname, key.conname,
      replace(key.definition, ' ON DELETE CASCADE', ''));
  end loop;
end
$$;

-- The exact one first: among many that are alike it must not be one of those that were not looked at.
create or replace function global_search(words text, types text[], rows_max integer)
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

-- Lists with routes of their own.
insert into column_preference_table_name (table_name) values
  ('geofence'), ('geofence_visit'), ('iot_device'), ('iot_device_event'), ('telematic_alert'), ('telematics');

-- What all records of the portal have in common: who wrote them and when, what they were before, who may see them.
--
-- A record table is made with its own columns alone, customer_id among them, and then `call keep_records(…)` adds the
-- rest: version, created_at, updated_at, created_by, the triggers, row-level security and the grants. Records that are
-- legal evidence are kept by `keep_evidence`: they are marked as deleted, and the API's role cannot remove them.

-- Who is at work, for the audit trail: a user of the tenant, or NULL for the system itself.
create function app_user_id() returns bigint
  language sql stable parallel safe
  return nullif(current_setting('app.user_id', true), '')::bigint;

create function app_request_id() returns text
  language sql stable parallel safe
  return nullif(current_setting('app.request_id', true), '');

-- The audit trail lives in the activity feed, beside what the fleet did. A row of it has an entity_type (the table), an
-- entity_id, who wrote it, and what was there before and after; a row of the engine has none of these. The feed outlives
-- what it tells of, so it has no keys to units and accounts either: a record that is written about must stay removable.
alter table activity_feed
  drop constraint activity_feed_customer_id_account_id_fkey,
  drop constraint activity_feed_customer_id_equipment_id_fkey,
  alter column equipment_id drop not null,
  add column entity_type text,
  add column entity_id text,
  add column actor_user_id bigint,
  add column request_id text,
  add column before jsonb,
  add column after jsonb,
  add constraint activity_feed_entity_type_check check ((entity_type is null) = (entity_id is null)),
  add constraint activity_feed_equipment_id_check check (equipment_id is not null or entity_type is not null);
create index activity_feed_entity on activity_feed (customer_id, entity_type, entity_id, activity_feed_id desc)
  where entity_type is not null;
create index activity_feed_audit on activity_feed (customer_id, activity_feed_id desc) where entity_type is not null;

-- What was written about rows that name no account is not for those who are held to accounts: it may speak of any.
create policy audit on activity_feed as restrictive
  using (entity_type is null or account_id is not null or (select app_account_ids()) is null);

-- A value longer than this is told by its length and hash.
create function audit_value(value jsonb) returns jsonb
  language sql immutable parallel safe
  return case when octet_length(value::text) <= 8192 then value
    else jsonb_build_object('omitted_bytes', octet_length(value::text), 'md5', md5(value::text)) end;

-- tg_argv[0] names the key; the others are columns that are told to nobody.
-- A row that went from one account to another belongs to neither here: what it was is not for those who see the other alone.
create function audit_write() returns trigger
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
grant insert on activity_feed to milepost_definer;
grant usage on all sequences in schema public to milepost_definer;
call step_over_tenants('audit_write()');

-- Bulk loads by the owner of the tables, such as a seed, are no acts of anybody: they leave no trail.
create procedure audit_table(target regclass, key_column text, hidden text[] default '{}')
  language plpgsql as $$
declare
  arguments text := (select string_agg(quote_literal(name), ', ') from unnest(array[key_column] || hidden) name);
begin
  execute format('create trigger audit after insert or update or delete on %s for each row
    when (app_customer_id() is not null) execute function audit_write(%s)', target, arguments);
end
$$;

create procedure keep_records(target regclass)
  language plpgsql as $$
declare
  key_column name := (select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                      where i.indrelid = target and i.indisprimary);
begin
  execute format('alter table %s
    add column version integer not null default 1,
    add column created_at timestamptz not null default now(),
    add column updated_at timestamptz not null default now(),
    add column created_by bigint default app_user_id(),
    add foreign key (customer_id, created_by) references "user" (customer_id, user_id)', target);
  execute format('create trigger touch before update on %s for each row execute function bump_version()', target);
  call audit_table(target, key_column);
  call isolate_tenant(target);
  execute format('grant select, insert, update, delete on %s to milepost_api', target);
end
$$;

create procedure keep_evidence(target regclass)
  language plpgsql as $$
begin
  call keep_records(target);
  execute format('alter table %s add column deleted_at timestamptz, add column deleted_by bigint,
    add foreign key (customer_id, deleted_by) references "user" (customer_id, user_id)', target);
  execute format('revoke delete on %s from milepost_api', target);
end
$$;

-- For tables without an account of their own: their rows are seen by those who see the row they belong to. `via` is the
-- column that holds the parent's key, under the same name in both.
create procedure isolate_with_parent(target regclass, parent regclass, via name, parent_key name default null)
  language plpgsql as $$
begin
  execute format($policy$
    create policy account on %1$s as restrictive
      using (%3$I is null or (select app_account_ids()) is null
             or exists (select from %2$s parent where parent.%4$I = %1$s.%3$I))$policy$,
    target, parent, via, coalesce(parent_key, via));
end
$$;

-- Lookup tables that every tenant reads and none writes.
create procedure share_lookup(target regclass)
  language plpgsql as $$
begin
  execute format('grant select on %s to milepost_api', target);
end
$$;

-- Lookup tables that come with rows for everyone (customer_id NULL), to which a tenant adds its own.
create procedure keep_shared_records(target regclass)
  language plpgsql as $$
begin
  call keep_records(target);
  execute format('drop policy tenant on %s', target);
  execute format('create policy tenant on %s
    using (customer_id is null or customer_id = (select app_customer_id()))
    with check (customer_id = (select app_customer_id()))', target);
  -- A row of everyone's belongs to no tenant: shown to all, it could be changed into a tenant's own, or deleted.
  execute format('create policy own_update on %s as restrictive for update
    using (customer_id = (select app_customer_id()))', target);
  execute format('create policy own_delete on %s as restrictive for delete
    using (customer_id = (select app_customer_id()))', target);
  execute format('grant select on %s to milepost_definer', target);
end
$$;

-- Rows for everyone are written by migrations, and the policies let nobody write them, not even the owner.
create procedure open_shared_records(target regclass, is_open boolean)
  language plpgsql as $$
begin
  execute format('alter table %s %s row level security', target, case when is_open then 'no force' else 'force' end);
end
$$;

-- A key to such a table cannot carry customer_id: this looks that the row is everyone's or the tenant's own.
-- tg_argv: column, lookup table, its key.
create function require_shared_or_own() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  given bigint := (to_jsonb(new) ->> tg_argv[0])::bigint;
  tenant bigint := (to_jsonb(new) ->> 'customer_id')::bigint;
  found boolean;
begin
  if given is null then return new; end if;
  execute format('select exists (select from %I where %I = $1 and (customer_id is null or customer_id = $2))',
    tg_argv[1], tg_argv[2]) into found using given, tenant;
  if not found then
    raise exception 'key of another tenant' using errcode = 'foreign_key_violation',
      detail = format('Key (%s)=(%s) is not present in table "%s".', tg_argv[0], given, tg_argv[1]);
  end if;
  return new;
end
$$;
call step_over_tenants('require_shared_or_own()');

create procedure refer_to_shared(target regclass, via name, lookup regclass, lookup_key name default null)
  language plpgsql as $$
begin
  execute format('alter table %s add foreign key (%I) references %s', target, via, lookup);
  execute format('create trigger %I before insert or update of %I on %s for each row
    execute function require_shared_or_own(%L, %L, %L)', 'refer_' || via, via, target, via, lookup, coalesce(lookup_key, via));
end
$$;

-- What was there before.
alter table customer add column version integer not null default 1, add column created_by bigint default app_user_id();
alter table account add column version integer not null default 1, add column created_by bigint default app_user_id();
alter table user_role add column version integer not null default 1, add column created_by bigint default app_user_id();
alter table "user" add column version integer not null default 1, add column created_by bigint default app_user_id();
alter table equipment add column version integer not null default 1, add column created_by bigint default app_user_id();
alter table equipment_has_iot_device add column version integer not null default 1,
  add column created_by bigint default app_user_id();
alter table iot_device add column created_by bigint default app_user_id();
alter table gateway_token add column created_by bigint default app_user_id();
alter table geofence add column created_by bigint default app_user_id();
alter table telematic_alert add column created_by bigint default app_user_id();

do $$
declare target text;
begin
  foreach target in array array['customer', 'account', 'user_role', '"user"', 'equipment', 'equipment_has_iot_device'] loop
    execute format('drop trigger touch on %s', target);
    execute format('create trigger touch before update on %s for each row execute function bump_version()', target);
  end loop;
  foreach target in array array['account', 'user_role', '"user"', 'equipment', 'equipment_has_iot_device', 'iot_device',
                                'gateway_token', 'geofence', 'telematic_alert'] loop
    execute format('alter table %s add foreign key (customer_id, created_by) references "user" (customer_id, user_id)',
      target);
  end loop;
end
$$;

call audit_table('customer', 'customer_id');
call audit_table('account', 'account_id');
call audit_table('user_role', 'user_role_id');
call audit_table('"user"', 'user_id');
call audit_table('equipment', 'equipment_id');
call audit_table('equipment_has_iot_device', 'equipment_has_iot_device_id');
call audit_table('iot_device', 'iot_device_id', '{token_hash,previous_token_hash}');
call audit_table('iot_device_command', 'iot_device_command_id');
call audit_table('gateway_token', 'gateway_token_id', '{token_hash}');
call audit_table('geofence', 'geofence_id');
call audit_table('telematic_alert', 'telematic_alert_id');

grant update (customer_name, time_zone) on customer to milepost_api;
grant select (created_by) on iot_device, gateway_token to milepost_api;
grant insert, update, delete on account, user_role, equipment to milepost_api;
grant insert, update on "user" to milepost_api;

-- Answers to requests that were sent with an Idempotency-Key, kept for a day: the same request again gets the same
-- answer, and is not done again.
create table idempotency_key (
  customer_id bigint not null references customer,
  user_id bigint not null,
  idempotency_key text not null check (octet_length(idempotency_key) between 1 and 255),
  -- Method, route and body of the request.
  request_hash bytea not null check (octet_length(request_hash) = 32),
  response_status integer not null check (response_status between 200 and 499),
  response_headers jsonb not null default '{}',
  response_body jsonb,
  created_at timestamptz not null default now(),
  primary key (customer_id, user_id, idempotency_key),
  foreign key (customer_id, user_id) references "user" (customer_id, user_id)
);
create index idempotency_key_age on idempotency_key (customer_id, created_at);
call isolate_tenant('idempotency_key');
grant select, insert, update, delete on idempotency_key to milepost_api;

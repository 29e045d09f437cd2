-- Roles, and the two settings by which row-level security knows who is asking.
--
-- milepost_api reads and writes for signed-in people and is held by row-level security.
-- milepost_ingest writes telemetry for every tenant: COPY FROM is refused under row-level
-- security, so it bypasses it, and holds grants on the telemetry path only.
do $$
begin
  begin
    create role milepost_api nologin nosuperuser nobypassrls;
  exception when duplicate_object or unique_violation then null;
  end;
  begin
    create role milepost_ingest nologin nosuperuser bypassrls;
  exception when duplicate_object or unique_violation then null;
  end;
end
$$;

revoke create on schema public from public;
grant usage on schema public to milepost_api, milepost_ingest;

-- After COMMIT a transaction-local setting is '' and not NULL, hence the nullif: no tenant, no rows.
create function app_customer_id() returns bigint
  language sql stable parallel safe
  return nullif(current_setting('app.customer_id', true), '')::bigint;

-- NULL means every account of the tenant.
create function app_account_ids() returns bigint[]
  language sql stable parallel safe
  return nullif(current_setting('app.account_ids', true), '')::bigint[];

create function app_sees_account(account_id bigint) returns boolean
  language sql stable parallel safe
  return app_account_ids() is null or account_id is null or account_id = any (app_account_ids());

create function touch_updated_at() returns trigger
  language plpgsql as $$
begin
  new.updated_at := now();
  return new;
end
$$;

-- Every tenant table is closed to all but its own tenant, its owner included.
create procedure isolate_tenant(target regclass)
  language plpgsql as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format(
    'create policy tenant on %s using (customer_id = (select app_customer_id()))
       with check (customer_id = (select app_customer_id()))', target);
end
$$;

-- Users with assigned accounts see rows of those accounts, and rows that belong to no account.
create procedure isolate_account(target regclass)
  language plpgsql as $$
begin
  execute format(
    'create policy account on %s as restrictive using (app_sees_account(account_id))
       with check (app_sees_account(account_id))', target);
end
$$;

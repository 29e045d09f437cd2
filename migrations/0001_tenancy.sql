-- Roles, and the two settings by which row-level security knows who is asking.
--
-- milepost_api reads and writes for signed-in people and is held by row-level security.
-- milepost_ingest writes telemetry for every tenant: COPY FROM is refused under row-level
-- security, so it bypasses it, and holds grants on the telemetry path only.
-- milepost_definer owns the few functions that step over row-level security. Nobody runs as it.
--
-- Roles belong to the server: another database may have made them already, or be making them now.
do $$
declare
  role record;
begin
  for role in select * from (values ('milepost_api', 'nobypassrls'), ('milepost_ingest', 'bypassrls'),
                                    ('milepost_definer', 'bypassrls')) as r (name, bypass) loop
    begin
      if not exists (select from pg_roles where rolname = role.name) then
        execute format('create role %I nologin nosuperuser %s', role.name, role.bypass);
      end if;
    exception when duplicate_object or unique_violation then null;
    end;
    -- Connections sign in as the owner of the tables and take one of the roles.
    if not pg_has_role(role.name, 'set') then
      execute format('grant %I to current_user', role.name);
    end if;
  end loop;
end
$$;

revoke create on schema public from public;
grant usage on schema public to milepost_api, milepost_ingest, milepost_definer;

-- After COMMIT a transaction-local setting is '' and not NULL, hence the nullif: no tenant, no rows.
create function app_customer_id() returns bigint
  language sql stable parallel safe
  return nullif(current_setting('app.customer_id', true), '')::bigint;

-- NULL means every account of the tenant.
create function app_account_ids() returns bigint[]
  language sql stable parallel safe
  return nullif(current_setting('app.account_ids', true), '')::bigint[];

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

-- Users with assigned accounts see rows of those accounts, and rows that belong to no account. The settings are read
-- in subqueries, so once a statement and not once a row.
create procedure isolate_account(target regclass)
  language plpgsql as $$
begin
  execute format($policy$
    create policy account on %s as restrictive
      using (account_id is null or (select app_account_ids()) is null
             or account_id = any ((select app_account_ids())::bigint[]))
      with check (account_id is null or (select app_account_ids()) is null
             or account_id = any ((select app_account_ids())::bigint[]))$policy$, target);
end
$$;

-- Lets a SECURITY DEFINER function run as milepost_definer: the owner of the tables is itself held by row-level
-- security, unless it happens to be a superuser.
create procedure step_over_tenants(target regprocedure)
  language plpgsql as $$
begin
  grant create on schema public to milepost_definer;
  execute format('alter function %s owner to milepost_definer', target);
  revoke create on schema public from milepost_definer;
end
$$;

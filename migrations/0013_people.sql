-- Customers, the tree of their accounts, and the people who sign in: how they are reached, whom they are approved by,
-- and which accounts they see.

-- Time zones are names of the IANA list. The server also takes abbreviations and rules such as Foo/5 for zones; few of
-- those know summer, and browsers do not know them. Hence no digits outside of Etc.
create function require_time_zone() returns trigger
  language plpgsql as $$
begin
  if new.time_zone is not null then
    if new.time_zone !~ '^(UTC|Etc/(UTC|GMT([+-]?[0-9]{1,2})?)|[A-Z][A-Za-z]+(/[A-Z][A-Za-z_-]+)+)$' then
      raise invalid_parameter_value;
    end if;
    perform now() at time zone new.time_zone;
  end if;
  return new;
exception when invalid_parameter_value then
  raise exception 'no such time zone' using errcode = 'check_violation', table = tg_table_name, column = 'time_zone',
    constraint = tg_table_name || '_time_zone_check';
end
$$;

alter table customer
  add column contact_name text,
  add column contact_email text check (contact_email = lower(contact_email) and position('@' in contact_email) > 1),
  -- E.164, as everywhere: it can be dialled from anywhere.
  add column contact_phone text check (contact_phone ~ '^\+[1-9][0-9]{4,14}$'),
  add column billing_street text,
  add column billing_city text,
  add column billing_state_code text,
  add column billing_postal_code text,
  add column country_code text references country_lookup (country_code),
  -- What amounts are in where nothing else is said.
  add column currency_code text not null default 'USD' references currency_lookup (currency_code);
create trigger time_zone before insert or update of time_zone on customer
  for each row execute function require_time_zone();
grant update (contact_name, contact_email, contact_phone, billing_street, billing_city, billing_state_code,
  billing_postal_code, country_code) on customer to milepost_api;

alter table account
  add column contact_name text,
  add column contact_email text check (contact_email = lower(contact_email) and position('@' in contact_email) > 1),
  add column contact_phone text check (contact_phone ~ '^\+[1-9][0-9]{4,14}$'),
  add column street text,
  add column city text,
  add column state_code text,
  add column postal_code text,
  add column country_code text references country_lookup (country_code),
  -- NULL: the customer's.
  add column currency_code text references currency_lookup (currency_code),
  -- The two amounts are in the account's currency. NULL: without a limit, and nothing without being asked.
  add column credit_limit numeric(14, 2) check (credit_limit >= 0),
  add column repair_approval_limit numeric(14, 2) check (repair_approval_limit >= 0),
  add column payment_terms_days integer not null default 30 check (payment_terms_days between 0 and 365);
create index account_parent on account (customer_id, parent_account_id);

-- The tree is changed, and people are assigned to it, by one transaction of a tenant after the other. Without that, two
-- that each see no harm could together close a circle, or assign somebody to an account that is just going.
create function lock_accounts(tenant bigint, is_shared boolean) returns void
  language sql as $$
  select case when is_shared
    then pg_advisory_xact_lock_shared(hashtextextended('account/' || tenant, 0))
    else pg_advisory_xact_lock(hashtextextended('account/' || tenant, 0)) end
$$;

-- Runs after the row was written, when rows written by the same statement are seen as well.
create function check_account_tree() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  depth_max constant integer := 10;
  is_circle boolean;
  depth_above integer;
  depth_below integer;
begin
  perform lock_accounts(new.customer_id, false);
  with recursive above (account_id, level) as (
    select new.parent_account_id, 1
    union all
    select a.parent_account_id, u.level + 1
    from above u join account a on a.customer_id = new.customer_id and a.account_id = u.account_id
    where u.level <= depth_max and u.account_id <> new.account_id and a.parent_account_id is not null
  )
  select max(level), bool_or(account_id = new.account_id) into depth_above, is_circle from above;
  if is_circle then
    raise exception 'an account cannot be above itself' using errcode = 'check_violation', table = 'account',
      column = 'parent_account_id', constraint = 'account_parent_account_id_check_circle';
  end if;
  with recursive below (account_id, level) as (
    select new.account_id, 1
    union all
    select a.account_id, b.level + 1
    from below b join account a on a.customer_id = new.customer_id and a.parent_account_id = b.account_id
    where b.level <= depth_max
  )
  select max(level) into depth_below from below;
  if depth_above + depth_below > depth_max then
    raise exception 'accounts are at most % levels deep', depth_max using errcode = 'check_violation',
      table = 'account', column = 'parent_account_id', constraint = 'account_parent_account_id_check_depth';
  end if;
  return null;
end
$$;

-- Every statement in the name of a person carries the ids of all accounts that the person is held to.
create function check_account_count() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  count_max constant integer := 5000;
  tenant bigint;
begin
  for tenant in select distinct customer_id from added loop
    perform lock_accounts(tenant, false);
    if (select count(*) from account where customer_id = tenant) > count_max then
      raise exception 'a customer has at most % accounts', count_max using errcode = 'check_violation',
        table = 'account', constraint = 'account_customer_id_check_count';
    end if;
  end loop;
  return null;
end
$$;

-- A list of ids has no foreign keys: these two stand for them.
create function check_assigned_accounts() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  missing text;
begin
  perform lock_accounts(new.customer_id, true);
  select string_agg(given::text, ', ') into missing from unnest(new.assigned_account_ids) given
    where not exists (select from account a where a.customer_id = new.customer_id and a.account_id = given);
  if missing is not null then
    raise exception 'assigned to accounts that are not there' using errcode = 'foreign_key_violation',
      detail = format('Key (assigned_account_ids)=(%s) is not present in table "account".', missing);
  end if;
  return new;
end
$$;

create function keep_assigned_account() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform lock_accounts(old.customer_id, false);
  if exists (select from "user" u
             where u.customer_id = old.customer_id and old.account_id = any (u.assigned_account_ids)) then
    raise exception 'somebody is assigned to the account' using errcode = 'foreign_key_violation',
      detail = format('Key (account_id)=(%s) is still referenced from table "user".', old.account_id);
  end if;
  return old;
end
$$;

grant select on account to milepost_definer;
call step_over_tenants('check_account_tree()');
call step_over_tenants('check_account_count()');
call step_over_tenants('check_assigned_accounts()');
call step_over_tenants('keep_assigned_account()');

create trigger tree after insert or update of parent_account_id on account
  for each row when (new.parent_account_id is not null) execute function check_account_tree();
create trigger account_count after insert on account
  referencing new table as added for each statement execute function check_account_count();
create trigger keep_assigned before delete on account for each row execute function keep_assigned_account();
create trigger assigned_accounts before insert or update of assigned_account_ids on "user"
  for each row when (new.assigned_account_ids <> '{}') execute function check_assigned_accounts();

-- Who sees which accounts changes with the tree, and with nothing else of an account.
create trigger change after insert or delete on account for each row execute function notify_change('account_id');
create trigger change_parent after update of parent_account_id on account
  for each row when (old.parent_account_id is distinct from new.parent_account_id)
  execute function notify_change('account_id');

alter table user_role
  add column description text not null default '',
  -- Made with the customer; it is neither changed nor removed.
  add column is_system boolean not null default false,
  -- When Auth0 was last told, and what it answered when it refused.
  add column auth0_synced_at timestamptz,
  add column auth0_sync_error text,
  add check (jsonb_typeof(role_permission) = 'object');

-- A preference chooses among the rows of its own kind. tg_argv: column, kind.
create function require_user_metric() returns trigger
  language plpgsql as $$
declare
  given bigint := (to_jsonb(new) ->> tg_argv[0])::bigint;
begin
  if given is not null and not exists (select from user_metric_lookup m
      where m.user_metric_lookup_id = given and m.user_metric_type = tg_argv[1]) then
    raise exception 'not a choice of this kind' using errcode = 'foreign_key_violation',
      detail = format('Key (%s)=(%s) is not present in table "user_metric_lookup".', tg_argv[0], given);
  end if;
  return new;
end
$$;

-- Somebody invited has no subject of Auth0 before the first time they sign in.
alter table "user" alter column auth_0_reference_id drop not null;
alter table "user" drop constraint user_status_check;
alter table "user"
  add constraint user_status_check check (status in ('pending_approval', 'active', 'disabled', 'rejected')),
  add column approved_by bigint,
  add column approved_at timestamptz,
  add column rejected_reason text,
  add column last_sign_in_at timestamptz,
  add column phone text check (phone ~ '^\+[1-9][0-9]{4,14}$'),
  add column country_code text references country_lookup (country_code),
  -- NULL: the customer's.
  add column time_zone text,
  add column language_code text not null default 'en' check (language_code ~ '^[a-z]{2}(-[A-Z]{2})?$'),
  -- NULL: the default of its kind.
  add column date_format_id bigint references user_metric_lookup,
  add column time_format_id bigint references user_metric_lookup,
  add column temperature_unit_id bigint references user_metric_lookup,
  add column distance_unit_id bigint references user_metric_lookup,
  add column pressure_unit_id bigint references user_metric_lookup,
  add check (cardinality(assigned_account_ids) <= 1000 and array_position(assigned_account_ids, null) is null),
  add foreign key (customer_id, approved_by) references "user" (customer_id, user_id),
  add constraint user_approved_by_check_other check (approved_by <> user_id),
  add constraint user_approved_at_check_by check (approved_by is null or approved_at is not null),
  add constraint user_rejected_reason_check_status check (status <> 'rejected' or rejected_reason is not null);
create index user_role_users on "user" (customer_id, user_role_id);
create index user_status on "user" (customer_id, status);

create trigger time_zone before insert or update of time_zone on "user"
  for each row execute function require_time_zone();
create trigger date_format before insert or update of date_format_id on "user"
  for each row execute function require_user_metric('date_format_id', 'date_format');
create trigger time_format before insert or update of time_format_id on "user"
  for each row execute function require_user_metric('time_format_id', 'time_format');
create trigger temperature_unit before insert or update of temperature_unit_id on "user"
  for each row execute function require_user_metric('temperature_unit_id', 'temperature');
create trigger distance_unit before insert or update of distance_unit_id on "user"
  for each row execute function require_user_metric('distance_unit_id', 'distance');
create trigger pressure_unit before insert or update of pressure_unit_id on "user"
  for each row execute function require_user_metric('pressure_unit_id', 'pressure');

-- That somebody signed in is no change of theirs: it makes no new version and no entry in the audit trail, and it is no
-- reason to ask everyone anew who they are. The note of it is written alone.
drop trigger touch on "user";
create trigger touch before update on "user"
  for each row when (new.last_sign_in_at is not distinct from old.last_sign_in_at) execute function bump_version();
drop trigger audit on "user";
call audit_table('"user"', 'user_id', '{last_sign_in_at}');
drop trigger change on "user";
create trigger change after insert or delete on "user" for each row execute function notify_change('user_id');
create trigger change_rights
  after update of customer_id, user_role_id, email, auth_0_reference_id, assigned_account_ids, status on "user"
  for each row execute function notify_change('user_id');

-- All people of a tenant are seen by all of it. Who is held to accounts changes only those who are held to the same
-- accounts or to some of them, and lets nobody see more.
create policy account_insert on "user" as restrictive for insert
  with check ((select app_account_ids()) is null
    or assigned_account_ids <> '{}' and assigned_account_ids <@ (select app_account_ids()));
create policy account_update on "user" as restrictive for update
  using ((select app_account_ids()) is null
    or assigned_account_ids <> '{}' and assigned_account_ids <@ (select app_account_ids()));
create policy account_delete on "user" as restrictive for delete
  using ((select app_account_ids()) is null
    or assigned_account_ids <> '{}' and assigned_account_ids <@ (select app_account_ids()));

-- Gives the accounts that somebody is assigned to together with all that are below them, in ascending order; none still
-- means every account. The assigned ones are always among them, so that a list never becomes empty on its way.
create or replace function auth_user_by_subject(subject text)
  returns table (user_id bigint, customer_id bigint, email text, role_name text, role_permission jsonb,
                 assigned_account_ids bigint[])
  language sql stable security definer set search_path = public, pg_temp
  as $$
    with recursive found as (
      select u.user_id, u.customer_id, u.email, r.name, r.role_permission, u.assigned_account_ids
      from "user" u
      join user_role r on r.customer_id = u.customer_id and r.user_role_id = u.user_role_id
      join customer c on c.customer_id = u.customer_id
      where u.auth_0_reference_id = subject and u.status = 'active' and c.status = 'active'
    ), reached (account_id, level) as (
      select assigned.account_id, 1 from found f, unnest(f.assigned_account_ids) assigned (account_id)
      union
      select a.account_id, r.level + 1
      from reached r, found f, account a
      where a.customer_id = f.customer_id and a.parent_account_id = r.account_id and r.level < 10
    )
    select f.user_id, f.customer_id, f.email, f.name, f.role_permission,
           array(select distinct r.account_id from reached r order by 1)
    from found f
  $$;

-- The lists whose columns people choose. The rows come with a later migration.
create table column_preference_table_name (
  column_preference_table_name_id bigint generated by default as identity primary key,
  table_name text not null unique check (table_name <> ''),
  description text not null default ''
);
call share_lookup('column_preference_table_name');

-- How somebody likes to see a list: a named view of it.
create table column_preferences (
  column_preferences_id bigint generated by default as identity primary key,
  customer_id bigint not null references customer,
  user_id bigint not null,
  column_preference_table_name_id bigint not null references column_preference_table_name,
  view_name text not null default 'Default' check (view_name <> ''),
  -- Names of columns, in the order they are shown.
  selected_columns jsonb not null check (jsonb_typeof(selected_columns) = 'array'),
  -- As in the query of the list.
  sort text,
  filters jsonb not null default '{}' check (jsonb_typeof(filters) = 'object'),
  -- Shown when nothing else is asked for.
  is_default boolean not null default false,
  unique (customer_id, column_preferences_id),
  unique (customer_id, user_id, column_preference_table_name_id, view_name),
  foreign key (customer_id, user_id) references "user" (customer_id, user_id)
);
create unique index column_preferences_default
  on column_preferences (customer_id, user_id, column_preference_table_name_id) where is_default;
call keep_records('column_preferences');
-- Nobody's business but their own.
create policy own on column_preferences as restrictive
  using ((select app_user_id()) is null or user_id = (select app_user_id()));

create table ten_quick_link (
  ten_quick_link_id bigint generated by default as identity primary key,
  customer_id bigint not null references customer,
  name text not null check (name <> ''),
  link text not null check (link ~ '^https://[^\s/?#]+[^\s]*$' and length(link) <= 2048),
  description text not null default '',
  sort_order integer not null default 0,
  unique (customer_id, ten_quick_link_id),
  unique (customer_id, name)
);
create index ten_quick_link_order on ten_quick_link (customer_id, sort_order);
call keep_records('ten_quick_link');

-- Two of them are there; they give way to those that come before.
insert into simple_field_lookup (field_name, field_code, short_description, long_description, sort_order) values
  ('user.status', 'pending_approval', 'Pending approval', 'Invited; cannot sign in before somebody else approves.', 1),
  ('user.status', 'active', 'Active', 'May sign in.', 2),
  ('user.status', 'disabled', 'Disabled', 'May not sign in; what the person did stays on record.', 3),
  ('user.status', 'rejected', 'Rejected', 'Approval was refused; the reason is given.', 4)
on conflict (field_name, field_code) do update set sort_order = excluded.sort_order;

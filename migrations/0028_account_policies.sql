-- Who is held to accounts sees their rows and those of no account, as before; said so that the planner can tell how many
-- rows that are. Of an array that it does not know it expects a handful of accounts, and then sorts a whole list where an
-- index would give its first page; of coalesce(…) it expects half. x = any (NULL), for who is held to none, is NULL.
create or replace procedure isolate_account(target regclass)
  language plpgsql as $$
begin
  execute format($policy$
    create policy account on %s as restrictive
      using (account_id is null or coalesce(
        account_id = any ((select app_account_ids())::bigint[]), (select app_account_ids()) is null))
      with check (account_id is null or coalesce(
        account_id = any ((select app_account_ids())::bigint[]), (select app_account_ids()) is null))$policy$, target);
end
$$;

do $$
declare target regclass;
begin
  for target in
    select polrelid from pg_policy where polname = 'account' and not polpermissive and polwithcheck is not null
      and pg_get_expr(polqual, polrelid) = pg_get_expr(polwithcheck, polrelid)
      and pg_get_expr(polqual, polrelid) like '((account_id IS NULL) OR (% IS NULL) OR (account_id = ANY (%))'
  loop
    execute format('drop policy account on %s', target);
    call isolate_account(target);
  end loop;
end
$$;

create or replace view tenant_gps_location with (security_barrier) as
  select h.customer_id, e.account_id, h.equipment_id, l.*
  from equipment_gps_location l
  join equipment_has_iot_device h using (equipment_has_iot_device_id)
  join equipment e on e.customer_id = h.customer_id and e.equipment_id = h.equipment_id
  where h.customer_id = (select app_customer_id())
    and (e.account_id is null or coalesce(
      e.account_id = any ((select app_account_ids())::bigint[]), (select app_account_ids()) is null));

create or replace view tenant_device_metric with (security_barrier) as
  select h.customer_id, e.account_id, h.equipment_id, m.*
  from iot_device_metric m
  join equipment_has_iot_device h using (equipment_has_iot_device_id)
  join equipment e on e.customer_id = h.customer_id and e.equipment_id = h.equipment_id
  where h.customer_id = (select app_customer_id())
    and (e.account_id is null or coalesce(
      e.account_id = any ((select app_account_ids())::bigint[]), (select app_account_ids()) is null));

-- Views of lists, tags, and what runs out.

-- Tags of fences and units. A tag is named by its key, so that whoever renames it renames it everywhere.
alter table geofence
  add column tag_lookup_ids bigint[] not null default '{}',
  add constraint geofence_tag_lookup_ids_check_count check (cardinality(tag_lookup_ids) <= 50);
alter table equipment
  add column tag_lookup_ids bigint[] not null default '{}',
  add constraint equipment_tag_lookup_ids_check_count check (cardinality(tag_lookup_ids) <= 50);
create index geofence_tags on geofence using gin (tag_lookup_ids) where tag_lookup_ids <> '{}';
create index equipment_tags on equipment using gin (tag_lookup_ids) where tag_lookup_ids <> '{}';

-- No key can stand on the elements of an array. What a row did not have before must be there, of the same tenant and in
-- use, and stays until the transaction ends: who removes a tag waits for those who give it, and then finds it in use.
create function require_tags() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  added bigint[] := new.tag_lookup_ids;
  there bigint[];
  active bigint[];
begin
  if tg_op = 'UPDATE' then
    added := array(select unnest(new.tag_lookup_ids) except select unnest(old.tag_lookup_ids));
  end if;
  select coalesce(array_agg(t.tag_lookup_id), '{}'), coalesce(array_agg(t.tag_lookup_id) filter (where t.status = 'active'), '{}')
    into there, active
    from (select k.tag_lookup_id, k.status from tag_lookup k
          where k.customer_id = new.customer_id and k.tag_lookup_id = any (added)
          order by k.tag_lookup_id for key share) t;
  if array_position(added, null) is not null or not added <@ there then
    raise exception 'a tag is not there' using errcode = 'foreign_key_violation', table = tg_table_name,
      constraint = tg_table_name || '_tag_lookup_ids_fkey',
      detail = format('Key (tag_lookup_ids)=(%s) is not present in table "tag_lookup".', added);
  elsif not added <@ active then
    raise exception 'a tag is disabled' using errcode = 'check_violation', table = tg_table_name,
      column = 'tag_lookup_ids', constraint = tg_table_name || '_tag_lookup_ids_check_active';
  end if;
  return new;
end
$$;
grant select, update on tag_lookup to milepost_definer;
call step_over_tenants('require_tags()');
create trigger tags before insert or update of tag_lookup_ids on geofence
  for each row when (new.tag_lookup_ids <> '{}') execute function require_tags();
create trigger tags before insert or update of tag_lookup_ids on equipment
  for each row when (new.tag_lookup_ids <> '{}') execute function require_tags();

create function keep_used_tag() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  used_in text := case
    when exists (select from geofence where customer_id = old.customer_id and tag_lookup_ids <> '{}'
                   and tag_lookup_ids @> array[old.tag_lookup_id]) then 'geofence'
    when exists (select from equipment where customer_id = old.customer_id and tag_lookup_ids <> '{}'
                   and tag_lookup_ids @> array[old.tag_lookup_id]) then 'equipment'
  end;
begin
  if used_in is not null then
    raise exception 'update or delete on table "tag_lookup" violates the tags of table "%"', used_in
      using errcode = 'foreign_key_violation', table = used_in, constraint = used_in || '_tag_lookup_ids_fkey',
      detail = format('Key (tag_lookup_id)=(%s) is still referenced from table "%s".', old.tag_lookup_id, used_in);
  end if;
  return old;
end
$$;
call step_over_tenants('keep_used_tag()');
create trigger keep_used before delete on tag_lookup for each row execute function keep_used_tag();

-- Links are opened by people: nothing hidden in them. Links from before are held to it when they are changed.
alter table ten_quick_link
  add constraint ten_quick_link_link_check_plain
    check (link !~ '[[:cntrl:][:space:]\\]' and link !~ '^https://[^/?#]*@'
      -- A host is written in ASCII (RFC 5891): letters that look like others cannot pass for them.
      and octet_length(substring(link from '^https://[^/?#]*')) = length(substring(link from '^https://[^/?#]*')))
    not valid;

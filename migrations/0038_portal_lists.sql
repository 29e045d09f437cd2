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

-- What runs out, the soonest first; the other kinds have had such an index before.
create index attachment_expires on attachment (customer_id, expiration_date, attachment_id)
  where expiration_date is not null and deleted_at is null;
create index equipment_permit_registration on equipment_permit (customer_id, registration_expiration_date)
  where deleted_at is null and registration_expiration_date is not null;
create index equipment_permit_permit on equipment_permit (customer_id, permit_expiration_date)
  where deleted_at is null and permit_expiration_date is not null;
create index vehicle_driver_mapping_license on vehicle_driver_mapping (customer_id, license_expiry_date)
  where license_expiry_date is not null;
create index master_agreement_end on master_agreement (customer_id, contract_end_date) where deleted_at is null;
create index schedule_agreement_end on schedule_agreement (customer_id, termination_date)
  where deleted_at is null and termination_date is not null;

-- Of papers that are renewed by a new row, the last one counts: of a vehicle's documents that of each type (and permit,
-- cover and service), of its permits that of each category and code, of a unit's inspections the newest passed one of each
-- kind. Kept with the row, so that what runs out is read by an index and not looked up among all that ever did.
-- tg_argv: what the rows hang on; their key; what makes them alike; what is later; which of them count.
-- One who writes comes after the other, until each has committed. Whoever holds a row before it is changed takes the same
-- lock before that (api/vehicles/papers.ts), or two who change two papers wait for each other.
create function mark_superseded() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  place text;
  marking text := format('update %1$I r set is_superseded = s.is_old
    from (select %3$I as id, row_number() over (partition by %4$s order by %5$s desc, %3$I desc) > 1 as is_old
          from %1$I where customer_id = ($1).customer_id and %2$I = ($1).%2$I and deleted_at is null and %6$s) s
    where r.%3$I = s.id and r.is_superseded <> s.is_old',
    tg_table_name, tg_argv[0], tg_argv[1], tg_argv[2], tg_argv[3], tg_argv[4]);
begin
  for place in
    select distinct p from unnest(array[case when tg_op <> 'INSERT' then to_jsonb(old) ->> tg_argv[0] end,
      case when tg_op <> 'DELETE' then to_jsonb(new) ->> tg_argv[0] end]) p where p is not null order by p
  loop
    perform pg_advisory_xact_lock(hashtextextended(tg_table_name || '/' || place, 0));
  end loop;
  if tg_op <> 'INSERT' then execute marking using old; end if;
  if tg_op <> 'DELETE' then execute marking using new; end if;
  return null;
end
$$;
grant select, update on vehicle_documents, vehicle_special_permit, dot_inspection to milepost_definer;
call step_over_tenants('mark_superseded()');

-- It is nobody's act: no new version, and no line in the audit trail.
create procedure keep_superseded(target regclass, via name, key name, alike text, later text, counts text, watched text)
  language plpgsql as $$
begin
  execute format('alter table %s add column is_superseded boolean not null default false', target);
  execute format('drop trigger touch on %s', target);
  execute format('create trigger touch before update on %s for each row
    when (new.is_superseded = old.is_superseded) execute function bump_version()', target);
  execute format('drop trigger audit on %s', target);
  call audit_table(target, key, '{is_superseded}');
  execute format('create trigger superseded after insert or delete or update of %s on %s for each row
    execute function mark_superseded(%L, %L, %L, %L, %L)', watched, target, via, key, alike, later, counts);
  -- Those that are there. As the role that steps over tenants, for the owner may not see them.
  execute format('create function mark_superseded_once() returns void
    language sql security definer set search_path = public, pg_temp as $once$
      update %1$s r set is_superseded = true
      from (select %2$I as id, row_number() over (partition by customer_id, %3$I, %4$s order by %5$s desc, %2$I desc) > 1 as is_old
            from %1$s where deleted_at is null and %6$s) s
      where r.%2$I = s.id and s.is_old $once$', target, key, via, alike, later, counts);
  call step_over_tenants('mark_superseded_once()');
  perform mark_superseded_once();
  drop function mark_superseded_once();
end
$$;
call keep_superseded('vehicle_documents', 'vehicle_id_code', 'document_unique_id',
  'document_type_id, permit_category, permit_code, coverage_type_id, vehicle_maintenance_id', 'valid_to', 'true',
  'vehicle_id_code, document_type_id, permit_category, permit_code, coverage_type_id, vehicle_maintenance_id, valid_to, deleted_at');
call keep_superseded('vehicle_special_permit', 'vehicle_id_code_hdr', 'vehicle_permit_unique_id',
  'permit_category, permit_code', $$coalesce(permit_expiry_date, 'infinity')$$, 'true',
  'vehicle_id_code_hdr, permit_category, permit_code, permit_expiry_date, deleted_at');
call keep_superseded('dot_inspection', 'equipment_id', 'dot_inspection_id',
  'inspection_kind', 'inspection_date', $$inspection_result = 'pass'$$,
  'equipment_id, inspection_kind, inspection_date, inspection_result, deleted_at');
drop procedure keep_superseded;

create index vehicle_documents_runs_out on vehicle_documents (customer_id, valid_to)
  where deleted_at is null and not is_superseded;
create index vehicle_special_permit_runs_out on vehicle_special_permit (customer_id, permit_expiry_date)
  where deleted_at is null and not is_superseded and permit_expiry_date is not null;
create index dot_inspection_runs_out on dot_inspection (customer_id, expires_on)
  where deleted_at is null and not is_superseded and inspection_result = 'pass' and expires_on is not null;

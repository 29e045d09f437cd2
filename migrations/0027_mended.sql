-- What a review of 0010 to 0025 has found.

-- A person may work for two customers, and that an address is known to another is nobody's business.
alter table "user" drop constraint user_email_key, add unique (customer_id, email);

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

-- Lists with routes of their own.
insert into column_preference_table_name (table_name) values
  ('geofence'), ('geofence_visit'), ('iot_device'), ('iot_device_event'), ('telematic_alert'), ('telematics');

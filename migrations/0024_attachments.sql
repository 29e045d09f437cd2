-- What the attachment store holds. A key is noted before bytes are stored under it and forgotten after they are
-- removed, so that bytes of which no attachment tells can be found without asking the store for a list.
create table attachment_content (
  storage_key text primary key check (storage_key ~ '^[a-z0-9-]+(/[a-z0-9-]+)*$'),
  customer_id bigint not null references customer,
  -- NULL while the upload is not complete, or after it has failed.
  attachment_id bigint,
  noted_at timestamptz not null default now(),
  foreign key (customer_id, attachment_id) references attachment (customer_id, attachment_id)
);
create index attachment_content_unclaimed on attachment_content (noted_at) where attachment_id is null;
create unique index attachment_content_attachment on attachment_content (attachment_id) where attachment_id is not null;
create index attachment_deleted on attachment (deleted_at) where deleted_at is not null;
call isolate_tenant('attachment_content');
grant select, insert, delete, update (attachment_id) on attachment_content to milepost_api;
grant select on attachment_content, attachment, customer to milepost_definer;

-- The address follows from the id, which nobody knows before the row is written.
create function attachment_url() returns trigger
  language plpgsql as $$
begin
  new.url := format('/v1/attachments/%s/content', new.attachment_id);
  return new;
end
$$;
create trigger attachment_url before insert on attachment for each row execute function attachment_url();

-- Keys of all tenants whose bytes nobody needs any more, at most `rows_max`: of attachments deleted longer ago than
-- `deleted_ms`, of those that are past their last day, and of uploads that have not become attachments within
-- `unclaimed_ms`.
create function attachment_content_unused(deleted_ms double precision, unclaimed_ms double precision, rows_max integer)
  returns table (customer_id bigint, storage_key text)
  language sql stable security definer set search_path = public, pg_temp as $$
  (select k.customer_id, k.storage_key
     from attachment a
     join attachment_content k on k.attachment_id = a.attachment_id
    where a.deleted_at < now() - deleted_ms * interval '1 ms')
  union
  (select k.customer_id, k.storage_key
     from attachment a
     join customer c on c.customer_id = a.customer_id
     join attachment_content k on k.attachment_id = a.attachment_id
    where a.expiration_date <= current_date + 1 and a.expiration_date < (now() at time zone c.time_zone)::date)
  union
  (select k.customer_id, k.storage_key
     from attachment_content k
    where k.attachment_id is null and k.noted_at < now() - unclaimed_ms * interval '1 ms')
  limit rows_max
$$;
call step_over_tenants('attachment_content_unused(double precision, double precision, integer)');
revoke execute on function attachment_content_unused(double precision, double precision, integer) from public;
grant execute on function attachment_content_unused(double precision, double precision, integer) to milepost_api;

-- Rules of billing: what is owed, paid and left over.
--
-- What an invoice comes to follows from its lines; what is applied on either side is the sum of the ledger; the status
-- follows from amounts and instants. The database keeps all three, whoever writes, so that no path is forgotten. Locks
-- are taken payments first, then invoices, each by ascending id.

-- What it is for rules that reckon with time: what the request says, or the database's own clock.
create function app_now() returns timestamptz
  language sql stable parallel safe
  return coalesce(
    timestamptz 'epoch' + nullif(current_setting('app.now_ms', true), '')::bigint * interval '1 millisecond', now());

-- The tenant's day; without a tenant, that of UTC.
create function app_today() returns date
  language plpgsql stable parallel safe as $$
begin
  return (app_now() at time zone
    coalesce((select c.time_zone from customer c where c.customer_id = app_customer_id()), 'UTC'))::date;
end
$$;

-- Overdue is not stored, for it comes by the day: what is kept as open or partial is shown as overdue once it is due.
create function shown_invoice_status(status text, invoice_type text, due_date date, today date) returns text
  language sql immutable parallel safe
  return case when status in ('open', 'partial') and due_date < today and invoice_type <> 'credit_memo'
    then 'overdue' else status end;

grant select on customer, currency_lookup to milepost_definer;
grant select, insert, update on payment, payment_invoice to milepost_definer;
grant select, update on invoice, invoice_items to milepost_definer;

-- A credit memo that is issued becomes a payment: one ledger tells what became of all credit.
alter table payment
  drop constraint payment_payment_method_check,
  add constraint payment_payment_method_check check (payment_method in ('ach', 'wire', 'check', 'card', 'cash',
    'direct_debit', 'credit_memo', 'other')),
  add column credit_memo_invoice_id bigint,
  add constraint payment_credit_memo_invoice_id_check_method
    check ((credit_memo_invoice_id is not null) = (payment_method = 'credit_memo')),
  add foreign key (customer_id, credit_memo_invoice_id, currency_code) references invoice (customer_id, id, currency_code),
  add foreign key (customer_id, credit_memo_invoice_id, account_id) references invoice (customer_id, id, account_id);
create unique index payment_credit_memo_invoice_id_key on payment (customer_id, credit_memo_invoice_id)
  where credit_memo_invoice_id is not null;
insert into simple_field_lookup (field_name, field_code, short_description, long_description, sort_order) values
  ('payment.payment_method', 'credit_memo', 'Credit memo', 'What a credit memo gives back.', 8);

-- A work order is billed once. Of the lines that it was copied to, the first one says so.
alter table invoice_items
  alter column tax_amount drop default,
  add column billed_workorder_id bigint,
  add constraint invoice_items_billed_workorder_id_check_same check (billed_workorder_id = workorder_id),
  add foreign key (customer_id, billed_workorder_id) references workorder (customer_id, workorder_id);
create unique index invoice_items_billed_workorder_id_key on invoice_items (customer_id, billed_workorder_id)
  where billed_workorder_id is not null and deleted_at is null;

-- What is owed, to the customer and by an account, the oldest first.
create index invoice_owed on invoice (customer_id, due_date, id)
  where status in ('open', 'partial') and deleted_at is null;
create index invoice_owed_by_account on invoice (customer_id, account_id, currency_code, due_date, id)
  where status in ('open', 'partial') and deleted_at is null;

-- What moved an account in a currency, day by day: sums of years before are read without the rows.
create index invoice_billed on invoice (customer_id, account_id, currency_code, date) include (total_amount)
  where issued_at is not null and invoice_type <> 'credit_memo' and deleted_at is null;
create index invoice_voided on invoice (customer_id, account_id, currency_code)
  where issued_at is not null and invoice_type <> 'credit_memo' and deleted_at is null and voided_at is not null;
create index payment_come on payment (customer_id, account_id, currency_code, payment_date) include (payment_amount)
  where status in ('settled', 'reversed') and deleted_at is null;
create index payment_reversed on payment (customer_id, account_id, currency_code)
  where status = 'reversed' and deleted_at is null;

-- Whether an invoice was written since it is overdue: what becomes so by the day alone is written once more, and told to
-- those who keep a copy. It is nobody's act: a new version, and no line in the audit trail.
alter table invoice add column is_overdue_noted boolean not null default false;
drop trigger audit on invoice;
call audit_table('invoice', 'id', '{is_overdue_noted}');
create index invoice_overdue_next on invoice (customer_id, due_date, id)
  where status in ('open', 'partial') and not is_overdue_noted and invoice_type <> 'credit_memo' and deleted_at is null;

-- Tenants with something to note, in their order, after the one that is given: what the background asks for all of them
-- together. What follows it does as each tenant.
create function overdue_tenants(at timestamptz, after_id bigint, rows_max integer) returns setof bigint
  language sql stable security definer set search_path = public, pg_temp as $$
  select c.customer_id from customer c
  where c.customer_id > after_id and exists (
    select from invoice i
    where i.customer_id = c.customer_id and i.due_date < (at at time zone c.time_zone)::date
      and i.status in ('open', 'partial') and not i.is_overdue_noted and i.invoice_type <> 'credit_memo'
      and i.deleted_at is null)
  order by c.customer_id limit rows_max
$$;
revoke execute on function overdue_tenants from public;
grant execute on function overdue_tenants to milepost_runner;
call step_over_tenants('overdue_tenants(timestamptz, bigint, integer)');

-- What was there before: no rule has kept its sums. Nothing that was paid is owed again, and no total changes.
create function settle_billing_once() returns void
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  one record;
  room numeric;
  made bigint;
  last_id bigint := (select max(id) from payment_invoice);
begin
  -- An application counts as far as there was something to pay, and something to pay it with. What was written twice is
  -- taken back, in the order in which it came.
  for one in
    select l.*, l.applied_amount + coalesce((select sum(r.applied_amount) from payment_invoice r
      where r.customer_id = l.customer_id and r.reversed_payment_invoice_id = l.id and r.deleted_at is null), 0) as rest
    from payment_invoice l where l.applied_amount > 0 and l.deleted_at is null order by l.id
  loop
    select least(
      case when i.status = 'void' or i.invoice_type = 'credit_memo' then 0 else i.total_amount end
        - coalesce((select sum(a.applied_amount) from payment_invoice a where a.customer_id = one.customer_id
            and a.invoice_id = one.invoice_id and a.deleted_at is null
            and (coalesce(a.reversed_payment_invoice_id, a.id) < one.id
              or a.id > last_id and a.reversed_payment_invoice_id is null)), 0),
      case when p.status in ('failed', 'reversed') then 0 else p.payment_amount end
        - coalesce((select sum(a.applied_amount) from payment_invoice a where a.customer_id = one.customer_id
            and a.payment_id = one.payment_id and a.deleted_at is null
            and (coalesce(a.reversed_payment_invoice_id, a.id) < one.id
              or a.id > last_id and a.reversed_payment_invoice_id is null)), 0),
      one.rest)
      into room from invoice i, payment p
      where i.customer_id = one.customer_id and i.id = one.invoice_id
        and p.customer_id = one.customer_id and p.id = one.payment_id;
    room := greatest(room, 0);
    continue when one.rest = room;
    insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code,
        reversed_payment_invoice_id, reason)
      values (one.customer_id, one.payment_id, one.invoice_id, one.account_id, room - one.rest, one.currency_code,
        case when room < one.rest then one.id end, 'Put right when the sums of the ledger were first kept.');
  end loop;
  update payment p set applied_amount = greatest(p.applied_amount, l.amount)
    from (select customer_id, payment_id, sum(applied_amount) as amount from payment_invoice
      where deleted_at is null group by 1, 2) l
    where l.customer_id = p.customer_id and l.payment_id = p.id and l.amount > p.applied_amount;

  -- What was said to be paid without a payment: one is made of it.
  for one in
    select i.*, coalesce(l.amount, 0) as told,
      case when i.status = 'paid' then i.total_amount else greatest(i.applied_amount, coalesce(l.amount, 0)) end as paid
    from invoice i left join lateral (select sum(a.applied_amount) as amount from payment_invoice a
      where a.customer_id = i.customer_id and a.invoice_id = i.id and a.deleted_at is null) l on true
    where i.invoice_type <> 'credit_memo' and i.status <> 'void'
      and (i.applied_amount > 0 or i.status = 'paid' or l.amount > 0)
    order by i.id
  loop
    if one.paid > one.told then
      insert into payment (customer_id, account_id, payment_date, payment_method, payment_amount, currency_code, status,
          applied_amount, settled_at, reference, notes)
        values (one.customer_id, one.account_id, coalesce(one.paid_at::date, one.date), 'other', one.paid - one.told,
          one.currency_code, 'settled', one.paid - one.told, coalesce(one.paid_at, one.updated_at), one.invoice_number,
          'What was paid before payments were kept.')
        returning id into made;
      insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code,
          applied_at, reason)
        values (one.customer_id, made, one.id, one.account_id, one.paid - one.told, one.currency_code,
          coalesce(one.paid_at, one.updated_at), 'Paid before payments were kept.');
    end if;
    update invoice set applied_amount = one.paid
      where customer_id = one.customer_id and id = one.id and applied_amount <> one.paid;
  end loop;

  update invoice set
    issued_at = case when status <> 'draft' and not (status = 'void' and sent_at is null)
      then coalesce(issued_at, sent_at, created_at) end,
    disputed_at = case when status = 'disputed' then coalesce(disputed_at, updated_at) end,
    voided_at = case when status = 'void' then coalesce(voided_at, updated_at) end,
    applied_amount = case when invoice_type = 'credit_memo' and status = 'paid' then total_amount else applied_amount end
    where status <> 'draft' or issued_at is not null or disputed_at is not null or voided_at is not null;
  insert into payment (customer_id, account_id, payment_date, payment_method, payment_amount, currency_code, status,
      applied_amount, settled_at, reference, credit_memo_invoice_id, notes, deleted_at)
    select customer_id, account_id, date, 'credit_memo', total_amount, currency_code, 'settled', applied_amount, issued_at,
      invoice_number, id, '', deleted_at
    from invoice
    where invoice_type = 'credit_memo' and status not in ('draft', 'void') and total_amount > applied_amount
    order by id;
  update invoice set
    status = case when voided_at is not null then 'void' when issued_at is null then 'draft'
      when disputed_at is not null then 'disputed' when applied_amount >= total_amount then 'paid'
      when applied_amount > 0 then 'partial' else 'open' end,
    paid_at = case when issued_at is not null and voided_at is null and applied_amount >= total_amount
      then coalesce(paid_at, updated_at) end,
    -- Nobody has a copy yet.
    is_overdue_noted = issued_at is not null and voided_at is null and disputed_at is null
      and applied_amount < total_amount and invoice_type <> 'credit_memo'
      and due_date < (select (app_now() at time zone c.time_zone)::date from customer c
        where c.customer_id = invoice.customer_id)
    where status <> 'draft' or paid_at is not null;
  -- Who has settled, failed or come back has done so at some time.
  update payment set
    settled_at = case when status in ('settled', 'reversed') then coalesce(settled_at, updated_at) else settled_at end,
    failed_at = case when status = 'failed' then coalesce(failed_at, updated_at) else failed_at end,
    reversed_at = case when status = 'reversed' then coalesce(reversed_at, updated_at) else reversed_at end
    where status <> 'pending';
end
$$;
call step_over_tenants('settle_billing_once()');
-- Amounts that are finer than their currency stay as they are (0029).
alter table invoice disable trigger amounts;
alter table payment disable trigger amounts;
alter table payment_invoice disable trigger amounts;
select settle_billing_once();
alter table invoice enable trigger amounts;
alter table payment enable trigger amounts;
alter table payment_invoice enable trigger amounts;
drop function settle_billing_once();

-- Throws where a reckoned amount has more digits than are told exactly, or than its column keeps.
create function require_amount(table_name text, column_name text, amount numeric, currency text) returns void
  language plpgsql stable as $$
declare
  digits integer := coalesce((select c.minor_unit_digits from currency_lookup c where c.currency_code = currency), 2);
begin
  if abs(amount) >= power(10::numeric, least(12, 15 - digits)) then
    raise exception '% has more than fifteen digits', column_name using errcode = 'check_violation',
      table = table_name, column = column_name, constraint = format('%s_%s_check_digits', table_name, column_name);
  end if;
end
$$;

-- A line is quantity times rate, rounded half away from zero to the smallest unit of its currency; its tax is its
-- amount times the tax rate, rounded likewise. Left empty, both are reckoned here; given, they may be off by half of a
-- unit. An invoice that was issued keeps its lines.
create or replace function check_line_amount() returns trigger
  language plpgsql as $$
declare
  digits integer := (select c.minor_unit_digits from currency_lookup c where c.currency_code = new.currency_code);
  half numeric := 0.5 * power(10::numeric, -digits);
  product numeric := new.quantity * new.rate;
  tax numeric;
  is_issued boolean;
begin
  -- A work order that may be billed again: see release_workorders.
  if tg_op = 'UPDATE' and current_user = 'milepost_definer' then return new; end if;
  select i.issued_at is not null into is_issued from invoice i
    where i.customer_id = new.customer_id and i.id = new.invoice_id for no key update;
  if is_issued or tg_op = 'UPDATE' and new.invoice_id <> old.invoice_id then
    raise exception 'the invoice is issued' using errcode = 'check_violation',
      table = 'invoice_items', column = 'invoice_id', constraint = 'invoice_items_invoice_id_check_issued';
  end if;
  if new.amount is null then
    perform require_amount('invoice_items', 'amount', product, new.currency_code);
    new.amount := round(product, digits);
  end if;
  if new.tax_amount is null then
    -- Not divided by a hundred: that would round before the rounding.
    tax := round(new.amount * coalesce(new.tax_rate_pct, 0) * 0.01, digits);
    new.tax_amount := tax;
  end if;
  if tg_op = 'UPDATE' and (new.amount, new.quantity, new.rate, new.currency_code, new.tax_amount, new.tax_rate_pct)
    is not distinct from (old.amount, old.quantity, old.rate, old.currency_code, old.tax_amount, old.tax_rate_pct) then
    return new;
  end if;
  if (tg_op = 'INSERT' or (new.amount, new.quantity, new.rate, new.currency_code)
      is distinct from (old.amount, old.quantity, old.rate, old.currency_code))
    and abs(new.amount - product) > half then
    raise exception 'the amount of a line is quantity times rate' using errcode = 'check_violation',
      table = 'invoice_items', column = 'amount', constraint = 'invoice_items_amount_check_product';
  end if;
  if abs(new.tax_amount - new.amount * new.tax_rate_pct * 0.01) > half then
    raise exception 'the tax of a line is amount times tax rate' using errcode = 'check_violation',
      table = 'invoice_items', column = 'tax_amount', constraint = 'invoice_items_tax_amount_check_rate';
  end if;
  return new;
end
$$;
drop trigger line_amount on invoice_items;
create trigger line_amount before insert or update on invoice_items
  for each row execute function check_line_amount();

-- After a line: the invoice is the sum of its lines.
create function total_invoice() returns trigger
  language plpgsql as $$
declare
  lines record;
  discount numeric := (select i.discount_amount from invoice i where i.customer_id = new.customer_id and i.id = new.invoice_id);
begin
  select coalesce(sum(l.amount), 0) as amount, coalesce(sum(l.tax_amount), 0) as tax into lines from invoice_items l
    where l.customer_id = new.customer_id and l.invoice_id = new.invoice_id and l.deleted_at is null;
  if lines.amount < discount then
    raise exception 'the invoice would be below zero' using errcode = 'check_violation',
      table = 'invoice_items', column = 'amount', constraint = 'invoice_items_amount_check_below';
  elsif lines.tax < 0 then
    raise exception 'the tax of the invoice would be below zero' using errcode = 'check_violation',
      table = 'invoice_items', column = 'tax_amount', constraint = 'invoice_items_tax_amount_check_below';
  end if;
  perform require_amount('invoice_items', 'amount', lines.amount + lines.tax, new.currency_code);
  update invoice i set subtotal_amount = lines.amount, tax_amount = lines.tax
    where i.customer_id = new.customer_id and i.id = new.invoice_id
      and (i.subtotal_amount, i.tax_amount) is distinct from (lines.amount, lines.tax);
  return null;
end
$$;
create trigger total_new after insert on invoice_items for each row execute function total_invoice();
create trigger total after update on invoice_items for each row
  when ((old.amount, old.tax_amount, old.deleted_at) is distinct from (new.amount, new.tax_amount, new.deleted_at))
  execute function total_invoice();

-- Before an invoice: its total, its status, and what stays once it was issued.
create function derive_invoice() returns trigger
  language plpgsql as $$
declare
  frozen constant text[] := array['account_id', 'invoice_number', 'invoice_type', 'date', 'due_date', 'payment_terms_days',
    'currency_code', 'subtotal_amount', 'discount_amount', 'tax_amount', 'total_amount', 'billing_period_from',
    'billing_period_to', 'schedule_agreement_id', 'credited_invoice_id', 'issued_at'];
  changed text;
  lines record;
begin
  if tg_op = 'UPDATE' and old.issued_at is not null then
    select o.key into changed from jsonb_each(to_jsonb(old)) o
      where o.key = any (frozen) and o.value is distinct from to_jsonb(new) -> o.key limit 1;
    if changed is not null then
      raise exception 'the invoice is issued' using errcode = 'check_violation',
        table = 'invoice', column = changed, constraint = format('invoice_%s_check_issued', changed);
    end if;
  elsif tg_op = 'INSERT' or (old.subtotal_amount, old.discount_amount, old.tax_amount, old.total_amount, old.currency_code)
    is distinct from (new.subtotal_amount, new.discount_amount, new.tax_amount, new.total_amount, new.currency_code) then
    select count(*) as count, sum(l.amount) as amount, sum(l.tax_amount) as tax into lines from invoice_items l
      where tg_op = 'UPDATE' and l.customer_id = new.customer_id and l.invoice_id = new.id and l.deleted_at is null;
    if lines.count > 0 then
      new.subtotal_amount := lines.amount;
      new.tax_amount := lines.tax;
    end if;
    if new.discount_amount > new.subtotal_amount then
      raise exception 'more is taken off than there is' using errcode = 'check_violation',
        table = 'invoice', column = 'discount_amount', constraint = 'invoice_discount_amount_check_subtotal';
    end if;
    perform require_amount('invoice', 'total_amount',
      new.subtotal_amount - new.discount_amount + new.tax_amount, new.currency_code);
    new.total_amount := new.subtotal_amount - new.discount_amount + new.tax_amount;
  end if;
  if tg_op = 'UPDATE' and old.voided_at is not null and new.voided_at is distinct from old.voided_at
    or new.voided_at is not null and new.applied_amount <> 0 and (tg_op = 'INSERT' or old.voided_at is null) then
    raise exception 'something is applied to it, or it is void for good' using errcode = 'check_violation',
      table = 'invoice', column = 'voided_at', constraint = 'invoice_voided_at_check_applied';
  end if;
  if tg_op = 'UPDATE' and old.deleted_at is null and new.deleted_at is not null
    and (new.issued_at is not null or new.applied_amount <> 0) then
    raise exception 'what is issued is kept' using errcode = 'check_violation',
      table = 'invoice', column = 'deleted_at', constraint = 'invoice_deleted_at_check_issued';
  end if;
  if new.disputed_at is not null and new.issued_at is null then
    raise exception 'what is not issued is not disputed' using errcode = 'check_violation',
      table = 'invoice', column = 'disputed_at', constraint = 'invoice_disputed_at_check_issued';
  end if;
  new.status := case when new.voided_at is not null then 'void' when new.issued_at is null then 'draft'
    when new.disputed_at is not null then 'disputed' when new.applied_amount >= new.total_amount then 'paid'
    when new.applied_amount > 0 then 'partial' else 'open' end;
  new.paid_at := case
    when new.issued_at is null or new.voided_at is not null or new.applied_amount < new.total_amount then null
    when tg_op = 'INSERT' then coalesce(new.paid_at, app_now())
    else coalesce(old.paid_at, app_now()) end;
  new.is_overdue_noted := case when new.status in ('open', 'partial') and new.invoice_type <> 'credit_memo'
    then new.due_date < app_today() else false end;
  return new;
end
$$;
create trigger derive before insert or update on invoice for each row execute function derive_invoice();

-- Credit memos of an invoice give back no more than it came to, and an invoice with one stays.
create function check_credits() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  credited record;
  is_counted boolean := new.issued_at is not null and new.voided_at is null;
begin
  if new.voided_at is not null and exists (select from invoice m where m.customer_id = new.customer_id
    and m.credited_invoice_id = new.id and m.issued_at is not null and m.voided_at is null) then
    raise exception 'it is credited' using errcode = 'check_violation',
      table = 'invoice', column = 'voided_at', constraint = 'invoice_voided_at_check_credited';
  elsif new.voided_at is not null and exists (select from payment p where p.customer_id = new.customer_id
    and p.credit_memo_invoice_id = new.id and p.status in ('pending', 'settled') and p.deleted_at is null) then
    raise exception 'its credit is in force' using errcode = 'check_violation',
      table = 'invoice', column = 'voided_at', constraint = 'invoice_voided_at_check_credit';
  end if;
  if new.credited_invoice_id is null or not is_counted then return null; end if;
  select i.total_amount, i.issued_at, i.voided_at, i.invoice_type, i.account_id into credited from invoice i
    where i.customer_id = new.customer_id and i.id = new.credited_invoice_id for no key update;
  if credited.issued_at is null or credited.voided_at is not null or credited.invoice_type = 'credit_memo'
    or credited.account_id <> new.account_id
    or credited.total_amount < (select sum(m.total_amount) from invoice m where m.customer_id = new.customer_id
      and m.credited_invoice_id = new.credited_invoice_id and m.issued_at is not null and m.voided_at is null) then
    raise exception 'more is given back than was billed' using errcode = 'check_violation',
      table = 'invoice', column = 'credited_invoice_id', constraint = 'invoice_credited_invoice_id_check_total';
  end if;
  return null;
end
$$;
call step_over_tenants('check_credits()');
create trigger credits after insert or update of issued_at, voided_at on invoice
  for each row execute function check_credits();

-- Work orders on an invoice that is void or deleted may be billed again.
create function release_workorders() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update invoice_items set billed_workorder_id = null
    where customer_id = new.customer_id and invoice_id = new.id and billed_workorder_id is not null;
  return null;
end
$$;
call step_over_tenants('release_workorders()');
create trigger release_workorders after update of voided_at, deleted_at on invoice for each row
  when (new.voided_at is not null and old.voided_at is null or new.deleted_at is not null and old.deleted_at is null)
  execute function release_workorders();

-- Before a payment: what it was stays, and it goes one way.
create function guard_payment() returns trigger
  language plpgsql as $$
declare
  frozen constant text[] := array['account_id', 'payment_id', 'payment_method', 'payment_amount', 'currency_code',
    'credit_memo_invoice_id'];
  changed text;
  memo record;
begin
  if new.status in ('failed', 'reversed') and new.applied_amount <> 0
    and (tg_op = 'INSERT' or old.status <> new.status) then
    raise exception 'the payment is applied' using errcode = 'check_violation',
      table = 'payment', column = 'status', constraint = 'payment_status_check_applied';
  end if;
  if new.status in ('settled', 'reversed') and (tg_op = 'INSERT' or old.status = 'pending') then
    new.settled_at := coalesce(new.settled_at, app_now());
  end if;
  if tg_op = 'INSERT' then
    if new.credit_memo_invoice_id is null then return new; end if;
    select i.issued_at, i.voided_at, i.invoice_type, i.total_amount into memo from invoice i
      where i.customer_id = new.customer_id and i.id = new.credit_memo_invoice_id for no key update;
    if memo.issued_at is null or memo.voided_at is not null or memo.invoice_type <> 'credit_memo'
      or memo.total_amount <> new.payment_amount then
      raise exception 'no such credit memo' using errcode = 'check_violation',
        table = 'payment', column = 'credit_memo_invoice_id', constraint = 'payment_credit_memo_invoice_id_check_memo';
    end if;
    return new;
  end if;
  if old.deleted_at is null and new.deleted_at is not null
    and (new.status not in ('pending', 'failed') or new.applied_amount <> 0) then
    raise exception 'what has come is kept' using errcode = 'check_violation',
      table = 'payment', column = 'deleted_at', constraint = 'payment_deleted_at_check_settled';
  end if;
  select o.key into changed from jsonb_each(to_jsonb(old)) o
    where (o.key = any (frozen) or o.key = 'settled_at' and old.status in ('settled', 'reversed'))
      and o.value is distinct from to_jsonb(new) -> o.key limit 1;
  if changed is not null then
    raise exception 'a payment stays as it was made' using errcode = 'check_violation',
      table = 'payment', column = changed, constraint = format('payment_%s_check_made', changed);
  end if;
  if old.status <> new.status and (old.status, new.status) not in
    (('pending', 'settled'), ('pending', 'failed'), ('settled', 'reversed')) then
    raise exception 'a payment does not go back' using errcode = 'check_violation',
      table = 'payment', column = 'status', constraint = 'payment_status_check_order';
  end if;
  return new;
end
$$;
alter table payment add constraint payment_settled_at_check_status
  check (settled_at is not null or status not in ('settled', 'reversed'));
create trigger guard before insert or update on payment for each row execute function guard_payment();

-- The ledger, after rows were added to it: both sides and, of a credit memo's credit, the memo hold its sum.
create function keep_ledger() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  wrong text;
begin
  perform from payment p where (p.customer_id, p.id) in (select a.customer_id, a.payment_id from added a)
    order by p.id for no key update;
  perform from invoice i where (i.customer_id, i.id) in (
      select a.customer_id, a.invoice_id from added a union
      select p.customer_id, p.credit_memo_invoice_id from added a
        join payment p on p.customer_id = a.customer_id and p.id = a.payment_id)
    order by i.id for no key update;
  select case
    when exists (select from added a where a.deleted_at is not null) then 'deleted_at_check_kept'
    when exists (
      select from payment_invoice l where l.id in (select a.reversed_payment_invoice_id from added a)
        and (l.applied_amount < 0 or l.deleted_at is not null or l.applied_amount + (select sum(r.applied_amount)
          from payment_invoice r where r.customer_id = l.customer_id and r.reversed_payment_invoice_id = l.id
            and r.deleted_at is null) < 0)) then 'applied_amount_check_reversed'
    when exists (select from added a join payment p on p.customer_id = a.customer_id and p.id = a.payment_id
      where a.applied_amount > 0 and (p.status <> 'settled' or p.deleted_at is not null)) then 'payment_id_check_settled'
    when exists (select from added a join invoice i on i.customer_id = a.customer_id and i.id = a.invoice_id
      where a.applied_amount > 0 and (i.issued_at is null or i.voided_at is not null or i.deleted_at is not null
        or i.invoice_type = 'credit_memo')) then 'invoice_id_check_owed'
    end into wrong;
  if wrong is not null then
    raise exception 'the ledger does not allow it' using errcode = 'check_violation', table = 'payment_invoice',
      column = split_part(wrong, '_check_', 1), constraint = 'payment_invoice_' || wrong;
  end if;
  update payment p set applied_amount = p.applied_amount + s.amount
    from (select a.customer_id, a.payment_id, sum(a.applied_amount) as amount from added a group by 1, 2) s
    where p.customer_id = s.customer_id and p.id = s.payment_id;
  update invoice i set applied_amount = i.applied_amount + s.amount
    from (select a.customer_id, a.invoice_id, sum(a.applied_amount) as amount from added a group by 1, 2) s
    where i.customer_id = s.customer_id and i.id = s.invoice_id;
  update invoice i set applied_amount = i.applied_amount + s.amount
    from (select p.customer_id, p.credit_memo_invoice_id, sum(a.applied_amount) as amount from added a
      join payment p on p.customer_id = a.customer_id and p.id = a.payment_id
      where p.credit_memo_invoice_id is not null group by 1, 2) s
    where i.customer_id = s.customer_id and i.id = s.credit_memo_invoice_id;
  return null;
end
$$;
call step_over_tenants('keep_ledger()');
create trigger ledger after insert on payment_invoice referencing new table as added
  for each statement execute function keep_ledger();

-- What was applied of an account's payments to invoices of others, and of others' payments to its invoices: the rows
-- belong to the invoice's account, and whoever is held to the payer's sees none of them. A positive amount is the
-- account's own that went away.
create function account_transfers(account bigint, currency text)
  returns table (id bigint, applied_at timestamptz, amount numeric, payment_id bigint, invoice_id bigint)
  language sql stable security definer set search_path = public, pg_temp as $$
  select l.id, l.applied_at, l.applied_amount, p.id, null::bigint
  from payment p join payment_invoice l on l.customer_id = p.customer_id and l.payment_id = p.id
  where p.customer_id = app_customer_id() and p.account_id = account and p.currency_code = currency
    and l.account_id <> account and l.deleted_at is null
    and (app_account_ids() is null or account = any (app_account_ids()))
  union all
  select l.id, l.applied_at, -l.applied_amount, null, l.invoice_id
  from payment_invoice l join payment p on p.customer_id = l.customer_id and p.id = l.payment_id
  where l.customer_id = app_customer_id() and l.account_id = account and l.currency_code = currency
    and p.account_id <> account and l.deleted_at is null
    and (app_account_ids() is null or account = any (app_account_ids()))
$$;
revoke execute on function account_transfers from public;
grant execute on function account_transfers to milepost_api;
call step_over_tenants('account_transfers(bigint, text)');

-- The API's role adds to the ledger, and writes no sums. A column that is added later is granted with it.
do $$
declare
  target record;
  columns text;
begin
  for target in select * from (values ('invoice', '{applied_amount}'::text[]), ('payment', '{applied_amount}')) as t (name, kept) loop
    select string_agg(quote_ident(a.attname), ', ' order by a.attnum) into columns from pg_attribute a
      where a.attrelid = target.name::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        and a.attname <> all (target.kept);
    execute format('revoke insert, update on %I from milepost_api', target.name);
    execute format('grant insert (%1$s), update (%1$s) on %2$I to milepost_api', columns, target.name);
  end loop;
  revoke update on payment_invoice from milepost_api;
  grant update (reason) on payment_invoice to milepost_api;
end
$$;

-- The search says of an invoice what its list says.
create or replace view global_search_view with (security_invoker = true) as
  select equipment_id::text as id, 'equipment' as type, unit_number as title, coalesce(vin, '') as subtitle,
    description, '/equipment/' || equipment_id as route, customer_id, account_id,
    search_text(unit_number || ' ' || coalesce(vin, ''), description) as search_text
  from equipment
  union all
  select vehicle_id_code_hdr, 'vehicle', vehicle_id_code_hdr, vin_chassis_no,
    coalesce(maker_brand_description, '') || ' ' || coalesce(maker_model, ''), '/vehicles/' || vehicle_id_code_hdr,
    customer_id, account_id,
    search_text(vehicle_id_code_hdr || ' ' || vin_chassis_no || ' ' || gps_tracker_imei_number,
      coalesce(maker_brand_description, '') || ' ' || coalesce(maker_model, ''))
  from vehicle_basic_information_hdr where deleted_at is null
  union all
  select account_id::text, 'account', account_name, account_number, account_type, '/accounts/' || account_id,
    customer_id, account_id, search_text(account_name || ' ' || account_number, '')
  from account
  union all
  select service_request_id::text, 'service_request', service_request_number, status, issue_description,
    '/service-requests/' || service_request_id, customer_id, account_id,
    search_text(service_request_number, issue_description)
  from service_request where deleted_at is null
  union all
  select workorder_id::text, 'workorder', workorder_number, workorder_status, workorder_description,
    '/workorders/' || workorder_id, customer_id, account_id, search_text(workorder_number, workorder_description)
  from workorder where deleted_at is null
  union all
  select id::text, 'invoice', invoice_number,
    shown_invoice_status(status, invoice_type, due_date, (select app_today())),
    coalesce(purchase_order_number, ''), '/invoices/' || id, customer_id, account_id, search_text(invoice_number || ' ' || coalesce(purchase_order_number, ''), '')
  from invoice where deleted_at is null
  union all
  select geofence_id::text, 'geofence', geofence_name, shape_type, description, '/geofences/' || geofence_id,
    customer_id, account_id, search_text(geofence_name, description)
  from geofence
  union all
  select user_id::text, 'user', btrim(first_name || ' ' || last_name), email, status, '/users/' || user_id,
    customer_id, null, search_text(email, first_name || ' ' || last_name)
  from "user";

-- Billing, looked through once more: what is void stays as what is issued does, and so do the units on either. What 0036
-- made of rows that are deleted is put right.

-- What 0036 took no notice of: that payments, invoices and rows of the ledger are deleted. Afterwards what is owed by the
-- invoices of an account is what its statement says.
create function settle_deleted_once() returns void
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  made_note constant text := 'What was paid before payments were kept.';
  made_reason constant text := 'Paid before payments were kept.';
  why constant text := 'Put right: what it was applied to, or of, is deleted or was never issued.';
  one record;
  said numeric;
  made bigint;
begin
  -- Of a row of the ledger that was deleted, while both of its sides went on to count it, 0036 made a payment for the
  -- second time: the first one has paid it.
  for one in
    select l.*, m.id as made_id, r.id as made_row from payment_invoice l
    join payment p on p.customer_id = l.customer_id and p.id = l.payment_id
    join invoice i on i.customer_id = l.customer_id and i.id = l.invoice_id
    join payment_invoice r on r.customer_id = l.customer_id and r.invoice_id = l.invoice_id
    join payment m on m.customer_id = r.customer_id and m.id = r.payment_id
    where l.deleted_at is not null and l.applied_amount > 0 and p.deleted_at is null and p.status = 'settled'
      and i.deleted_at is null and i.issued_at is not null and i.voided_at is null
      and r.deleted_at is null and m.deleted_at is null and m.status = 'settled' and m.payment_method = 'other'
      and m.notes = made_note and r.reason = made_reason and r.applied_amount = m.payment_amount
      and (select count(*) from payment_invoice a where a.customer_id = m.customer_id and a.payment_id = m.id) = 1
    order by l.id
  loop
    select least(one.applied_amount, m.payment_amount, p.applied_amount - coalesce((select sum(a.applied_amount)
        from payment_invoice a where a.customer_id = p.customer_id and a.payment_id = p.id and a.deleted_at is null), 0))
      into said from payment p, payment m
      where p.customer_id = one.customer_id and p.id = one.payment_id
        and m.customer_id = one.customer_id and m.id = one.made_id and m.deleted_at is null;
    continue when said is null or said <= 0;
    perform set_config('app.customer_id', one.customer_id::text, true);
    if said = (select m.payment_amount from payment m where m.customer_id = one.customer_id and m.id = one.made_id) then
      update payment_invoice set deleted_at = app_now() where customer_id = one.customer_id and id = one.made_row;
      update payment set deleted_at = app_now() where customer_id = one.customer_id and id = one.made_id;
    else
      update payment set payment_amount = payment_amount - said, applied_amount = applied_amount - said
        where customer_id = one.customer_id and id = one.made_id;
      update payment_invoice set applied_amount = applied_amount - said
        where customer_id = one.customer_id and id = one.made_row;
    end if;
    insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code,
        applied_at, reason)
      values (one.customer_id, one.payment_id, one.invoice_id, one.account_id, said, one.currency_code, one.applied_at,
        'Put right: the row that said so was deleted.');
  end loop;

  -- Payments that 0036 made for invoices that are deleted: as if they had not been made.
  for one in
    select m.customer_id, m.id, r.id as row_id from payment m
    join payment_invoice r on r.customer_id = m.customer_id and r.payment_id = m.id
    join invoice i on i.customer_id = r.customer_id and i.id = r.invoice_id
    where i.deleted_at is not null and m.deleted_at is null and m.status = 'settled' and m.payment_method = 'other'
      and m.notes = made_note and r.reason = made_reason and r.deleted_at is null and r.applied_amount = m.payment_amount
      and (select count(*) from payment_invoice a where a.customer_id = m.customer_id and a.payment_id = m.id) = 1
    order by m.id
  loop
    perform set_config('app.customer_id', one.customer_id::text, true);
    update payment_invoice set deleted_at = app_now() where customer_id = one.customer_id and id = one.row_id;
    update payment set deleted_at = app_now() where customer_id = one.customer_id and id = one.id;
  end loop;

  -- What else is applied to an invoice that is deleted, or was never issued, is taken back: it is credit of the payer. What
  -- is applied of a payment that is deleted is taken back too, and the invoice stays paid: by a payment of its own.
  for one in
    select l.*, i.issued_at is not null and i.deleted_at is null as is_owed, p.payment_date, p.settled_at,
      p.payment_id as reference,
      l.applied_amount + coalesce((select sum(r.applied_amount) from payment_invoice r where r.customer_id = l.customer_id
        and r.reversed_payment_invoice_id = l.id and r.deleted_at is null), 0) as rest
    from payment_invoice l
    join payment p on p.customer_id = l.customer_id and p.id = l.payment_id
    join invoice i on i.customer_id = l.customer_id and i.id = l.invoice_id
    where l.applied_amount > 0 and l.deleted_at is null and i.voided_at is null
      and (p.deleted_at is not null or i.deleted_at is not null or i.issued_at is null)
      and not (p.deleted_at is not null and i.deleted_at is not null)
    order by l.id
  loop
    continue when one.rest <= 0;
    perform set_config('app.customer_id', one.customer_id::text, true);
    insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code,
        applied_at, reversed_payment_invoice_id, reason)
      values (one.customer_id, one.payment_id, one.invoice_id, one.account_id, -one.rest, one.currency_code,
        one.applied_at, one.id, why);
    update payment set applied_amount = greatest(applied_amount - one.rest, 0)
      where customer_id = one.customer_id and id = one.payment_id;
    if one.is_owed then
      insert into payment (customer_id, account_id, payment_date, payment_method, payment_amount, currency_code, status,
          applied_amount, settled_at, reference, notes)
        values (one.customer_id, one.account_id, one.payment_date, 'other', one.rest, one.currency_code, 'settled',
          one.rest, coalesce(one.settled_at, one.applied_at), one.reference, 'What was paid by a payment that is deleted.')
        returning id into made;
      insert into payment_invoice (customer_id, payment_id, invoice_id, account_id, applied_amount, currency_code,
          applied_at, reason)
        values (one.customer_id, made, one.invoice_id, one.account_id, one.rest, one.currency_code, one.applied_at,
          'Paid by a payment that is deleted.');
    else
      update invoice set applied_amount = greatest(applied_amount - one.rest, 0)
        where customer_id = one.customer_id and id = one.invoice_id;
    end if;
  end loop;
  perform set_config('app.customer_id', '', true);
end
$$;
call step_over_tenants('settle_deleted_once()');
-- Amounts that are finer than their currency stay as they are (0029), and sums are written with the rows.
alter table invoice disable trigger amounts;
alter table payment disable trigger amounts;
alter table payment disable trigger guard;
alter table payment_invoice disable trigger amounts;
alter table payment_invoice disable trigger ledger;
select settle_deleted_once();
-- Those who keep copies are told before the triggers come back.
set constraints all immediate;
set constraints all deferred;
alter table invoice enable trigger amounts;
alter table payment enable trigger amounts;
alter table payment enable trigger guard;
alter table payment_invoice enable trigger amounts;
alter table payment_invoice enable trigger ledger;
drop function settle_deleted_once();

-- Before an invoice (0036): one that is void stays as well, also where it was never issued.
create or replace function derive_invoice() returns trigger
  language plpgsql as $$
declare
  frozen constant text[] := array['account_id', 'invoice_number', 'invoice_type', 'date', 'due_date', 'payment_terms_days',
    'currency_code', 'subtotal_amount', 'discount_amount', 'tax_amount', 'total_amount', 'billing_period_from',
    'billing_period_to', 'schedule_agreement_id', 'credited_invoice_id', 'issued_at'];
  changed text;
  lines record;
begin
  if tg_op = 'UPDATE' and (old.issued_at is not null or old.voided_at is not null) then
    select o.key into changed from jsonb_each(to_jsonb(old)) o
      where o.key = any (frozen) and o.value is distinct from to_jsonb(new) -> o.key limit 1;
    if changed is not null then
      raise exception 'the invoice is issued or void' using errcode = 'check_violation',
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
    and (new.issued_at is not null or new.voided_at is not null or new.applied_amount <> 0) then
    raise exception 'what is issued or void is kept' using errcode = 'check_violation',
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

-- Before a line (0036): the lines of an invoice that is void stay.
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
  select i.issued_at is not null or i.voided_at is not null into is_issued from invoice i
    where i.customer_id = new.customer_id and i.id = new.invoice_id for no key update;
  if is_issued or tg_op = 'UPDATE' and new.invoice_id <> old.invoice_id then
    raise exception 'the invoice is issued or void' using errcode = 'check_violation',
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

-- Before a payment (0036): what a credit memo became is of its day, and bears its number.
create or replace function guard_payment() returns trigger
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
    where (o.key = any (frozen) or o.key = 'settled_at' and old.status in ('settled', 'reversed')
        or old.credit_memo_invoice_id is not null and o.key in ('payment_date', 'reference'))
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

-- Before a unit on an invoice: those of an invoice that is issued or void stay, as its lines do.
create function check_invoice_equipment() returns trigger
  language plpgsql as $$
declare
  is_issued boolean;
begin
  select i.issued_at is not null or i.voided_at is not null into is_issued from invoice i
    where i.customer_id = new.customer_id and i.id = new.invoice_id for no key update;
  if is_issued or tg_op = 'UPDATE' and new.invoice_id <> old.invoice_id then
    raise exception 'the invoice is issued or void' using errcode = 'check_violation',
      table = 'invoice_equipment', column = 'invoice_id', constraint = 'invoice_equipment_invoice_id_check_issued';
  end if;
  return new;
end
$$;
create trigger issued before insert or update on invoice_equipment
  for each row execute function check_invoice_equipment();

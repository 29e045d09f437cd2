/**
 * `GET /v1/account-balances`: what each account owes and has left over, a row for each currency. Sums are exact: they are
 * sent by the digits that the database has made of them.
 */
import { sql, type SQL } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { readJsonAsTenant } from '../../db/tenancy.ts';
import { CurrencyCode } from '../catalog/codes.ts';
import { openList, sendPage, type ApiContext } from '../context.ts';
import { principalOf, requirePermission } from '../guard.ts';
import { positionName, toStatement } from '../resources/query.ts';
import { closed, described, guardedProblems, Id, pageOf, pageQuery } from '../schemas.ts';
import { AccountBalance } from './schemas.ts';

interface Query {
  readonly account_id?: number;
  readonly currency_code?: string;
}

/** Adds the route. */
export function addBalanceRoutes(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'listAccountBalances',
    tags: ['billing'],
    summary: 'What accounts owe, and what is left of their payments',
    description:
      'A row for each account and currency in which something was issued or paid. Days count by the time zone of the ' +
      'customer. Asks for `payment:read` as well.',
    querystring: closed({
      ...pageQuery,
      account_id: Type.Optional(described(Id, 'Of this account alone.')),
      currency_code: Type.Optional(described(CurrencyCode, 'In this currency alone.')),
    }),
    response: { 200: pageOf(AccountBalance), ...guardedProblems },
  };
  const config = { permission: 'invoice:read' } as const;
  app.get('/v1/account-balances', { config, schema }, async (request, reply) => {
    const principal = principalOf(request);
    requirePermission(principal, 'payment:read');
    const list = openList(context, request, 'account_balance');
    const statement = toStatement(selectBalances(request.query as Query, list));
    const rows = await readJsonAsTenant(context.pool, principal, statement);
    return sendPage(
      reply,
      list.page(rows, ({ aside }) => aside),
    );
  });
}

const AMOUNTS = [
  'invoiced_amount',
  'applied_amount',
  'balance_amount',
  'not_due_amount',
  'past_due_1_30_amount',
  'past_due_31_60_amount',
  'past_due_61_90_amount',
  'past_due_over_90_amount',
  'overdue_amount',
  'disputed_amount',
  'paid_amount',
  'credited_amount',
  'unapplied_amount',
  'pending_amount',
  'net_amount',
];

function selectBalances(
  { account_id, currency_code }: Query,
  { after, rowsMax }: { after: readonly (string | number | null)[] | null; rowsMax: number },
) {
  // As jsonb a number keeps its digits.
  const shown = sql.raw(
    AMOUNTS.map((name) => `to_jsonb(trim_scale(coalesce(b.${name}, 0))) as ${name}`).join(', '),
  );
  const [account, currency] = after ?? [null, null];
  // Asked for inside, where an index finds it.
  const inCurrency =
    currency_code === undefined ? sql`true` : sql`currency_code = ${currency_code}`;
  return sql`select a.account_id, a.account_name, b.currency_code, ${shown},
      a.account_id::text as ${sql.identifier(positionName(0))}, b.currency_code as ${sql.identifier(positionName(1))}
    from account a cross join lateral (
      select coalesce(i.invoice_currency, p.payment_currency) as currency_code, i.*, p.*,
        coalesce(i.balance_amount, 0) - coalesce(p.unapplied_amount, 0) as net_amount
      from (${ofInvoices(inCurrency)}) i full join (${ofPayments(inCurrency)}) p on p.payment_currency = i.invoice_currency
    ) b
    where (${account_id ?? null}::bigint is null or a.account_id = ${account_id ?? null}::bigint)
      and (${account}::bigint is null or (a.account_id, b.currency_code) > (${account}::bigint, ${currency}::text))
    order by a.account_id, b.currency_code limit ${rowsMax}`;
}

const ofInvoices = (inCurrency: SQL) => sql`
  select currency_code as invoice_currency, sum(total_amount) as invoiced_amount, sum(applied_amount) as applied_amount,
    sum(balance_amount) as balance_amount,
    sum(balance_amount) filter (where days <= 0) as not_due_amount,
    sum(balance_amount) filter (where days between 1 and 30) as past_due_1_30_amount,
    sum(balance_amount) filter (where days between 31 and 60) as past_due_31_60_amount,
    sum(balance_amount) filter (where days between 61 and 90) as past_due_61_90_amount,
    sum(balance_amount) filter (where days > 90) as past_due_over_90_amount,
    sum(balance_amount) filter (where days > 0 and status in ('open', 'partial')) as overdue_amount,
    sum(balance_amount) filter (where status = 'disputed') as disputed_amount
  from (select *, (select app_today()) - due_date as days from invoice where account_id = a.account_id and ${inCurrency}
    and issued_at is not null and voided_at is null and deleted_at is null and invoice_type <> 'credit_memo') issued
  group by currency_code`;

const ofPayments = (inCurrency: SQL) => sql`
  select currency_code as payment_currency,
    sum(payment_amount) filter (where status = 'settled' and payment_method <> 'credit_memo') as paid_amount,
    sum(payment_amount) filter (where status = 'settled' and payment_method = 'credit_memo') as credited_amount,
    sum(unapplied_amount) filter (where status = 'settled') as unapplied_amount,
    sum(payment_amount) filter (where status = 'pending') as pending_amount
  from payment where account_id = a.account_id and ${inCurrency} and status in ('settled', 'pending') and deleted_at is null
  group by currency_code`;

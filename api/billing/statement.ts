/**
 * `GET /v1/accounts/{id}/statement`: what happened on an account in one currency, day by day, with what was owed after
 * each. What is owed at its end is what is left to pay of the account's invoices less what is left of its payments.
 */
import { sql, type SQL } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { readJsonAsTenant } from '../../db/tenancy.ts';
import { addMonths, daysBetween } from '../calendar.ts';
import { CurrencyCode } from '../catalog/codes.ts';
import { openList, sendJson, type ApiContext } from '../context.ts';
import { principalOf, requirePermission } from '../guard.ts';
import { fieldProblem, notFound } from '../problem.ts';
import { Day } from '../resources/fields.ts';
import { positionName, toStatement } from '../resources/query.ts';
import type { Resource } from '../resources/resource.ts';
import { inWork } from '../resources/routes.ts';
import { closed, described, guardedProblems, pageOf, pageQuery, problems } from '../schemas.ts';
import { rowsOf } from './locks.ts';
import { Statement, StatementEntry } from './schemas.ts';

/** Days of one statement. */
export const STATEMENT_DAYS_MAX = 1_100;
const FIRST_DAY = '0001-01-01';

interface Query {
  readonly from?: string;
  readonly to?: string;
  readonly currency_code?: string;
}

/** Adds the route. */
export function addStatementRoute(
  app: FastifyInstance,
  context: ApiContext,
  accounts: Resource,
): void {
  const entries = pageOf(StatementEntry).properties;
  const schema = {
    operationId: 'readAccountStatement',
    tags: [accounts.tag],
    summary: 'The statement of an account',
    description:
      'In the order of days. Pending and failed payments are not on it; what came back or is void is on it twice. Asks ' +
      'for `payment:read` as well.',
    params: closed({ id: accounts.keySchema }),
    querystring: closed({
      ...pageQuery,
      from: Type.Optional(described(Day, 'The first day; a month before the last when left out.')),
      to: Type.Optional(described(Day, 'The last day; today when left out.')),
      currency_code: Type.Optional(
        described(CurrencyCode, 'That of the account, or the customer, when left out.'),
      ),
    }),
    response: {
      200: Type.Object({ ...Statement, ...entries }),
      ...guardedProblems,
      ...problems(404),
    },
  };
  const config = { permission: 'invoice:read' } as const;
  app.get('/v1/accounts/:id/statement', { config, schema }, async (request, reply) => {
    const principal = principalOf(request);
    requirePermission(principal, 'payment:read');
    const { id } = request.params as { id: number };
    const asked = await inWork(context, request, async ({ db }) => {
      const [found] = await rowsOf<{ currency_code: string; today: string }>(
        db,
        sql`select coalesce(a.currency_code, c.currency_code) as currency_code, app_today()::text as today
          from account a join customer c using (customer_id) where a.account_id = ${id}`,
      );
      if (!found) throw notFound(accounts.noun);
      return periodOf(request.query as Query, found);
    });
    const list = openList(context, request, 'statement');
    const [sums] = await readJsonAsTenant(
      context.pool,
      principal,
      toStatement(selectSums(id, asked)),
    );
    const rows = await readJsonAsTenant(
      context.pool,
      principal,
      toStatement(selectEntries(id, { ...asked, opening: String(sums!.aside[0]) }, list)),
    );
    const page = list.page(rows, ({ aside }) => aside);
    const { currency_code, from, to } = asked;
    const head = JSON.stringify({ account_id: id, currency_code, from, to }).slice(1, -1);
    const data = page.data.map(({ json }) => json).join(',');
    const body = `{${head},${sums!.json.slice(1, -1)},"data":[${data}],"page":${JSON.stringify(page.page)}}`;
    return sendJson(reply, body);
  });
}

interface Period {
  readonly from: string;
  readonly to: string;
  readonly currency_code: string;
}

function periodOf(query: Query, of: { currency_code: string; today: string }): Period {
  const to = query.to ?? of.today;
  const from = query.from ?? addMonths(to, -1);
  if (from < FIRST_DAY)
    throw fieldProblem('invalid_request', 'query', '/to', 'has no month before it: send from');
  const days = daysBetween(from, to);
  if (days < 0) throw fieldProblem('invalid_request', 'query', '/from', 'is after the last day');
  if (days >= STATEMENT_DAYS_MAX) {
    const detail = `is more than ${STATEMENT_DAYS_MAX} days before the last day`;
    throw fieldProblem('invalid_request', 'query', '/from', detail);
  }
  return { from, to, currency_code: query.currency_code ?? of.currency_code };
}

/**
 * What moved the account in the currency, on days of which a condition is made. What takes something back, or elsewhere, is
 * on the statement no earlier than that.
 */
function moves(account: number, currency: string, when: (day: SQL) => SQL): SQL {
  const ofAccount = sql`account_id = ${account} and currency_code = ${currency} and deleted_at is null`;
  const dayOf = (at: string, ofDay: string) =>
    sql`greatest((${sql.raw(at)} at time zone z.time_zone)::date, ${sql.raw(ofDay)})`;
  const voided = dayOf('voided_at', 'date');
  const reversed = dayOf('reversed_at', 'payment_date');
  const transferred = dayOf('t.applied_at', 'coalesce(p.payment_date, i.date)');
  const zone = sql`cross join (select coalesce((select time_zone from customer
    where customer_id = (select app_customer_id())), 'UTC') as time_zone) z`;
  const billed = sql`${ofAccount} and issued_at is not null and invoice_type <> 'credit_memo'`;
  const come = sql`${ofAccount} and status in ('settled', 'reversed')`;
  return sql`
    select date as day, 1 as place, id, 'invoice' as kind, invoice_number as reference, id as invoice_id,
      null::bigint as payment_id, total_amount as amount from invoice where ${billed} and ${when(sql`date`)}
    union all
    select ${voided}, 2, id, 'void', invoice_number, id, null, -total_amount
    from invoice ${zone} where ${billed} and voided_at is not null and ${when(voided)}
    union all
    select payment_date, 3, id, case payment_method when 'credit_memo' then 'credit_memo' else 'payment' end, payment_id,
      credit_memo_invoice_id, id, -payment_amount from payment where ${come} and ${when(sql`payment_date`)}
    union all
    select ${reversed}, 4, id, 'reversal', payment_id, credit_memo_invoice_id, id, payment_amount
    from payment ${zone} where ${ofAccount} and status = 'reversed' and ${when(reversed)}
    union all
    select ${transferred}, 5, t.id, 'transfer', coalesce(p.payment_id, i.invoice_number, ''), t.invoice_id,
      t.payment_id, t.amount
    from account_transfers(${account}::bigint, ${currency}::text) t ${zone}
    left join payment p on p.id = t.payment_id left join invoice i on i.id = t.invoice_id
    where ${when(transferred)}`;
}

const within =
  ({ from, to }: Period) =>
  (day: SQL) =>
    sql`${day} between ${from}::date and ${to}::date`;

const exact = (amount: SQL) => sql`to_jsonb(trim_scale(${amount}))`;

/** What came before is added up, and what came after is not read. */
function selectSums(account: number, period: Period): SQL {
  const { from, currency_code } = period;
  const before = moves(account, currency_code, (day) => sql`${day} < ${from}::date`);
  return sql`select ${exact(sql`o.amount`)} as opening_amount, ${exact(sql`o.amount + p.amount`)} as closing_amount,
      o.amount::text as ${sql.identifier(positionName(0))}
    from (select coalesce(sum(amount), 0) as amount from (${before}) m) o,
      (select coalesce(sum(amount), 0) as amount from (${moves(account, currency_code, within(period))}) m) p`;
}

/** `opening` is what was owed before the period, as text. */
function selectEntries(
  account: number,
  period: Period & { readonly opening: string },
  { after, rowsMax }: { after: readonly (string | number | null)[] | null; rowsMax: number },
): SQL {
  const [day, place, id] = after ?? [null, null, null];
  const position = ['day', 'place', 'id'].map(
    (name, index) => sql`${sql.raw(name)}::text as ${sql.identifier(positionName(index))}`,
  );
  return sql`select day, kind, reference, invoice_id, payment_id, ${exact(sql`amount`)} as amount,
      ${exact(sql`running`)} as running_amount, ${sql.join(position, sql`, `)}
    from (select m.*, ${period.opening}::numeric + sum(amount) over (order by day, place, id) as running
      from (${moves(account, period.currency_code, within(period))}) m) r
    where ${day}::date is null or (day, place, id) > (${day}::date, ${place}::integer, ${id}::bigint)
    order by day, place, id limit ${rowsMax}`;
}

/**
 * `POST /v1/invoices/{id}/items-from-workorder`: the lines of a work order that is done, as lines of an invoice. Once: the
 * order is held meanwhile, and a unique index stands behind it.
 */
import { sql, type SQL } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import { RATE_MAX } from '../catalog/amounts.ts';
import type { ApiContext } from '../context.ts';
import { entityTag } from '../entity-tag.ts';
import { principalOf, requirePermission } from '../guard.ts';
import { fieldProblem, type ProblemCode } from '../problem.ts';
import type { Row } from '../resources/define.ts';
import { idempotencyHeaders } from '../resources/idempotency.ts';
import { projection } from '../resources/query.ts';
import { answered } from '../resources/routes.ts';
import { getRow, lockRow, run, type Work } from '../resources/store.ts';
import { closed, guardedProblems, problems } from '../schemas.ts';
import type { BillingResources } from './apply.ts';
import { idArray, rowsOf } from './locks.ts';
import { FromWorkorderBody, linesOf } from './schemas.ts';

/** Adds the route. */
export function addFromWorkorder(
  app: FastifyInstance,
  context: ApiContext,
  { invoices, lines }: BillingResources,
): void {
  const schema = {
    operationId: 'addInvoiceLinesFromWorkorder',
    tags: [invoices.tag],
    summary: 'Bill a work order on an invoice',
    description:
      'Parts and labour of each of its lines that the lessee pays become lines of the draft; so does its tax, where the ' +
      'lessee pays all of them: which part of it belongs to which line is not kept. The order is ' +
      'completed or closed, in the currency of the invoice, and of its account or of none. It is billed once: 409 while ' +
      'it is on another invoice that is not void. Asks for `workorder:read` as well.',
    params: closed({ id: invoices.keySchema }),
    headers: idempotencyHeaders,
    body: FromWorkorderBody,
    response: {
      200: linesOf(invoices, lines),
      ...guardedProblems,
      ...problems(404, 409, 413, 415, 422),
    },
  };
  const config = { permission: 'invoice:write' } as const;
  app.post('/v1/invoices/:id/items-from-workorder', { config, schema }, async (request, reply) => {
    requirePermission(principalOf(request), 'workorder:read');
    const { id } = request.params as { id: number };
    const { workorder_id: workorderId } = request.body as { workorder_id: number };
    const answer = await answered(context, request, async (work) => {
      const stored = await lockRow(work, invoices, id, '*');
      await requireBillable(work, stored, workorderId);
      const ids = await copyLines(work, id, workorderId);
      if (ids.length === 0) throw refuse('unprocessable', 'has nothing that the lessee pays');
      const invoice = await getRow(work, invoices, id);
      const items = await run(
        work.client,
        sql`select ${projection(lines.fields.values())} from ${lines.table}
          where ${lines.key.column} = any (${idArray(ids)}) order by ${lines.key.column}`,
      );
      const headers = { etag: entityTag(invoice['version'] as number) };
      return { status: 200, headers, body: { invoice, items } };
    });
    reply.headers(answer.headers);
    return answer.body;
  });
}

const refuse = (code: ProblemCode, detail: string) =>
  fieldProblem(code, 'body', '/workorder_id', detail);

interface Order {
  readonly workorder_status: string;
  readonly currency_code: string;
  readonly is_others: boolean;
  readonly is_mixed: boolean;
  readonly billed_on: string | null;
}

async function requireBillable({ db }: Work, invoice: Row, workorderId: number): Promise<void> {
  if (invoice['issued_at'] !== null || invoice['voided_at'] !== null) {
    const detail = 'is issued, and its lines stay';
    throw fieldProblem('conflict', 'body', '/status', detail);
  }
  await db.execute(
    sql`select from workorder where workorder_id = ${workorderId} for no key update`,
  );
  const [order] = await rowsOf<Order>(
    db,
    sql`select w.workorder_status, w.currency_code, w.account_id <> ${invoice['account_id']} as is_others,
        exists (select from workorder_vmrs v where v.workorder_id = w.workorder_id and v.deleted_at is null
          and v.currency_code <> w.currency_code) as is_mixed,
        (select i.invoice_number from invoice_items l join invoice i on i.id = l.invoice_id
          where l.workorder_id = w.workorder_id and l.deleted_at is null and i.deleted_at is null and i.voided_at is null
          limit 1) as billed_on
      from workorder w where w.workorder_id = ${workorderId} and w.deleted_at is null`,
  );
  if (!order) throw refuse('unprocessable', 'refers to nothing that exists');
  if (!['completed', 'closed'].includes(order.workorder_status))
    throw refuse('conflict', `is ${order.workorder_status}: what is billed is completed or closed`);
  if (order.is_others) throw refuse('unprocessable', 'is of another account than the invoice');
  if (order.currency_code !== invoice['currency_code'] || order.is_mixed) {
    const detail = `is ${String(invoice['currency_code'])}, and not all of the work order is`;
    throw fieldProblem('unprocessable', 'body', '/currency_code', detail);
  }
  if (order.billed_on !== null)
    throw refuse('conflict', `is billed already, on ${order.billed_on}`);
}

/**
 * The `billed` lines of an order: where the price of one is not exact, the line is one of the whole. The tax is that of all
 * lines together.
 */
const billedOf = (workorderId: number): SQL => sql`
      with ordered as (
        select w.*, exists (select from workorder_vmrs v where v.workorder_id = w.workorder_id
          and v.deleted_at is null) as has_lines, coalesce((select case bool_and(coalesce(v.payer, w.payer, 'lessee')
            = 'lessee') when true then 'lessee' when false then 'several' end from workorder_vmrs v where v.workorder_id = w.workorder_id
            and v.deleted_at is null and v.workorder_part_cost + v.workorder_labour_cost > 0), w.payer) as tax_payer
        from workorder w where w.workorder_id = ${workorderId}
      ), cost as (
        select v.workorder_vmrs_id as place, 1 as part, 'part' as item_type, v.quantity, 'each' as unit,
          v.workorder_part_cost as cost, coalesce(v.payer, o.payer) as payer,
          concat_ws(' ', n.vmrs_code, n.vmrs_description, v.part_number) as words
        from ordered o join workorder_vmrs v on v.workorder_id = o.workorder_id and v.deleted_at is null
        join vmrs_lookup n on n.vmrs_id = v.vmrs_id
        union all
        select v.workorder_vmrs_id, 2, 'labor', nullif(v.labour_hours, 0), 'hour', v.workorder_labour_cost,
          coalesce(v.payer, o.payer), concat_ws(' ', n.vmrs_code, n.vmrs_description)
        from ordered o join workorder_vmrs v on v.workorder_id = o.workorder_id and v.deleted_at is null
        join vmrs_lookup n on n.vmrs_id = v.vmrs_id
        union all
        select 0, t.part, t.item_type, null, 'each', t.cost, case t.part when 9 then o.tax_payer else o.payer end, ''
        from ordered o, lateral (values (1, 'part', case when not o.has_lines then o.part_cost end),
          (2, 'labor', case when not o.has_lines then o.labour_cost end), (9, 'tax', o.tax_cost)) t (part, item_type, cost)
      ), priced as (
        select c.*, row_number() over (order by (c.part = 9), c.place, c.part) as number,
          coalesce(round(c.cost / c.quantity, 4) * c.quantity = c.cost, false) as is_exact
        from cost c where c.cost > 0 and coalesce(c.payer, 'lessee') = 'lessee'
      ), billed as (
        select part, place, number, item_type, words, cost, case when is_exact then quantity else 1 end as quantity,
          case when is_exact then unit else 'each' end as unit,
          case when is_exact then round(cost / quantity, 4) else cost end as rate
        from priced
      )`;

async function copyLines({ db }: Work, invoiceId: number, workorderId: number): Promise<number[]> {
  const billed = billedOf(workorderId);
  const beyond = await rowsOf(
    db,
    sql`${billed} select from billed where rate > ${RATE_MAX} limit 1`,
  );
  if (beyond.length > 0)
    throw refuse('unprocessable', `has a line of more than ${RATE_MAX}, which is no rate`);
  const rows = await rowsOf<{ id: string }>(
    db,
    sql`${billed}
      insert into invoice_items (customer_id, invoice_id, line_number, item_type, item_description, quantity, unit, rate,
        amount, currency_code, equipment_id, workorder_id, billed_workorder_id)
      select o.customer_id, ${invoiceId}::bigint, b.number + (select coalesce(max(l.line_number), 0) from invoice_items l
          where l.invoice_id = ${invoiceId}), b.item_type,
        left(btrim(concat_ws(' ', o.workorder_number, initcap(b.item_type), b.words)), 200), b.quantity, b.unit, b.rate,
        b.cost, o.currency_code, o.equipment_id, o.workorder_id, case when b.number = 1 then o.workorder_id end
      from billed b, ordered o order by b.number returning id`,
  );
  return rows.map(({ id }) => Number(id));
}

/** `POST /v1/payments/{id}/apply` and `POST /v1/accounts/{id}/apply-credit`: payments split over invoices, in one piece. */
import { sql } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import { requireAccount } from '../ownership.ts';
import type { ApiContext } from '../context.ts';
import { fieldProblem, notFound, Problem } from '../problem.ts';
import type { Row } from '../resources/define.ts';
import { idempotencyHeaders } from '../resources/idempotency.ts';
import { projection } from '../resources/query.ts';
import type { Resource } from '../resources/resource.ts';
import { answered } from '../resources/routes.ts';
import { getRow, run, type Work } from '../resources/store.ts';
import { closed, guardedProblems, problems } from '../schemas.ts';
import {
  CREDITS_MAX,
  lockedPayments,
  lockOldest,
  requireRight,
  spread,
  type PaymentHead,
} from './ledger.ts';
import { idArray, lockPayments, rowsOf } from './locks.ts';
import { requireLeft } from './payments.ts';
import {
  appliedOf,
  ApplyBody,
  ApplyCreditBody,
  creditAppliedOf,
  type ApplyRequest,
} from './schemas.ts';

export interface BillingResources {
  readonly accounts: Resource;
  readonly invoices: Resource;
  readonly lines: Resource;
  readonly payments: Resource;
  readonly applications: Resource;
}

const config = { permission: 'payment:write' } as const;
const refusals = problems(404, 409, 413, 415, 422);

/** Adds the routes. */
export function addApplyRoutes(
  app: FastifyInstance,
  context: ApiContext,
  resources: BillingResources,
): void {
  const { accounts, payments, applications } = resources;
  const schema = {
    operationId: 'applyPayment',
    tags: [payments.tag],
    summary: 'Apply a payment to invoices',
    description:
      'By name, or `auto`: to those of the payer that are due longest. What is left stays credit of the account. All ' +
      'invoices are in the currency of the payment.',
    params: closed({ id: payments.keySchema }),
    headers: idempotencyHeaders,
    body: ApplyBody,
    response: { 200: appliedOf(payments, applications), ...guardedProblems, ...refusals },
  };
  app.post('/v1/payments/:id/apply', { config, schema }, async (request, reply) => {
    const { id } = request.params as { id: number };
    const answer = await answered(context, request, async (work) => {
      const made = await applyPayment(work, payments, id, request.body as ApplyRequest);
      const payment = await getRow(work, payments, id);
      const body = { payment, applications: await shown(work, applications, made) };
      return { status: 200, headers: {}, body };
    });
    reply.headers(answer.headers);
    return answer.body;
  });

  const creditSchema = {
    operationId: 'applyAccountCredit',
    tags: [accounts.tag],
    summary: 'Apply what is left of an account’s payments to invoices',
    description:
      'Settled payments and credit memos of one currency, the oldest first. Either by name, all or nothing, or `auto`.',
    params: closed({ id: accounts.keySchema }),
    headers: idempotencyHeaders,
    body: ApplyCreditBody,
    response: { 200: creditAppliedOf(applications), ...guardedProblems, ...refusals },
  };
  app.post(
    '/v1/accounts/:id/apply-credit',
    { config, schema: creditSchema },
    async (request, reply) => {
      const { id } = request.params as { id: number };
      const answer = await answered(context, request, async (work) => {
        await getRow(work, accounts, id);
        const made = await applyCredit(work, id, request.body as ApplyRequest);
        return {
          status: 200,
          headers: {},
          body: { applications: await shown(work, applications, made) },
        };
      });
      reply.headers(answer.headers);
      return answer.body;
    },
  );
}

async function shown(work: Work, { fields, table, key }: Resource, ids: number[]): Promise<Row[]> {
  return run(
    work.client,
    sql`select ${projection(fields.values())} from ${table} where ${key.column} = any (${idArray(ids)})
      order by ${key.column}`,
  );
}

async function applyPayment(
  work: Work,
  payments: Resource,
  id: number,
  body: ApplyRequest,
): Promise<number[]> {
  const [payment] = await lockedPayments(work, [id]);
  if (!payment) throw notFound(payments.noun);
  const { account_id } = await getRow(work, payments, id);
  requireSettled(payment);
  return pay(work, body, {
    ids: [id],
    accountId: account_id as number,
    currency: payment.currency_code,
    left: payment.left,
  });
}

function requireSettled({ status }: PaymentHead): void {
  if (status === 'settled') return;
  const detail = `is ${status}: what is applied is settled`;
  throw fieldProblem('conflict', 'body', '/status', detail);
}

async function applyCredit(work: Work, accountId: number, body: ApplyRequest): Promise<number[]> {
  const currency = body.currency_code!;
  await requireCurrency(work, currency);
  const isCredit = sql`account_id = ${accountId} and currency_code = ${currency} and status = 'settled'
    and deleted_at is null and unapplied_amount > 0`;
  const found = await rowsOf<{ id: string }>(
    work.db,
    sql`select id from payment where ${isCredit} order by payment_date, id limit ${CREDITS_MAX}`,
  );
  const ids = found.map(({ id }) => Number(id));
  await lockPayments(work.db, ids);
  const [sum] = await rowsOf<{ left: string }>(
    work.db,
    sql`select trim_scale(coalesce(sum(unapplied_amount), 0))::text as left from payment
      where id = any (${idArray(ids)}) and ${isCredit}`,
  );
  return pay(work, body, { ids, accountId, currency, left: sum!.left });
}

/** Throws 422 for a currency that there is not. */
async function requireCurrency({ db }: Work, currency: string): Promise<void> {
  const found = await rowsOf(
    db,
    sql`select from currency_lookup where currency_code = ${currency}`,
  );
  if (found.length === 0)
    throw fieldProblem('unprocessable', 'body', '/currency_code', 'refers to nothing that exists');
}

interface Purse {
  readonly ids: readonly number[];
  readonly accountId: number;
  readonly currency: string;
  /** As text. */
  readonly left: string;
}

async function pay(work: Work, body: ApplyRequest, purse: Purse): Promise<number[]> {
  const { applications, auto, account_ids } = body;
  if ((applications === undefined) === (auto === undefined))
    throw new Problem('invalid_request', 'send either applications or auto', {
      errors: [
        { in: 'body', pointer: '/applications', detail: 'or auto is to be sent, and not both' },
      ],
    });
  if (applications !== undefined && account_ids !== undefined)
    throw fieldProblem('unprocessable', 'body', '/account_ids', 'goes with auto alone');
  if (applications === undefined) {
    const others = account_ids ?? [];
    await requireAccounts(work, others);
    const accountIds = [purse.accountId, ...others];
    const invoiceIds = await lockOldest(work, accountIds, purse.currency);
    return spread(work, purse.ids, { invoiceIds });
  }
  await requireRight(work, purse.currency, applications);
  await requireLeft(
    work,
    purse.left,
    applications.map(({ amount }) => amount),
    '/applications',
  );
  return spread(work, purse.ids, applications);
}

/** Throws 422 for an account that is not the caller's to see. */
async function requireAccounts({ db, principal }: Work, ids: readonly number[]): Promise<void> {
  for (const [place, id] of ids.entries()) {
    await requireAccount(db, principal, id).catch(() => {
      throw fieldProblem('unprocessable', 'body', `/account_ids/${place}`, 'no such account');
    });
  }
}

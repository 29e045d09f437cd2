/**
 * What is done to an invoice as a whole: issued, sent, disputed, made void. Its status follows from the instants that
 * these write, and from what is applied to it; nobody writes the status itself.
 */
import { sql } from 'drizzle-orm';
import { Type, type TObject } from 'typebox';
import { fieldProblem, Problem } from '../problem.ts';
import type { Row } from '../resources/define.ts';
import type { Resource } from '../resources/resource.ts';
import { lockRow, updateRow, type Work } from '../resources/store.ts';
import { Day } from '../resources/fields.ts';
import { closed, Text } from '../schemas.ts';
import { closeCredit, creditOf, openCredit, requireCreditable } from './credit-memos.ts';
import { movedDueDate, requireOrder } from './due-date.ts';
import { requirePast } from './invoices.ts';
import { lockPayments, rowsOf } from './locks.ts';

export interface Step {
  readonly name: 'issue' | 'send' | 'dispute' | 'resolve-dispute' | 'void';
  readonly summary: string;
  readonly description: string;
  readonly body: TObject;
  /** Whether a row is where the step may be taken. */
  isOpen(stored: Row): boolean;
  /** What is held before the invoice is. */
  prepare?(work: Work, invoiceId: number): Promise<void>;
  /** What is written. May throw a `Problem`. */
  take(work: Work, stored: Row, body: Row): Promise<Row> | Row;
  /** After it was written. */
  taken?(work: Work, row: Row): Promise<void>;
}

const Nothing = closed({}, { examples: [{}] });
const reasonLike = (example: string) =>
  closed(
    { reason: Type.Unsafe<string>({ ...Text, minLength: 1 }) },
    { examples: [{ reason: example }] },
  );
const IssueBody = closed(
  {
    date: Type.Optional({ ...Day, description: 'The day of the invoice; as it is when left out.' }),
    due_date: Type.Optional({
      ...Day,
      description:
        'Left out, as it is; with a new `date`, it moves along where it is so many days after it as the terms say.',
    }),
    issued_at: Type.Optional(
      Type.String({
        format: 'date-time',
        maxLength: 40,
        description: 'When it was issued elsewhere, for what is taken over; now when left out.',
      }),
    ),
  },
  { examples: [{}] },
);

const isDraft = (row: Row) => row['issued_at'] === null && row['voided_at'] === null;
const isIssued = (row: Row) => row['issued_at'] !== null && row['voided_at'] === null;
const isDisputed = (row: Row) => row['disputed_at'] !== null;
const isMemo = (row: Row) => row['invoice_type'] === 'credit_memo';

export const STEPS: readonly Step[] = [
  {
    name: 'issue',
    summary: 'Issue an invoice',
    description:
      'From then on it is owed, and amounts, lines, currency, account and days stay. A credit memo becomes credit of its ' +
      'account, of which `credited_invoice_id` is paid first.',
    body: IssueBody,
    isOpen: isDraft,
    take: issue,
    taken: (work, row) => openCredit(work, row),
  },
  {
    name: 'send',
    summary: 'Note that an invoice was sent',
    description: 'It may be sent again: `sent_at` is the last time.',
    body: Nothing,
    isOpen: isIssued,
    take: ({ nowMs }) => ({ sent_at: new Date(nowMs) }),
  },
  {
    name: 'dispute',
    summary: 'Note that an invoice is disputed',
    description: 'What is applied by itself goes by it; it can still be paid by name.',
    body: reasonLike('Unit N-1003 was off hire from 12 February.'),
    isOpen: (row) => isIssued(row) && !isDisputed(row) && !isMemo(row),
    take: ({ nowMs }, _stored, { reason }) => ({
      disputed_at: new Date(nowMs),
      dispute_reason: reason,
    }),
  },
  {
    name: 'resolve-dispute',
    summary: 'Note that a dispute is over',
    description:
      'What was found to be right is owed as before; what was not is given back by a credit memo.',
    body: Nothing,
    isOpen: (row) => isIssued(row) && isDisputed(row),
    take: () => ({ disputed_at: null, dispute_reason: '' }),
  },
  {
    name: 'void',
    summary: 'Make an invoice void',
    description:
      'It keeps its number, and nothing is owed. Refused with 409 while something is applied to it, or a credit memo ' +
      'of it is in force; of a credit memo, while its credit is applied.',
    body: reasonLike('Issued twice.'),
    isOpen: (row) => row['voided_at'] === null,
    prepare: async (work, id) => lockPayments(work.db, await creditOf(work, id)),
    take: voided,
  },
];

/** Takes a step. Throws 404, 412, 409 telling the steps that are open, or what the step itself refuses. */
export async function takeStep(
  work: Work,
  invoices: Resource,
  step: Step,
  { id, body, ifMatch }: { id: number; body: Row; ifMatch: string },
): Promise<Row> {
  await step.prepare?.(work, id);
  const stored = await lockRow(work, invoices, id, ifMatch);
  if (!step.isOpen(stored)) throw notOpen(step, stored);
  const row = await updateRow(work, invoices, id, await step.take(work, stored, body));
  await step.taken?.(work, row);
  return row;
}

function notOpen({ name }: Step, stored: Row): Problem {
  const allowedTransitions = STEPS.filter((one) => one.isOpen(stored)).map((one) => one.name);
  const allows = allowedTransitions.length === 0 ? 'nothing more' : allowedTransitions.join(', ');
  const detail = `is ${String(stored['status'])}, which allows ${allows}`;
  const errors = [{ in: 'body' as const, pointer: '/status', detail }];
  return new Problem('conflict', `the invoice ${detail}, and not ${name}`, {
    errors,
    allowedTransitions,
  });
}

async function issue(work: Work, stored: Row, body: Row): Promise<Row> {
  requirePast(work.nowMs, body['issued_at'], '/issued_at');
  await requireCreditable(work, stored);
  const issued_at = body['issued_at'] ?? new Date(work.nowMs);
  const { date, due_date } = { ...stored, ...body, ...(await movedDueDate(work, body, stored)) };
  await requireOrder(work, { date, due_date });
  return { date, due_date, issued_at };
}

async function voided(work: Work, stored: Row, { reason }: Row): Promise<Row> {
  const at = (detail: string) => fieldProblem('conflict', 'body', '/status', detail);
  if (stored['applied_amount'] !== 0) {
    throw at(
      isMemo(stored)
        ? 'its credit is applied: take the applications back first'
        : 'something is applied to it: take the applications back first',
    );
  }
  const credits = await rowsOf<{ invoice_number: string }>(
    work.db,
    sql`select invoice_number from invoice where credited_invoice_id = ${stored['id']} and issued_at is not null
      and voided_at is null order by id limit 1`,
  );
  if (credits[0])
    throw at(`the credit memo ${credits[0].invoice_number} is in force: make that void first`);
  await closeCredit(work, stored, reason as string);
  return { voided_at: new Date(work.nowMs), void_reason: reason };
}

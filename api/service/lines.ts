/**
 * Lines of work orders: held to an order that is open to them, in its currency. What a line costs is filled in from its
 * VMRS code where it is left out. The sums are the database's (migrations/0033).
 */
import { eq, sql } from 'drizzle-orm';
import { workorder } from '../../db/schema.ts';
import { fieldProblem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { requireUnbilledLines } from './bills.ts';

export const lineRules: ResourceRules = {
  async prepare(context, values, stored) {
    const { workorder_id: id } = { ...stored, ...values };
    const currency = await holdOrder(context, id as number);
    if (stored) return values;
    return withUsualCosts(context, { currency_code: currency, ...values });
  },
  async removing(context, stored) {
    await holdOrder(context, stored['workorder_id'] as number);
  },
};

/** Holds the order of a line, and gives its currency. Throws 409 for one that is closed, cancelled or billed. */
async function holdOrder({ db }: RuleContext, id: number): Promise<string> {
  const [order] = await db
    .select({ status: workorder.workorder_status, currency: workorder.currency_code })
    .from(workorder)
    .where(eq(workorder.workorder_id, id))
    .for('no key update');
  const isOver = order?.status === 'closed' || order?.status === 'cancelled';
  if (isOver) {
    const detail = `is ${order.status}, and its lines stay as they are`;
    throw fieldProblem('conflict', 'body', '/workorder_id', detail);
  }
  await requireUnbilledLines(db, id);
  return order!.currency;
}

/** Columns of a line, and what the VMRS code says of one piece of it. */
const USUAL = [
  ['workorder_part_cost', 'part_cost'],
  ['workorder_labour_cost', 'labor_cost'],
] as const;

async function withUsualCosts({ db }: RuleContext, values: Row): Promise<Row> {
  const missing = USUAL.filter(([name]) => values[name] === undefined);
  if (missing.length === 0) return values;
  const quantity = values['quantity'] ?? 1;
  const costs = missing.map(
    ([name, of]) =>
      sql`round(${sql.identifier(of)} * ${quantity}::numeric, minor_unit_digits)::float8 as ${sql.identifier(name)}`,
  );
  const { rows } = await db.execute<Row>(sql`
    select ${sql.join(costs, sql`, `)} from vmrs_lookup join currency_lookup using (currency_code)
    where vmrs_id = ${values['vmrs_id']} and currency_code = ${values['currency_code']}`);
  const known = Object.entries(rows[0] ?? {}).filter(([, cost]) => cost !== null);
  return { ...values, ...Object.fromEntries(known) };
}

/**
 * Lines of work orders: held to an order that is open to them, in its currency. What a line costs is filled in from its
 * VMRS code where it is left out. The sums are the database's (migrations/0033).
 */
import { eq, sql } from 'drizzle-orm';
import { workorder } from '../../db/schema.ts';
import { COST_MAX } from '../catalog/service-fields.ts';
import { fieldProblem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { requireUnbilledLines } from './bills.ts';

export const lineRules: ResourceRules = {
  async prepare(context, values, stored) {
    const { workorder_id: id } = { ...stored, ...values };
    const currency = await holdOrder(context, id as number);
    const filled = stored
      ? values
      : await withUsualCosts(context, { currency_code: currency, ...values });
    await requireRoom(context, filled, { ...stored, ...filled });
    return filled;
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

/** Throws 422 naming the cost that would take that of the whole order beyond what one may be. The order is held. */
async function requireRoom({ db }: RuleContext, values: Row, whole: Row): Promise<void> {
  if (!USUAL.some(([name]) => name in values)) return;
  const checks = USUAL.map(([name]) => {
    const column = sql.identifier(name);
    return sql`coalesce(sum(${column}), 0) + ${whole[name] ?? 0}::numeric > ${COST_MAX} as ${column}`;
  });
  const own = (whole['workorder_vmrs_id'] ?? 0) as number;
  const { rows } = await db.execute<Record<string, boolean>>(sql`
    select ${sql.join(checks, sql`, `)} from workorder_vmrs
    where workorder_id = ${whole['workorder_id']} and workorder_vmrs_id <> ${own} and deleted_at is null`);
  const name = Object.keys(rows[0]!).find((one) => rows[0]![one]);
  if (name === undefined) return;
  const detail = `would take the lines of its order beyond ${COST_MAX}`;
  throw fieldProblem('unprocessable', 'body', `/${name}`, detail);
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
      sql`round(${sql.identifier(of)} * ${quantity}::numeric, minor_unit_digits)::text as ${sql.identifier(name)}`,
  );
  const { rows } = await db.execute<Row>(sql`
    select ${sql.join(costs, sql`, `)} from vmrs_lookup join currency_lookup using (currency_code)
    where vmrs_id = ${values['vmrs_id']} and currency_code = ${values['currency_code']}`);
  const known = Object.entries(rows[0] ?? {}).filter(([, cost]) => cost !== null);
  return { ...values, ...Object.fromEntries(known) };
}

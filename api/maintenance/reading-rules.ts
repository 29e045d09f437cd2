/**
 * Readings of meters, entered by people and other systems: not of the future, and never lower than one before or higher
 * than one after. A wrong one is voided, and so are those of a meter that was replaced. What rests on them is worked out
 * anew in the same transaction.
 */
import { sql } from 'drizzle-orm';
import { equipmentReading } from '../../db/schema.ts';
import { holdUnitOf, holdUnits } from '../equipment/hold.ts';
import { METER_AHEAD_MS } from '../equipment/meters.ts';
import { fieldProblem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { evaluateUnits } from './evaluate.ts';

/** Tanks are filled and emptied. */
const NOT_RISING = new Set(['fuel_level']);
/** What makes a reading another one, in the order in which it is to blame. */
const TOLD = ['equipment_reading', 'reading_at', 'uom_lookup_id', 'is_void'] as const;

const OF_UNIT = {
  table: equipmentReading,
  key: equipmentReading.equipment_reading_id,
  unit: equipmentReading.equipment_id,
};

/** Units whose readings are made together: they are looked at when all of them are there. */
const together = new WeakMap<RuleContext, Set<number>>();

export const readingRules: ResourceRules = {
  async holding({ db }, id) {
    await holdUnitOf(db, OF_UNIT, id);
  },
  async many(context, bodies) {
    const { db, nowMs } = context;
    await holdUnits(
      db,
      bodies.map((body) => body['equipment_id'] as number),
    );
    const units = new Set<number>();
    together.set(context, units);
    return async () => {
      together.delete(context);
      await evaluateUnits(db, nowMs, [...units]);
    };
  },
  async prepare(context, values, stored) {
    if (!stored && !together.has(context)) {
      await holdUnits(context.db, [values['equipment_id'] as number]);
    }
    const given = stored ? values : { reading_at: new Date(context.nowMs), ...values };
    const whole: Row = { is_void: false, ...stored, ...given };
    const changed = TOLD.filter((name) => name in given);
    if (changed.length === 0 || whole['is_void'] === true) return given;
    const atMs = new Date(whole['reading_at'] as string | Date).getTime();
    if (atMs > context.nowMs + METER_AHEAD_MS) {
      throw fieldProblem('unprocessable', 'body', '/reading_at', 'is in the future');
    }
    if (!NOT_RISING.has(whole['reading_type'] as string)) {
      await requireRising(context, whole, { atMs, blamed: changed[0]! });
    }
    return given;
  },
  async written(context, row) {
    const unitId = row['equipment_id'] as number;
    const waiting = together.get(context);
    if (waiting) waiting.add(unitId);
    else await evaluateUnits(context.db, context.nowMs, [unitId]);
  },
  async removed({ db, nowMs }, row) {
    await evaluateUnits(db, nowMs, [row['equipment_id'] as number]);
  },
};

/** Throws 422 for a reading below the one before it, or above the one after it. The caller holds the unit. */
async function requireRising(
  { db }: RuleContext,
  reading: Row,
  { atMs, blamed }: { atMs: number; blamed: string },
): Promise<void> {
  const unitId = reading['equipment_id'];
  const at = sql`${new Date(atMs).toISOString()}::timestamptz`;
  const others = sql`from equipment_reading r join uom_lookup o using (uom_lookup_id)
    where r.customer_id = app_customer_id() and r.equipment_id = ${unitId}
      and r.reading_type = ${reading['reading_type']} and not r.is_void and r.deleted_at is null
      and r.equipment_reading_id is distinct from ${reading['equipment_reading_id'] ?? null}::bigint`;
  const shown = sql`(r.equipment_reading * meter_factor(o.uom_code)::numeric) as value,
    r.equipment_reading::text || ' ' || o.uom_code || ' of ' || to_char(r.reading_at at time zone 'UTC',
      'YYYY-MM-DD"T"HH24:MI"Z"') as words`;
  const { rows } = await db.execute<{ above: string | null; below: string | null }>(sql`
    with given as (
      select ${reading['equipment_reading']}::numeric * meter_factor(uom_code)::numeric as value
      from uom_lookup where uom_lookup_id = ${reading['uom_lookup_id']}
    ), before as (select ${shown} ${others} and r.reading_at <= ${at}
      order by r.reading_at desc, value desc limit 1),
    after as (select ${shown} ${others} and r.reading_at > ${at}
      order by r.reading_at, value limit 1)
    select (select b.words from before b, given g where b.value > g.value) as below,
      (select a.words from after a, given g where a.value < g.value) as above`);
  const { below, above } = rows[0]!;
  const words =
    below === null ? above && `is above ${above}, which came after` : `is below ${below}`;
  if (words === null) return;
  const detail = `${words}; meters do not run backwards: void what is wrong`;
  throw fieldProblem('unprocessable', 'body', `/${blamed}`, detail);
}

/**
 * What roadside calls ask for: where the unit stands, somebody who is sent, an outcome that says how it ended. Each step,
 * and each time that was promised, goes into the communication log in the transaction that writes it.
 */
import { and, eq, isNotNull, notInArray, sql } from 'drizzle-orm';
import { communicationLog, ers, telematics, workorder } from '../../db/schema.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import { isBlank } from '../resources/states.ts';
import { accountOf, currencyOf } from './limits.ts';
import { closeRequestWhenDone, convertRequest, holdRequest } from './requests.ts';

/** In these a call may yet be deleted: nobody has come. */
const DELETABLE = new Set(['reported', 'dispatched', 'cancelled']);
/** In these somebody is on the way or at work. */
const SENT = new Set(['dispatched', 'accepted', 'en_route', 'on_site', 'repairing']);
const WHO = ['vendor_name', 'assigned_to_user_id'] as const;
/** After these a request may be done. */
const OVER = new Set(['resolved', 'closed', 'cancelled']);

export const callRules: ResourceRules = {
  async prepare(context, values, stored) {
    if (stored) await requireSameOrder(context, values, stored);
    const placed = stored ? whereReported(values) : await prepareNew(context, values);
    const moved = stored ? prepareStep(placed, stored) : placed;
    const prepared = await withCurrency(context, moved, stored);
    requireSent(prepared, stored);
    requireOutcome(prepared, stored);
    return prepared;
  },
  async written(context, row, stored) {
    const requestId = row['service_request_id'] as number | null;
    await log(context, row, stored);
    if (!stored) {
      if (requestId !== null) await convertRequest(context, requestId);
      return;
    }
    const to = row['ers_status'] as string;
    const isLinked = stored['workorder_id'] !== row['workorder_id'];
    if ((stored['ers_status'] !== to || isLinked) && OVER.has(to)) {
      await closeRequestWhenDone(context, requestId);
    }
  },
  removing(_context, { ers_status: at }) {
    if (DELETABLE.has(at as string)) return;
    throw new Problem(
      'conflict',
      `it is ${String(at)}: somebody is on it, and its history is kept`,
    );
  },
  removed: (context, { service_request_id: id }) =>
    closeRequestWhenDone(context, id as number | null),
};

/** What is said at the roadside of a time of arrival holds from then on. */
export const communicationRules: ResourceRules = {
  prepare({ nowMs }, values) {
    const at = values['occurred_at'] as string | undefined;
    if (at !== undefined && Date.parse(at) > nowMs + AHEAD_MS_MAX) {
      throw fieldProblem('unprocessable', 'body', '/occurred_at', 'is in the future');
    }
    return values;
  },
  async written({ db }, row) {
    const { eta_at, ers_id, occurred_at, communication_id } = row;
    if (eta_at === null) return;
    const said = communicationLog;
    const [later] = await db
      .select({ id: said.communication_id })
      .from(said)
      .where(
        and(
          eq(said.ers_id, ers_id as number),
          isNotNull(said.eta_at),
          sql`(${said.occurred_at}, ${said.communication_id}) > (${(occurred_at as Date).toISOString()}::timestamptz, ${communication_id}::bigint)`,
        ),
      )
      .limit(1);
    if (later) return;
    await db
      .update(ers)
      .set({ eta_at: eta_at as Date })
      .where(and(eq(ers.ers_id, ers_id as number), notInArray(ers.ers_status, [...ENDED])));
  },
};
/** People's clocks may be ahead by this much. */
const AHEAD_MS_MAX = 10 * 60_000;
const ENDED = ['on_site', 'repairing', 'resolved', 'closed', 'cancelled'] as const;

/** Parts are added to a call as long as it is neither closed nor cancelled, in its currency. */
export const partRules: ResourceRules = {
  async prepare(context, values, stored) {
    const { ers_id: id } = { ...stored, ...values };
    const currency = await holdCall(context, id as number);
    return stored ? values : { currency_code: currency, ...values };
  },
  async removing(context, stored) {
    await holdCall(context, stored['ers_id'] as number);
  },
};

async function holdCall({ db }: RuleContext, id: number): Promise<string> {
  const [call] = await db.select().from(ers).where(eq(ers.ers_id, id)).for('no key update');
  const isOver = call!.ers_status === 'closed' || call!.ers_status === 'cancelled';
  if (isOver) {
    const detail = `is ${call!.ers_status}, and its parts stay as they are`;
    throw fieldProblem('conflict', 'body', '/ers_id', detail);
  }
  return call!.currency_code ?? currencyOf(db, call!.account_id);
}

async function prepareNew(context: RuleContext, values: Row): Promise<Row> {
  const requestId = (values['service_request_id'] ?? null) as number | null;
  const unit = values['equipment_id'] as number;
  if (requestId !== null) await holdRequest(context, requestId, unit);
  return whereItStands(context, values);
}

/** An amount is in the currency of the account, unless the call has one. */
async function withCurrency({ db }: RuleContext, values: Row, stored: Row | null): Promise<Row> {
  const whole = { ...stored, ...values };
  const hasAmount = ['cost', 'cost_limit'].some((name) => (values[name] ?? null) !== null);
  if (!hasAmount || (whole['currency_code'] ?? null) !== null) return values;
  return { ...values, currency_code: await currencyOf(db, await accountOf(db, whole)) };
}

/** Throws 409 where another order is to take the place of one that is there: what the call cost is in that. */
async function requireSameOrder({ db }: RuleContext, values: Row, stored: Row): Promise<void> {
  const id = stored['workorder_id'] as number | null;
  if (id === null || !('workorder_id' in values)) return;
  const { workorder_id, deleted_at } = workorder;
  const gone = await db
    .select({ workorder_id })
    .from(workorder)
    .where(and(eq(workorder_id, id), isNotNull(deleted_at)));
  if (gone.length > 0) return;
  const detail = 'stays, for what the call cost went over to that order';
  throw fieldProblem('conflict', 'body', '/workorder_id', detail);
}

/** The position that was reported, or that of the unit's newest fix where there is one. */
async function whereItStands({ db }: RuleContext, values: Row): Promise<Row> {
  const isGiven = ['latitude', 'longitude'].some((name) => (values[name] ?? null) !== null);
  if (isGiven) return whereReported(values);
  const [fix] = await db
    .select()
    .from(telematics)
    .where(eq(telematics.equipment_id, values['equipment_id'] as number));
  if (!fix) return values;
  return {
    ...values,
    latitude: fix.latitude,
    longitude: fix.longitude,
    location_source: 'last_fix',
    location_recorded_at: fix.recorded_at,
    location_accuracy_m: fix.accuracy_m,
  };
}

/** A position that somebody gives is as old and as good as they say, and not as the one before it was. */
function whereReported(values: Row): Row {
  if (!('latitude' in values) && !('longitude' in values)) return values;
  const isEmptied = values['latitude'] === null || values['longitude'] === null;
  return {
    location_recorded_at: null,
    location_accuracy_m: null,
    ...values,
    location_source: isEmptied ? null : 'reported',
  };
}

/** What was promised by those who did not come holds no more, and whoever is sent then starts anew. */
function prepareStep(values: Row, stored: Row): Row {
  const to = values['ers_status'];
  if (to === 'no_show') return { eta_at: null, ...values };
  if (to !== 'dispatched' || stored['ers_status'] !== 'no_show') return values;
  return { accepted_at: null, en_route_at: null, ...values };
}

function requireSent(values: Row, stored: Row | null): void {
  const whole = { ...stored, ...values };
  const isTouched = ['ers_status', ...WHO].some((name) => name in values);
  if (!isTouched || !SENT.has(whole['ers_status'] as string)) return;
  const isSent = WHO.some((name) => !isBlank(whole[name]));
  if (isSent) return;
  const detail = `is required to be ${String(whole['ers_status'])}, or assigned_to_user_id`;
  throw fieldProblem('unprocessable', 'body', '/vendor_name', detail);
}

function requireOutcome(values: Row, stored: Row | null): void {
  const whole = { ...stored, ...values };
  if (values['ers_status'] !== 'resolved' && !(stored && 'outcome' in values)) return;
  if (whole['ers_status'] !== 'resolved') return;
  const need = (isThere: boolean, name: string, detail: string) => {
    if (!isThere) throw fieldProblem('unprocessable', 'body', `/${name}`, detail);
  };
  const has = (name: string) => !isBlank(whole[name]);
  const outcome = whole['outcome'];
  need(has('outcome'), 'outcome', 'is required to be resolved');
  if (outcome === 'towed') {
    const isPlaced = has('towed_to_facility_lookup_id') || has('location_description');
    const detail = 'is required where the outcome is towed, or a location_description';
    need(isPlaced, 'towed_to_facility_lookup_id', detail);
  }
  if (outcome === 'swapped') {
    const detail = 'is required where the outcome is swapped';
    need(has('replacement_equipment_id'), 'replacement_equipment_id', detail);
  }
}

/** Notes a step, and a time of arrival that is new. */
async function log({ db, nowMs, principal }: RuleContext, row: Row, stored: Row | null) {
  const from = (stored?.['ers_status'] ?? null) as string | null;
  const to = row['ers_status'] as string;
  const eta = row['eta_at'] as Date | null;
  const isPromised =
    eta !== null && eta.getTime() !== (stored?.['eta_at'] as Date | null)?.getTime();
  const said = [
    ...(from === null || from === to ? [] : [`${from} → ${to}`]),
    ...(row['status_reason'] !== '' && from !== to ? [String(row['status_reason'])] : []),
    ...(isPromised ? [`expected at ${eta.toISOString()}`] : []),
  ];
  if (said.length === 0 || (from === null && !isPromised)) return;
  await db.insert(communicationLog).values({
    customer_id: principal.tenant.customerId,
    ers_id: row['ers_id'] as number,
    communication_type: 'note',
    direction: 'internal',
    vendor_name: row['vendor_name'] as string | null,
    driver_name: row['driver_name'] as string | null,
    message: said.join('; '),
    eta_at: isPromised ? eta : null,
    occurred_at: new Date(nowMs),
  });
}

/** For the tests of agreements and inspections: a portal whose clock can be moved, and records made in a word each. */
import type { Test } from 'tap';
import { startTestPortal, type TestPortal, type Who } from '../test-portal.ts';

export type Row = Record<string, unknown>;

export interface Answer {
  readonly status: number;
  readonly body: Row;
  readonly text: string;
}

/** What the customer's clocks (Europe/Berlin) show when a test begins. */
export const START = '2026-06-15T10:00:00Z';

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

export interface Calls {
  readonly call: (method: Method, url: string, payload?: object, who?: Who) => Promise<Answer>;
  readonly post: (path: string, payload: object, who?: Who) => Promise<Answer>;
  readonly patch: (path: string, id: unknown, payload: object, who?: Who) => Promise<Answer>;
  readonly remove: (path: string, id: unknown) => Promise<Answer>;
  readonly move: (path: string, id: unknown, payload: object, who?: Who) => Promise<Answer>;
  readonly read: (path: string, id: unknown) => Promise<Row>;
}

export interface Makers {
  /** A unit of the first type, unless something else is said. */
  readonly unit: (given?: Row) => Promise<number>;
  readonly master: (given?: Row) => Promise<Row>;
  readonly schedule: (given?: Row) => Promise<Row>;
  readonly line: (given?: Row) => Promise<Row>;
  readonly allocation: (given?: Row) => Promise<Row>;
}

export interface House extends Calls, Makers {
  readonly portal: TestPortal;
  readonly north: number;
  readonly south: number;
  /** Types of units; the first is that of lines. */
  readonly types: readonly number[];
  /** Moves the clock. */
  setNow(at: string): void;
  nowMs(): number;
  /** A whole agreement with one allocation of so many units. */
  agreement(given?: { units?: number; policy?: string; schedule?: Row }): Promise<Agreement>;
  assign(given: Row, who?: Who): Promise<Answer>;
  return(id: unknown, given?: Row, who?: Who): Promise<Answer>;
}

export interface Agreement {
  readonly masterId: number;
  readonly scheduleId: number;
  readonly lineId: number;
  readonly allocationId: number;
}

let serial = 0;
const next = () => (serial += 1);

/** Opens it; all is gone with the test. */
export async function openHouse(t: Test): Promise<House> {
  let nowMs = Date.parse(START);
  const portal = await startTestPortal(t, {
    now: () => nowMs,
    rateLimits: { perUserMax: 1e6, perTenantMax: 1e6, perAddressMax: 1e6 },
  });
  const { owner, seed } = portal;
  const [north, south] = seed.mine.accountIds;
  const { rows } = await owner.query<{ id: number }>(
    'select equipment_type_lookup_id as id from equipment_type_lookup order by 1 limit 2',
  );
  const types = rows.map(({ id }) => id);
  const calls = callsOf(portal);
  const makers = makersOf(calls, north, types[0]!);
  return {
    ...calls,
    ...makers,
    portal,
    north,
    south,
    types,
    setNow: (at) => void (nowMs = Date.parse(at)),
    nowMs: () => nowMs,
    agreement: (given = {}) => makeAgreement(makers, given),
    assign: (given, who) => {
      const assigned_at = new Date(nowMs).toISOString();
      const whole = { account_id: north, activation_date: '2026-06-15', assigned_at, ...given };
      return calls.post('equipment-assignments', whole, who);
    },
    return: (id, given = {}, who) =>
      calls.post(
        `equipment-assignments/${String(id)}/return`,
        { return_reason: 'early_return', ...given },
        who,
      ),
  };
}

function callsOf(portal: TestPortal): Calls {
  const call: Calls['call'] = async (method, url, payload, who = 'admin') => {
    const headers = { 'if-match': '*' };
    const request = { method, url, headers, ...(payload && { payload }) };
    const { status, body, text } = await portal.as(who, request);
    return { status, body: body as unknown as Row, text };
  };
  return {
    call,
    post: (path, payload, who) => call('POST', `/v1/${path}`, payload, who),
    patch: (path, id, payload, who) => call('PATCH', `/v1/${path}/${String(id)}`, payload, who),
    remove: (path, id) => call('DELETE', `/v1/${path}/${String(id)}`),
    move: (path, id, payload, who) =>
      call('POST', `/v1/${path}/${String(id)}/transitions`, payload, who),
    read: async (path, id) => (await call('GET', `/v1/${path}/${String(id)}`)).body,
  };
}

function makersOf({ post }: Calls, account_id: number, equipment_type_lookup_id: number): Makers {
  const made = async (path: string, payload: Row): Promise<Row> => {
    const answer = await post(path, payload);
    if (answer.status !== 201) throw new Error(`${path}: ${answer.text}`);
    return answer.body;
  };
  /** The key of what a row is under: the given one, or one that is made for it. */
  const under = async (given: Row, key: string, make: () => Promise<Row>): Promise<Row> => ({
    [key]: given[key] ?? (await make())[key],
  });
  const makers: Makers = {
    async unit(given = {}) {
      const unit_number = `U-${next()}`;
      const whole = { account_id, unit_number, equipment_type_lookup_id, ...given };
      return (await made('equipment', whole))['equipment_id'] as number;
    },
    master: (given = {}) =>
      made('master-agreements', {
        account_id,
        agreement_number: `MA-${next()}`,
        agreement_name: 'Lease',
        contract_effective_date: '2026-01-01',
        contract_term: 12,
        contract_billing_method: 'advance',
        currency_code: 'USD',
        status: 'active',
        ...given,
      }),
    schedule: async (given = {}) =>
      made('schedule-agreements', {
        account_id,
        ...(await under(given, 'master_agreement_id', makers.master)),
        contract_type_lookup_id: 1,
        schedule_number: `S-${next()}`,
        effective_date: '2026-01-01',
        currency_code: 'USD',
        status: 'active',
        ...given,
      }),
    line: async (given = {}) =>
      made('schedule-agreement-line-items', {
        ...(await under(given, 'schedule_agreement_id', makers.schedule)),
        line_number: next(),
        equipment_type_lookup_id,
        number_of_units: 100,
        rate: 415,
        currency_code: 'USD',
        ...given,
      }),
    allocation: async (given = {}) =>
      made('equipment-type-allocations', {
        account_id,
        ...(await under(given, 'schedule_agreement_line_item_id', makers.line)),
        units_allowed: 1,
        effective_date: '2026-01-01',
        ...given,
      }),
  };
  return makers;
}

async function makeAgreement(
  makers: Makers,
  {
    units = 1,
    policy = 'block',
    schedule: given = {},
  }: { units?: number; policy?: string; schedule?: Row },
): Promise<Agreement> {
  const schedule = await makers.schedule(given);
  const scheduleId = schedule['schedule_agreement_id'] as number;
  const line = await makers.line({ schedule_agreement_id: scheduleId });
  const lineId = line['schedule_agreement_line_item_id'] as number;
  const allocation = await makers.allocation({
    schedule_agreement_line_item_id: lineId,
    units_allowed: units,
    over_allocation_policy: policy,
  });
  return {
    masterId: schedule['master_agreement_id'] as number,
    scheduleId,
    lineId,
    allocationId: allocation['equipment_type_allocation_id'] as number,
  };
}

/** What a refusal looks like. */
export const refusal = (status: number, pointer: string, detail?: RegExp) => ({
  status,
  body: { errors: [{ pointer, ...(detail && { detail }) }] },
});

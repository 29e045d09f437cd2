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

export interface House {
  readonly portal: TestPortal;
  readonly north: number;
  readonly south: number;
  /** Types of units; the first is that of lines. */
  readonly types: readonly number[];
  /** Moves the clock. */
  setNow(at: string): void;
  nowMs(): number;
  call(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    url: string,
    payload?: object,
    who?: Who,
  ): Promise<Answer>;
  post(path: string, payload: object, who?: Who): Promise<Answer>;
  patch(path: string, id: unknown, payload: object, who?: Who): Promise<Answer>;
  remove(path: string, id: unknown): Promise<Answer>;
  move(path: string, id: unknown, payload: object, who?: Who): Promise<Answer>;
  read(path: string, id: unknown): Promise<Row>;
  /** A unit of the first type, unless something else is said. */
  unit(given?: Row): Promise<number>;
  master(given?: Row): Promise<Row>;
  schedule(given?: Row): Promise<Row>;
  line(given?: Row): Promise<Row>;
  allocation(given?: Row): Promise<Row>;
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

/** Opens it; all is gone with the test. */
export async function openHouse(t: Test): Promise<House> {
  let nowMs = Date.parse(START);
  let serial = 0;
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
  const call: House['call'] = async (method, url, payload, who = 'admin') => {
    const headers = { 'if-match': '*' };
    const { status, body, text } = await portal.as(who, {
      method,
      url,
      headers,
      ...(payload && { payload }),
    });
    return { status, body: body as unknown as Row, text };
  };
  const made = async (path: string, payload: Row): Promise<Row> => {
    const answer = await call('POST', `/v1/${path}`, payload);
    if (answer.status !== 201) throw new Error(`${path}: ${answer.text}`);
    return answer.body;
  };
  const house: House = {
    portal,
    north,
    south,
    types,
    setNow: (at) => void (nowMs = Date.parse(at)),
    nowMs: () => nowMs,
    call,
    post: (path, payload, who) => call('POST', `/v1/${path}`, payload, who),
    patch: (path, id, payload, who) => call('PATCH', `/v1/${path}/${String(id)}`, payload, who),
    remove: (path, id) => call('DELETE', `/v1/${path}/${String(id)}`),
    move: (path, id, payload, who) =>
      call('POST', `/v1/${path}/${String(id)}/transitions`, payload, who),
    read: async (path, id) => (await call('GET', `/v1/${path}/${String(id)}`)).body,
    async unit(given = {}) {
      serial += 1;
      const row = await made('equipment', {
        account_id: north,
        unit_number: `U-${serial}`,
        equipment_type_lookup_id: types[0],
        ...given,
      });
      return row['equipment_id'] as number;
    },
    master(given = {}) {
      serial += 1;
      return made('master-agreements', {
        account_id: north,
        agreement_number: `MA-${serial}`,
        agreement_name: 'Lease',
        contract_effective_date: '2026-01-01',
        contract_term: 12,
        contract_billing_method: 'advance',
        currency_code: 'USD',
        status: 'active',
        ...given,
      });
    },
    async schedule(given = {}) {
      serial += 1;
      const master = given['master_agreement_id'] ?? (await house.master())['master_agreement_id'];
      return made('schedule-agreements', {
        account_id: north,
        master_agreement_id: master,
        contract_type_lookup_id: 1,
        schedule_number: `S-${serial}`,
        effective_date: '2026-01-01',
        currency_code: 'USD',
        status: 'active',
        ...given,
      });
    },
    async line(given = {}) {
      serial += 1;
      const schedule =
        given['schedule_agreement_id'] ?? (await house.schedule())['schedule_agreement_id'];
      return made('schedule-agreement-line-items', {
        schedule_agreement_id: schedule,
        line_number: (serial % 10_000) + 1,
        equipment_type_lookup_id: types[0],
        number_of_units: 100,
        rate: 415,
        currency_code: 'USD',
        ...given,
      });
    },
    async allocation(given = {}) {
      const key = 'schedule_agreement_line_item_id';
      const line = given[key] ?? (await house.line())[key];
      return made('equipment-type-allocations', {
        account_id: north,
        [key]: line,
        units_allowed: 1,
        effective_date: '2026-01-01',
        ...given,
      });
    },
    async agreement({ units = 1, policy = 'block', schedule: given = {} } = {}) {
      const schedule = await house.schedule(given);
      const scheduleId = schedule['schedule_agreement_id'] as number;
      const line = await house.line({ schedule_agreement_id: scheduleId });
      const lineId = line['schedule_agreement_line_item_id'] as number;
      const allocation = await house.allocation({
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
    },
    assign: (given, who) =>
      call(
        'POST',
        '/v1/equipment-assignments',
        {
          account_id: north,
          activation_date: '2026-06-15',
          assigned_at: new Date(nowMs).toISOString(),
          ...given,
        },
        who,
      ),
    return: (id, given = {}, who) =>
      call(
        'POST',
        `/v1/equipment-assignments/${String(id)}/return`,
        { return_reason: 'early_return', ...given },
        who,
      ),
  };
  return house;
}

/** What a refusal looks like. */
export const refusal = (status: number, pointer: string, detail?: RegExp) => ({
  status,
  body: { errors: [{ pointer, ...(detail && { detail }) }] },
});

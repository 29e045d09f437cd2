/** For the tests of billing: a portal, and what is done there in a line each. */
import type { InjectOptions } from 'fastify';
import type { ServerOptions } from '../server.ts';
import { startTestPortal, type TestPortal, type Who } from '../test-portal.ts';

export type Row = Record<string, unknown>;

export interface Answer {
  readonly status: number;
  readonly body: Row;
  readonly headers: Row;
  readonly text: string;
}

export interface House {
  readonly portal: TestPortal;
  /** North and south. */
  readonly accounts: readonly [number, number];
  readonly send: (
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    payload?: object,
    who?: Who,
  ) => Promise<Answer>;
  readonly get: (path: string) => Promise<Row>;
  readonly list: (path: string) => Promise<Row[]>;
  /** A draft of the north, in dollars, of one line if `amount` is given. */
  readonly draft: (amount?: number | null, more?: Row) => Promise<number>;
  readonly issued: (amount: number | null, more?: Row) => Promise<number>;
  /** Settled, of the north, in dollars. */
  readonly paid: (amount: number, more?: Row) => Promise<number>;
  readonly apply: (
    payment_id: number,
    invoice_id: number,
    applied_amount: number,
    more?: Row,
  ) => Promise<Answer>;
}

type Test = Parameters<typeof startTestPortal>[0];

/** Opens a house whose requests are not counted. */
export async function openHouse(t: Test, options: Partial<ServerOptions> = {}): Promise<House> {
  const rateLimits = { perUserMax: 1e6, perTenantMax: 1e6, perAddressMax: 1e6 };
  const portal = await startTestPortal(t, { rateLimits, ...options });
  const accounts = portal.seed.mine.accountIds;
  const send: House['send'] = async (method, path, payload, who = 'admin') => {
    const headers: Record<string, string> = method === 'POST' ? {} : { 'if-match': '*' };
    const request: InjectOptions = { method, url: `/v1/${path}`, headers };
    if (payload !== undefined) request.payload = payload;
    return (await portal.as(who, request)) as unknown as Answer;
  };
  const made = async (path: string, payload: object): Promise<number> => {
    const answer = await send('POST', path, payload);
    if (answer.status >= 300) throw new Error(`${path}: ${answer.text}`);
    return answer.body['id'] as number;
  };
  const plain = { account_id: accounts[0], currency_code: 'USD' };
  const draft: House['draft'] = async (amount = null, more = {}) => {
    const id = await made('invoices', { ...plain, ...more });
    if (amount !== null)
      await made('invoice-items', { invoice_id: id, item_description: 'x', rate: amount });
    return id;
  };
  return {
    portal,
    accounts,
    send,
    draft,
    async get(path) {
      const answer = await send('GET', path);
      if (answer.status !== 200) throw new Error(`${path}: ${answer.text}`);
      return answer.body;
    },
    async list(path) {
      const answer = await send('GET', path);
      if (answer.status !== 200) throw new Error(`${path}: ${answer.text}`);
      return answer.body['data'] as Row[];
    },
    async issued(amount, more) {
      const id = await draft(amount, more);
      const answer = await send('POST', `invoices/${id}/issue`, {});
      if (answer.status !== 200) throw new Error(answer.text);
      return id;
    },
    paid: (payment_amount, more = {}) =>
      made('payments', {
        ...plain,
        payment_method: 'ach',
        payment_amount,
        status: 'settled',
        ...more,
      }),
    apply: (payment_id, invoice_id, applied_amount, more = {}) =>
      send('POST', 'payment-invoices', { payment_id, invoice_id, applied_amount, ...more }),
  };
}

/** The problem that an answer is to be: its status, and the place that it blames. */
export function blames(status: number, pointer: string) {
  return { status, body: { errors: [{ pointer }] } };
}

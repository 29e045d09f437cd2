/**
 * What is asked of the two servers: for each scenario the same questions, in the words of each. Who asks are users of customers
 * spread over all, in turns.
 */
import { seededRandom } from '../ingest/track.ts';
import { ACCOUNTS, trackedUnits, WORDS, type FillParams } from './fill.ts';
import type { LoadRequest } from './load-program.ts';

export interface AskParams extends FillParams {
  /** Customers whose users ask. */
  readonly askers: number;
}

/** Tokens of the customer's two users. */
export interface Asker {
  readonly customerId: number;
  readonly all: string;
  readonly held: string;
}

export interface Scenario {
  readonly name: string;
  readonly portal: readonly LoadRequest[];
  /** The same questions in the same order. */
  readonly bare: readonly LoadRequest[];
  /** Each list is walked to its end. */
  readonly isWalk: boolean;
}

/** Questions of each asker, where they differ. */
const QUESTIONS = 8;
const HISTORY_MS = 86_400_000;

/** Customers that ask: spread over all. */
export function askingCustomers({ askers, customers }: AskParams): number[] {
  const count = Math.min(askers, customers);
  return Array.from({ length: count }, (_, n) => 1 + Math.floor((n * customers) / count));
}

interface Question {
  readonly portal: string;
  readonly bare: string;
  readonly isHeld?: boolean;
}

/** All scenarios but the exports. `endMs`: after the newest fix. */
export function scenariosOf(
  params: AskParams,
  askers: readonly Asker[],
  endMs: number,
): Scenario[] {
  const random = seededRandom(params.seed + 3);
  const below = (end: number): number => Math.floor(random() * end);
  /** One of the rows of a customer, of so many in all. */
  const rowOf = (customerId: number, rows: number): number =>
    customerId + params.customers * below(Math.floor((rows - customerId) / params.customers) + 1);
  const make = (name: string, count: number, ask: (c: number) => Question, isWalk = false) => {
    const asked = Array.from({ length: count }, () =>
      askers.map((asker) => requestsOf(asker, ask(asker.customerId))),
    ).flat();
    const [portal, bare] = [asked.map((pair) => pair.portal), asked.map((pair) => pair.bare)];
    return { name, portal, bare, isWalk };
  };
  const listOf = (name: string, asked: string) =>
    make(`list_${name}`, 1, (c) => ({
      portal: `/v1/invoices?limit=100&${asked}`,
      bare: `/list/${name}?customer=${c}`,
    }));
  const from = new Date(endMs - HISTORY_MS).toISOString();
  const to = new Date(endMs).toISOString();
  return [
    listOf('invoices', 'sort=-date'),
    listOf('invoices_open', 'sort=-date&filter[status]=open'),
    listOf('invoices_overdue', 'sort=due_date&filter[status]=overdue'),
    make('list_invoices_held', 1, (c) => ({
      portal: '/v1/invoices?limit=100&sort=-date',
      bare: `/list/invoices_held?customer=${c}&account=${(c - 1) * ACCOUNTS + 1}`,
      isHeld: true,
    })),
    make('list_equipment', 1, (c) => ({
      portal: '/v1/equipment?limit=100',
      bare: `/list/equipment?customer=${c}`,
    })),
    make(
      'page_invoices',
      1,
      (c) => ({
        portal: '/v1/invoices?limit=100&sort=-date',
        bare: `/list/invoices?customer=${c}`,
      }),
      true,
    ),
    make('get_invoice', QUESTIONS, (c) => {
      const id = rowOf(c, params.invoices);
      return { portal: `/v1/invoices/${id}`, bare: `/get/invoice?customer=${c}&id=${id}` };
    }),
    make('get_equipment', QUESTIONS, (c) => {
      const id = rowOf(c, params.units);
      return { portal: `/v1/equipment/${id}`, bare: `/get/equipment?customer=${c}&id=${id}` };
    }),
    make('search', QUESTIONS, (c) => {
      const q = [
        WORDS[below(WORDS.length)]!,
        `unit-${String(rowOf(c, params.units)).padStart(7, '0')}`.slice(0, 11),
        `inv-${String(rowOf(c, params.invoices)).padStart(8, '0')}`,
      ][below(3)]!;
      return { portal: `/v1/search?q=${q}`, bare: `/search?customer=${c}&q=${q}` };
    }),
    make('history', QUESTIONS, (c) => {
      const id = rowOf(c, trackedUnits(params));
      return {
        portal: `/v1/equipment/${id}/locations?from=${from}&to=${to}`,
        bare: `/history?customer=${c}&id=${id}&from=${from}&to=${to}`,
      };
    }),
  ];
}

function requestsOf(asker: Asker, { portal, bare, isHeld }: Question) {
  const authorization = `Bearer ${isHeld === true ? asker.held : asker.all}`;
  return {
    portal: { path: portal, headers: { authorization } },
    bare: { path: bare, headers: {} },
  };
}

/**
 * The numbered statements of both versions (appendix B of each), and those among them that no row holds the listener to,
 * each with the reason. Numbers only: what they say is to be read in the standard.
 */

/** `1.5.4-1..3` stands for three statements. */
const IN_311 = `
  1.5.3-1..3 2.2.2-1..2 2.3.1-1..7
  3.1.0-1..2 3.1.2-1..24 3.1.3-1..11 3.1.4-1..5 3.2.0-1..1 3.2.2-1..6
  3.3.1-1..12 3.3.2-1..3 3.3.4-1..1 3.3.5-1..2 3.6.1-1..1
  3.8.1-1..1 3.8.3-1..4 3.8.4-1..6 3.9.3-1..2 3.10.1-1..1 3.10.3-1..2 3.10.4-1..6
  3.12.4-1..1 3.14.1-1..1 3.14.4-1..3
  4.1.0-1..2 4.3.1-1..1 4.3.2-1..2 4.3.3-1..2 4.4.0-1..1 4.5.0-1..2 4.6.0-1..6
  4.7.1-1..3 4.7.2-1..1 4.7.3-1..4 4.8.0-1..2 6.0.0-1..4 7.0.0-1..2 7.1.1-1..1 7.1.2-1..1`;

const IN_5 = `
  1.5.4-1..3 1.5.5-1..1 1.5.7-1..1 2.1.3-1..1 2.2.1-2..6 2.2.2-1..1
  3.1.0-1..2 3.1.2-1..30 3.1.3-1..12 3.1.4-1..6 3.2.0-1..2 3.2.2-1..22
  3.3.1-1..13 3.3.2-1..20 3.3.4-1..10 3.4.2-1..3 3.5.2-1..3 3.6.1-1..1 3.6.2-1..3 3.7.2-1..3
  3.8.1-1..1 3.8.3-1..5 3.8.4-1..8 3.9.2-1..2 3.9.3-1..2 3.10.1-1..1 3.10.3-1..2 3.10.4-1..6
  3.11.2-1..2 3.11.3-1..2 3.12.4-1..1 3.14.0-1..1 3.14.1-1..1 3.14.2-1..4 3.14.4-1..3
  3.15.1-1..1 3.15.2-1..3
  4.1.0-1..2 4.2.0-1..1 4.3.1-1..1 4.3.2-1..5 4.3.3-1..13 4.4.0-1..2 4.5.0-1..2 4.6.0-1..6
  4.7.0-1..1 4.7.1-1..2 4.7.2-1..1 4.7.3-1..4 4.8.2-1..6 4.9.0-1..3
  4.12.0-1..7 4.12.1-1..2 4.13.1-1..1 4.13.2-1..1 6.0.0-1..4`;

const CLIENT = 'it binds the client alone';
const NOT_RETAINED = 'nothing is retained: 5.0 clients are told so, and nobody may subscribe to it';
const NOT_ROUTED = 'nothing that a client publishes is sent to another client';
const NO_SHARED = 'shared subscriptions are announced as missing, and refused';
const NO_METHODS = 'no authentication method is offered, so the server sends no AUTH';
const NO_USER_PROPERTIES = 'the server sends no user properties';
const TRANSPORT = 'WebSocket is a transport of its own, tested where it is';

/** Reasons, and the statements they are for. */
export const NOT_APPLICABLE_311: Readonly<Record<string, string>> = {
  [CLIENT]: '2.3.1-2 2.3.1-3 3.1.2-23 4.5.0-2 7.1.2-1',
  [NOT_RETAINED]: '3.1.2-7 3.1.2-17 3.3.1-5 3.3.1-6 3.3.1-7 3.3.1-8 3.3.1-10 3.3.1-11',
  [NOT_ROUTED]: '3.1.2-5 3.3.5-1 4.6.0-5 4.7.2-1',
  [TRANSPORT]: '6.0.0-1..4',
  'it does not connect to other servers as one of them': '7.0.0-1',
};

export const NOT_APPLICABLE_5: Readonly<Record<string, string>> = {
  [CLIENT]:
    '3.1.2-20 3.1.2-21 3.1.2-30 3.2.2-4 3.2.2-5 3.2.2-21 3.3.2-10 3.3.4-8 4.5.0-2 4.12.0-3 4.12.1-1',
  [NOT_RETAINED]: '3.1.2-15 3.3.1-5 3.3.1-6 3.3.1-7',
  [NOT_ROUTED]:
    '3.1.3-10 3.3.1-12 3.3.1-13 3.3.2-4 3.3.2-5 3.3.2-6 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20 3.3.4-2 3.3.4-4 3.3.4-5 3.8.3-3 4.5.0-1 4.6.0-6 4.7.2-1',
  [NO_SHARED]: '4.8.2-3..6',
  [NO_METHODS]: '3.15.2-1..3 4.12.0-2 4.12.0-4 4.12.0-5 4.12.1-2',
  [NO_USER_PROPERTIES]: '3.2.2-20 3.4.2-3 3.5.2-3 3.6.2-3 3.7.2-3 3.9.2-2 3.11.2-2 3.14.2-4',
  'every quality of service is served': '3.2.2-9 3.2.2-11',
  'topic aliases are announced': '3.2.2-18',
  'commands carry no expiry': '4.3.3-7',
  'a reason string of DISCONNECT is one word, smaller than any CONNACK that was taken': '3.14.2-3',
  [TRANSPORT]: '6.0.0-1..4',
};

export const STATEMENTS_311: readonly string[] = listed(IN_311);
export const STATEMENTS_5: readonly string[] = listed(IN_5);

/** Single statements of a list with ranges. */
export function listed(text: string): string[] {
  return text.split(/\s+/).flatMap((item) => {
    if (item === '') return [];
    const match = /^(.+)-(\d+)(?:\.\.(\d+))?$/.exec(item);
    if (match === null) throw new Error(`${item} is no statement`);
    const [, section, first, last = first] = match;
    const count = Number(last) - Number(first) + 1;
    return Array.from({ length: count }, (_, i) => `${section}-${Number(first) + i}`);
  });
}

/** Instants that callers name: those that PostgreSQL, JavaScript and RFC 3339 can all write, also once they are in UTC. */

import type { FastifyServerOptions } from 'fastify';

type OnValidator = NonNullable<NonNullable<FastifyServerOptions['ajv']>['onCreate']>;

/** The first and the last of the years 1 to 9999, in UTC. */
export const INSTANT_MS_MIN = Date.parse('0001-01-01T00:00:00.000Z');
export const INSTANT_MS_MAX = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * Epoch milliseconds of an RFC 3339 instant; null for none at all, and for one that its zone shifts out of those years.
 */
export function instantMs(text: string): number | null {
  const ms = Date.parse(text);
  return ms >= INSTANT_MS_MIN && ms <= INSTANT_MS_MAX ? ms : null;
}

/**
 * Lets a validator refuse instants that JavaScript cannot read, such as leap seconds, which RFC 3339 allows: nothing could
 * be reckoned with them.
 */
export const readInstants: OnValidator = (validator) => {
  const known = validator.formats['date-time'] as { validate: (text: string) => boolean };
  const validate = (text: string) => known.validate(text) && !Number.isNaN(Date.parse(text));
  validator.addFormat('date-time', { ...known, validate });
};

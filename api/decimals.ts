/**
 * How many decimals a number has, by the digits it is written with: `0.1 + 0.2` has seventeen, and 577008.08 has two.
 * Dividing by 0.01 would say that of every tenth amount above half a million it is no whole number of cents.
 */
import type { FastifyServerOptions } from 'fastify';

type OnValidator = NonNullable<NonNullable<FastifyServerOptions['ajv']>['onCreate']>;

/** Digits after the point of the shortest text that reads as this number; 0 for whole numbers. */
export function decimalsOf(value: number): number {
  const [digits, exponent = '0'] = String(value).split('e') as [string, string?];
  const point = digits.indexOf('.');
  const written = point === -1 ? 0 : digits.length - point - 1;
  return Math.max(0, written - Number(exponent));
}

/** True for a multiple of `step`, which is 1 over a power of ten, or whole. */
export function isMultipleOf(value: number, step: number): boolean {
  return step < 1 ? decimalsOf(value) <= decimalsOf(step) : value % step === 0;
}

/** Lets a validator read `multipleOf` like this. */
export const readDecimals: OnValidator = (validator) => {
  validator.removeKeyword('multipleOf');
  validator.addKeyword({
    keyword: 'multipleOf',
    type: 'number',
    schemaType: 'number',
    compile: (step: number) => (value: number) => isMultipleOf(value, step),
    error: { message: ({ schema }) => `must be a multiple of ${schema}` },
  });
};

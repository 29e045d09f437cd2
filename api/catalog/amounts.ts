/** Schemas of amounts and quantities with a lower end, as fine and as large as their columns keep them. */
import { Type } from 'typebox';

const AMOUNT_MAX = 999_999_999_999;
const RATE_MAX = 9_999_999_999;
const QUANTITY_MAX = 999_999_999;

/** Money of any sign: `numeric(16,4)`. The database looks that it is no finer than its currency. */
export const Amount = Type.Number({
  minimum: -AMOUNT_MAX,
  maximum: AMOUNT_MAX,
  multipleOf: 0.0001,
});
/** Money that is not negative. */
export const AmountFromZero = Type.Number({
  minimum: 0,
  maximum: AMOUNT_MAX,
  multipleOf: 0.0001,
});
/** Money, and some of it. */
export const AmountAboveZero = Type.Number({
  minimum: 0.0001,
  maximum: AMOUNT_MAX,
  multipleOf: 0.0001,
});
/** A price of one, of any sign: `numeric(14,4)`. */
export const Rate = Type.Number({ minimum: -RATE_MAX, maximum: RATE_MAX, multipleOf: 0.0001 });
/** A quantity, and some of it: `numeric(12,3)`. */
export const QuantityAboveZero = Type.Number({
  minimum: 0.001,
  maximum: QUANTITY_MAX,
  multipleOf: 0.001,
});
/** An ISO 4217 code. */
export const Currency = Type.String({ pattern: '^[A-Z]{3}$', minLength: 3, maxLength: 3 });

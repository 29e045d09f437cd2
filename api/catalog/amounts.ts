/** Schemas of amounts and quantities, as fine and as large as their columns keep them. */
import { Type } from 'typebox';

const AMOUNT_MAX = 999_999_999_999;
/** The largest price of one. */
export const RATE_MAX = 9_999_999_999;
const QUANTITY_MAX = 999_999_999;

/** Money, or a price of one: to four decimals. The database looks that an amount is no finer than its currency. */
export const amountBetween = (minimum: number, maximum: number) =>
  Type.Number({ minimum, maximum, multipleOf: 0.0001 });
/** A quantity, to three decimals. */
export const quantityBetween = (minimum: number, maximum: number) =>
  Type.Number({ minimum, maximum, multipleOf: 0.001 });

/** Money of any sign: `numeric(16,4)`. */
export const Amount = amountBetween(-AMOUNT_MAX, AMOUNT_MAX);
/** Money that is not negative. */
export const AmountFromZero = amountBetween(0, AMOUNT_MAX);
/** Money, and some of it. */
export const AmountAboveZero = amountBetween(0.0001, AMOUNT_MAX);
/** A price of one, of any sign: `numeric(14,4)`. */
export const Rate = amountBetween(-RATE_MAX, RATE_MAX);
/** A price of one that is not negative. */
export const RateFromZero = amountBetween(0, RATE_MAX);
/** A quantity that is not negative: `numeric(12,3)`. */
export const QuantityFromZero = quantityBetween(0, QUANTITY_MAX);
/** A quantity, and some of it. */
export const QuantityAboveZero = quantityBetween(0.001, QUANTITY_MAX);

/** Schemas of what is written as a code of a standard. */
import { Type } from 'typebox';

export const CurrencyCode = Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217.' });
export const CountryCode = Type.String({
  pattern: '^[A-Z]{2}$',
  description: 'ISO 3166-1 alpha-2.',
});
/** A number that machines dial. */
export const DialledPhone = Type.String({
  pattern: '^\\+[1-9][0-9]{4,14}$',
  description: 'E.164, such as +13125550100.',
});
/** A number as people write it, with an extension if need be. */
export const WrittenPhone = Type.String({ pattern: '^[+(]?[0-9][0-9 ().x/-]{2,38}$' });

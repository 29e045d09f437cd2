/** Schemas of columns that service, roadside, maintenance, inspections and notifications share, as their CHECKs say. */
import { Type } from 'typebox';
import { LatDeg, LonDeg, TEXT_LENGTH_MAX } from '../schemas.ts';

/** An amount in the row's currency. Far below what the column holds, so that sums of amounts fit as well. */
export const Money = Type.Number({ minimum: 0, maximum: 100_000_000_000 });
/** Of parts, or of hours of work. */
export const Quantity = Type.Number({ minimum: 0.001, maximum: 10_000 });
export const LabourHours = Type.Number({ minimum: 0, maximum: 10_000 });
/** The price of one part. */
export const PartCost = Type.Number({ minimum: 0, maximum: 1_000_000 });
/** A reading of a meter. */
export const Meter = Type.Number({ minimum: 0 });
/** Prose that must say something. */
export const Prose = Type.String({
  minLength: 1,
  maxLength: TEXT_LENGTH_MAX,
  pattern: '^[^\\u0000]*$',
});
export const CurrencyCode = Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217.' });
export const CountryCode = Type.String({
  pattern: '^[A-Z]{2}$',
  description: 'ISO 3166-1 alpha-2.',
});
/** A number as people write it, with an extension if need be. */
export const Phone = Type.String({ pattern: '^[+(]?[0-9][0-9 ().x/-]{2,38}$' });
export const Locale = Type.String({ pattern: '^[a-z]{2}(-[A-Z]{2})?$' });

/** A position and the address around it. */
export const place = { latitude: LatDeg, longitude: LonDeg, country_code: CountryCode };

/** Schemas of columns that service, roadside, maintenance, inspections and notifications share, as their CHECKs say. */
import { Type } from 'typebox';
import { LatDeg, LonDeg, TEXT_LENGTH_MAX } from '../schemas.ts';
import { amountBetween, quantityBetween } from './amounts.ts';
import { CountryCode } from './codes.ts';

/** Far below what the column holds, so that sums of amounts fit as well. */
export const COST_MAX = 100_000_000_000;
/** An amount in the row's currency. */
export const Cost = amountBetween(0, COST_MAX);
/** The price of one part. */
export const PartCost = amountBetween(0, 1_000_000);
/** Of parts, or of pieces of work. */
export const PartQuantity = quantityBetween(0.001, 10_000);
export const LabourHours = quantityBetween(0, 10_000);
/** As much as a device may report. */
export const OdometerM = Type.Number({ minimum: 0, maximum: 1e11 });
export const EngineHoursH = Type.Number({ minimum: 0, maximum: 1e7 });
/** A distance or a span, in whatever unit. */
export const Meter = OdometerM;
/** Prose that must say something. */
export const Prose = Type.String({
  minLength: 1,
  maxLength: TEXT_LENGTH_MAX,
  pattern: '^[^\\u0000]*$',
});
export const Locale = Type.String({ pattern: '^[a-z]{2}(-[A-Z]{2})?$' });

/** A position and the address around it. */
export const place = { latitude: LatDeg, longitude: LonDeg, country_code: CountryCode };

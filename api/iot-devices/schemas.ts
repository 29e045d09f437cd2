/** What more than one route says of devices. */
import { Type } from 'typebox';

/** Characters of the name that a device uses on the wire. */
export const DEVICE_NAME_LENGTH_MAX = 64;
/** Seconds for which the token before the last one may hold: a week. */
export const OVERLAP_S_MAX = 604_800;
export const OVERLAP_S_DEFAULT = 3_600;
/** The type of a device of which nothing better is known. */
export const DEVICE_TYPE_DEFAULT = 'tracker';

export const DeviceName = Type.String({
  minLength: 1,
  maxLength: DEVICE_NAME_LENGTH_MAX,
  pattern: '^[A-Za-z0-9_.:-]+$',
  description: 'The name it uses on the wire (IMEI, serial): one world-wide.',
});
export const SignInByName = Type.Boolean({
  description:
    'Whether wires without a secret (Teltonika, OsmAnd) may speak for it: whoever knows its name can.',
});

/** A row's instant, or null. */
export function nullableInstant(description?: string) {
  return Type.Unsafe<Date | null>({
    type: ['string', 'null'],
    format: 'date-time',
    ...(description !== undefined && { description }),
  });
}

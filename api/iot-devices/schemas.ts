/** Devices as they are sent and shown: the columns of `iot_device` that are nobody's secret, and the unit it is on. */
import { Type, type Static } from 'typebox';
import { closed, Id, Instant, Name, nullable, oneOf, patchOf, storedWord } from '../schemas.ts';

export const DEVICE_STATUSES = ['active', 'disabled', 'retired'] as const;
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

const changeable = {
  device_type: Name,
  status: oneOf(DEVICE_STATUSES, { default: 'active' }),
  sign_in_by_name: SignInByName,
};

export const DeviceCreate = closed(
  {
    device_identifier: DeviceName,
    device_type: Type.Optional(Name),
    sign_in_by_name: Type.Optional(SignInByName),
    iot_device_vendor_lookup_id: Type.Optional(nullable(Id)),
    equipment_id: Type.Optional(nullable(Id)),
  },
  { examples: [{ device_identifier: '356307042441013', device_type: 'tracker' }] },
);
export type DeviceCreateBody = Static<typeof DeviceCreate>;

export const DevicePatch = patchOf(changeable, { examples: [{ status: 'disabled' }] });
export type DevicePatchBody = Static<typeof DevicePatch>;

export const deviceFields = {
  iot_device_id: Id,
  customer_id: Id,
  iot_device_vendor_lookup_id: nullable(Id),
  device_identifier: Type.String(),
  device_type: Type.String(),
  device_installation_date: nullable(Type.String()),
  battery_health: nullable(Type.Number()),
  status: storedWord(DEVICE_STATUSES),
  sign_in_by_name: Type.Boolean(),
  token_changed_at: nullableInstant('When its token was made; null: it has none.'),
  previous_token_until: nullableInstant('Until when the token before holds too.'),
  equipment_id: Type.Unsafe<number | null>({
    type: ['integer', 'null'],
    description: 'The unit it is mounted on.',
  }),
  version: Type.Integer({ description: 'Also the entity tag.' }),
  created_at: Instant,
  updated_at: Instant,
};

export const Device = Type.Object(deviceFields);

/** A row's instant, or null. */
export function nullableInstant(description?: string) {
  return Type.Unsafe<Date | null>({
    type: ['string', 'null'],
    format: 'date-time',
    ...(description !== undefined && { description }),
  });
}

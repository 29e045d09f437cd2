/** Gateway tokens as they are sent and shown; the token itself only once. */
import { Type, type Static } from 'typebox';
import { closed, Id, Instant, Name, oneOf, patchOf, storedWord } from '../schemas.ts';

export const GATEWAY_STATUSES = ['active', 'disabled'] as const;
/** Devices that one token may name. */
export const GATEWAY_DEVICES_MAX = 5_000;

const fields = {
  name: Name,
  iot_device_ids: Type.Unsafe<number[] | null>({
    type: ['array', 'null'],
    items: Id,
    maxItems: GATEWAY_DEVICES_MAX,
    description: 'The devices it may speak for; null: all of the customer, those to come included.',
  }),
  status: oneOf(GATEWAY_STATUSES, { default: 'active' }),
};

export const GatewayTokenCreate = closed(
  { name: Name, iot_device_ids: Type.Optional(fields.iot_device_ids) },
  { examples: [{ name: 'Depot gateway' }, { name: 'Reefers', iot_device_ids: [3, 4] }] },
);
export type GatewayTokenCreateBody = Static<typeof GatewayTokenCreate>;

export const GatewayTokenPatch = patchOf(fields, { examples: [{ status: 'disabled' }] });
export type GatewayTokenPatchBody = Static<typeof GatewayTokenPatch>;

const shownFields = {
  gateway_token_id: Id,
  customer_id: Id,
  ...fields,
  status: storedWord(GATEWAY_STATUSES),
  version: Type.Integer({ description: 'Also the entity tag.' }),
  created_at: Instant,
  updated_at: Instant,
};

export const GatewayToken = Type.Object(shownFields);

export const GatewayTokenShown = Type.Object({
  ...shownFields,
  token: Type.String({ description: 'The token itself, this once.' }),
});

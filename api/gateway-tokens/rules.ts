/** Gateway tokens: made by the server, and good for devices that the customer has. */
import { inArray } from 'drizzle-orm';
import { gatewayToken, iotDevice } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { makeDeviceToken } from '../auth/device-token.ts';
import { fieldProblem } from '../problem.ts';
import type { ResourceRules } from '../resources/define.ts';

export const gatewayTokenRules: ResourceRules = {
  async prepare({ db }, values) {
    await requireDevices(db, (values['iot_device_ids'] ?? []) as number[]);
    return values;
  },
  async insert({ db, principal }, values) {
    const { token, hash: token_hash } = makeDeviceToken();
    const { customerId: customer_id } = principal.tenant;
    const [made] = await db
      .insert(gatewayToken)
      .values({ ...(values as { name: string }), customer_id, token_hash })
      .returning({ key: gatewayToken.gateway_token_id });
    return { key: made!.key, secrets: { token } };
  },
};

async function requireDevices(db: TenantDb, deviceIds: readonly number[]): Promise<void> {
  if (deviceIds.length === 0) return;
  const rows = await db
    .select({ id: iotDevice.iot_device_id })
    .from(iotDevice)
    .where(inArray(iotDevice.iot_device_id, [...deviceIds]));
  const known = new Set(rows.map((row) => row.id));
  const missing = deviceIds.findIndex((id) => !known.has(id));
  if (missing === -1) return;
  throw fieldProblem('unprocessable', 'body', `/iot_device_ids/${missing}`, 'no such device');
}

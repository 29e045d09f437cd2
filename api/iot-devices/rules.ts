/** Devices are registered once in the world, and belong to the account of the unit that they are on. */
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import {
  insertDevice,
  letGoOfDevice,
  requireOwnDevice,
  requireUnit,
  type Registration,
} from './store.ts';

export const deviceRules: ResourceRules = {
  async prepare(context, values, stored) {
    const { db, principal } = context;
    if (stored) await requireOwn(context, stored);
    if (stored && values['status'] === 'retired') {
      await letGoOfDevice(db, stored['iot_device_id'] as number);
    }
    if (!stored)
      await requireUnit(db, principal, (values['equipment_id'] ?? null) as number | null);
    return values;
  },
  async insert({ db, principal }, values) {
    return { key: await insertDevice(db, principal, values as unknown as Registration) };
  },
  removing: requireOwn,
};

function requireOwn({ db, principal }: RuleContext, stored: Row): Promise<void> {
  return requireOwnDevice(db, principal, stored['iot_device_id'] as number);
}

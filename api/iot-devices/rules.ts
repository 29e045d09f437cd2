/** Devices are registered once in the world, and belong to the account of the unit that they are on. */
import { fieldProblem, type Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';
import {
  insertDevice,
  letGoOfDevice,
  requireOwnDevice,
  requireRoomForDevice,
  requireUnit,
  type Registration,
} from './store.ts';

export const deviceRules: ResourceRules = {
  async prepare(context, values, stored) {
    const { db, principal, quotas } = context;
    if (stored) await requireOwn(context, stored);
    // A change of status that leaves it retired is none.
    if (stored?.['status'] === 'retired' && values['status'] !== undefined) {
      await requireRoomForDevice(db, quotas.devicesPerTenantMax);
    }
    if (stored && values['status'] === 'retired') {
      await letGoOfDevice(db, stored['iot_device_id'] as number);
    }
    if (!stored) {
      const unitId = (values['equipment_id'] ?? null) as number | null;
      await requireUnit(db, principal, unitId);
      if (values['status'] === 'retired' && unitId !== null) throw onNoUnit();
    }
    return values;
  },
  async insert({ db, principal }, values) {
    return { key: await insertDevice(db, principal, values as unknown as Registration) };
  },
  removing: requireOwn,
};

function onNoUnit(): Problem {
  const detail = 'must be left out: a retired device is on no unit';
  return fieldProblem('unprocessable', 'body', '/equipment_id', detail);
}

function requireOwn({ db, principal }: RuleContext, stored: Row): Promise<void> {
  return requireOwnDevice(db, principal, stored['iot_device_id'] as number);
}

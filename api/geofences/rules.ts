/** What a fence must be to be one: a shape and hours that the engine can work by. The engine itself is asked. */
import type { FenceShapeFields } from '../../engine/geojson.ts';
import type { ResourceRules } from '../resources/define.ts';
import { checkedShape } from './check.ts';
import { requireHours, type HoursFields } from './hours.ts';

export const geofenceRules: ResourceRules = {
  async prepare({ db }, values, stored) {
    const shape = checkedShape(stored as FenceShapeFields | null, values);
    await requireHours(db, stored as HoursFields | null, values);
    return { ...values, ...shape };
  },
};

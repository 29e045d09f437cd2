/**
 * A vehicle is a unit of the fleet: what both say is kept the same, whichever of them is changed. Otherwise somebody held
 * to an account would see the one and not the other.
 */
import { and, eq, inArray, isNull } from 'drizzle-orm';
import { equipment, vehicleBasicInformationHdr as header } from '../../db/schema.ts';
import { requireUnitStays } from '../agreements/out.ts';
import { retireTracker } from '../iot-devices/store.ts';
import type { ResourceRules } from '../resources/define.ts';

export const vehicleRules: ResourceRules = {
  // Its unit stays, with all that happened to it. Its tracker goes, so that the next vehicle can have one of its number.
  async removing({ db }, stored) {
    const unitId = stored['equipment_id'] as number | null;
    const deviceId = stored['iot_device_id'] as number | null;
    if (unitId !== null && deviceId !== null) await retireTracker(db, deviceId, unitId);
  },
  async written({ db }, row, stored) {
    const unitId = row['equipment_id'] as number | null;
    const account_id = row['account_id'] as number | null;
    const vin = row['vin_chassis_no'] as string;
    const isSame = stored?.['account_id'] === account_id && stored['vin_chassis_no'] === vin;
    if (unitId === null || isSame) return;
    await db.update(equipment).set({ account_id, vin }).where(eq(equipment.equipment_id, unitId));
  },
};

export const equipmentRules: ResourceRules = {
  async prepare(context, values, stored) {
    if (stored) await requireUnitStays(context, values, stored);
    return values;
  },
  async written({ db }, row, stored) {
    if (!stored) return;
    const account_id = row['account_id'] as number | null;
    const vin = row['vin'] as string | null;
    if (stored['account_id'] === account_id && stored['vin'] === vin) return;
    await db
      .update(header)
      .set({ account_id, ...(vin !== null && { vin_chassis_no: vin }) })
      .where(
        and(eq(header.equipment_id, row['equipment_id'] as number), isNull(header.deleted_at)),
      );
  },
};

/** Frequencies are numbered within their vehicle, which is held for it: of many at once in the order of the vehicles. */
export const frequencyRules: ResourceRules = {
  async many({ db }, bodies) {
    const vehicles = bodies.map((body) => body['vehicle_id'] as string);
    await db
      .select({ code: header.vehicle_id_code_hdr })
      .from(header)
      .where(inArray(header.vehicle_id_code_hdr, [...new Set(vehicles)]))
      .orderBy(header.vehicle_id_code_hdr)
      .for('no key update');
  },
};

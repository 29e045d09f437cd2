/** Rules of the units that invoices are about. */
import type { ResourceRules } from '../resources/define.ts';
import { lockNamed } from './locks.ts';

export const invoiceEquipmentRules: ResourceRules = {
  async many({ db }, bodies) {
    await lockNamed(db, bodies);
  },
};

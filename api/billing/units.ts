/** Rules of the units that invoices are about: those of one that was issued, or is void, stay as its lines do. */
import type { ResourceRules } from '../resources/define.ts';
import { requireDraft } from './lines.ts';
import { lockNamed } from './locks.ts';

export const invoiceEquipmentRules: ResourceRules = {
  async many({ db }, bodies) {
    await lockNamed(db, bodies);
  },
  async prepare(context, values, stored) {
    await requireDraft(context, (stored ?? values)['invoice_id'] as number);
    return values;
  },
  async removing(context, stored) {
    await requireDraft(context, stored['invoice_id'] as number);
  },
};

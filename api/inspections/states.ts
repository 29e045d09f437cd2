/** The states of inspections and of the violations that they found. */
import type { StateMachine } from '../resources/states.ts';

export const inspectionStates: StateMachine = {
  column: 'status',
  // Closed at once where nothing was found: its rules see to that.
  first: ['open', 'closed'],
  next: {
    open: ['certified', 'closed'],
    certified: ['returned', 'no_return_required'],
    returned: ['closed'],
    no_return_required: ['closed'],
    closed: [],
  },
  enter: {
    certified: { stamp: 'certified_at', by: 'certified_by_user_id' },
    returned: { stamp: 'returned_at' },
    closed: { stamp: 'closed_at' },
  },
  settled: ['closed'],
};

export const violationStates: StateMachine = {
  column: 'status',
  first: ['open', 'repair_scheduled', 'corrected'],
  next: {
    open: ['repair_scheduled', 'corrected'],
    repair_scheduled: ['corrected'],
    corrected: ['certified'],
    certified: ['returned', 'no_return_required'],
    returned: ['closed'],
    no_return_required: ['closed'],
    closed: [],
  },
  enter: {
    corrected: { stamp: 'corrected_at', needs: ['corrective_action'] },
    certified: { stamp: 'certified_at' },
    returned: { stamp: 'returned_at' },
    closed: { stamp: 'closed_at' },
  },
  settled: ['closed'],
};

/** Violations whose repair is not done. */
export const UNREPAIRED = ['open', 'repair_scheduled'] as const;

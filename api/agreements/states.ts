/** The states of agreements. Rules beside them look at days; these look at nothing but where an agreement is. */
import type { StateMachine } from '../resources/states.ts';

const NEXT = {
  draft: ['active', 'terminated'],
  active: ['suspended', 'expired', 'terminated'],
  suspended: ['active', 'expired', 'terminated'],
  // Renewed: its last day lies ahead again.
  expired: ['active'],
  terminated: [],
} as const;

export const masterStates: StateMachine = {
  column: 'status',
  first: ['draft', 'active'],
  next: NEXT,
  enter: { terminated: { needs: ['termination_reason', 'terminated_on'] } },
  settled: ['terminated'],
};

export const scheduleStates: StateMachine = {
  column: 'status',
  first: ['draft', 'active'],
  next: NEXT,
  enter: { terminated: { needs: ['termination_date'] } },
  settled: ['terminated'],
};

/** Whether nothing more is handed out under an agreement. */
export function isEnded(status: unknown): boolean {
  return status === 'expired' || status === 'terminated';
}

/**
 * What follows when a work order is completed, or is opened again or cancelled after that: all of it in the transaction of
 * the transition, in the order of this list, after the order itself was written. What hangs on orders adds itself here.
 */
import {
  correctViolationsOfWorkorder,
  reopenViolationsOfWorkorder,
} from '../inspections/workorder-done.ts';
import { completeEventsOfWorkorder } from '../maintenance/workorder-done.ts';
import type { Row, RuleContext } from '../resources/define.ts';
import { closeRequestWhenDone } from './requests.ts';

export interface Follower {
  /** The order has become `completed`; the row is as it is shown. May throw a `Problem`, and then it has not. */
  completed(context: RuleContext, workorder: Row): Promise<void>;
  /** It was `completed`, as it was before says, and is `in_progress` again or `cancelled`. May throw as well. */
  undone?(context: RuleContext, workorder: Row, before: Row): Promise<void>;
}

export const FOLLOWERS: readonly Follower[] = [
  { completed: completeEventsOfWorkorder },
  {
    completed: correctViolationsOfWorkorder,
    undone: reopenViolationsOfWorkorder,
  },
  {
    completed: (context, workorder) =>
      closeRequestWhenDone(context, workorder['service_request_id'] as number | null),
  },
];

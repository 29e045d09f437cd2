/** The states of service requests, of work orders and their costs, and of roadside calls. */
import type { StateMachine } from '../resources/states.ts';

export const REQUEST_STATES: StateMachine = {
  column: 'status',
  first: ['draft', 'submitted'],
  next: {
    draft: ['submitted', 'cancelled'],
    submitted: ['triaged', 'approved', 'rejected', 'cancelled'],
    triaged: ['approved', 'rejected', 'cancelled'],
    approved: ['converted', 'cancelled'],
    converted: ['closed', 'cancelled'],
  },
  enter: {
    submitted: { stamp: 'submitted_at' },
    triaged: { stamp: 'triaged_at' },
    approved: { stamp: 'approved_at', by: 'approved_by_user_id' },
    converted: { stamp: 'converted_at' },
    closed: { stamp: 'closed_at', needs: ['resolution'] },
    rejected: { stamp: 'rejected_at', needs: ['status_reason'] },
    cancelled: { stamp: 'cancelled_at', needs: ['status_reason'] },
  },
  reason: 'status_reason',
  inner: ['converted'],
  settled: ['closed', 'rejected', 'cancelled'],
};

/** What `completed` asks for besides, and what is yet changed of an order in it, is in `workorders.ts`. */
export const WORKORDER_STATES: StateMachine = {
  column: 'workorder_status',
  first: ['open', 'assigned'],
  next: {
    open: ['assigned', 'in_progress', 'cancelled'],
    assigned: ['open', 'in_progress', 'on_hold', 'cancelled'],
    in_progress: ['on_hold', 'completed', 'cancelled'],
    on_hold: ['assigned', 'in_progress', 'cancelled'],
    completed: ['closed', 'in_progress', 'cancelled'],
  },
  enter: {
    assigned: { stamp: 'assigned_at' },
    in_progress: { stamp: 'started_at' },
    on_hold: { needs: ['hold_reason'] },
    completed: { stamp: 'completed_at', needs: ['resolution'] },
    closed: { stamp: 'closed_at' },
    cancelled: { stamp: 'cancelled_at', needs: ['status_reason'] },
  },
  reason: 'status_reason',
  settled: ['closed', 'cancelled'],
};

/** Of the cost of an order; `pending` is entered by itself, where a cost goes beyond its limit. */
export const APPROVAL_STATES: StateMachine = {
  column: 'approval_status',
  first: ['not_required'],
  next: { pending: ['approved', 'rejected'], rejected: ['approved'] },
};

export const CALL_STATES: StateMachine = {
  column: 'ers_status',
  first: ['reported', 'dispatched'],
  next: {
    reported: ['dispatched', 'cancelled'],
    dispatched: ['accepted', 'no_show', 'cancelled'],
    accepted: ['en_route', 'no_show', 'cancelled'],
    en_route: ['on_site', 'no_show', 'cancelled'],
    on_site: ['repairing', 'resolved', 'cancelled'],
    repairing: ['resolved', 'cancelled'],
    resolved: ['closed'],
    no_show: ['dispatched', 'cancelled'],
  },
  enter: {
    dispatched: { stamp: 'dispatched_at' },
    accepted: { stamp: 'accepted_at' },
    en_route: { stamp: 'en_route_at', needs: ['eta_at'] },
    on_site: { stamp: 'on_site_at' },
    repairing: { stamp: 'repair_started_at' },
    resolved: { stamp: 'resolved_at', needs: ['outcome', 'resolution'] },
    closed: { stamp: 'closed_at', needs: ['cost'] },
    cancelled: { stamp: 'cancelled_at', needs: ['status_reason'] },
    no_show: { stamp: 'no_show_at', needs: ['status_reason'] },
  },
  reason: 'status_reason',
  settled: ['closed', 'cancelled'],
};

import { Type } from 'typebox';
import {
  serviceRequest,
  serviceRequestLocation,
  workorder,
  workorderVmrs,
} from '../../db/schema.ts';
import type { ResourceDeclaration } from '../resources/define.ts';
import { Name } from '../schemas.ts';
import { lineRules } from '../service/lines.ts';
import { placeRules } from '../service/places.ts';
import { requestRules } from '../service/requests.ts';
import { REQUEST_STATES, WORKORDER_STATES } from '../service/states.ts';
import { workorderRules } from '../service/workorders.ts';
import { CurrencyCode, WrittenPhone } from './codes.ts';
import {
  Cost,
  EngineHoursH,
  LabourHours,
  OdometerM,
  PartQuantity,
  place,
  Prose,
} from './service-fields.ts';

const TwoDigits = Type.String({ pattern: '^[0-9]{2}$' });

const locations: ResourceDeclaration = {
  table: serviceRequestLocation,
  path: 'service-request-locations',
  noun: 'service request location',
  nouns: 'service request locations',
  tag: 'service',
  right: 'service_request',
  rules: placeRules,
  notes: {
    create: '`user_id` is the caller unless it is given.',
    remove: 'Refused with 409 while a request refers to it; `disabled` takes it off the choice.',
  },
  optional: ['user_id'],
  fixed: ['user_id'],
  long: ['access_notes'],
  fields: { ...place, contact_phone: WrittenPhone },
  example: {
    account_id: 1,
    user_id: 1,
    location_nick_name: 'Joliet yard, gate 3',
    unit_street: '2100 Mound Road',
    city: 'Joliet',
    state_code: 'IL',
    postal_code: '60436',
    country_code: 'US',
    latitude: 41.4932,
    longitude: -88.1303,
    contact_name: 'Gate office',
    contact_phone: '+1 815 555 0142',
    access_notes: 'Ring at the gate; trailers stand along the north fence.',
    status: 'active',
  },
};

const requests: ResourceDeclaration = {
  table: serviceRequest,
  path: 'service-requests',
  noun: 'service request',
  nouns: 'service requests',
  tag: 'service',
  right: 'service_request',
  states: REQUEST_STATES,
  rules: requestRules,
  notes: {
    create:
      'Address, position and contact of a saved place that it names are taken over where the request has none. ' +
      '`requested_by_user_id` is the caller unless it is given.',
    change:
      'To approve and to reject asks for `service_request:approve` as well, and so does another unit of one that is approved.',
  },
  derived: [
    'service_request_number',
    'submitted_at',
    'triaged_at',
    'approved_at',
    'approved_by_user_id',
    'converted_at',
    'closed_at',
    'rejected_at',
    'cancelled_at',
  ],
  shown: { service_request_number: 'SR-000017', submitted_at: '2026-03-02T13:21:00.000Z' },
  long: ['status_reason', 'issue_description', 'resolution'],
  fields: {
    ...place,
    issue_description: Prose,
    tire_position: Name,
    contact_phone: WrittenPhone,
    cost_limit: Cost,
    currency_code: CurrencyCode,
  },
  references: {
    requested_by_user_id: 'user',
    assigned_to_user_id: 'user',
    approved_by_user_id: 'user',
  },
  example: {
    account_id: 1,
    equipment_id: 1,
    status: 'submitted',
    service_urgency_lookup_id: 1,
    service_urgency_type_lookup_id: 1,
    service_issues_lookup_id: 1,
    issue_description: 'Left rear outer tyre is flat; the tread has come off.',
    tire_size_lookup_id: 1,
    tire_position: 'LRO',
    reported_at: '2026-03-02T13:20:00Z',
    needed_by_at: '2026-03-03T06:00:00Z',
    service_request_location_id: 1,
    contact_name: 'Dana Ortiz',
    contact_phone: '+1 815 555 0142',
    facility_lookup_id: 1,
    requested_by_user_id: 1,
    assigned_to_user_id: 1,
    customer_reference: 'PO 88213',
    cost_limit: 650,
    currency_code: 'USD',
  },
};

const workorders: ResourceDeclaration = {
  table: workorder,
  path: 'workorders',
  noun: 'work order',
  nouns: 'work orders',
  tag: 'service',
  right: 'workorder',
  states: WORKORDER_STATES,
  rules: workorderRules,
  notes: {
    create:
      'Currency and limit are those of the request that it names, or of the account, unless they are given; more than that, ' +
      'or another currency than that of the limit, asks for `workorder:approve`. A request ' +
      'that is approved is converted; one that is neither approved nor converted is a 409.',
    change:
      'Parts and labour follow from the lines once there are some. To raise the limit asks for `workorder:approve`.',
  },
  optional: ['currency_code'],
  derived: [
    'workorder_number',
    'total_cost',
    'approval_status',
    'approved_by_user_id',
    'approved_at',
    'assigned_at',
    'started_at',
    'completed_at',
    'closed_at',
    'cancelled_at',
  ],
  shown: { workorder_number: 'WO-000042', total_cost: 627.15, approved_by_user_id: 1 },
  fixed: ['equipment_id', 'service_request_id'],
  long: ['workorder_description', 'status_reason', 'resolution'],
  fields: {
    workorder_description: Prose,
    cost_limit: Cost,
    part_cost: Cost,
    labour_cost: Cost,
    tax_cost: Cost,
    currency_code: CurrencyCode,
    start_odometer_m: OdometerM,
    start_engine_hours_h: EngineHoursH,
    completion_odometer_m: OdometerM,
    completion_engine_hours_h: EngineHoursH,
  },
  references: { assigned_user_id: 'user', approved_by_user_id: 'user' },
  example: {
    account_id: 1,
    service_request_id: 1,
    equipment_id: 1,
    workorder_description:
      'Replace left rear outer tyre, check the wheel and both brakes of the axle.',
    workorder_status: 'assigned',
    priority: 'high',
    facility_lookup_id: 1,
    assigned_user_id: 1,
    vendor_name: 'Prairie Tire & Service',
    technician_name: 'M. Kowalski',
    purchase_order_number: 'PO-2026-0188',
    payer: 'lessee',
    cost_limit: 900,
    part_cost: 412.5,
    labour_cost: 180,
    tax_cost: 34.65,
    currency_code: 'USD',
    start_odometer_m: 412_350_000,
    scheduled_start_at: '2026-03-02T15:00:00Z',
    due_at: '2026-03-03T06:00:00Z',
  },
};

const workorderLines: ResourceDeclaration = {
  table: workorderVmrs,
  path: 'workorder-vmrs',
  noun: 'work order line',
  nouns: 'work order lines',
  tag: 'service',
  right: 'workorder',
  rules: lineRules,
  notes: {
    create:
      'Its costs are those of the whole line. Left out, they are what the VMRS code says of one, times the quantity, where ' +
      'that is in the currency of the order.',
  },
  optional: ['currency_code'],
  fixed: ['workorder_id'],
  long: ['complaint', 'cause', 'correction'],
  fields: {
    quantity: PartQuantity,
    labour_hours: LabourHours,
    workorder_part_cost: Cost,
    workorder_labour_cost: Cost,
    currency_code: CurrencyCode,
    position_code: Type.String({ pattern: '^[A-Z0-9-]{1,8}$' }),
    repair_reason_code: TwoDigits,
    work_accomplished_code: TwoDigits,
    failure_code: TwoDigits,
  },
  example: {
    workorder_id: 1,
    vmrs_id: 1,
    quantity: 1,
    labour_hours: 1.5,
    workorder_part_cost: 412.5,
    workorder_labour_cost: 180,
    currency_code: 'USD',
    part_number: '295/75R22.5-XD',
    complaint: 'Tyre flat.',
    cause: 'Tread separated after a run at low pressure.',
    correction: 'Tyre replaced, wheel checked, nuts torqued.',
    position_code: 'LRO',
    repair_reason_code: '01',
    work_accomplished_code: '03',
    failure_code: '28',
    payer: 'lessee',
  },
};

export const serviceResources: readonly ResourceDeclaration[] = [
  locations,
  requests,
  workorders,
  workorderLines,
];

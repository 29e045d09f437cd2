import { communicationLog, ers, ersPartsUsed } from '../../db/schema.ts';
import type { ResourceDeclaration } from '../resources/define.ts';
import { LatDeg, LonDeg, Name } from '../schemas.ts';
import { callRules, communicationRules, partRules } from '../service/calls.ts';
import { CALL_STATES } from '../service/states.ts';
import { CurrencyCode, WrittenPhone } from './codes.ts';
import { Cost, Meter, PartCost, PartQuantity, Prose } from './service-fields.ts';

const calls: ResourceDeclaration = {
  table: ers,
  path: 'ers',
  noun: 'roadside call',
  nouns: 'roadside calls',
  tag: 'roadside',
  right: 'ers',
  states: CALL_STATES,
  rules: callRules,
  notes: {
    create:
      'Without a position it has that of the newest fix of the unit. A request that it names and that is approved is ' +
      'converted; one that is neither approved nor converted is a 409.',
    change:
      'Each state and each new `eta_at` is noted in the communication log. `workorder_id` stays once it is set.',
  },
  fixed: ['equipment_id', 'service_request_id'],
  derived: [
    'ers_number',
    'location_source',
    'dispatched_at',
    'accepted_at',
    'en_route_at',
    'on_site_at',
    'repair_started_at',
    'resolved_at',
    'closed_at',
    'cancelled_at',
    'no_show_at',
  ],
  shown: {
    ers_number: 'ERS-000009',
    location_source: 'reported',
    dispatched_at: '2026-03-02T13:38:00.000Z',
  },
  long: ['status_reason', 'issue_description', 'location_description', 'resolution'],
  fields: {
    issue_description: Prose,
    tire_position: Name,
    driver_phone: WrittenPhone,
    vendor_phone: WrittenPhone,
    latitude: LatDeg,
    longitude: LonDeg,
    location_accuracy_m: Meter,
    cost_limit: Cost,
    cost: Cost,
    currency_code: CurrencyCode,
  },
  references: {
    assigned_to_user_id: 'user',
    towed_to_facility_lookup_id: 'facility_lookup',
    replacement_equipment_id: 'equipment',
  },
  example: {
    account_id: 1,
    service_request_id: 1,
    workorder_id: 1,
    equipment_id: 1,
    ers_status: 'dispatched',
    service_issues_lookup_id: 1,
    issue_description: 'Blown right front tyre, the unit cannot move.',
    tire_size_lookup_id: 1,
    tire_position: 'RF',
    driver_name: 'Sam Whitfield',
    driver_phone: '+1 402 555 0177',
    safety_status: 'roadside',
    load_status: 'loaded',
    latitude: 41.2101,
    longitude: -96.1342,
    location_recorded_at: '2026-03-02T13:18:40Z',
    location_accuracy_m: 6,
    location_description: 'I-80 westbound, half a mile past exit 439, on the shoulder.',
    assigned_to_user_id: 1,
    vendor_name: 'Platte Valley Road Service',
    vendor_phone: '+1 402 555 0190',
    vendor_reference: 'PV-30177',
    technician_name: 'J. Alvarez',
    eta_at: '2026-03-02T14:30:00Z',
    cost_limit: 1_200,
    currency_code: 'USD',
    reported_at: '2026-03-02T13:20:00Z',
  },
};

const parts: ResourceDeclaration = {
  table: ersPartsUsed,
  path: 'ers-parts-used',
  noun: 'part used at the roadside',
  nouns: 'parts used at the roadside',
  tag: 'roadside',
  right: 'ers',
  rules: partRules,
  optional: ['currency_code'],
  derived: ['total_cost'],
  shown: { total_cost: 438.9 },
  fixed: ['ers_id'],
  fields: { part_quantity: PartQuantity, part_cost: PartCost, currency_code: CurrencyCode },
  example: {
    ers_id: 1,
    part_name: 'Steer tyre 295/75R22.5',
    part_number: '295/75R22.5-XS',
    part_quantity: 1,
    part_cost: 438.9,
    currency_code: 'USD',
  },
};

/** Append-only: what was said is neither changed nor removed, and a mistake is corrected by a further entry. */
const communications: ResourceDeclaration = {
  table: communicationLog,
  path: 'communication-logs',
  noun: 'communication log entry',
  nouns: 'communication log entries',
  tag: 'roadside',
  right: 'ers',
  rules: communicationRules,
  notes: {
    create: 'An `eta_at` that is the newest said is also the call’s, until somebody is there.',
  },
  changeable: false,
  deletable: false,
  long: ['message'],
  fields: { message: Prose, contact_phone: WrittenPhone },
  example: {
    ers_id: 1,
    communication_type: 'phone',
    direction: 'outbound',
    vendor_name: 'Platte Valley Road Service',
    driver_name: 'Sam Whitfield',
    contact_phone: '+1 402 555 0190',
    message: 'Truck left the shop with the tyre on board; told the driver to stay behind the rail.',
    eta_at: '2026-03-02T14:30:00Z',
    occurred_at: '2026-03-02T13:41:00Z',
  },
};

export const roadsideResources: readonly ResourceDeclaration[] = [calls, parts, communications];

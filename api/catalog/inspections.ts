import { Type } from 'typebox';
import { dotInspection, dotInspectionViolation } from '../../db/schema.ts';
import { inspectionRules } from '../inspections/inspections.ts';
import { inspectionStates, violationStates } from '../inspections/states.ts';
import { violationRules } from '../inspections/violations.ts';
import type { ResourceDeclaration } from '../resources/define.ts';
import { Name } from '../schemas.ts';
import { Meter, place } from './service-fields.ts';

const inspections: ResourceDeclaration = {
  table: dotInspection,
  hidden: ['is_superseded'],
  path: 'dot-inspections',
  noun: 'DOT inspection',
  nouns: 'DOT inspections',
  tag: 'inspections',
  right: 'dot_inspection',
  rules: inspectionRules,
  states: inspectionStates,
  derived: [
    'certified_at',
    'certified_by_user_id',
    'returned_at',
    'closed_at',
    'back_in_service_at',
    'retain_until',
  ],
  notes: {
    create:
      'An annual inspection that was passed counts for twelve months, and no longer, and a roadside report that is wanted ' +
      'back is due after fifteen days, unless the days are given.',
    change:
      'Its violations go with it once it is certified; its kind, day and result are fixed then (409), and kind and day as ' +
      'soon as something was found. A result only gets worse, for a unit is back in service by its repair.',
    remove:
      'It is marked as deleted and kept. Refused with 409 up to `retain_until`, and while it keeps its unit out of service.',
  },
  fixed: ['equipment_id'],
  long: ['location_description', 'notes'],
  fields: {
    ...place,
    inspection_level: Type.Integer({ minimum: 1, maximum: 8, description: 'CVSA level.' }),
    report_number: Name,
    odometer_m: Meter,
  },
  references: { driver_user_id: 'user', certified_by_user_id: 'user' },
  example: {
    account_id: 1,
    equipment_id: 1,
    schedule_agreement_id: 1,
    inspection_kind: 'roadside',
    inspection_level: 2,
    report_number: 'NE0071244381',
    decal_number: 'D-448120',
    inspection_date: '2024-03-04',
    inspection_result: 'fail',
    inspector_name: 'Officer R. Dale',
    inspector_qualification: 'CVSA Level I certified, badge 2214',
    inspector_organisation: 'Nebraska State Patrol',
    facility_lookup_id: 1,
    location_description: 'Weigh station at mile 416, I-80 westbound.',
    city: 'Waverly',
    state_code: 'NE',
    country_code: 'US',
    latitude: 40.9101,
    longitude: -96.5243,
    odometer_m: 412_350_000,
    driver_user_id: 1,
    driver_name: 'Sam Whitfield',
    status: 'open',
    is_return_required: true,
    return_due_on: '2024-03-19',
    notes: 'Tractor passed; two violations on this trailer.',
  },
};

const violations: ResourceDeclaration = {
  table: dotInspectionViolation,
  path: 'dot-inspection-violations',
  noun: 'DOT inspection violation',
  nouns: 'DOT inspection violations',
  tag: 'inspections',
  right: 'dot_inspection',
  rules: violationRules,
  states: violationStates,
  derived: ['corrected_at', 'certified_at', 'returned_at', 'closed_at'],
  notes: {
    create: '`due_on` is the `return_due_on` of its inspection, unless it is given.',
    change:
      'When the last that put the unit out of service is corrected, it is back in service; `is_out_of_service` is not ' +
      'taken back (409). `workorder_id` names an order of the same unit.',
    remove: 'It is marked as deleted and kept. Refused with 409 as long as its inspection is kept.',
  },
  fixed: ['dot_inspection_id'],
  long: ['violation_description', 'corrective_action'],
  fields: { severity_weight: Type.Integer({ minimum: 1, maximum: 10 }) },
  references: { assigned_to_user_id: 'user' },
  example: {
    dot_inspection_id: 1,
    violation_code: '393.75(a)',
    violation_description: 'Tyre with ply or belt material exposed.',
    severity_level: 'major',
    severity_weight: 8,
    is_out_of_service: false,
    unit_position: 'Axle 4, left outer',
    citation_number: 'C-90217',
    status: 'repair_scheduled',
    assigned_to_user_id: 1,
    workorder_id: 1,
    corrective_action: 'Tyre is replaced under the work order.',
    due_on: '2024-03-19',
  },
};

export const inspectionsResources: readonly ResourceDeclaration[] = [inspections, violations];

import { Type } from 'typebox';
import {
  pmPartsUsed,
  preventiveMaintenanceEvent,
  preventiveMaintenanceSchedule,
} from '../../db/schema.ts';
import { eventRules, eventStates, partRules } from '../maintenance/event-rules.ts';
import { scheduleRules } from '../maintenance/schedule-rules.ts';
import type { ResourceDeclaration } from '../resources/define.ts';
import { CurrencyCode } from './codes.ts';
import { Cost, EngineHoursH, Meter, OdometerM, PartCost, PartQuantity } from './service-fields.ts';

const schedules: ResourceDeclaration = {
  table: preventiveMaintenanceSchedule,
  path: 'preventive-maintenance-schedules',
  noun: 'preventive maintenance schedule',
  nouns: 'preventive maintenance schedules',
  tag: 'maintenance',
  right: 'maintenance',
  derived: [
    'due_status',
    'next_due_on',
    'next_due_odometer_m',
    'next_due_engine_hours_h',
    'status_changes_on',
    'status_changes_odometer_m',
    'status_changes_engine_hours_h',
  ],
  hidden: ['brought_on', 'brought_odometer_m', 'brought_engine_hours_h'],
  // Its events are held to the same unit, and they say when it was done last.
  fixed: ['equipment_id', 'last_done_on', 'last_done_odometer_m', 'last_done_engine_hours_h'],
  rules: scheduleRules,
  notes: {
    create:
      'Where it was done before, `last_done_on` and the meters of that day say so; after that, its events do. A meter that ' +
      'it counts by and that is not given is counted from what the unit shows.',
    change: 'When it is due next is worked out anew.',
    remove: 'Its open event is cancelled; refused with 409 while one is in progress.',
  },
  long: ['work_instructions'],
  fields: {
    frequency_interval: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
    interval_days: Type.Integer({ minimum: 1, maximum: 36_500 }),
    interval_km: Type.Number({ minimum: 1, maximum: 10_000_000 }),
    interval_engine_hours: Type.Number({ minimum: 1, maximum: 1_000_000 }),
    due_soon_days: Type.Integer({ minimum: 0, maximum: 3_650 }),
    due_soon_km: Meter,
    due_soon_engine_hours: Meter,
    start_odometer_m: OdometerM,
    start_engine_hours_h: EngineHoursH,
    last_done_odometer_m: OdometerM,
    last_done_engine_hours_h: EngineHoursH,
    estimated_cost: Cost,
    currency_code: CurrencyCode,
  },
  example: {
    account_id: 1,
    equipment_id: 1,
    schedule_name: 'PM-A: oil, filters, brakes',
    work_instructions: 'Change oil and filters, measure linings, grease, check lights and tyres.',
    vmrs_id: 1,
    facility_lookup_id: 1,
    status: 'active',
    frequency_interval: 40_000,
    frequency_type: 'km',
    interval_days: 180,
    interval_engine_hours: 800,
    due_soon_days: 14,
    due_soon_km: 2_000,
    due_soon_engine_hours: 40,
    anchor: 'from_completion',
    starts_on: '2025-09-01',
    start_odometer_m: 398_000_000,
    start_engine_hours_h: 9_120,
    last_done_on: '2026-01-05',
    last_done_odometer_m: 398_000_000,
    last_done_engine_hours_h: 9_120,
    estimated_cost: 420,
    currency_code: 'USD',
  },
  shown: {
    due_status: 'ok',
    next_due_on: '2026-07-04',
    next_due_odometer_m: 438_000_000,
    next_due_engine_hours_h: 9_920,
    status_changes_on: '2026-06-20',
    status_changes_odometer_m: 436_000_000,
    status_changes_engine_hours_h: 9_880,
  },
};

const events: ResourceDeclaration = {
  table: preventiveMaintenanceEvent,
  path: 'preventive-maintenance-events',
  noun: 'preventive maintenance event',
  nouns: 'preventive maintenance events',
  tag: 'maintenance',
  right: 'maintenance',
  // When it is due is what its schedule says as it is made.
  derived: ['due_on', 'due_odometer_m', 'due_engine_hours_h'],
  fixed: ['equipment_id', 'pm_schedule_id'],
  states: eventStates,
  rules: eventRules,
  notes: {
    create:
      'An event is opened by itself when its schedule comes due. One that is made before that is open, in progress, or ' +
      'completed: recorded after the fact. Its account is that of its schedule. Refused with 409 while the schedule has an open one.',
    change:
      'To be completed it takes today, the unit’s meters of that day, and the sum of its parts, where `performed_date`, ' +
      '`odometer_m`, `engine_hours_h` and `cost` are not given. One that is completed changes in its cost and in what was ' +
      'performed by whom, and in nothing else.',
  },
  long: ['status_reason', 'work_performed'],
  fields: {
    odometer_m: OdometerM,
    engine_hours_h: EngineHoursH,
    cost: Cost,
    currency_code: CurrencyCode,
  },
  example: {
    account_id: 1,
    equipment_id: 1,
    pm_schedule_id: 1,
    status: 'completed',
    performed_date: '2026-02-27',
    work_performed: 'Oil and three filters changed; linings at 11 mm, all lights in order.',
    performed_by: 'M. Kowalski',
    odometer_m: 436_210_000,
    engine_hours_h: 9_884,
    workorder_id: 1,
    cost: 398.2,
    currency_code: 'USD',
  },
  shown: {
    due_on: '2026-07-04',
    due_odometer_m: 438_000_000,
    due_engine_hours_h: 9_920,
  },
};

const parts: ResourceDeclaration = {
  table: pmPartsUsed,
  path: 'pm-parts-used',
  noun: 'part used in maintenance',
  nouns: 'parts used in maintenance',
  tag: 'maintenance',
  right: 'maintenance',
  rules: partRules,
  derived: ['total_cost'],
  shown: { total_cost: 63.5 },
  fixed: ['pm_event_id'],
  fields: { part_quantity: PartQuantity, part_cost: PartCost, currency_code: CurrencyCode },
  example: {
    pm_event_id: 1,
    part_name: 'Oil filter',
    part_number: 'LF-14000NN',
    part_quantity: 2,
    part_cost: 31.75,
    currency_code: 'USD',
  },
};

export const maintenanceResources: readonly ResourceDeclaration[] = [schedules, events, parts];

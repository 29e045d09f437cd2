/** Agreements, their schedules and lines, quotas of accounts, and who has which unit. */
import { Type } from 'typebox';
import {
  equipmentAssignment,
  equipmentTypeAllocation,
  masterAgreement,
  scheduleAgreement,
  scheduleAgreementLineItem,
} from '../../db/schema.ts';
import { allocationRules, lineRules } from '../agreements/allocations.ts';
import { assignmentRules } from '../agreements/assignments.ts';
import { masterRules } from '../agreements/masters.ts';
import { scheduleRules } from '../agreements/schedules.ts';
import { masterStates, scheduleStates } from '../agreements/states.ts';
import type { ResourceDeclaration } from '../resources/define.ts';
import { AmountFromZero, QuantityFromZero, RateFromZero } from './amounts.ts';
import { CurrencyCode } from './codes.ts';

const Months = Type.Integer({ minimum: 1, maximum: 600, description: 'Months.' });
const UNITS_MAX = 1_000_000;
const Metres = Type.Integer({ minimum: 0, maximum: 9_999_999_999_999 });

const masterAgreements: ResourceDeclaration = {
  table: masterAgreement,
  path: 'master-agreements',
  noun: 'master agreement',
  nouns: 'master agreements',
  tag: 'agreements',
  right: 'agreement',
  rules: masterRules,
  states: masterStates,
  notes: {
    change:
      '`terminated_on` ahead, with `termination_reason`, is a notice: the agreement holds until the end of that day. Its ' +
      'schedules end with it.',
    remove:
      'It is marked as deleted and kept. Refused with 409 while units are out on it, or schedules are in force under it.',
  },
  long: ['description', 'termination_reason'],
  fields: {
    contract_term: Months,
    renewal_term: Months,
    notice_days: Type.Integer({ minimum: 0, maximum: 730 }),
    currency_code: CurrencyCode,
  },
  example: {
    account_id: 1,
    agreement_number: 'MA-2026-014',
    agreement_name: 'Trailer lease, Northline Freight',
    contract_effective_date: '2026-01-01',
    contract_term: 36,
    contract_billing_method: 'advance',
    currency_code: 'USD',
    auto_renews: true,
    renewal_term: 12,
    notice_days: 90,
    signed_on: '2025-12-11',
    signed_by_name: 'Ada Park',
  },
};

const scheduleAgreements: ResourceDeclaration = {
  table: scheduleAgreement,
  path: 'schedule-agreements',
  noun: 'schedule agreement',
  nouns: 'schedule agreements',
  tag: 'agreements',
  right: 'agreement',
  rules: scheduleRules,
  states: scheduleStates,
  fixed: ['master_agreement_id'],
  derived: ['termination_requested_at'],
  long: ['description'],
  notes: {
    change:
      'Taken to `terminated` with a `termination_date` ahead, it stays as it is until the end of that day, and ' +
      '`termination_requested_at` says so; another date alone takes that back. What is out on it comes back when it ends.',
    remove: 'It is marked as deleted and kept. Refused with 409 while units are out on it.',
  },
  fields: {
    currency_code: CurrencyCode,
    billing_day: Type.Integer({ minimum: 1, maximum: 28 }),
    deposit_amount: AmountFromZero,
  },
  example: {
    account_id: 1,
    master_agreement_id: 1,
    contract_type_lookup_id: 1,
    schedule_number: 'MA-2026-014/1',
    effective_date: '2026-02-01',
    termination_date: '2029-01-31',
    currency_code: 'USD',
    billing_day: 1,
    purchase_order_number: 'PO-77120',
    deposit_amount: 12_000,
    description: 'Dry vans for the Midwest.',
  },
};

const lineItems: ResourceDeclaration = {
  table: scheduleAgreementLineItem,
  path: 'schedule-agreement-line-items',
  noun: 'schedule line',
  nouns: 'schedule lines',
  tag: 'agreements',
  right: 'agreement',
  rules: lineRules,
  fixed: ['schedule_agreement_id'],
  long: ['description'],
  fields: {
    line_number: Type.Integer({ minimum: 1, maximum: 10_000 }),
    number_of_units: Type.Integer({ minimum: 1, maximum: UNITS_MAX }),
    rate: RateFromZero,
    currency_code: CurrencyCode,
    included_distance_m: QuantityFromZero,
    excess_rate_per_km: RateFromZero,
  },
  example: {
    schedule_agreement_id: 1,
    line_number: 1,
    equipment_type_lookup_id: 1,
    description: 'Dry vans, 53 ft, with air ride',
    number_of_units: 40,
    rate: 415,
    rate_period: 'month',
    currency_code: 'USD',
    included_distance_m: 8_000_000,
    excess_rate_per_km: 0.035,
  },
};

const allocations: ResourceDeclaration = {
  table: equipmentTypeAllocation,
  path: 'equipment-type-allocations',
  noun: 'allocation',
  nouns: 'allocations',
  tag: 'agreements',
  right: 'agreement',
  rules: allocationRules,
  fixed: ['account_id', 'schedule_agreement_line_item_id'],
  derived: ['units_assigned'],
  long: ['note'],
  fields: { units_allowed: Type.Integer({ minimum: 0, maximum: UNITS_MAX }) },
  example: {
    account_id: 1,
    schedule_agreement_line_item_id: 1,
    units_allowed: 25,
    over_allocation_policy: 'warn',
    effective_date: '2026-02-01',
    note: 'Ten of them for the yard in Joliet.',
  },
};

const assignments: ResourceDeclaration = {
  table: equipmentAssignment,
  path: 'equipment-assignments',
  noun: 'assignment',
  nouns: 'assignments of units',
  tag: 'agreements',
  right: 'equipment',
  rules: assignmentRules,
  fixed: ['account_id', 'equipment_id'],
  derived: ['is_over_allocation'],
  notes: {
    create:
      'The unit is fit for service and of the type of the allocation, and nobody else has it in that time. Beyond the ' +
      'quota it is refused with 409, or made with `is_over_allocation` true, as the allocation says.',
  },
  long: ['note'],
  fields: { pickup_odometer_m: Metres, return_odometer_m: Metres },
  references: {
    pickup_facility_lookup_id: 'facility_lookup',
    return_facility_lookup_id: 'facility_lookup',
    substitute_for_id: 'equipment_assignment',
  },
  example: {
    account_id: 1,
    equipment_id: 1,
    equipment_type_allocation_id: 1,
    activation_date: '2026-02-03',
    assigned_at: '2026-02-03T15:30:00Z',
    expected_return_at: '2029-01-31T23:00:00Z',
    pickup_odometer_m: 184_200_000,
    note: 'Handed over with two straps.',
  },
};

export const agreementsResources: readonly ResourceDeclaration[] = [
  masterAgreements,
  scheduleAgreements,
  lineItems,
  allocations,
  assignments,
];

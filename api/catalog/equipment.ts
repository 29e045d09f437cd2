/** Units of the fleet, and what belongs to them. */
import { Type } from 'typebox';
import {
  equipment,
  equipmentAddon,
  equipmentHasAddon,
  equipmentHasIotDevice,
  equipmentLoadDetail,
  equipmentPermit,
  equipmentReading,
} from '../../db/schema.ts';
import { readingRules } from '../maintenance/reading-rules.ts';
import type { ResourceDeclaration } from '../resources/define.ts';
import { TagIds, withTags } from '../tags/rules.ts';
import { QuantityAboveZero, QuantityFromZero, RateFromZero } from './amounts.ts';
import { CurrencyCode } from './codes.ts';
import { equipmentRules } from './vehicle-rules.ts';

const units: ResourceDeclaration = {
  table: equipment,
  path: 'equipment',
  noun: 'unit',
  nouns: 'units',
  tag: 'equipment',
  right: 'equipment',
  rules: withTags(equipmentRules),
  long: ['description'],
  fields: {
    vin: Type.String({
      pattern: '^[A-HJ-NPR-Z0-9]{5,17}$',
      description: 'Vehicle identification number (ISO 3779); shorter ones are from before 1981.',
    }),
    model_year: Type.Integer({ minimum: 1900, maximum: 2100 }),
    axle_count: Type.Integer({ minimum: 1, maximum: 20 }),
    length_m: Type.Number({ exclusiveMinimum: 0, maximum: 9_999, multipleOf: 0.01 }),
    gvwr_kg: QuantityAboveZero,
    tag_lookup_ids: TagIds,
  },
  example: {
    account_id: 1,
    unit_number: 'NL-53-1042',
    description: 'Dry van, swing doors',
    vin: '1UYVS2531HM000042',
    equipment_type_lookup_id: 1,
    oem_make_model_lookup_id: 1,
    model_year: 2023,
    color: 'white',
    ownership: 'leased',
    fuel_type: 'none',
    tire_size_lookup_id: 1,
    axle_count: 2,
    length_m: 16.15,
    gvwr_kg: 30_844,
    in_service_on: '2023-04-01',
    specifications: { door: 'swing', floor: 'laminated oak' },
  },
};

const readings: ResourceDeclaration = {
  table: equipmentReading,
  path: 'equipment-readings',
  noun: 'meter reading',
  nouns: 'meter readings',
  tag: 'equipment',
  right: 'equipment',
  rules: readingRules,
  notes: {
    create:
      'Not of the future, and not below the reading before it or above the one after it: meters never run backwards. ' +
      'What is due on the unit is worked out anew.',
    change: 'A wrong one is voided, with the reason; so are those of a meter that was replaced.',
  },
  fixed: ['equipment_id', 'reading_type'],
  long: ['note', 'void_reason'],
  fields: { equipment_reading: QuantityFromZero },
  example: {
    equipment_id: 1,
    reading_type: 'odometer',
    equipment_reading: 412_350.5,
    uom_lookup_id: 1,
    reading_at: '2026-03-02T14:05:00Z',
    source: 'manual',
    note: 'Read at the gate.',
  },
};

const loadDetails: ResourceDeclaration = {
  table: equipmentLoadDetail,
  path: 'equipment-load-details',
  noun: 'load',
  nouns: 'loads',
  tag: 'equipment',
  right: 'equipment',
  fixed: ['equipment_id'],
  long: ['cargo_description'],
  fields: {
    weight_kg: QuantityFromZero,
    temperature_setpoint_c: Type.Number({ minimum: -60, maximum: 60, multipleOf: 0.1 }),
  },
  example: {
    equipment_id: 1,
    equipment_load_date: '2026-03-02',
    equipment_load_status: 'loaded',
    load_number: 'BOL-88412',
    cargo_description: 'Frozen vegetables, 22 pallets',
    weight_kg: 17_240,
    seal_number: 'UL-5521904',
    is_hazardous: false,
    temperature_setpoint_c: -20,
  },
};

const addons: ResourceDeclaration = {
  table: equipmentAddon,
  path: 'equipment-addons',
  noun: 'add-on',
  nouns: 'add-ons',
  tag: 'equipment',
  right: 'equipment',
  long: ['description'],
  fields: {
    monthly_rate: RateFromZero,
    currency_code: CurrencyCode,
  },
  example: {
    addon_name: 'Liftgate, 1,500 kg',
    addon_type: 'liftgate',
    manufacturer: 'Liftworks',
    model: 'LW-1500',
    description: 'Rail gate with steel platform.',
    effective_date: '2026-01-01',
    monthly_rate: 85,
    currency_code: 'USD',
  },
};

const permits: ResourceDeclaration = {
  table: equipmentPermit,
  path: 'equipment-permits',
  noun: 'permit',
  nouns: 'plates and permits',
  tag: 'equipment',
  right: 'equipment',
  fixed: ['equipment_id'],
  long: ['note'],
  fields: {
    license_plate_state: Type.String({
      pattern: '^[A-Z0-9]{1,3}$',
      description: 'State or province, as in ISO 3166-2 without the country.',
    }),
    license_plate_country_code: Type.String({
      pattern: '^[A-Z]{2}$',
      description: 'ISO 3166-1 alpha-2.',
    }),
  },
  example: {
    equipment_id: 1,
    license_plate_number: 'P123 456',
    license_plate_state: 'IL',
    license_plate_country_code: 'US',
    license_plate_expiration_date: '2027-03-31',
    registration_number: 'IL-7730021',
    registration_expiration_date: '2027-03-31',
    issuing_authority: 'Illinois Secretary of State',
  },
};

const fittedAddons: ResourceDeclaration = {
  table: equipmentHasAddon,
  path: 'equipment-has-addons',
  noun: 'fitted add-on',
  nouns: 'fitted add-ons',
  tag: 'equipment',
  right: 'equipment',
  fixed: ['equipment_id', 'equipment_addon_id'],
  example: {
    equipment_id: 1,
    equipment_addon_id: 1,
    serial_number: 'LW1500-90211',
    installed_on: '2026-02-14',
  },
};

const mounts: ResourceDeclaration = {
  table: equipmentHasIotDevice,
  path: 'equipment-iot-devices',
  noun: 'mounted device',
  nouns: 'mounted devices',
  tag: 'equipment',
  right: 'iot_device',
  // Made and ended by the route of the device, which looks after what depends on it.
  writable: false,
};

export const equipmentResources: readonly ResourceDeclaration[] = [
  units,
  readings,
  loadDetails,
  addons,
  permits,
  fittedAddons,
  mounts,
];

import type { PgTable } from 'drizzle-orm/pg-core';
import { Type } from 'typebox';
import {
  alertCategoryLookup,
  alertTypeLookup,
  contractTypeLookup,
  countryLookup,
  currencyLookup,
  deliveryMethodLookup,
  equipmentTypeLookup,
  facilityLookup,
  geofenceEventTypeLookup,
  iotDeviceVendorLookup,
  oemLookup,
  oemMakeModelLookup,
  serviceIssuesLookup,
  serviceUrgencyLookup,
  serviceUrgencyTypeLookup,
  simpleFieldLookup,
  tagLookup,
  tireSizeLookup,
  uomLookup,
  userMetricLookup,
  vmrsLookup,
} from '../../db/schema.ts';
import type { ResourceDeclaration, Row } from '../resources/define.ts';
import { LatDeg, LonDeg, Name } from '../schemas.ts';
import { tagRules } from '../tags/rules.ts';
import { AmountFromZero } from './amounts.ts';
import { CurrencyCode } from './codes.ts';

const lookup = { tag: 'lookup', right: 'lookup' } as const;

/** A list that is shipped; its path follows from its name. */
function shipped(table: PgTable, noun: string, nouns: string, shown: Row): ResourceDeclaration {
  const path = nouns.replaceAll(' ', '-');
  return { ...lookup, table, path, noun, nouns, writable: false, shown };
}

const world: readonly ResourceDeclaration[] = [
  shipped(countryLookup, 'country', 'countries', {
    country_code: 'US',
    country_code_alpha3: 'USA',
    country_code_numeric: '840',
    country_name: 'United States',
  }),
  shipped(currencyLookup, 'currency', 'currencies', {
    currencytype: 'United States Dollar',
    description: 'US Dollar',
    currency_code: 'USD',
    currency_code_numeric: '840',
    minor_unit_digits: 2,
  }),
  {
    ...shipped(uomLookup, 'unit of measure', 'units of measure', {
      uom_type: 'speed',
      uom_code: 'km/h',
      description: 'kilometre per hour',
    }),
    path: 'units',
  },
  shipped(simpleFieldLookup, 'simple field', 'simple fields', {
    field_name: 'workorder.workorder_status',
    field_code: 'assigned',
    short_description: 'Assigned',
    long_description: 'Somebody is to do it.',
  }),
  shipped(userMetricLookup, 'user metric', 'user metrics', {
    user_metric_type: 'date_format',
    user_metric_code: 'YYYY-MM-DD',
    user_metric_description: 'Year, month, day: 2026-03-31',
    is_default: true,
  }),
  shipped(deliveryMethodLookup, 'delivery method', 'delivery methods', {
    method_type: 'email',
    description: 'A message to an e-mail address',
  }),
  shipped(serviceUrgencyLookup, 'service urgency', 'service urgencies', {
    urgency_code: 'critical',
    description: 'The unit cannot move, with a load or a driver waiting',
    response_hours: 2,
    sort_order: 2,
  }),
  shipped(serviceUrgencyTypeLookup, 'service urgency type', 'service urgency types', {
    selection_code: 'tow',
    selection_name: 'Towing',
    description: 'The unit is brought to a shop or yard',
  }),
  shipped(tireSizeLookup, 'tire size', 'tire sizes', {
    size_code: '11R22.5',
    size_display: '11 R 22.5',
  }),
  shipped(contractTypeLookup, 'contract type', 'contract types', {
    contract_type: 'full_service_lease',
    description: 'Lease in which the owner keeps the unit in repair',
    frequency: 'monthly',
    billing_method: 'advance',
  }),
  {
    ...shipped(oemLookup, 'manufacturer', 'manufacturers', {
      manufacturer_code: 'FRHT',
      manufacturer_name: 'Freightliner',
    }),
    path: 'oems',
  },
  {
    ...shipped(oemMakeModelLookup, 'make and model', 'makes and models', {
      make: 'Freightliner',
      model: 'Cascadia',
      year: 2007,
    }),
    path: 'oem-make-models',
  },
  shipped(geofenceEventTypeLookup, 'geofence event type', 'geofence event types', {
    event_name: 'enter',
    event_category: 'geofence',
    description: 'The unit came into the fence',
  }),
  shipped(alertCategoryLookup, 'alert category', 'alert categories', { category_name: 'Driving' }),
  {
    ...shipped(iotDeviceVendorLookup, 'device vendor', 'device vendors', {
      vendor_name: 'Generic',
      vendor_description: 'Any device that speaks the native format',
    }),
    path: 'iot-device-vendors',
  },
];

/** Those with rows of everyone, which nobody changes, and rows of the tenant. */
const shared: readonly ResourceDeclaration[] = [
  {
    ...lookup,
    table: equipmentTypeLookup,
    path: 'equipment-types',
    noun: 'equipment type',
    nouns: 'equipment types',
    long: ['equipment_description'],
    fields: { equipment_type: Name, equipment_name: Name },
    example: {
      equipment_type: 'beverage_trailer',
      equipment_name: 'Beverage trailer',
      equipment_description: 'Side-loading semitrailer with roll-up doors',
      equipment_class: 'trailer',
      status: 'active',
    },
  },
  {
    ...lookup,
    table: serviceIssuesLookup,
    path: 'service-issues',
    noun: 'service issue',
    nouns: 'service issues',
    fields: { type_name: Name },
    example: { type_name: 'Bulkhead damaged', status: 'active' },
  },
  {
    ...lookup,
    table: vmrsLookup,
    path: 'vmrs-codes',
    noun: 'VMRS code',
    nouns: 'VMRS codes',
    derived: ['vmrs_level'],
    shown: { vmrs_level: 'component' },
    fields: {
      vmrs_code: Type.String({
        pattern: '^[0-9]{3}(-[0-9]{3}){0,2}$',
        description: 'System, assembly and component, three digits each.',
      }),
      vmrs_description: Name,
      labor_cost: AmountFromZero,
      part_cost: AmountFromZero,
      currency_code: Type.Unsafe({
        ...CurrencyCode,
        description: 'ISO 4217; required with a cost.',
      }),
    },
    example: {
      vmrs_code: '013-999-001',
      vmrs_description: 'Brake interlock of the dock lock',
      labor_cost: 85.5,
      part_cost: 240,
      currency_code: 'USD',
      status: 'active',
    },
  },
  {
    ...lookup,
    table: alertTypeLookup,
    path: 'alert-types',
    noun: 'alert type',
    nouns: 'alert types',
    fields: {
      event_name: Name,
      metric_code: Type.String({
        pattern: '^[A-Za-z0-9_.:#%-]{1,64}$',
        description: 'The metric that rules of this type watch.',
      }),
    },
    example: {
      alert_category_lookup_id: 1,
      event_name: 'Wheel speed',
      event_type: 'metric',
      operation_type: 'number',
      metric_code: 'wheel_speed_mps',
      uom_lookup_id: 1,
    },
  },
];

/** Those of the tenant alone. */
const own: readonly ResourceDeclaration[] = [
  {
    ...lookup,
    table: facilityLookup,
    path: 'facilities',
    noun: 'facility',
    nouns: 'facilities',
    long: ['facility_description'],
    fields: {
      facility_code: Name,
      facility_name: Name,
      country_code: Type.String({ pattern: '^[A-Z]{2}$', description: 'ISO 3166-1 alpha-2.' }),
      latitude: LatDeg,
      longitude: LonDeg,
      phone: Type.String({ pattern: '^[+0-9][0-9 ()./x-]{2,39}$' }),
    },
    example: {
      facility_code: 'JOL-1',
      facility_name: 'Joliet yard',
      facility_description: 'Trailers without load; open day and night.',
      facility_type: 'yard',
      street: '2100 Mound Road',
      city: 'Joliet',
      state_code: 'IL',
      postal_code: '60436',
      country_code: 'US',
      latitude: 41.4932,
      longitude: -88.1303,
      phone: '+1 815 555 0142',
      status: 'active',
    },
  },
  {
    ...lookup,
    table: tagLookup,
    path: 'tags',
    noun: 'tag',
    nouns: 'tags',
    fields: {
      tag_name: Name,
      color: Type.String({ pattern: '^#[0-9a-f]{6}$', description: 'Red, green, blue.' }),
    },
    notes: { remove: 'Refused with 409 while it is on something, which the answer names.' },
    example: { tag_name: 'winter tyres', color: '#2f6fed', status: 'active' },
    rules: tagRules,
  },
];

export const referenceResources: readonly ResourceDeclaration[] = [...world, ...shared, ...own];

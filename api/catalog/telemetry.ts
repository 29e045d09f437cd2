/**
 * Fences, alert rules, devices and gateways: what the running engine and ingestion work by, and hear of by the change
 * feed. Beside them what they bring forth: lists with routes of their own, declared to be exported and to have their
 * columns arranged.
 */
import { sql } from 'drizzle-orm';
import { Type } from 'typebox';
import {
  equipmentHasIotDevice,
  gatewayToken,
  geofenceVisit,
  iotDevice,
  iotDeviceEvent,
  telematicAlert,
  telematics,
} from '../../db/schema.ts';
import { gatewayTokenRules } from '../gateway-tokens/rules.ts';
import { deviceRules } from '../iot-devices/rules.ts';
import { DeviceName, SignInByName } from '../iot-devices/schemas.ts';
import type { ResourceDeclaration } from '../resources/define.ts';
import { geofences } from './geofences.ts';
import { Id } from '../schemas.ts';
import { alertRuleRules } from '../telematic-alerts/rules.ts';

/** Seconds that a condition may be asked to hold. */
const HOLD_S_MAX = 86_400;
/** Devices that one gateway token may name. */
const GATEWAY_DEVICES_MAX = 5_000;

const alertRules: ResourceDeclaration = {
  table: telematicAlert,
  path: 'telematic-alerts',
  noun: 'alert rule',
  nouns: 'alert rules',
  tag: 'telematic_alert',
  right: 'telematic_alert',
  rules: alertRuleRules,
  quota: 'alertsPerTenantMax',
  optional: ['metric_code'],
  notes: {
    create: '`metric_code` is that of the alert type when it is left out.',
    remove: 'Its templates and recipients go with it; its events stay in the activity feed.',
  },
  fields: {
    operator_value_high: Type.Number({
      description: 'The upper bound of `between` and `outside`, and only theirs.',
    }),
    clear_value: Type.Number({
      description: 'An alert clears when the condition fails with this in place of operator_value.',
    }),
    hold_s: Type.Integer({ minimum: 0, maximum: HOLD_S_MAX }),
  },
  example: {
    account_id: 1,
    equipment_id: 1,
    alert_type_lookup_id: 1,
    alert_name: 'Too fast',
    metric_code: 'speed_mps',
    operator: '>',
    operator_value: 25,
    clear_value: 23,
    hold_s: 10,
    severity: 'warning',
  },
};

const devices: ResourceDeclaration = {
  table: iotDevice,
  path: 'iot-devices',
  noun: 'device',
  nouns: 'devices',
  tag: 'iot_device',
  right: 'iot_device',
  rules: deviceRules,
  heldMayWrite: true,
  quota: 'devicesPerTenantMax',
  countsAsRegistration: true,
  notes: {
    create:
      'Its name is one world-wide: 409 when it is registered already, by this customer or another. It has no token yet.',
    change:
      'A device that is no longer active, or may no longer sign in by name, loses its open connections.',
    remove:
      'For one that was never mounted; its commands go with it. Refused with 409 for all others, whose positions are ' +
      'kept: retire them.',
  },
  joined: {
    table: equipmentHasIotDevice,
    on: sql`${equipmentHasIotDevice.iot_device_id} = ${iotDevice.iot_device_id}
      and ${equipmentHasIotDevice.removed_at} is null`,
    columns: [equipmentHasIotDevice.equipment_id],
  },
  // What is over is not shown.
  read: {
    previous_token_until: sql`case when ${iotDevice.previous_token_until} > now()
      then ${iotDevice.previous_token_until} end`,
  },
  optional: ['device_type'],
  fixed: ['device_identifier', 'iot_device_vendor_lookup_id'],
  derived: [
    'device_installation_date',
    'battery_health',
    'token_changed_at',
    'previous_token_until',
  ],
  hidden: ['token_hash', 'previous_token_hash'],
  fields: { device_identifier: DeviceName, sign_in_by_name: SignInByName },
  example: {
    device_identifier: '356307042441013',
    device_type: 'tracker',
    iot_device_vendor_lookup_id: 1,
    sign_in_by_name: true,
  },
};

const gatewayTokens: ResourceDeclaration = {
  table: gatewayToken,
  path: 'gateway-tokens',
  noun: 'gateway token',
  nouns: 'gateway tokens',
  tag: 'gateway_token',
  right: 'gateway_token',
  rules: gatewayTokenRules,
  quota: 'gatewayTokensPerTenantMax',
  notes: { remove: 'What it opened is shut at once.' },
  hidden: ['token_hash'],
  secrets: { token: Type.String({ description: 'The token itself, this once.' }) },
  fields: {
    iot_device_ids: Type.Array(Id, {
      maxItems: GATEWAY_DEVICES_MAX,
      uniqueItems: true,
      description:
        'The devices it may speak for; null: all of the customer, those to come included.',
    }),
  },
  example: { name: 'Depot gateway', iot_device_ids: null, status: 'active' },
};

export const telemetryResources: readonly ResourceDeclaration[] = [
  geofences,
  alertRules,
  devices,
  gatewayTokens,
];

export const exportedResources: readonly ResourceDeclaration[] = [
  {
    table: geofenceVisit,
    path: 'geofence-visits',
    noun: 'visit',
    nouns: 'visits',
    tag: 'geofence',
    right: 'geofence',
    writable: false,
  },
  {
    table: telematics,
    path: 'telematics',
    noun: 'latest position',
    nouns: 'latest positions',
    tag: 'telematics',
    right: 'telematics',
    hidden: ['written_xid'],
    writable: false,
  },
  {
    table: iotDeviceEvent,
    path: 'device-events',
    noun: 'device event',
    nouns: 'device events',
    tag: 'iot_device',
    right: 'iot_device_event',
    writable: false,
  },
];

/**
 * Fences, alert rules, devices and gateways: what the running engine and ingestion work by, and hear of by the change
 * feed. Beside them what they bring forth: lists with routes of their own, declared to be exported and to have their
 * columns arranged.
 */
import { Type } from 'typebox';
import {
  geofenceVisit,
  iotDevice,
  iotDeviceEvent,
  telematicAlert,
  telematics,
} from '../../db/schema.ts';
import type { ResourceDeclaration } from '../resources/define.ts';
import { geofences } from './geofences.ts';
import { alertRuleRules } from '../telematic-alerts/rules.ts';

/** Seconds that a condition may be asked to hold. */
const HOLD_S_MAX = 86_400;

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

export const telemetryResources: readonly ResourceDeclaration[] = [geofences, alertRules];

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
    writable: false,
  },
  {
    table: iotDevice,
    path: 'iot-devices',
    noun: 'device',
    nouns: 'devices',
    tag: 'iot_device',
    right: 'iot_device',
    writable: false,
    hidden: ['token_hash', 'previous_token_hash'],
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

/**
 * What the fleet and its fences are: lists with routes of their own, which were there before resources were declared.
 * Declared here to be exported, directly or by a job, and to have their columns arranged.
 */
import {
  geofence,
  geofenceVisit,
  iotDevice,
  iotDeviceEvent,
  telematicAlert,
  telematics,
} from '../../db/schema.ts';
import type { ResourceDeclaration } from '../resources/define.ts';

export const exportedResources: readonly ResourceDeclaration[] = [
  {
    table: geofence,
    path: 'geofences',
    noun: 'fence',
    nouns: 'fences',
    tag: 'geofence',
    right: 'geofence',
    writable: false,
  },
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
    table: telematicAlert,
    path: 'telematic-alerts',
    noun: 'alert rule',
    nouns: 'alert rules',
    tag: 'telematic_alert',
    right: 'telematic_alert',
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

/** The rights that routes ask for, and how they are read out of a role. Anything not granted is denied. */

/** Every right there is, in the order it is shown. */
export const PERMISSIONS = [
  'activity_feed:read',
  'equipment:read',
  'gateway_token:read',
  'gateway_token:write',
  'geofence:read',
  'geofence:write',
  'ingest_reject:read',
  'iot_device:read',
  'iot_device:write',
  'iot_device_command:read',
  'iot_device_command:write',
  'iot_device_event:read',
  'knocking_device:read',
  'lookup:read',
  'telematic_alert:read',
  'telematic_alert:write',
  'telematics:read',
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/** What a route may ask for: one right, or only that somebody is signed in. */
export type RoutePermission = Permission | 'signed_in';

/**
 * Reads a role's `{"geofence": ["read", "write"]}`. What is not in that form, and rights that do not exist, grant
 * nothing.
 */
export function permissionsOf(rolePermission: unknown): ReadonlySet<Permission> {
  if (typeof rolePermission !== 'object' || rolePermission === null) return new Set();
  const granted = new Map<string, unknown>(Object.entries(rolePermission));
  return new Set(
    PERMISSIONS.filter((permission) => {
      const [resource, action] = permission.split(':');
      const actions = granted.get(resource!);
      return Array.isArray(actions) && actions.includes(action);
    }),
  );
}

/** The JSON of a role that holds the given rights; the opposite of `permissionsOf`. */
export function rolePermissionOf(permissions: readonly Permission[]): Record<string, string[]> {
  const role: Record<string, string[]> = {};
  for (const permission of permissions) {
    const [resource, action] = permission.split(':');
    (role[resource!] ??= []).push(action!);
  }
  return role;
}

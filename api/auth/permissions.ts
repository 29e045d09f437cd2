/** The rights that routes ask for, and how they are read out of a role. Anything not granted is denied. */

/** What a right is about, and what may be done with it, in the order it is shown. */
export const RIGHTS = {
  account: ['read', 'write'],
  activity_feed: ['read'],
  agreement: ['read', 'write'],
  attachment: ['read', 'write'],
  audit_trail: ['read'],
  customer: ['read', 'write'],
  dot_inspection: ['read', 'write'],
  equipment: ['read', 'write'],
  ers: ['read', 'write'],
  gateway_token: ['read', 'write'],
  geofence: ['read', 'write'],
  ingest_reject: ['read'],
  invoice: ['read', 'write'],
  iot_device: ['read', 'write'],
  iot_device_command: ['read', 'write'],
  iot_device_event: ['read'],
  knocking_device: ['read'],
  lookup: ['read', 'write'],
  maintenance: ['read', 'write'],
  notification: ['read', 'write'],
  payment: ['read', 'write'],
  quick_link: ['read', 'write'],
  service_request: ['read', 'write', 'approve'],
  telematic_alert: ['read', 'write'],
  telematics: ['read'],
  user: ['read', 'write', 'approve'],
  user_role: ['read', 'write'],
  vehicle: ['read', 'write'],
  workorder: ['read', 'write', 'approve'],
} as const;

type Rights = typeof RIGHTS;
export type Right = keyof Rights;
export type Permission = { [R in Right]: `${R}:${Rights[R][number]}` }[Right];

/** Every right there is, in the order it is shown. */
export const PERMISSIONS: readonly Permission[] = Object.entries(RIGHTS).flatMap(
  ([right, actions]) => actions.map((action) => `${right}:${action}` as Permission),
);

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
      const [right, action] = permission.split(':');
      const actions = granted.get(right!);
      return Array.isArray(actions) && actions.includes(action);
    }),
  );
}

/** The JSON of a role that holds the given rights; the opposite of `permissionsOf`. */
export function rolePermissionOf(permissions: readonly Permission[]): Record<string, string[]> {
  const role: Record<string, string[]> = {};
  for (const permission of permissions) {
    const [right, action] = permission.split(':');
    (role[right!] ??= []).push(action!);
  }
  return role;
}

/**
 * Who may read what the audit trail tells of a kind of record: whoever may read such records themselves. The trail shows
 * what was in them, before and after.
 */
import { ATTACHMENT_PARENTS, rightTo } from './attachments/parents.ts';
import type { RoutePermission } from './auth/permissions.ts';
import { CATALOG } from './catalog/catalog.ts';

/** Tables with routes of their own. Rows that ask only for signing in are nobody else's. */
const OTHERS: ReadonlyMap<string, RoutePermission> = new Map<string, RoutePermission>([
  ['attachment', 'attachment:read'],
  ['export_job', 'signed_in'],
  ['iot_device_command', 'iot_device_command:read'],
  ...ATTACHMENT_PARENTS.map(
    (parent) => [`${parent.type}_has_attachment`, rightTo(parent, 'read')] as const,
  ),
]);

/** What reading asks for, by the table that the trail names. */
export const READ_RIGHTS: ReadonlyMap<string, RoutePermission> = new Map([
  ...OTHERS,
  ...[...CATALOG.values()].map(({ name, read }) => [name, read] as const),
]);

/**
 * What a reader needs besides. What a file hangs on is not in its entries, so whoever reads them may read all that files
 * hang on.
 */
const FURTHER_RIGHTS: ReadonlyMap<string, readonly string[]> = new Map([
  ['attachment', ATTACHMENT_PARENTS.map((parent) => rightTo(parent, 'read'))],
]);

/** Tables of which somebody with these rights may know all, and those of which only what they wrote themselves. */
export function readableKinds(permissions: ReadonlySet<string>): {
  readonly all: string[];
  readonly own: string[];
} {
  const kinds = [...READ_RIGHTS];
  return {
    all: kinds
      .filter(([kind, right]) =>
        [right, ...(FURTHER_RIGHTS.get(kind) ?? [])].every((one) => permissions.has(one)),
      )
      .map(([kind]) => kind),
    own: kinds.filter(([, right]) => right === 'signed_in').map(([kind]) => kind),
  };
}

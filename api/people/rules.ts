/**
 * Who may give what to whom: nobody gives rights or accounts that they have not got themselves, and nobody shuts
 * themselves out. Otherwise the right to keep users would be the right to everything.
 */
import { eq } from 'drizzle-orm';
import { userRole } from '../../db/schema.ts';
import { permissionsOf } from '../auth/permissions.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';

export const roleRules: ResourceRules = {
  prepare({ principal }, values, stored) {
    if (values['role_permission'] !== undefined) {
      requireHeld(principal, values['role_permission'], '/role_permission');
    }
    // A role beyond one's own is not to be touched either: renaming or emptying it is power over its holders.
    if (stored) requireHeld(principal, stored['role_permission'], '/role_permission');
    return values;
  },
  removing({ principal }, stored) {
    requireHeld(principal, stored['role_permission'], '/role_permission');
  },
};

export const userRules: ResourceRules = {
  async prepare(context, values, stored) {
    const { principal } = context;
    if (stored) await requireLesser(context, stored);
    if (values['user_role_id'] !== undefined) {
      if (stored?.['user_id'] === principal.userId) {
        throw fieldProblem('forbidden', 'body', '/user_role_id', 'is your own; ask somebody else');
      }
      requireHeld(principal, await roleOf(context, values['user_role_id']), '/user_role_id');
    }
    const accountIds = values['assigned_account_ids'] ?? (stored ? undefined : []);
    if (accountIds !== undefined) requireOwnAccounts(principal, accountIds as number[]);
    // Whoever is invited waits for somebody who may let them in.
    return stored ? values : { ...values, status: 'pending_approval' };
  },
};

/** Throws 403 where the user whose row it is holds a right or an account that the caller has not got. */
export async function requireLesser(context: RuleContext, stored: Row): Promise<void> {
  const { principal } = context;
  requireHeld(principal, await roleOf(context, stored['user_role_id']), '/user_role_id');
  requireOwnAccounts(principal, stored['assigned_account_ids'] as number[]);
}

function requireHeld(
  { permissions }: RuleContext['principal'],
  rolePermission: unknown,
  pointer: string,
): void {
  const beyond = [...permissionsOf(rolePermission)].filter((right) => !permissions.has(right));
  if (beyond.length === 0) return;
  throw fieldProblem(
    'forbidden',
    'body',
    pointer,
    `grants ${beyond.join(', ')}, which you have not got yourself`,
  );
}

function requireOwnAccounts(
  { tenant }: RuleContext['principal'],
  accountIds: readonly number[],
): void {
  if (tenant.accountIds === null) return;
  const own = new Set(tenant.accountIds);
  if (accountIds.length > 0 && accountIds.every((accountId) => own.has(accountId))) return;
  const detail = 'you are held to accounts: name some of them, and no others';
  throw fieldProblem('forbidden', 'body', '/assigned_account_ids', detail);
}

async function roleOf({ db }: RuleContext, roleId: unknown): Promise<unknown> {
  const rows = await db
    .select({ role_permission: userRole.role_permission })
    .from(userRole)
    .where(eq(userRole.user_role_id, roleId as number));
  if (!rows[0]) throw new Problem('unprocessable', 'there is no such role');
  return rows[0].role_permission;
}

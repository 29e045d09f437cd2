/**
 * What the ground floor needs to know of people and roles: that nobody hands out or touches more than they hold
 * themselves, and which rows are neither made nor removed by callers. Approval has routes of its own.
 */
import { eq } from 'drizzle-orm';
import { user, userRole } from '../../db/schema.ts';
import { requireStillCovered } from '../agreements/accounts.ts';
import { permissionsOf } from '../auth/permissions.ts';
import type { Principal } from '../auth/principal.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';

/** Customers are made and closed by whoever runs the server, and changed by those who see all of them. */
export const customerRules: ResourceRules = {
  prepare({ principal }, values) {
    requireWhole(principal);
    return withLowerCase(values, 'contact_email');
  },
};

/** Throws 403 for those who are held to accounts. */
function requireWhole({ tenant }: Principal): void {
  if (tenant.accountIds === null) return;
  throw new Problem('forbidden', 'it concerns the whole customer, and you are held to accounts');
}

/**
 * Accounts are what people are held to: those who are do not change them. What an agreement covers stays below its account.
 */
export const accountRules: ResourceRules = {
  async prepare({ db, principal }, values, stored) {
    requireWhole(principal);
    if (stored && 'parent_account_id' in values) {
      const from = (stored['parent_account_id'] ?? null) as number | null;
      const to = values['parent_account_id'] as number | null;
      await requireStillCovered(db, stored['account_id'] as number, { from, to });
    }
    return withLowerCase(values, 'contact_email');
  },
  removing: ({ principal }) => requireWhole(principal),
};

/**
 * A role gives, takes and loses only rights that the caller holds. Who is held to accounts changes none: somebody who sees
 * more than they do may hold it. Nobody takes from their own role what it needs to be mended.
 */
export const userRoleRules: ResourceRules = {
  async prepare(context, values, stored) {
    const { principal } = context;
    requireWhole(principal);
    if (stored) requireChangeable(principal, stored);
    if (stored) await requireWayBack(context, values, stored);
    if (!isWithin(principal, values['role_permission'])) {
      const detail = 'holds rights that you do not hold yourself';
      throw fieldProblem('forbidden', 'body', '/role_permission', detail);
    }
    return values;
  },
  removing({ principal }, stored) {
    requireWhole(principal);
    requireChangeable(principal, stored);
  },
};

const NEEDED = ['user:write', 'user_role:write'] as const;

async function requireWayBack(
  { db, principal }: RuleContext,
  values: Row,
  role: Row,
): Promise<void> {
  if (values['role_permission'] === undefined) return;
  const [me] = await db
    .select({ user_role_id: user.user_role_id })
    .from(user)
    .where(eq(user.user_id, principal.userId));
  if (me?.user_role_id !== role['user_role_id']) return;
  const left = permissionsOf(values['role_permission']);
  if (NEEDED.every((right) => left.has(right) || !principal.permissions.has(right))) return;
  const detail = `is your own role: it must keep ${NEEDED.join(' and ')}`;
  throw fieldProblem('forbidden', 'body', '/role_permission', detail);
}

function requireChangeable(principal: Principal, role: Row): void {
  if (role['is_system'] === true) {
    throw new Problem('forbidden', 'this role came with the customer and stays as it is');
  }
  if (!isWithin(principal, role['role_permission'])) {
    throw new Problem('forbidden', 'this role holds rights that you do not hold yourself');
  }
}

/** People are made pending, whoever makes them, and are disabled instead of removed. Nobody raises themselves. */
export const userRules: ResourceRules = {
  async prepare(context, values, stored) {
    const { principal } = context;
    if (stored) await requireLesser(context, stored);
    const roleId = values['user_role_id'];
    if (roleId !== undefined && stored?.['user_id'] === principal.userId) {
      throw fieldProblem('forbidden', 'body', '/user_role_id', 'is your own; ask somebody else');
    }
    if (roleId !== undefined && !(await isRoleWithin(context, roleId))) {
      const detail = 'holds rights that you do not hold yourself';
      throw fieldProblem('forbidden', 'body', '/user_role_id', detail);
    }
    const accountIds = values['assigned_account_ids'] ?? (stored ? undefined : []);
    if (accountIds !== undefined && !areOwn(principal, accountIds as number[])) {
      const detail = 'you are held to accounts: name some of them, and no others';
      throw fieldProblem('forbidden', 'body', '/assigned_account_ids', detail);
    }
    const written = withLowerCase(values, 'email');
    return stored ? written : { ...written, status: 'pending_approval' };
  },
};

/** Throws 403 where the user whose row it is holds a right or an account that the caller has not got. */
export async function requireLesser(context: RuleContext, stored: Row): Promise<void> {
  if (!(await isRoleWithin(context, stored['user_role_id']))) {
    throw new Problem('forbidden', 'this user holds rights that you do not hold yourself');
  }
  if (!areOwn(context.principal, stored['assigned_account_ids'] as number[])) {
    throw new Problem('forbidden', 'this user sees accounts that you do not see yourself');
  }
}

/** None means all of them. */
function areOwn({ tenant }: Principal, accountIds: readonly number[]): boolean {
  if (tenant.accountIds === null) return true;
  const own = new Set(tenant.accountIds);
  return accountIds.length > 0 && accountIds.every((accountId) => own.has(accountId));
}

async function isRoleWithin({ db, principal }: RuleContext, roleId: unknown): Promise<boolean> {
  const [role] = await db
    .select({ role_permission: userRole.role_permission })
    .from(userRole)
    .where(eq(userRole.user_role_id, roleId as number));
  return isWithin(principal, role?.role_permission);
}

function isWithin({ permissions }: Principal, rolePermission: unknown): boolean {
  return [...permissionsOf(rolePermission)].every((permission) => permissions.has(permission));
}

function withLowerCase(values: Row, name: string): Row {
  const value = values[name];
  return typeof value === 'string' ? { ...values, [name]: value.toLowerCase() } : values;
}

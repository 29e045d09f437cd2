/**
 * What the ground floor needs to know of people and roles: that nobody hands out or touches more than they hold
 * themselves, and which rows are neither made nor removed by callers. Approval has routes of its own.
 */
import { and, eq, ne } from 'drizzle-orm';
import { columnPreferences, userRole } from '../../db/schema.ts';
import { permissionsOf } from '../auth/permissions.ts';
import type { Principal } from '../auth/principal.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';

/** A customer is made and closed by whoever runs the server. */
export const customerRules: ResourceRules = {
  prepare(_context, values, stored) {
    if (stored === null) throw notForCallers('made');
    return withLowerCase(values, 'contact_email');
  },
  removing() {
    throw notForCallers('removed');
  },
};

function notForCallers(done: string): Problem {
  return new Problem('forbidden', `customers are ${done} by whoever runs the server`);
}

/** Who is held to accounts may change them and not where they hang: that is about what others see. */
export const accountRules: ResourceRules = {
  prepare({ principal }, values, stored) {
    const isMoved = stored !== null && 'parent_account_id' in values;
    if (isMoved && principal.tenant.accountIds !== null) {
      const detail = 'is changed only by those who see every account';
      throw fieldProblem('forbidden', 'body', '/parent_account_id', detail);
    }
    return withLowerCase(values, 'contact_email');
  },
};

/** A role gives, takes and loses only rights that the caller holds. */
export const userRoleRules: ResourceRules = {
  prepare({ principal }, values, stored) {
    if (stored) requireChangeable(principal, stored);
    if (!isWithin(principal, values['role_permission'])) {
      const detail = 'holds rights that you do not hold yourself';
      throw fieldProblem('forbidden', 'body', '/role_permission', detail);
    }
    return values;
  },
  removing({ principal }, stored) {
    requireChangeable(principal, stored);
  },
};

function requireChangeable(principal: Principal, role: Row): void {
  if (role['is_system'] === true) {
    throw new Problem('forbidden', 'this role came with the customer and stays as it is');
  }
  if (!isWithin(principal, role['role_permission'])) {
    throw new Problem('forbidden', 'this role holds rights that you do not hold yourself');
  }
}

/** People are made pending, whoever makes them, and are disabled instead of removed. */
export const userRules: ResourceRules = {
  async prepare(context, values, stored) {
    const hasMore = stored && !(await isRoleWithin(context, stored['user_role_id']));
    if (hasMore)
      throw new Problem('forbidden', 'this user holds rights that you do not hold yourself');
    const roleId = values['user_role_id'];
    if (roleId !== undefined && !(await isRoleWithin(context, roleId))) {
      const detail = 'holds rights that you do not hold yourself';
      throw fieldProblem('forbidden', 'body', '/user_role_id', detail);
    }
    const written = withLowerCase(values, 'email');
    return stored ? written : { ...written, status: 'pending_approval' };
  },
  removing() {
    throw new Problem(
      'conflict',
      'users are disabled and not removed, for the sake of what they did',
    );
  },
};

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

/** A view belongs to who makes it; a new default takes the place of the one before. */
export const columnPreferenceRules: ResourceRules = {
  async prepare({ db, principal }, values, stored) {
    const { userId } = principal;
    const written = stored ? values : { ...values, user_id: userId };
    if (values['is_default'] === true) {
      const table = columnPreferences;
      const { column_preference_table_name_id: list } = { ...stored, ...values } as {
        column_preference_table_name_id: number;
      };
      await db
        .update(table)
        .set({ is_default: false })
        .where(
          and(
            eq(table.user_id, userId),
            eq(table.column_preference_table_name_id, list),
            eq(table.is_default, true),
            ne(table.column_preferences_id, (stored?.['column_preferences_id'] ?? 0) as number),
          ),
        );
    }
    return written;
  },
};

function withLowerCase(values: Row, name: string): Row {
  const value = values[name];
  return typeof value === 'string' ? { ...values, [name]: value.toLowerCase() } : values;
}

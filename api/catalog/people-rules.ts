/**
 * What the ground floor needs to know of people and roles: that nobody hands out or touches more than they hold
 * themselves, and which rows are neither made nor removed by callers. Approval has routes of its own.
 */
import { and, eq, ne } from 'drizzle-orm';
import { columnPreferences, columnPreferenceTableName, userRole } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import { permissionsOf } from '../auth/permissions.ts';
import type { Principal } from '../auth/principal.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, Row, RuleContext } from '../resources/define.ts';

/** Customers are made and closed by whoever runs the server. */
export const customerRules: ResourceRules = {
  prepare: (_context, values) => withLowerCase(values, 'contact_email'),
};

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
    // Whose sign-in it is, is said once: another's would be signed by this user's name from then on.
    if ('auth_0_reference_id' in values && typeof stored?.['auth_0_reference_id'] === 'string') {
      throw fieldProblem('forbidden', 'body', '/auth_0_reference_id', 'has been said already');
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

/** A view belongs to who makes it; a new default takes the place of the one before. */
export const columnPreferenceRules: ResourceRules = {
  async prepare({ db, principal }, values, stored) {
    const { userId } = principal;
    const written = stored ? values : { ...values, user_id: userId };
    const { column_preference_table_name_id: list } = { ...stored, ...values } as {
      column_preference_table_name_id: number;
    };
    if ('selected_columns' in values)
      await requireColumns(db, list, values['selected_columns'] as string[]);
    if (values['is_default'] === true) {
      const table = columnPreferences;
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

/** Throws 422 naming each column that the list has not. */
async function requireColumns(
  db: TenantDb,
  list: number,
  columns: readonly string[],
): Promise<void> {
  const [named] = await db
    .select({ table_name: columnPreferenceTableName.table_name })
    .from(columnPreferenceTableName)
    .where(eq(columnPreferenceTableName.column_preference_table_name_id, list));
  // The catalog is made of these rules: it is there when they are used, and not yet when they are read.
  const { CATALOG } = await import('./catalog.ts');
  const resource = CATALOG.get(named?.table_name ?? '');
  if (!resource) return;
  const errors = columns.flatMap((name, index) =>
    resource.fields.has(name)
      ? []
      : [
          {
            in: 'body' as const,
            pointer: `/selected_columns/${index}`,
            detail: `is no field of ${resource.nouns}`,
          },
        ],
  );
  if (errors.length === 0) return;
  const detail = errors.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`).join('; ');
  throw new Problem('unprocessable', detail, { errors });
}

function withLowerCase(values: Row, name: string): Row {
  const value = values[name];
  return typeof value === 'string' ? { ...values, [name]: value.toLowerCase() } : values;
}

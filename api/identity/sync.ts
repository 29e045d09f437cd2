/**
 * Does one task: tells the provider what a role or a user is now. Everything is asked before it is done, so a task that was
 * cut short is done again from its beginning and makes nothing twice. Knows no queue and no times.
 */
import type pg from 'pg';
import {
  IdentityError,
  ownerOf,
  roleTagOf,
  type Account,
  type IdentityProvider,
  type ProviderRole,
} from './provider.ts';
import {
  noteRole,
  noteSubject,
  readRole,
  readUser,
  type IdentityTask,
  type RoleRow,
  type UserRow,
} from './task-rows.ts';

export interface SyncOptions {
  /** Of the role `milepost_api`. */
  readonly pool: pg.Pool;
  readonly provider: IdentityProvider;
}

/** Resolves when the provider knows. Rejects with an `IdentityError`, or with what the database says. */
export async function performIdentityTask(
  options: SyncOptions,
  task: IdentityTask,
  signal: AbortSignal,
): Promise<void> {
  switch (task.kind) {
    case 'role_sync':
      return syncRole(options, task, signal);
    case 'role_delete':
      return deleteRole(options, task, signal);
    case 'user_sync':
      return syncUser(options, task, signal);
  }
}

async function syncRole(
  { pool, provider }: SyncOptions,
  task: IdentityTask,
  signal: AbortSignal,
): Promise<void> {
  const row = await readRole(pool, task);
  if (!row) return;
  const role = providerRole(task, row);
  const known = row.auth0_role_id;
  const isThere = known !== null && (await provider.updateRole(known, role, signal));
  const { roleId } = isThere ? { roleId: known } : await provider.createRole(role, signal);
  await noteRole(pool, task, roleId);
}

function providerRole({ customerId, userRoleId }: IdentityTask, row: RoleRow): ProviderRole {
  const tag = roleTagOf(customerId, userRoleId!);
  return { name: `${row.name} ${tag}`, description: row.description, tag };
}

async function deleteRole(
  { provider }: SyncOptions,
  { customerId, userRoleId, auth0RoleId }: IdentityTask,
  signal: AbortSignal,
): Promise<void> {
  const tag = roleTagOf(customerId, userRoleId!);
  const roleId = auth0RoleId ?? (await provider.findRole(tag, signal))?.roleId;
  if (roleId !== undefined) await provider.deleteRole(roleId, signal);
}

async function syncUser(
  options: SyncOptions,
  task: IdentityTask,
  signal: AbortSignal,
): Promise<void> {
  const user = await readUser(options.pool, task);
  if (!user) return;
  if (user.status === 'active') await letIn(options, task, user, signal);
  else await shutOut(options, task, user, signal);
}

async function letIn(
  options: SyncOptions,
  task: IdentityTask,
  user: UserRow,
  signal: AbortSignal,
): Promise<void> {
  const { provider } = options;
  const account = await accountFor(options, task, user, signal);
  if (account === null) return;
  if (account.isBlocked && isOurs(account, task)) {
    await provider.blockUser(account.subject, false, signal);
  }
  // Without one yet: the user's turn comes again when the role is known.
  const roleIds = user.auth0_role_id === null ? [] : [user.auth0_role_id];
  await provider.setUserRoles(account.subject, roleIds, signal);
}

/** The account that signs in as the user, linked by now. Null when the user has changed in the meantime. */
async function accountFor(
  options: SyncOptions,
  task: IdentityTask,
  user: UserRow,
  signal: AbortSignal,
): Promise<Account | null> {
  const { pool, provider } = options;
  const { auth_0_reference_id: subject } = user;
  if (subject !== null) {
    const account = await provider.findUserBySubject(subject, signal);
    if (account) return account;
    throw refused('there is no account with the auth_0_reference_id of this user');
  }
  const account = await findOrMake(provider, task, user, signal);
  try {
    return (await noteSubject(pool, task, account.subject)) ? account : null;
  } catch (error) {
    if ((error as { code?: unknown }).code !== '23505') throw error;
    // Whose it is, perhaps another customer's, is nobody's business.
    throw refused("the account with this address cannot be this user's: set auth_0_reference_id");
  }
}

async function findOrMake(
  provider: IdentityProvider,
  task: IdentityTask,
  { email, first_name, last_name }: UserRow,
  signal: AbortSignal,
): Promise<Account> {
  const found = await provider.findUserByEmail(email, signal);
  // Anybody may sign up with an address that is not theirs: such an account must not come to be this user.
  if (found && !found.isVerified && !isOurs(found, task)) {
    throw refused(
      'an account with this address is there and has not proved it: have it verified, or set auth_0_reference_id',
    );
  }
  if (found) return found;
  const owner = ownerOf(task.customerId, task.userId!);
  const name = `${first_name} ${last_name}`.trim() || email;
  const { subject } = await provider.createUser({ email, name, owner }, signal);
  return { subject, isVerified: false, isBlocked: false, owner };
}

/** Accounts that somebody else made stay open: they may be for other applications too. Here nobody is let in by them. */
async function shutOut(
  { provider }: SyncOptions,
  task: IdentityTask,
  { auth_0_reference_id: subject }: UserRow,
  signal: AbortSignal,
): Promise<void> {
  const account = subject === null ? null : await provider.findUserBySubject(subject, signal);
  if (account === null) return;
  if (!account.isBlocked && isOurs(account, task)) {
    await provider.blockUser(account.subject, true, signal);
  }
  await provider.setUserRoles(account.subject, [], signal);
}

function isOurs({ owner }: Account, { customerId, userId }: IdentityTask): boolean {
  return owner === ownerOf(customerId, userId!);
}

function refused(message: string): IdentityError {
  return new IdentityError('permanent', message);
}

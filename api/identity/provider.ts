/**
 * What Milepost asks of an identity provider: roles by name, accounts that sign in, which roles they have and whether they
 * are let in. What a person may do here is said by our own database alone; the provider is told so that its tokens, its
 * console and its other applications agree. Knows no HTTP and no SQL.
 */

/** A role as the provider shows it. */
export interface ProviderRole {
  /** What people read. It ends with the tag. */
  readonly name: string;
  readonly description: string;
  /** By `roleTagOf`: the same for a role through all its names. */
  readonly tag: string;
}

/** Somebody who signs in at the provider. */
export interface Account {
  /** The `sub` of the tokens. */
  readonly subject: string;
  /** Whether the address of the account is known to be its holder's. */
  readonly isVerified: boolean;
  readonly isBlocked: boolean;
  /** By `ownerOf`: for whom Milepost made this account; null: somebody else did. */
  readonly owner: string | null;
}

/** Every call ends when `signal` does, and rejects with an `IdentityError` when it comes to nothing. */
export interface IdentityProvider {
  /** The role with this tag, changed to be as given; made when there is none. */
  createRole(role: ProviderRole, signal: AbortSignal): Promise<{ readonly roleId: string }>;
  /** False when there is no such role any more. */
  updateRole(roleId: string, role: ProviderRole, signal: AbortSignal): Promise<boolean>;
  /** Also resolves where there is none. */
  deleteRole(roleId: string, signal: AbortSignal): Promise<void>;
  findRole(tag: string, signal: AbortSignal): Promise<{ readonly roleId: string } | null>;
  findUserBySubject(subject: string, signal: AbortSignal): Promise<Account | null>;
  /** The account with this address among those that sign in with a password. The address is in lower case. */
  findUserByEmail(email: string, signal: AbortSignal): Promise<Account | null>;
  /**
   * Makes an account with a password that nobody knows. Its holder sets one by the provider's own way for those who forgot
   * theirs, which proves the address as well: no secret passes through Milepost.
   */
  createUser(user: NewAccount, signal: AbortSignal): Promise<{ readonly subject: string }>;
  /** Gives these roles and takes those of Milepost that are not among them; other applications' roles stay. */
  setUserRoles(subject: string, roleIds: readonly string[], signal: AbortSignal): Promise<void>;
  blockUser(subject: string, isBlocked: boolean, signal: AbortSignal): Promise<void>;
}

export interface NewAccount {
  readonly email: string;
  readonly name: string;
  readonly owner: string;
}

/**
 * `passing`: worth another try later, the way it is: the network, the provider's own trouble, its limits, and credentials or
 * scopes that its administrator has to put right. `permanent`: the same would be refused again.
 */
export type IdentityFault = 'passing' | 'permanent';

/** A call that came to nothing. The message is fit to be shown, and holds no secrets. */
export class IdentityError extends Error {
  readonly code = 'IDENTITY_FAILED';
  readonly fault: IdentityFault;
  /** Of the answer; null when there was none. */
  readonly status: number | null;
  /** How long the provider wants to be left alone; milliseconds, 0 when it did not say. */
  readonly retryAfterMs: number;

  constructor(
    fault: IdentityFault,
    message: string,
    extra: { status?: number; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(message, 'cause' in extra ? { cause: extra.cause } : undefined);
    this.name = 'IdentityError';
    this.fault = fault;
    this.status = extra.status ?? null;
    this.retryAfterMs = extra.retryAfterMs ?? 0;
  }
}

/** Names of roles are one list for all tenants at the provider: the tag keeps two of the same name apart. */
export function roleTagOf(customerId: number, userRoleId: number): string {
  return `[milepost ${customerId}/${userRoleId}]`;
}

/** Whether a role of the provider is one of Milepost's, by its name. */
export function hasRoleTag(name: string): boolean {
  return /\[milepost \d+\/\d+\]$/.test(name);
}

/** What marks the account that was made for a user. */
export function ownerOf(customerId: number, userId: number): string {
  return `${customerId}/${userId}`;
}

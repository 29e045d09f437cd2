/**
 * Who is behind a token's subject: tenant, accounts and rights, read from the database and kept for a short while. The
 * database alone says who somebody is; nothing is taken from the token but the subject.
 */
import type pg from 'pg';
import type { Tenant } from '../../db/tenancy.ts';
import { permissionsOf, type Permission } from './permissions.ts';

/** Milliseconds that a user is remembered; `invalidate` forgets sooner. */
export const PRINCIPAL_AGE_MS_MAX = 30_000;
/** Subjects that are remembered at once; the oldest go first. */
export const PRINCIPAL_CACHE_ENTRIES_MAX = 10_000;

/** A signed-in user. */
export interface Principal {
  readonly subject: string;
  readonly userId: number;
  readonly email: string;
  readonly roleName: string;
  /** The customer, and the accounts the user is held to; null accounts: all of them. */
  readonly tenant: Tenant;
  readonly permissions: ReadonlySet<Permission>;
  /** Of a request: when it came, in epoch milliseconds. */
  readonly nowMs?: number | undefined;
}

export interface Principals {
  /** The active user with this subject, or null. Rejects when the database cannot be asked. */
  bySubject(subject: string): Promise<Principal | null>;
  /** Forgets everyone. To be called when a user, a role, a customer or the tree of accounts has changed. */
  invalidate(): void;
}

interface Entry {
  readonly principal: Principal | null;
  readonly expiresMs: number;
}

interface UserRow {
  user_id: number | string;
  customer_id: number | string;
  email: string;
  role_name: string;
  role_permission: unknown;
  assigned_account_ids: (number | string)[];
}

/** Makes the directory of users over a pool of the API's role. Simultaneous questions for one subject share an answer. */
export function createPrincipals(options: {
  readonly pool: pg.Pool;
  /** Epoch milliseconds; the machine's clock when left out. */
  readonly now?: () => number;
}): Principals {
  const now = options.now ?? Date.now;
  const entries = new Map<string, Entry>();
  const asked = new Map<string, Promise<Principal | null>>();
  let generation = 0;

  async function ask(subject: string): Promise<Principal | null> {
    const askedIn = generation;
    const principal = await readUser(options.pool, subject);
    // What was read before an invalidation may be what the invalidation was about.
    if (askedIn !== generation) return principal;
    entries.delete(subject);
    if (entries.size >= PRINCIPAL_CACHE_ENTRIES_MAX) {
      entries.delete(entries.keys().next().value!);
    }
    entries.set(subject, { principal, expiresMs: now() + PRINCIPAL_AGE_MS_MAX });
    return principal;
  }

  return {
    async bySubject(subject) {
      const entry = entries.get(subject);
      if (entry && entry.expiresMs > now()) return entry.principal;
      let answer = asked.get(subject);
      if (!answer) {
        const asking = ask(subject).finally(() => {
          if (asked.get(subject) === asking) asked.delete(subject);
        });
        asked.set(subject, asking);
        answer = asking;
      }
      return answer;
    },
    invalidate() {
      generation += 1;
      entries.clear();
      asked.clear();
    },
  };
}

async function readUser(pool: pg.Pool, subject: string): Promise<Principal | null> {
  // No tenant is known yet: this one function may look across tenants.
  const { rows } = await pool.query<UserRow>('select * from auth_user_by_subject($1)', [subject]);
  const row = rows[0];
  if (!row) return null;
  const accountIds = row.assigned_account_ids.map(Number);
  return {
    subject,
    userId: Number(row.user_id),
    email: row.email,
    roleName: row.role_name,
    tenant: {
      customerId: Number(row.customer_id),
      accountIds: accountIds.length === 0 ? null : accountIds,
    },
    permissions: permissionsOf(row.role_permission),
  };
}

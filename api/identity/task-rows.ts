/** Rows of identity tasks, and of the roles and users that they are about (migrations/0026_identity.sql). */
import type pg from 'pg';
import { withTenant } from '../../db/tenancy.ts';

/** A task as a runner has taken it. */
export interface IdentityTask {
  readonly taskId: number;
  readonly customerId: number;
  readonly kind: 'role_sync' | 'role_delete' | 'user_sync';
  readonly userRoleId: number | null;
  readonly userId: number | null;
  /** Of a role that is gone here, where it was known. */
  readonly auth0RoleId: string | null;
  /** This one included. */
  readonly tryCount: number;
  readonly runnerId: string;
}

/** How a try ended; milliseconds. `queued`: it is tried again after `retryAfterMs`. */
export type TaskOutcome =
  | { readonly status: 'done' }
  | { readonly status: 'failed'; readonly error: string }
  | {
      readonly status: 'queued';
      readonly error: string | null;
      readonly retryAfterMs: number;
      readonly counts: boolean;
    };

interface TaskRow {
  identity_task_id: number;
  customer_id: number;
  task_kind: IdentityTask['kind'];
  user_role_id: number | null;
  user_id: number | null;
  auth0_role_id: string | null;
  try_count: number;
}

/** The oldest task that is due, or null. */
export async function takeIdentityTask(
  pool: pg.Pool,
  runnerId: string,
  lostMsMax: number,
): Promise<IdentityTask | null> {
  const { rows } = await pool.query<TaskRow>('select * from take_identity_task($1, $2)', [
    runnerId,
    interval(lostMsMax),
  ]);
  const row = rows[0];
  if (!row) return null;
  return {
    taskId: row.identity_task_id,
    customerId: row.customer_id,
    kind: row.task_kind,
    userRoleId: row.user_role_id,
    userId: row.user_id,
    auth0RoleId: row.auth0_role_id,
    tryCount: row.try_count,
    runnerId,
  };
}

/** False: the task is another runner's now. */
export async function beatIdentityTask(pool: pg.Pool, task: IdentityTask): Promise<boolean> {
  const { rows } = await pool.query<{ held: boolean }>(
    'select beat_identity_task($1, $2) as held',
    [task.taskId, task.runnerId],
  );
  return rows[0]!.held;
}

/** Ends the try. Of a role it is noted on the role as well how that went. False: the task is another runner's now. */
export async function settleIdentityTask(
  pool: pg.Pool,
  task: IdentityTask,
  outcome: TaskOutcome,
): Promise<boolean> {
  const error = 'error' in outcome ? outcome.error : null;
  return asRunner(pool, task, async (client) => {
    const { rows } = await client.query<{ held: boolean }>(
      'select settle_identity_task($1, $2, $3, $4, $5, $6) as held',
      [
        task.taskId,
        task.runnerId,
        outcome.status,
        error,
        outcome.status === 'queued' ? interval(outcome.retryAfterMs) : null,
        outcome.status !== 'queued' || outcome.counts,
      ],
    );
    if (task.kind === 'role_sync' && rows[0]!.held && error !== null) {
      await client.query(
        'update user_role set auth0_sync_error = $2 where user_role_id = $1 and auth0_sync_error is distinct from $2',
        [task.userRoleId, error],
      );
    }
    return rows[0]!.held;
  });
}

/** What the provider is to be told of a role. */
export interface RoleRow {
  readonly name: string;
  readonly description: string;
  readonly auth0_role_id: string | null;
}

/** Null when it is gone. */
export async function readRole(pool: pg.Pool, task: IdentityTask): Promise<RoleRow | null> {
  return asRunner(pool, task, async (client) => {
    const { rows } = await client.query<RoleRow>(
      'select name, description, auth0_role_id from user_role where user_role_id = $1',
      [task.userRoleId],
    );
    return rows[0] ?? null;
  });
}

/** Notes under which name the provider knows the role, and that it has been told of it. */
export async function noteRole(pool: pg.Pool, task: IdentityTask, roleId: string): Promise<void> {
  await asRunner(pool, task, async (client) => {
    await client.query(
      `update user_role set auth0_role_id = $2, auth0_synced_at = now(), auth0_sync_error = null
       where user_role_id = $1`,
      [task.userRoleId, roleId],
    );
  });
}

/** What the provider is to be told of a user. */
export interface UserRow {
  readonly email: string;
  readonly first_name: string;
  readonly last_name: string;
  readonly status: string;
  readonly auth_0_reference_id: string | null;
  /** What the provider calls the user's role; null: it does not know it yet. */
  readonly auth0_role_id: string | null;
}

/** Null when there is no such user. */
export async function readUser(pool: pg.Pool, task: IdentityTask): Promise<UserRow | null> {
  return asRunner(pool, task, async (client) => {
    const { rows } = await client.query<UserRow>(
      `select u.email, u.first_name, u.last_name, u.status, u.auth_0_reference_id, r.auth0_role_id
       from "user" u join user_role r using (customer_id, user_role_id) where u.user_id = $1`,
      [task.userId],
    );
    return rows[0] ?? null;
  });
}

/** Lets the subject sign in as the user. False when the user is no longer waiting for one; rejects with 23505 for another's. */
export async function noteSubject(
  pool: pg.Pool,
  task: IdentityTask,
  subject: string,
): Promise<boolean> {
  return asRunner(pool, task, async (client) => {
    const { rowCount } = await client.query(
      `update "user" set auth_0_reference_id = $2
       where user_id = $1 and auth_0_reference_id is null and status = 'active'`,
      [task.userId, subject],
    );
    return rowCount === 1;
  });
}

/** Whether there is a provider to be told: turned on, it is told of everything; turned off, tasks are dropped. */
export async function switchIdentitySync(pool: pg.Pool, isOn: boolean): Promise<void> {
  await pool.query('select switch_identity_sync($1)', [isOn]);
}

/** Removes tasks that were done, or given up, longer ago than that; milliseconds. */
export async function sweepIdentityTasks(
  pool: pg.Pool,
  doneKeepMs: number,
  failedKeepMs: number,
): Promise<void> {
  await pool.query('select sweep_identity_tasks($1, $2)', [
    interval(doneKeepMs),
    interval(failedKeepMs),
  ]);
}

/** As the task's tenant, and in a way that the triggers take for no news for the provider. */
function asRunner<T>(
  pool: pg.Pool,
  { customerId }: IdentityTask,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  return withTenant(pool, { customerId, accountIds: null }, async (_db, client) => {
    await client.query(`select set_config('app.identity_runner', 'on', true)`);
    return work(client);
  });
}

function interval(ms: number): string {
  return `${ms} milliseconds`;
}

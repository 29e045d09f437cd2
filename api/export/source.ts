/** Where the rows of an export job come from, and whether whoever asked for them may still see them. */
import { readAsTenant } from '../../db/tenancy.ts';
import { permissionsOf } from '../auth/permissions.ts';
import type { ApiContext } from '../context.ts';
import { exportColumns } from '../resources/export.ts';
import { pagesOf } from '../resources/list.ts';
import type { Resource } from '../resources/resource.ts';
import { readJobQuery } from './job-query.ts';
import type { ExportJob } from './job-rows.ts';
import type { ExportSource } from './jobs.ts';

interface Asker {
  readonly role_permission: unknown;
  readonly assigned_account_ids: readonly number[];
}

/** The rows of a job, as whoever asked for it may see them now. Throws `EXPORT_FORBIDDEN` when they no longer may. */
export async function openSource(
  context: ApiContext,
  resources: ReadonlyMap<string, Resource>,
  job: ExportJob,
): Promise<ExportSource> {
  const resource = resources.get(job.resource);
  const reader = {
    tenant: { customerId: job.customerId, accountIds: job.accountIds },
    userId: job.userId,
    // The whole file is as of one day.
    nowMs: context.now(),
  };
  const [asker] = await readAsTenant<Asker>(context.pool, reader, {
    text: `select a.role_permission, a.assigned_account_ids from "user" u, auth_user_by_subject(u.auth_0_reference_id) a
      where u.user_id = $1`,
    values: [job.userId],
  });
  if (!resource || !asker || !maySee(asker, resource, job)) {
    throw Object.assign(new Error('whoever asked for it may not see it any more'), {
      code: 'EXPORT_FORBIDDEN',
    });
  }
  const select = readJobQuery(resource, job.query);
  const pages = pagesOf(context.pool, reader, resource, select);
  return { columns: exportColumns(select.fields), pages, title: resource.nouns };
}

function maySee(
  { role_permission, assigned_account_ids }: Asker,
  { read }: Resource,
  job: ExportJob,
): boolean {
  const isAllowed = read === 'signed_in' || permissionsOf(role_permission).has(read);
  if (!isAllowed || assigned_account_ids.length === 0) return isAllowed;
  return job.accountIds?.every((id) => assigned_account_ids.includes(id)) ?? false;
}

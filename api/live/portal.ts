/** Joins the live hub to the portal: who a token belongs to, and what the feed held while a client was away. */
import type pg from 'pg';
import type { Authenticate } from '../auth/authenticate.ts';
import { loadFeedEvents } from '../feed-events.ts';
import type { HubOptions } from './hub.ts';

/** The hub's two questions, answered by the API's own sign-in and database role. */
export function portalOf(
  authenticate: Authenticate,
  pool: pg.Pool,
): Pick<HubOptions, 'authenticate' | 'loadEvents'> {
  return {
    async authenticate(token) {
      const found = await authenticate(token);
      if (!found.ok) {
        if (found.reason === 'unavailable') throw new Error(found.detail);
        return { ok: false, detail: found.detail };
      }
      const { userId, tenant, permissions } = found.principal;
      return {
        ok: true,
        identity: {
          userId,
          customerId: tenant.customerId,
          accountIds: tenant.accountIds,
          expiresAtMs: found.expiresMs,
          canReadPositions: permissions.has('telematics:read'),
          canReadEvents: permissions.has('activity_feed:read'),
        },
      };
    },
    loadEvents: ({ customerId, accountIds }, sinceId, rowsMax) =>
      loadFeedEvents(pool, { customerId, accountIds }, sinceId, rowsMax),
  };
}

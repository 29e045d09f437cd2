/** Events of the feed after a given one, in the form in which the live hub replays them. */
import { and, asc, gt, isNull, sql } from 'drizzle-orm';
import type pg from 'pg';
import { activityFeed } from '../db/schema.ts';
import { withTenant, type Tenant } from '../db/tenancy.ts';
import type { FeedEvent } from './live/wire.ts';

/**
 * Events of the tenant and its accounts with `activity_feed_id` above `sinceId`, ascending, at most `rowsMax`. The audit
 * trail, which lies in the same table, is none of them.
 */
export function loadFeedEvents(
  pool: pg.Pool,
  tenant: Tenant,
  sinceId: number,
  rowsMax: number,
): Promise<FeedEvent[]> {
  return withTenant(pool, tenant, async (db) => {
    const rows = await db
      .select({
        activity_feed_id: activityFeed.activity_feed_id,
        // Null in the audit trail alone.
        equipment_id: sql<number>`${activityFeed.equipment_id}`.mapWith(activityFeed.equipment_id),
        account_id: activityFeed.account_id,
        event_type: activityFeed.event_type,
        event_time: activityFeed.event_time,
        latitude: activityFeed.latitude,
        longitude: activityFeed.longitude,
        geofence_id: activityFeed.geofence_id,
        telematic_alert_id: activityFeed.telematic_alert_id,
        subject_name: activityFeed.subject_name,
        metric_code: activityFeed.metric_code,
        metric_value: activityFeed.metric_value,
        severity: activityFeed.severity,
        initial: activityFeed.initial,
      })
      .from(activityFeed)
      .where(and(gt(activityFeed.activity_feed_id, sinceId), isNull(activityFeed.entity_type)))
      .orderBy(asc(activityFeed.activity_feed_id))
      .limit(rowsMax);
    return rows.map((row) => ({ ...row, event_time: row.event_time.toISOString() }));
  });
}

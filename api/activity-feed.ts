/** `GET /v1/activity-feed`: what happened, newest first. */
import { and, desc, eq, getTableColumns, gte, isNull, lt, sql } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { activityFeed } from '../db/schema.ts';
import { inTenant, openList, type ApiContext } from './context.ts';
import {
  closed,
  described,
  guardedProblems,
  Id,
  Instant,
  InstantText,
  Name,
  nullable,
  oneOf,
  pageOf,
  pageQuery,
} from './schemas.ts';
import { readInstant } from './telematics/window.ts';

const Activity = Type.Object({
  activity_feed_id: Id,
  event_key: Type.String({ format: 'uuid' }),
  customer_id: Id,
  account_id: nullable(Id),
  equipment_id: Id,
  equipment_has_iot_device_id: nullable(Id),
  event_type: Type.String({
    description:
      '`geofence_enter`, `geofence_exit`, `geofence_dwell`, `geofence_cross`, `alert_raised`, `alert_cleared`, ' +
      '`device_disconnected`, `device_region_enter`, `device_region_leave`, `over_allocated`, `unit_out_of_service`, ' +
      '`unit_back_in_service`, and others.',
  }),
  event_time: Instant,
  received_at: Instant,
  latitude: nullable(Type.Number()),
  longitude: nullable(Type.Number()),
  geofence_id: nullable(Id),
  telematic_alert_id: nullable(Id),
  subject_name: Type.String(),
  subject_version: nullable(Type.Integer()),
  metric_code: nullable(Type.String()),
  metric_value: nullable(Type.Number()),
  severity: Type.String(),
  initial: Type.Boolean(),
  cause: Type.String({
    description:
      '`move`, `first_fix`, `fence_changed`, `fence_removed`, `schedule`, `assignment_changed`, `device_removed`, ' +
      '`rule_changed`, `device` for what a device said itself, or `portal` for what follows from records.',
  }),
});

const filters = closed({
  ...pageQuery,
  equipment_id: Type.Optional(described(Id, 'About this unit.')),
  event_type: Type.Optional(described(Name, 'Of this type.')),
  geofence_id: Type.Optional(described(Id, 'About this fence.')),
  telematic_alert_id: Type.Optional(described(Id, 'By this alert rule.')),
  severity: Type.Optional(described(oneOf(['info', 'warning', 'critical']), 'Of this severity.')),
  from: Type.Optional(described(InstantText, 'At this time or later.')),
  to: Type.Optional(described(InstantText, 'Before this time.')),
});

/** Adds the route. */
export function addActivityRoutes(app: FastifyInstance, context: ApiContext): void {
  app.withTypeProvider<TypeBoxTypeProvider>().get(
    '/v1/activity-feed',
    {
      config: { permission: 'activity_feed:read' },
      schema: {
        operationId: 'listActivity',
        tags: ['activity'],
        summary: 'Transitions, alerts, and what devices said of themselves, newest first',
        description: '`from` is inclusive, `to` exclusive; both hold the time of the event.',
        querystring: filters,
        response: { 200: pageOf(Activity), ...guardedProblems },
      },
    },
    async (request) => {
      const { query } = request;
      const fromMs = readInstant(query.from, '/from');
      const toMs = readInstant(query.to, '/to');
      const list = openList(context, request, 'activity');
      const feed = activityFeed;
      const only = <
        K extends 'equipment_id' | 'event_type' | 'geofence_id' | 'telematic_alert_id' | 'severity',
      >(
        name: K,
      ) => (query[name] === undefined ? undefined : eq(feed[name], query[name]));
      const key = sql`(${feed.event_time}, ${feed.activity_feed_id})`;
      const rows = await inTenant(context, request, (db) =>
        db
          .select({
            ...getTableColumns(feed),
            // Null in the audit trail alone, which is shown elsewhere.
            equipment_id: sql<number>`${feed.equipment_id}`.mapWith(feed.equipment_id),
            event_text: sql<string>`${feed.event_time}::text`,
          })
          .from(feed)
          .where(
            and(
              isNull(feed.entity_type),
              only('equipment_id'),
              only('event_type'),
              only('geofence_id'),
              only('telematic_alert_id'),
              only('severity'),
              fromMs === undefined ? undefined : gte(feed.event_time, new Date(fromMs)),
              toMs === undefined ? undefined : lt(feed.event_time, new Date(toMs)),
              list.after
                ? sql`${key} < (${list.after[0]}::timestamptz, ${list.after[1]}::bigint)`
                : undefined,
            ),
          )
          .orderBy(desc(feed.event_time), desc(feed.activity_feed_id))
          .limit(list.rowsMax),
      );
      return list.page(rows, (row) => [row.event_text, row.activity_feed_id]);
    },
  );
}

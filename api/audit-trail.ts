/**
 * `GET /v1/audit-trail`: who wrote what, newest first, of the records that the reader may read. The database writes it
 * itself, in the transaction of the change (migrations/0010_records.sql).
 */
import { and, desc, eq, gte, isNotNull, lt, or, sql, type SQL } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { activityFeed } from '../db/schema.ts';
import { readableKinds } from './audit-kinds.ts';
import type { Principal } from './auth/principal.ts';
import { inTenant, openList, type ApiContext } from './context.ts';
import { principalOf } from './guard.ts';
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

const ENTRY_TYPES = ['record_created', 'record_updated', 'record_deleted'] as const;
const Values = Type.Unsafe<Record<string, unknown> | null>({
  type: ['object', 'null'],
  additionalProperties: true,
  description: 'By column; a value that is too long is told by `omitted_bytes` and `md5`.',
});

const AuditEntry = Type.Object({
  activity_feed_id: Id,
  event_type: Type.String(),
  event_time: Instant,
  entity_type: Type.String({ description: 'The table.' }),
  entity_id: Type.String({ description: 'The key of the row.' }),
  account_id: nullable(Id),
  equipment_id: nullable(Id),
  actor_user_id: nullable(Id),
  cause: Type.String({ description: '`user`, or `system` for what Milepost did by itself.' }),
  request_id: nullable(Type.String()),
  subject_version: nullable(Type.Integer()),
  before: Values,
  after: Values,
});

const querystring = closed({
  ...pageQuery,
  entity_type: Type.Optional(described(Name, 'Of this table.')),
  entity_id: Type.Optional(described(Name, 'Of the row with this key.')),
  actor_user_id: Type.Optional(described(Id, 'By this user.')),
  equipment_id: Type.Optional(described(Id, 'About this unit.')),
  event_type: Type.Optional(described(oneOf(ENTRY_TYPES), 'Of this type.')),
  from: Type.Optional(described(InstantText, 'At this time or later.')),
  to: Type.Optional(described(InstantText, 'Before this time.')),
});

/** Adds the route. */
export function addAuditRoutes(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'listAuditTrail',
    tags: ['activity'],
    summary: 'Who wrote what, newest first',
    description:
      'Every write of a record of a kind that the reader has the right to read, with the values before and after. Those ' +
      'who are held to accounts see what was written about rows of their accounts. `from` is inclusive, `to` exclusive.',
    querystring,
    response: { 200: pageOf(AuditEntry), ...guardedProblems },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get(
      '/v1/audit-trail',
      { config: { permission: 'audit_trail:read' }, schema },
      async (request) => {
        const { query } = request;
        const fromMs = readInstant(query.from, '/from');
        const toMs = readInstant(query.to, '/to');
        const list = openList(context, request, 'audit trail');
        const feed = activityFeed;
        const only = <
          K extends 'entity_type' | 'entity_id' | 'actor_user_id' | 'equipment_id' | 'event_type',
        >(
          name: K,
        ) => (query[name] === undefined ? undefined : eq(feed[name], query[name]));
        const rows = await inTenant(context, request, (db) =>
          db
            .select({
              activity_feed_id: feed.activity_feed_id,
              event_type: feed.event_type,
              event_time: feed.event_time,
              entity_type: sql<string>`${feed.entity_type}`,
              entity_id: sql<string>`${feed.entity_id}`,
              account_id: feed.account_id,
              equipment_id: feed.equipment_id,
              actor_user_id: feed.actor_user_id,
              cause: feed.cause,
              request_id: feed.request_id,
              subject_version: feed.subject_version,
              before: feed.before,
              after: feed.after,
            })
            .from(feed)
            .where(
              and(
                isNotNull(feed.entity_type),
                isReadable(principalOf(request)),
                only('entity_type'),
                only('entity_id'),
                only('actor_user_id'),
                only('equipment_id'),
                only('event_type'),
                fromMs === undefined ? undefined : gte(feed.event_time, new Date(fromMs)),
                toMs === undefined ? undefined : lt(feed.event_time, new Date(toMs)),
                list.after ? lt(feed.activity_feed_id, list.after[0] as number) : undefined,
              ),
            )
            .orderBy(desc(feed.activity_feed_id))
            .limit(list.rowsMax),
        );
        return list.page(rows, (row) => [row.activity_feed_id]);
      },
    );
}

function isReadable({ permissions, userId }: Principal): SQL | undefined {
  const { all, own } = readableKinds(permissions);
  const isOf = (kinds: string[]) =>
    sql`${activityFeed.entity_type} = any (${sql.param(kinds)}::text[])`;
  return or(isOf(all), and(isOf(own), eq(activityFeed.actor_user_id, userId)));
}

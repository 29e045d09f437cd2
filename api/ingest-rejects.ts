/** `GET /v1/ingest-rejects`: what devices sent and was refused, with the reason. */
import { and, desc, eq, inArray, isNull, lt } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { equipmentHasIotDevice, ingestReject } from '../db/schema.ts';
import type { TenantDb } from '../db/tenancy.ts';
import { inTenant, openList, type ApiContext } from './context.ts';
import { principalOf } from './guard.ts';
import {
  closed,
  described,
  guardedProblems,
  Id,
  Instant,
  Name,
  nullable,
  pageOf,
  pageQuery,
} from './schemas.ts';

const Reject = Type.Object({
  ingest_reject_id: Id,
  customer_id: nullable(Id),
  iot_device_id: nullable(Id),
  device_identifier: nullable(Type.String()),
  source: Type.String(),
  topic: nullable(Type.String()),
  reason: Type.String(),
  detail: Type.String(),
  payload: nullable(
    Type.String({ contentEncoding: 'base64', description: 'Its beginning, when it was long.' }),
  ),
  payload_bytes: Type.Integer({ description: 'The length of the whole payload.' }),
  received_at: Instant,
});

/** Adds the route. */
export function addRejectRoutes(app: FastifyInstance, context: ApiContext): void {
  app.withTypeProvider<TypeBoxTypeProvider>().get(
    '/v1/ingest-rejects',
    {
      config: { permission: 'ingest_reject:read' },
      schema: {
        operationId: 'listIngestRejects',
        tags: ['telematics'],
        summary: 'Refused input, newest first',
        querystring: closed({
          ...pageQuery,
          iot_device_id: Type.Optional(described(Id, 'Of this device.')),
          reason: Type.Optional(described(Name, 'For this reason.')),
        }),
        response: { 200: pageOf(Reject), ...guardedProblems },
      },
    },
    async (request) => {
      const { iot_device_id, reason } = request.query;
      const list = openList(context, request, 'rejects');
      const { accountIds } = principalOf(request).tenant;
      const reject = ingestReject;
      const rows = await inTenant(context, request, (db) =>
        db
          .select()
          .from(reject)
          .where(
            and(
              accountIds === null ? undefined : inArray(reject.iot_device_id, visibleDevices(db)),
              iot_device_id === undefined ? undefined : eq(reject.iot_device_id, iot_device_id),
              reason === undefined ? undefined : eq(reject.reason, reason),
              list.after ? lt(reject.ingest_reject_id, list.after[0] as number) : undefined,
            ),
          )
          .orderBy(desc(reject.ingest_reject_id))
          .limit(list.rowsMax),
      );
      const page = list.page(rows, (row) => [row.ingest_reject_id]);
      const data = page.data.map((row) => ({
        ...row,
        payload: row.payload?.toString('base64') ?? null,
      }));
      return { ...page, data };
    },
  );
}

// A reject has no account of its own: whoever is held to accounts sees those of devices mounted on units of theirs.
function visibleDevices(db: TenantDb) {
  return db
    .select({ iot_device_id: equipmentHasIotDevice.iot_device_id })
    .from(equipmentHasIotDevice)
    .where(isNull(equipmentHasIotDevice.removed_at));
}

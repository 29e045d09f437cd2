/** Alert rules: listed, read, made, changed, deleted. The running engine hears of a change by the database's change feed. */
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { entityTag, isKnown } from '../entity-tag.ts';
import { principalOf } from '../guard.ts';
import { MERGE_PATCH_CONTENT_TYPE } from '../merge-patch.ts';
import {
  closed,
  described,
  guardedProblems,
  Id,
  idParams,
  noContent,
  notModified,
  oneOf,
  pageOf,
  pageQuery,
  problems,
  readCondition,
  writeCondition,
} from '../schemas.ts';
import { AlertCreate, AlertPatch, STATUSES, TelematicAlert } from './schemas.ts';
import { createAlert, deleteAlert, getAlert, listAlerts, patchAlert } from './store.ts';

const tags = ['telematic_alert'];
const read = { permission: 'telematic_alert:read' } as const;
const write = { permission: 'telematic_alert:write' } as const;

/** Adds the routes. */
export function addTelematicAlertRoutes(app: FastifyInstance, context: ApiContext): void {
  addReading(app, context);
  addWriting(app, context);
}

function addReading(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const listSchema = {
    operationId: 'listTelematicAlerts',
    tags,
    summary: 'Alert rules, oldest first',
    querystring: closed({
      ...pageQuery,
      account_id: Type.Optional(described(Id, 'Of this account.')),
      status: Type.Optional(described(oneOf(STATUSES), 'In this status.')),
      equipment_id: Type.Optional(described(Id, 'About this unit.')),
    }),
    response: { 200: pageOf(TelematicAlert), ...guardedProblems },
  };
  routes.get('/v1/telematic-alerts', { config: read, schema: listSchema }, async (request) => {
    const list = openList(context, request, 'alerts');
    const afterId = list.after && (list.after[0] as number);
    const rows = await inTenant(context, request, (db) =>
      listAlerts(db, request.query, afterId, list.rowsMax),
    );
    return list.page(rows, (row) => [row.telematic_alert_id]);
  });

  const getSchema = {
    operationId: 'getTelematicAlert',
    tags,
    summary: 'One alert rule',
    params: idParams,
    headers: readCondition,
    response: { 200: TelematicAlert, 304: notModified, ...guardedProblems, ...problems(404) },
  };
  routes.get(
    '/v1/telematic-alerts/:id',
    { config: read, schema: getSchema },
    async (request, reply) => {
      const row = await inTenant(context, request, (db) => getAlert(db, request.params.id));
      reply.header('etag', entityTag(row.version));
      if (isKnown(request.headers['if-none-match'], row.version)) return reply.code(304).send();
      return row;
    },
  );
}

function addWriting(app: FastifyInstance, context: ApiContext): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const createSchema = {
    operationId: 'createTelematicAlert',
    tags,
    summary: 'Make an alert rule',
    body: AlertCreate,
    response: { 201: TelematicAlert, ...guardedProblems, ...problems(409, 415, 422) },
  };
  routes.post(
    '/v1/telematic-alerts',
    { config: write, schema: createSchema },
    async (request, reply) => {
      const max = context.quotas.alertsPerTenantMax;
      const row = await inTenant(context, request, (db) =>
        createAlert(db, principalOf(request), request.body, max),
      );
      reply.header('location', `/v1/telematic-alerts/${row.telematic_alert_id}`);
      return reply.code(201).header('etag', entityTag(row.version)).send(row);
    },
  );

  const patchSchema = {
    operationId: 'patchTelematicAlert',
    tags,
    summary: 'Change an alert rule',
    consumes: [MERGE_PATCH_CONTENT_TYPE, 'application/json'],
    params: idParams,
    headers: writeCondition,
    body: AlertPatch,
    response: { 200: TelematicAlert, ...guardedProblems, ...problems(404, 412, 415, 422) },
  };
  routes.patch(
    '/v1/telematic-alerts/:id',
    { config: write, schema: patchSchema },
    async (request, reply) => {
      const ifMatch = request.headers['if-match'];
      const row = await inTenant(context, request, (db) =>
        patchAlert(db, principalOf(request), request.params.id, request.body, ifMatch),
      );
      reply.header('etag', entityTag(row.version));
      return row;
    },
  );

  const deleteSchema = {
    operationId: 'deleteTelematicAlert',
    tags,
    summary: 'Delete an alert rule',
    description: 'Its events stay in the activity feed.',
    params: idParams,
    headers: writeCondition,
    response: { 204: noContent, ...guardedProblems, ...problems(404, 412) },
  };
  routes.delete(
    '/v1/telematic-alerts/:id',
    { config: write, schema: deleteSchema },
    async (request, reply) => {
      const ifMatch = request.headers['if-match'];
      await inTenant(context, request, (db) =>
        deleteAlert(db, principalOf(request), request.params.id, ifMatch),
      );
      return reply.code(204).send();
    },
  );
}

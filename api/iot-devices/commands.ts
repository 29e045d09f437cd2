/** Commands for devices: queued, listed, cancelled. Ingestion sends them, and writes how far they got. */
import { and, desc, eq, inArray, lt, notInArray, sql } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type, type Static } from 'typebox';
import { iotDeviceCommand } from '../../db/schema.ts';
import type { TenantDb } from '../../db/tenancy.ts';
import type { Principal } from '../auth/principal.ts';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { principalOf } from '../guard.ts';
import { fieldProblem, notFound, Problem } from '../problem.ts';
import { idempotencyHeaders } from '../resources/idempotency.ts';
import { answered } from '../resources/routes.ts';
import {
  closed,
  described,
  guardedProblems,
  Id,
  idParams,
  Instant,
  noContent,
  nullable,
  oneOf,
  pageOf,
  pageQuery,
  problems,
  storedWord,
} from '../schemas.ts';
import { nullableInstant } from './schemas.ts';
import { getDevice, lockDevice } from './store.ts';

/** Bytes of a command in UTF-8. */
export const COMMAND_BYTES_MAX = 65_536;
/** Seconds for which a command may wait: 30 days. */
export const COMMAND_EXPIRY_S_MAX = 2_592_000;
export const COMMAND_EXPIRY_S_DEFAULT = 86_400;
/** Commands of one device that are kept after they are delivered or over. */
export const COMMANDS_KEPT_PER_DEVICE_MAX = 100;

const STATUSES = ['queued', 'sent', 'delivered', 'expired', 'cancelled'] as const;
const OPEN: (typeof STATUSES)[number][] = ['queued', 'sent'];

const tags = ['iot_device'];
const command = iotDeviceCommand;

const CommandCreate = closed(
  {
    payload: Type.String({
      minLength: 1,
      maxLength: COMMAND_BYTES_MAX,
      pattern: '^[^\\u0000]*$',
      description: `Handed to the device as it stands; at most ${COMMAND_BYTES_MAX} bytes of UTF-8.`,
    }),
    expires_in_s: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: COMMAND_EXPIRY_S_MAX,
        default: COMMAND_EXPIRY_S_DEFAULT,
        description: 'Seconds after which it is no longer sent.',
      }),
    ),
  },
  { examples: [{ payload: '{"report_interval_s":30}', expires_in_s: 3600 }] },
);
type CommandCreateBody = Static<typeof CommandCreate>;

const Command = Type.Object({
  iot_device_command_id: Id,
  customer_id: Id,
  iot_device_id: Id,
  payload: Type.String(),
  status: storedWord(STATUSES),
  created_by: nullable(Id),
  created_at: Instant,
  updated_at: Instant,
  expires_at: Instant,
  sent_at: nullableInstant('When it was last sent; it may be sent more than once.'),
  delivered_at: nullableInstant('When the device acknowledged it.'),
});

/** Adds the routes. */
export function addCommandRoutes(app: FastifyInstance, context: ApiContext): void {
  addList(app, context);
  addWriting(app, context);
}

function addList(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'listDeviceCommands',
    tags,
    summary: 'Commands for a device, newest first',
    description: `Of those that are delivered or over, the newest ${COMMANDS_KEPT_PER_DEVICE_MAX} are kept.`,
    params: idParams,
    querystring: closed({
      ...pageQuery,
      status: Type.Optional(described(oneOf(STATUSES), 'In this status.')),
    }),
    response: { 200: pageOf(Command), ...guardedProblems, ...problems(404) },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get(
      '/v1/iot-devices/:id/commands',
      { config: { permission: 'iot_device_command:read' }, schema },
      async (request) => {
        const { status } = request.query;
        const list = openList(context, request, 'commands');
        const rows = await inTenant(context, request, async (db) => {
          const { iot_device_id } = await getDevice(db, request.params.id);
          return db
            .select()
            .from(command)
            .where(
              and(
                eq(command.iot_device_id, iot_device_id),
                status === undefined ? undefined : eq(command.status, status),
                list.after ? lt(command.iot_device_command_id, list.after[0] as number) : undefined,
              ),
            )
            .orderBy(desc(command.iot_device_command_id))
            .limit(list.rowsMax);
        });
        return list.page(rows, (row) => [row.iot_device_command_id]);
      },
    );
}

function addWriting(app: FastifyInstance, context: ApiContext): void {
  const config = { permission: 'iot_device_command:write' } as const;
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const createSchema = {
    operationId: 'createDeviceCommand',
    tags,
    summary: 'Queue a command for a device',
    description:
      'Sent as soon as the device listens on its command topic, in order, and again until it acknowledges.',
    params: idParams,
    headers: idempotencyHeaders,
    body: CommandCreate,
    response: { 201: Command, ...guardedProblems, ...problems(404, 409, 413, 415, 422) },
  };
  routes.post(
    '/v1/iot-devices/:id/commands',
    { config, schema: createSchema },
    async (request, reply) => {
      const { openCommandsPerDeviceMax } = context.quotas;
      const { params, body } = request;
      const answer = await answered(context, request, async ({ db, principal }) => ({
        status: 201,
        headers: {},
        body: await queueCommand(db, principal, params.id, body, openCommandsPerDeviceMax),
      }));
      return reply
        .code(201)
        .headers(answer.headers)
        .send(answer.body as Static<typeof Command>);
    },
  );

  const cancelSchema = {
    operationId: 'cancelDeviceCommand',
    tags,
    summary: 'Cancel a command that was not sent yet',
    description: '409 when it was sent already.',
    params: closed({
      id: described(Id, 'The key of the device.'),
      command_id: described(Id, 'The key of the command.'),
    }),
    response: { 204: noContent, ...guardedProblems, ...problems(404, 409) },
  };
  routes.delete(
    '/v1/iot-devices/:id/commands/:command_id',
    { config, schema: cancelSchema },
    async (request, reply) => {
      const { id, command_id } = request.params;
      await inTenant(context, request, (db) =>
        cancelCommand(db, principalOf(request), id, command_id),
      );
      return reply.code(204).send();
    },
  );
}

async function queueCommand(
  db: TenantDb,
  principal: Principal,
  deviceId: number,
  body: CommandCreateBody,
  openMax: number,
) {
  const { payload, expires_in_s = COMMAND_EXPIRY_S_DEFAULT } = body;
  if (Buffer.byteLength(payload) > COMMAND_BYTES_MAX) {
    const detail = `must not be longer than ${COMMAND_BYTES_MAX} bytes in UTF-8`;
    throw fieldProblem('unprocessable', 'body', '/payload', detail);
  }
  // The lock keeps the count right, and the order of ids that of the queue.
  await lockDevice(db, principal, deviceId);
  const ofDevice = eq(command.iot_device_id, deviceId);
  const open = await db.$count(command, and(ofDevice, inArray(command.status, OPEN)));
  if (open >= openMax) {
    throw new Problem('conflict', `${openMax} commands wait already, which is the limit`);
  }
  await forgetOldCommands(db, deviceId);
  const made = await db
    .insert(command)
    .values({
      customer_id: principal.tenant.customerId,
      iot_device_id: deviceId,
      payload,
      created_by: principal.userId,
      expires_at: sql`now() + make_interval(secs => ${expires_in_s})`,
    })
    .returning();
  return made[0]!;
}

async function forgetOldCommands(db: TenantDb, deviceId: number): Promise<void> {
  const over = and(eq(command.iot_device_id, deviceId), notInArray(command.status, OPEN));
  const old = db
    .select({ id: command.iot_device_command_id })
    .from(command)
    .where(over)
    .orderBy(desc(command.iot_device_command_id))
    .offset(COMMANDS_KEPT_PER_DEVICE_MAX);
  await db.delete(command).where(inArray(command.iot_device_command_id, old));
}

async function cancelCommand(
  db: TenantDb,
  principal: Principal,
  deviceId: number,
  commandId: number,
): Promise<void> {
  await lockDevice(db, principal, deviceId);
  const one = and(
    eq(command.iot_device_id, deviceId),
    eq(command.iot_device_command_id, commandId),
  );
  const cancelled = await db
    .update(command)
    .set({ status: 'cancelled' })
    .where(and(one, eq(command.status, 'queued')))
    .returning({ id: command.iot_device_command_id });
  if (cancelled.length > 0) return;
  const rows = await db.select({ status: command.status }).from(command).where(one);
  if (!rows[0]) throw notFound('command');
  if (rows[0].status === 'cancelled') return;
  throw new Problem('conflict', `it is ${rows[0].status} already`);
}

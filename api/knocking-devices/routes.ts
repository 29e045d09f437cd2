/** Devices that spoke and are not registered: listed, looked up by exact name, claimed. First come, first served. */
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type, type Static } from 'typebox';
import type { TenantDb } from '../../db/tenancy.ts';
import { makeDeviceToken } from '../auth/device-token.ts';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { entityTag } from '../entity-tag.ts';
import { createTenantLimiter, requireRate, type RateLimits } from '../guard.ts';
import { DeviceName, SignInByName } from '../iot-devices/schemas.ts';
import { ClaimedDevice, showDevice } from '../iot-devices/shown.ts';
import { createDevice } from '../iot-devices/store.ts';
import { fieldProblem, notFound } from '../problem.ts';
import type { Row } from '../resources/define.ts';
import { idempotencyHeaders } from '../resources/idempotency.ts';
import { answered } from '../resources/routes.ts';
import type { Work } from '../resources/store.ts';
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
  problems,
} from '../schemas.ts';
import { bareKnock, listKnocks, vouchedKnock, type BareKnock, type KnockRow } from './store.ts';

/** Wires that carry no secret at all: their devices sign in by name or not at all. */
const WITHOUT_SECRET = ['teltonika'];
/** Wires whose devices mostly have nothing but a name. */
const BY_NAME = ['teltonika', 'osmand'];

const tags = ['knocking_device'];
const read = { permission: 'knocking_device:read' } as const;
const write = { permission: 'iot_device:write' } as const;

const Protocol = Type.String({
  minLength: 1,
  maxLength: 32,
  pattern: '^[a-z0-9_]+$',
  description:
    'The wire it spoke: `mqtt`, `http`, `osmand`, `owntracks`, `flespi`, `teltonika`, `broker`.',
});

const told = {
  protocol: Type.String(),
  device_identifier: Type.String(),
  knock_count: Type.Integer({ description: 'How often it was refused.' }),
  first_seen_at: Instant,
  last_seen_at: Instant,
};

const Knock = Type.Object({
  knocking_device_id: Id,
  ...told,
  last_payload: nullable(
    Type.String({ contentEncoding: 'base64', description: 'Its beginning, when it was long.' }),
  ),
  last_payload_bytes: nullable(Type.Integer({ description: 'The length of the whole payload.' })),
  remote_address: nullable(Type.String()),
});

const FoundKnock = Type.Object({
  ...told,
  vouched: Type.Boolean({
    description: 'Whether a gateway of the customer vouches for it; then the list has more of it.',
  }),
});

const Claim = closed(
  {
    protocol: Protocol,
    device_identifier: DeviceName,
    device_type: Type.Optional(Name),
    equipment_id: Type.Optional(nullable(Id)),
    sign_in_by_name: Type.Optional(SignInByName),
  },
  { examples: [{ protocol: 'teltonika', device_identifier: '356307042441013', equipment_id: 17 }] },
);
type ClaimBody = Static<typeof Claim>;

/** Adds the routes. */
export function addKnockingRoutes(
  app: FastifyInstance,
  context: ApiContext,
  rateLimits: RateLimits,
): void {
  const byTenant = createTenantLimiter(app, rateLimits, rateLimits.knockNamesPerTenantMax);
  addList(app, context);
  addLookup(app, context, byTenant);
  addClaim(app, context, byTenant);
}

function addList(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'listKnockingDevices',
    tags,
    summary:
      'Devices that spoke through gateways of the customer and are not registered, newest first',
    querystring: closed({ ...pageQuery, protocol: Type.Optional(Protocol) }),
    response: { 200: pageOf(Knock), ...guardedProblems },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/v1/knocking-devices', { config: read, schema }, async (request) => {
      const list = openList(context, request, 'knocks');
      const beforeId = list.after && (list.after[0] as number);
      const rows = await inTenant(context, request, (db) =>
        listKnocks(db, request.query, beforeId, list.rowsMax),
      );
      const page = list.page(rows, (row) => [row.knocking_device_id]);
      return { ...page, data: page.data.map(shown) };
    });
}

type Limiter = ReturnType<typeof createTenantLimiter>;

function addLookup(app: FastifyInstance, context: ApiContext, byTenant: Limiter): void {
  const schema = {
    operationId: 'findKnockingDevice',
    tags,
    summary: 'Whether a device knocks, by its exact name',
    description:
      'For devices that no gateway vouches for. What it sent, and from where, is not told: names can be guessed.',
    querystring: closed({
      protocol: Protocol,
      device_identifier: described(Name, 'Its exact name.'),
    }),
    response: { 200: FoundKnock, ...guardedProblems, ...problems(404) },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/v1/knocking-devices/lookup', { config: read, schema }, async (request) => {
      await requireRate(byTenant, request);
      const { protocol, device_identifier } = request.query;
      const found = await inTenant(context, request, (db) =>
        findKnock(db, protocol, device_identifier),
      );
      if (found === null) throw notFound('knocking device');
      return found;
    });
}

function addClaim(app: FastifyInstance, context: ApiContext, byTenant: Limiter): void {
  const schema = {
    operationId: 'claimKnockingDevice',
    tags,
    summary: 'Register a knocking device for the customer',
    description:
      'First come, first served: 409 when it is registered already, by this customer or another. ' +
      'The answer holds its new token where its wire has one; `sign_in_by_name` is taken to be true for the others. ' +
      'A request that is repeated under its `Idempotency-Key` is answered without the token.',
    headers: idempotencyHeaders,
    body: Claim,
    response: { 201: ClaimedDevice, ...guardedProblems, ...problems(404, 409, 413, 415, 422) },
  };
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .post('/v1/knocking-devices/claim', { config: write, schema }, async (request, reply) => {
      let told: string | null = null;
      const { status, headers, body } = await answered(context, request, async (work) => {
        const { protocol, device_identifier } = request.body;
        const vouched = await vouchedKnock(work.db, protocol, device_identifier);
        // Whoever names what nobody vouches for may be guessing.
        if (vouched === null) await requireRate(byTenant, request);
        const { token, ...row } = await claim(work, request.body);
        told = token;
        const location = `/v1/iot-devices/${String(row['iot_device_id'])}`;
        const etag = entityTag(row['version'] as number);
        return { status: 201, headers: { location, etag }, body: { ...row, token: null } };
      });
      reply.header('cache-control', 'no-store');
      return reply
        .code(status as 201)
        .headers(headers)
        .send({ ...(body as Row), token: told });
    });
}

function shown({ last_payload, ...row }: KnockRow) {
  return { ...row, last_payload: last_payload?.toString('base64') ?? null };
}

async function findKnock(
  db: TenantDb,
  protocol: string,
  deviceName: string,
): Promise<(BareKnock & { vouched: boolean }) | null> {
  const vouched = await vouchedKnock(db, protocol, deviceName);
  const found = vouched ?? (await bareKnock(db, protocol, deviceName));
  if (found === null) return null;
  const { knock_count, first_seen_at, last_seen_at } = found;
  return {
    protocol,
    device_identifier: deviceName,
    knock_count,
    first_seen_at,
    last_seen_at,
    vouched: vouched !== null,
  };
}

// Registering comes first: it says 409 for a name that is taken, whether or not it knocks, and forgets the knock.
async function claim(work: Work, body: ClaimBody): Promise<Row & { token: string | null }> {
  const { db, principal, quotas } = work;
  const { protocol, sign_in_by_name = BY_NAME.includes(protocol), ...device } = body;
  if (!sign_in_by_name && WITHOUT_SECRET.includes(protocol)) {
    const detail = `must be true for ${protocol}, which has no secrets`;
    throw fieldProblem('unprocessable', 'body', '/sign_in_by_name', detail);
  }
  const made = BY_NAME.includes(protocol) && sign_in_by_name ? null : makeDeviceToken();
  const found = await findKnock(db, protocol, device.device_identifier);
  const id = await createDevice(
    db,
    principal,
    { ...device, sign_in_by_name, ...(made && { token_hash: made.hash }) },
    quotas.devicesPerTenantMax,
  );
  if (found === null) throw notFound('knocking device');
  return { ...(await showDevice(work, id)), token: made?.token ?? null };
}

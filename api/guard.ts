/**
 * The door of every route: who asks, whether they may, and how often. A route says in its `config` which right it asks
 * for, or that it is public; a server with a route that says neither refuses to start. Order for one request: rate by
 * address, token, rate by user and by tenant, right. All of it comes before the body is read.
 */
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { Authenticate } from './auth/authenticate.ts';
import type { RoutePermission } from './auth/permissions.ts';
import type { Principal } from './auth/principal.ts';
import { Problem, RETRY_AFTER_S, type ProblemCode } from './problem.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The right a caller needs. */
    permission?: RoutePermission;
    /** True where no user token is asked for; the route may still ask for other credentials. */
    public?: boolean;
  }
  interface FastifyRequest {
    /** Set on every route that is not public. */
    principal: Principal | null;
  }
  interface FastifyInstance {
    /** Every route of the server, once it is ready. */
    routeTable: readonly RouteOptions[];
    /** In the scope of a plugin whose routes cannot declare themselves: they are all public. */
    routesArePublic: boolean;
  }
}

/** Requests allowed in a window; by address before and by user and tenant after the token is known. */
export interface RateLimits {
  readonly windowMs: number;
  readonly perAddressMax: number;
  readonly perUserMax: number;
  readonly perTenantMax: number;
  /** Attempts to sign in at the local issuer, by address. */
  readonly signInPerAddressMax: number;
  /** Names of devices that a tenant may try in looking up and claiming those that nobody vouched for. */
  readonly knockNamesPerTenantMax: number;
  /** Devices that a tenant may try to register. */
  readonly registrationsPerTenantMax: number;
  /** Addresses, users or tenants that are counted at once; the longest silent are forgotten first. */
  readonly countersMax: number;
}

export const RATE_LIMITS: RateLimits = {
  windowMs: 60_000,
  perAddressMax: 6_000,
  perUserMax: 3_000,
  perTenantMax: 12_000,
  signInPerAddressMax: 60,
  knockNamesPerTenantMax: 60,
  registrationsPerTenantMax: 1_000,
  countersMax: 20_000,
};

export interface GuardOptions {
  readonly authenticate: Authenticate;
  readonly rateLimits: RateLimits;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** Counts requests under one key and says whether they are too many. */
export type Limiter = ReturnType<FastifyInstance['createRateLimit']>;
/** IPv6 addresses are counted by network, for one customer of a provider holds a whole one. */
const IPV6_NETWORK_BITS = 64;

/** Installs the guard on a server that has as yet no routes. */
export async function installGuard(app: FastifyInstance, options: GuardOptions): Promise<void> {
  const { rateLimits, authenticate, now } = options;
  await app.register(rateLimit, { global: false, cache: rateLimits.countersMax });
  const timeWindow = rateLimits.windowMs;
  const { perAddressMax, perUserMax, perTenantMax } = rateLimits;
  const byAddress = createAddressLimiter(app, rateLimits, perAddressMax);
  const byUser = app.createRateLimit({
    max: perUserMax,
    timeWindow,
    keyGenerator: ({ principal }) => principal!.userId,
  });
  const byTenant = createTenantLimiter(app, rateLimits, perTenantMax);

  collectRoutes(app);
  app.decorateRequest('principal', null);
  app.addHook('onRequest', async (request, reply) => {
    const { config } = request.routeOptions;
    if (config.rateLimit !== false) await requireRate(byAddress, request);
    if (request.is404 || config.public === true) return;
    // A caller's own data must not be kept by a proxy.
    reply.header('cache-control', 'private, no-cache');
    // One instant for all that the request reads and writes.
    request.principal = { ...(await requirePrincipal(authenticate, request)), nowMs: now() };
    const policies: CountedPolicy[] = [];
    // One after the other: what a user has too much of is not taken from the tenant's allowance.
    for (const [name, limiter] of [['user', byUser] as const, ['tenant', byTenant] as const]) {
      policies.push({ name, rate: await limiter(request) });
      tellRates(reply, policies, timeWindow);
      refuseExceeded(policies.at(-1)!.rate);
    }
    requirePermission(request.principal, config.permission);
  });
}

/** A limiter with counters of its own, by the caller's address. */
export function createAddressLimiter(
  app: FastifyInstance,
  { windowMs }: RateLimits,
  max: number,
): Limiter {
  return app.createRateLimit({ max, timeWindow: windowMs, ipv6Subnet: IPV6_NETWORK_BITS });
}

/** A limiter with counters of its own, by the caller's tenant; not for public routes. */
export function createTenantLimiter(
  app: FastifyInstance,
  { windowMs }: RateLimits,
  max: number,
): Limiter {
  return app.createRateLimit({
    max,
    timeWindow: windowMs,
    keyGenerator: ({ principal }) => principal!.tenant.customerId,
  });
}

function collectRoutes(app: FastifyInstance): void {
  const routes: RouteOptions[] = [];
  app.decorate('routeTable', { getter: () => routes });
  app.decorate('routesArePublic', false);
  app.addHook('onRoute', function (this: FastifyInstance, route) {
    if (this.routesArePublic) route.config = { ...route.config, public: true };
    routes.push(route);
  });
  app.addHook('onReady', () => {
    const undeclared = routes.filter(
      ({ config }) => (config?.permission !== undefined) === (config?.public === true),
    );
    if (undeclared.length === 0) return Promise.resolve();
    const names = undeclared.map(({ method, url }) => `${String(method)} ${url}`).join(', ');
    return Promise.reject(new Error(`routes must declare a permission or be public: ${names}`));
  });
}

type Rate = Awaited<ReturnType<Limiter>>;

interface CountedPolicy {
  readonly name: string;
  readonly rate: Rate;
}

/** What is allowed and what is left of it, as in draft-ietf-httpapi-ratelimit-headers. */
function tellRates(
  reply: FastifyReply,
  policies: readonly CountedPolicy[],
  windowMs: number,
): void {
  const allowed: string[] = [];
  const left: string[] = [];
  for (const { name, rate } of policies) {
    if (rate.isAllowed) continue;
    allowed.push(`"${name}";q=${rate.max};w=${Math.ceil(windowMs / 1_000)}`);
    left.push(`"${name}";r=${rate.remaining};t=${rate.ttlInSeconds}`);
  }
  reply.header('ratelimit-policy', allowed.join(', ')).header('ratelimit', left.join(', '));
}

/** Throws 429 with Retry-After when the limiter's allowance is used up. */
export async function requireRate(limiter: Limiter, request: FastifyRequest): Promise<void> {
  refuseExceeded(await limiter(request));
}

/** The same for several at once. */
export async function requireRates(
  limiter: Limiter,
  request: FastifyRequest,
  count: number,
): Promise<void> {
  for (let n = 0; n < count; n++) await requireRate(limiter, request);
}

function refuseExceeded(rate: Rate): void {
  if (rate.isAllowed || !rate.isExceeded) return;
  const seconds = Math.max(1, rate.ttlInSeconds);
  throw new Problem('rate_limited', `try again in ${seconds} s`, {
    headers: { 'retry-after': String(seconds) },
  });
}

const BEARER = /^Bearer +([A-Za-z0-9._~+/=-]+)$/i;

async function requirePrincipal(
  authenticate: Authenticate,
  request: FastifyRequest,
): Promise<Principal> {
  const header = request.headers.authorization;
  if (header === undefined) throw unauthenticated('send Authorization: Bearer and a token');
  const token = BEARER.exec(header)?.[1];
  if (token === undefined) throw unauthenticated('the Authorization header is no bearer token');
  const result = await authenticate(token);
  if (result.ok) return result.principal;
  request.log.info({ reason: result.reason, detail: result.detail }, 'token refused');
  if (result.reason === 'unavailable') throw unavailable(result.detail);
  if (result.reason === 'unknown_user') throw new Problem('unknown_user', result.detail);
  throw unauthenticated(result.detail, 'invalid_token');
}

function unauthenticated(detail: string, error?: string): Problem {
  const challenge = error ? `Bearer error="${error}"` : 'Bearer';
  return new Problem('unauthenticated', detail, { headers: { 'www-authenticate': challenge } });
}

function unavailable(detail: string): Problem {
  const code: ProblemCode = 'unavailable';
  return new Problem(code, detail, { headers: { 'retry-after': String(RETRY_AFTER_S) } });
}

/** Throws 403 when the right is missing; for what a route does beyond the right that it declares. */
export function requirePermission(
  principal: Principal,
  permission: RoutePermission | undefined,
): void {
  if (permission === 'signed_in') return;
  if (permission !== undefined && principal.permissions.has(permission)) return;
  throw new Problem('forbidden', `the right "${permission ?? 'undeclared'}" is missing`);
}

/** The caller of a route that is not public. */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal) return request.principal;
  throw new Error('a public route has no principal');
}

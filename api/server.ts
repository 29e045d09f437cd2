/**
 * The HTTP server of the portal, put together: limits, guard, errors, routes, documentation. It takes everything it
 * needs as options and starts nothing but itself: `main.ts` listens, closes, and ends the pool.
 */
import { randomUUID } from 'node:crypto';
import fastifyStatic from '@fastify/static';
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyPluginAsync,
} from 'fastify';
import type pg from 'pg';
import { addActivityRoutes } from './activity-feed.ts';
import { ATTACHMENT_LIMITS, type AttachmentLimits } from './attachments/limits.ts';
import { addAttachmentRoutes } from './attachments/routes.ts';
import type { AttachmentStore } from './attachments/store.ts';
import { addAuditRoutes } from './audit-trail.ts';
import type { Authenticate } from './auth/authenticate.ts';
import { addDemoIssuerRoutes } from './auth/demo-routes.ts';
import type { LocalIssuer } from './auth/local-issuer.ts';
import { installBrowserHeaders } from './browser-headers.ts';
import { QUOTAS, type ApiContext, type FencesAt, type Quotas } from './context.ts';
import { CATALOG, EXPORTED } from './catalog/catalog.ts';
import { addChangesRoutes } from './changes/routes.ts';
import { readDecimals } from './decimals.ts';
import { readInstants } from './instants.ts';
import { addDomainRoutes } from './domain-routes.ts';
import { installErrors, refuseBadRequest, refuseBrokenRequest } from './errors.ts';
import { addExpirationRoutes } from './expirations/routes.ts';
import { addExportJobRoutes } from './export/routes.ts';
import { addGatewayTokenRoutes } from './gateway-tokens/routes.ts';
import { addHoldingRoute } from './geofences/holding.ts';
import { addVisitRoutes } from './geofences/visits.ts';
import { createTenantLimiter, installGuard, RATE_LIMITS, type RateLimits } from './guard.ts';
import { addIdentityRoutes } from './identity/routes.ts';
import { addDeviceRoutes } from './iot-devices/routes.ts';
import { addRejectRoutes } from './ingest-rejects.ts';
import { addKnockingRoutes } from './knocking-devices/routes.ts';
import { jsonParser } from './json-body.ts';
import { lazySchemas } from './lazy-schemas.ts';
import { addMeRoutes } from './me.ts';
import { MERGE_PATCH_CONTENT_TYPE } from './merge-patch.ts';
import { addDocumentation, installOpenApi } from './openapi.ts';
import { createCursors } from './pagination.ts';
import { convertValues } from './query-values.ts';
import { addExportRoute, ExportSlots } from './resources/export.ts';
import { FILTER_SCHEMAS } from './resources/filters.ts';
import { addResourceRoutes } from './resources/routes.ts';
import { addTransitionRoutes } from './resources/transitions.ts';
import { ProblemSchema } from './schemas.ts';
import { addSearchRoutes } from './search.ts';
import { addServerRoutes, type ServerRouteOptions } from './server-routes.ts';
import { addHistoryRoutes } from './telematics/history.ts';
import { addTelematicsRoutes } from './telematics/latest.ts';
import { installTimeLimit } from './time-limit.ts';

/** Limits of one HTTP connection and request; times in milliseconds, sizes in bytes. */
export interface HttpLimits {
  readonly bodyBytesMax: number;
  /** Until the whole request has arrived. */
  readonly requestMsMax: number;
  readonly headersMsMax: number;
  /** How often the two times above are looked at: a connection may outlive them by this much. */
  readonly checkMs: number;
  /** Until the handler has answered. */
  readonly handlerMsMax: number;
  /** Without a byte in either direction. */
  readonly connectionIdleMsMax: number;
  /** Between two requests. */
  readonly keepAliveMsMax: number;
  readonly connectionsMax: number;
}

export const HTTP_LIMITS: HttpLimits = {
  bodyBytesMax: 1_048_576,
  requestMsMax: 30_000,
  headersMsMax: 15_000,
  checkMs: 5_000,
  handlerMsMax: 30_000,
  connectionIdleMsMax: 120_000,
  keepAliveMsMax: 10_000,
  connectionsMax: 10_000,
};

/** What was served, for metrics. `route` is the pattern and not the path, so its values are few. */
export interface ServedRequest {
  readonly route: string;
  readonly method: string;
  readonly status: number;
  readonly durationMs: number;
}

export interface ServerOptions extends ServerRouteOptions {
  /** Connections of the role `milepost_api`. */
  readonly pool: pg.Pool;
  /** Connections of the role `milepost_runner`, for work that nobody waits for. */
  readonly runnerPool: pg.Pool;
  /** By `createAuthenticate`. */
  readonly authenticate: Authenticate;
  readonly fencesAt: FencesAt;
  /** Where the bytes of attachments are. */
  readonly attachmentStore: AttachmentStore;
  /** Signs cursors; 32 bytes or more. Cursors outlive a restart when it does. */
  readonly cursorKey: Uint8Array;
  /** Networks whose `X-Forwarded-For` is believed, such as `10.0.0.0/8`; empty: nobody's. */
  readonly trustProxy: readonly string[];
  /** A logger of the caller's own, or the level of one that writes to standard output. */
  readonly log: FastifyBaseLogger | { readonly level: string };
  /** Of the software, for the documentation. */
  readonly version: string;
  /** WebSocket address of the live map: told to clients by `/v1/me`, and allowed by the page's policy. */
  readonly liveUrl?: string;
  /** Folder of the web map, served at `/`. */
  readonly webRoot?: string;
  /** Further origins of images that the map may show, such as a tile server. */
  readonly imageOrigins?: readonly string[];
  /** Mounts `/demo/sign-in` and the key set; never in production. */
  readonly demoIssuer?: LocalIssuer;
  /** Further routes. Each must be `public` or name a permission, like all others; public ones do their own checks. */
  readonly plugins?: readonly FastifyPluginAsync[];
  readonly httpLimits?: Partial<HttpLimits>;
  readonly rateLimits?: Partial<RateLimits>;
  readonly quotas?: Partial<Quotas>;
  readonly attachmentLimits?: Partial<AttachmentLimits>;
  readonly onServed?: (request: ServedRequest) => void;
  /** Epoch milliseconds; the machine's clock when left out. */
  readonly now?: () => number;
}

/**
 * Builds the server, not listening yet. `ready()` or `listen()` rejects when a route declares neither a permission nor
 * that it is public. `close()` leaves the pool open.
 */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const limits = { ...HTTP_LIMITS, ...options.httpLimits };
  const rateLimits = { ...RATE_LIMITS, ...options.rateLimits };
  const app = createApp(options, limits);
  app.server.maxConnections = limits.connectionsMax;
  app.addSchema(ProblemSchema);
  for (const filter of FILTER_SCHEMAS) app.addSchema(filter);
  installErrors(app);
  installBodies(app);
  installObservation(app, options);
  installTimeLimit(app, limits.handlerMsMax);
  await protectBrowsers(app, options);
  const now = options.now ?? Date.now;
  await installGuard(app, { authenticate: options.authenticate, rateLimits, now });
  await installOpenApi(app, options.version);

  const context: ApiContext = {
    pool: options.pool,
    runnerPool: options.runnerPool,
    cursors: createCursors(options.cursorKey),
    quotas: { ...QUOTAS, ...options.quotas },
    registrations: createTenantLimiter(app, rateLimits, rateLimits.registrationsPerTenantMax),
    liveUrl: options.liveUrl ?? null,
    fencesAt: options.fencesAt,
    now,
  };
  addServerRoutes(app, options);
  addMeRoutes(app, context);
  addTelematicsRoutes(app, context);
  addHistoryRoutes(app, context);
  addVisitRoutes(app, context);
  addHoldingRoute(app, context);
  await addAttachmentRoutes(app, context, {
    store: options.attachmentStore,
    limits: { ...ATTACHMENT_LIMITS, ...options.attachmentLimits },
  });
  addActivityRoutes(app, context);
  addRejectRoutes(app, context);
  addDeviceRoutes(app, context);
  addGatewayTokenRoutes(app, context);
  addKnockingRoutes(app, context, rateLimits);
  addResources(app, context, options.attachmentStore);
  addDomainRoutes(app, context, CATALOG);
  addIdentityRoutes(app, context, {
    roles: CATALOG.get('user_role')!,
    tasks: CATALOG.get('identity_task')!,
  });
  addAuditRoutes(app, context);
  addChangesRoutes(app, context, CATALOG.values());
  addSearchRoutes(app, context);
  addExpirationRoutes(app, context);
  if (options.demoIssuer) addDemoIssuerRoutes(app, options.demoIssuer, rateLimits);
  for (const plugin of options.plugins ?? []) await app.register(plugin);
  await addDocumentation(app);
  if (options.webRoot !== undefined) await addWebMap(app, options.webRoot);
  return app;
}

/** The routes that all records have alike, and files of their lists. */
function addResources(app: FastifyInstance, context: ApiContext, store: AttachmentStore): void {
  const exportSlots = new ExportSlots();
  for (const resource of CATALOG.values()) {
    addResourceRoutes(app, context, resource);
    addTransitionRoutes(app, context, resource);
    addExportRoute(app, context, resource, exportSlots);
  }
  for (const resource of EXPORTED.values()) addExportRoute(app, context, resource, exportSlots);
  const resources = new Map(
    [...CATALOG.values(), ...EXPORTED.values()].map((resource) => [resource.path, resource]),
  );
  addExportJobRoutes(app, { context, store, resources });
}

function createApp(options: ServerOptions, limits: HttpLimits): FastifyInstance {
  const { log } = options;
  return Fastify({
    ...('info' in log ? { loggerInstance: log } : { logger: { level: log.level } }),
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    trustProxy: [...options.trustProxy],
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.requestMsMax,
    connectionTimeout: limits.connectionIdleMsMax,
    keepAliveTimeout: limits.keepAliveMsMax,
    http: { headersTimeout: limits.headersMsMax, connectionsCheckingInterval: limits.checkMs },
    // A client with an idle connection must not hold up stopping.
    forceCloseConnections: 'idle',
    schemaController: lazySchemas(),
    ajv: {
      customOptions: {
        removeAdditional: false,
        coerceTypes: false,
        allErrors: false,
        allowUnionTypes: true,
      },
      onCreate(validator) {
        readDecimals(validator);
        readInstants(validator);
      },
    },
    frameworkErrors: refuseBadRequest,
    clientErrorHandler: refuseBrokenRequest,
  });
}

function installBodies(app: FastifyInstance): void {
  app.removeContentTypeParser('text/plain');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser(
    ['application/json', MERGE_PATCH_CONTENT_TYPE],
    { parseAs: 'string' },
    jsonParser(app),
  );
  app.addHook('preValidation', (request, _reply, done) => {
    const { schema } = request.routeOptions;
    request.query = convertValues(request.query, schema?.querystring);
    request.params = convertValues(request.params, schema?.params);
    done();
  });
}

function installObservation(app: FastifyInstance, { onServed }: ServerOptions): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions } = request;
    const status = reply.statusCode;
    const durationMs = reply.elapsedTime;
    const route = routeOptions.url ?? 'unknown';
    request.log[status >= 400 ? 'info' : 'debug']({ method, route, status, durationMs }, 'served');
    onServed?.({ route, method, status, durationMs });
    done();
  });
}

async function protectBrowsers(app: FastifyInstance, options: ServerOptions): Promise<void> {
  const live = options.liveUrl === undefined ? [] : [new URL(options.liveUrl).origin];
  await installBrowserHeaders(app, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", 'data:', ...(options.imageOrigins ?? [])],
        fontSrc: ["'self'"],
        workerSrc: ["'self'", 'blob:'],
        connectSrc: ["'self'", ...live],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    referrerPolicy: { policy: 'no-referrer' },
  });
}

async function addWebMap(app: FastifyInstance, root: string): Promise<void> {
  await app.register(async (web) => {
    web.routesArePublic = true;
    // Only files that are there at the start get a route: everything else stays a 404 of the API.
    await web.register(fastifyStatic, { root, wildcard: false, schemaHide: true });
  });
}

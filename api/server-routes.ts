/** Routes for those who run the server: whether it lives, whether it is ready, what it counts. None needs a token. */
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';

/** The type of Prometheus' text format. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Whether requests can be served, and if not, why: short words such as `database` or `stopping`, nothing secret. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

export interface ServerRouteOptions {
  readonly readiness: () => Readiness | Promise<Readiness>;
  /** Prometheus text. */
  readonly renderMetrics: () => string | Promise<string>;
}

const Health = Type.Object({ status: Type.String() });
const Ready = Type.Object({ ready: Type.Boolean(), reasons: Type.Array(Type.String()) });
const tags = ['server'];
const config = { public: true, rateLimit: false } as const;

/** Adds the routes. */
export function addServerRoutes(app: FastifyInstance, options: ServerRouteOptions): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const healthSchema = {
    operationId: 'getHealth',
    tags,
    summary: 'Liveness: 200 as long as the process answers',
    response: { 200: Health },
  };
  routes.get('/healthz', { config, schema: healthSchema }, () => ({ status: 'alive' }));

  const readySchema = {
    operationId: 'getReadiness',
    tags,
    summary: 'Readiness: 503 with the reasons while requests should go elsewhere',
    response: { 200: Ready, 503: Ready },
  };
  routes.get('/readyz', { config, schema: readySchema }, async (_request, reply) => {
    const { ready, reasons } = await options.readiness();
    reply.header('cache-control', 'no-store');
    return reply.code(ready ? 200 : 503).send({ ready, reasons: [...reasons] });
  });

  const metricsSchema = {
    operationId: 'getMetrics',
    tags,
    summary: 'Counters for Prometheus',
    description:
      'Names no tenant, but shows load: keep it from the outside at the proxy, as /readyz.',
    response: {
      200: { description: 'Text.', content: { 'text/plain': { schema: Type.String() } } },
    },
  };
  routes.get('/metrics', { config, schema: metricsSchema }, async (_request, reply) => {
    const text = await options.renderMetrics();
    return reply.type(METRICS_CONTENT_TYPE).send(text);
  });
}

/**
 * How long a request may take to be answered. Fastify has such a limit and gives it up once a body has arrived, so a
 * request with a body could take for ever; this one holds for all but public routes, which see to themselves.
 *
 * When the time is over the caller is answered 503, or cut off where an answer has begun. What is being done is not
 * stopped: `isLate` tells it, and `inTenant` then rolls back instead of committing. A single statement has a limit of its
 * own in the database.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem, RETRY_AFTER_S } from './problem.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Milliseconds from the head of a request to its answer; the server's own when left out. */
    handlerMsMax?: number;
  }
}

const late = new WeakSet<FastifyRequest>();

/** Whoever asked has been told already that it took too long. */
export function isLate(request: FastifyRequest): boolean {
  return late.has(request);
}

/** To be installed before what takes long. */
export function installTimeLimit(app: FastifyInstance, handlerMsMax: number): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { config } = request.routeOptions;
    if (config.public !== true) {
      const timer = setTimeout(() => {
        if (reply.sent) return;
        late.add(request);
        const headers = { 'retry-after': String(RETRY_AFTER_S) };
        if (reply.raw.headersSent) reply.raw.destroy();
        else reply.send(new Problem('unavailable', 'it took too long', { headers }));
      }, config.handlerMsMax ?? handlerMsMax);
      reply.raw.once('close', () => clearTimeout(timer));
    }
    done();
  });
}

/** The routes of agreements beside those of their records, and the round that ends them while the server is up. */
import type { FastifyInstance } from 'fastify';
import type { ApiContext } from '../context.ts';
import type { Resource } from '../resources/resource.ts';
import { startEnding } from './ends.ts';
import { addHolderRoute } from './holders.ts';
import { addReturnRoute } from './return.ts';

/** Adds the routes. */
export function addAgreementRoutes(
  app: FastifyInstance,
  context: ApiContext,
  assignments: Resource,
): void {
  addReturnRoute(app, context, assignments);
  addHolderRoute(app, context, assignments);
  let stopEnding = () => Promise.resolve();
  app.addHook('onReady', (done) => {
    const onError = (error: unknown) =>
      app.log.warn({ err: error }, 'agreements could not be ended; it is tried again');
    stopEnding = startEnding({ pool: context.runnerPool, now: context.now, onError });
    done();
  });
  app.addHook('onClose', () => stopEnding());
}

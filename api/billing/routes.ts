/** The routes of billing beside those that every resource has, and the round that notes what is overdue. */
import type { FastifyInstance } from 'fastify';
import type { ApiContext } from '../context.ts';
import type { Resource } from '../resources/resource.ts';
import { addApplyRoutes } from './apply.ts';
import { addBalanceRoutes } from './balances.ts';
import { addFromWorkorder } from './from-workorder.ts';
import { startNotingOverdue } from './overdue.ts';
import { addStatementRoute } from './statement.ts';
import { addInvoiceSteps } from './step-routes.ts';

/** Adds them. `catalog` has the resources by the names of their tables. */
export function addBillingRoutes(
  app: FastifyInstance,
  context: ApiContext,
  catalog: ReadonlyMap<string, Resource>,
): void {
  const resources = {
    accounts: catalog.get('account')!,
    invoices: catalog.get('invoice')!,
    lines: catalog.get('invoice_items')!,
    payments: catalog.get('payment')!,
    applications: catalog.get('payment_invoice')!,
  };
  addInvoiceSteps(app, context, resources.invoices);
  addFromWorkorder(app, context, resources);
  addApplyRoutes(app, context, resources);
  addBalanceRoutes(app, context);
  addStatementRoute(app, context, resources.accounts);
  let stopNoting = () => Promise.resolve();
  app.addHook('onReady', (done) => {
    const onError = (error: unknown) =>
      app.log.warn({ err: error }, 'overdue invoices could not be noted; it is tried again');
    stopNoting = startNotingOverdue({ pool: context.runnerPool, now: context.now, onError });
    done();
  });
  app.addHook('onClose', () => stopNoting());
}

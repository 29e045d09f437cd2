/**
 * The portal under measurement: the server that `main.ts` builds, with its role, its verification of tokens and its metrics,
 * and with limits of rates that the bench does not reach. Spoken to by programs.ts.
 */
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { Histogram, Registry } from 'prom-client';
import { openDiskStore } from '../../api/attachments/disk-store.ts';
import { createAuthenticate } from '../../api/auth/authenticate.ts';
import { createPrincipals } from '../../api/auth/principal.ts';
import { createVerifier } from '../../api/auth/verifier.ts';
import { buildServer } from '../../api/server.ts';
import { createPool } from '../../db/pools.ts';
import { takeOrders } from './programs.ts';

export interface PortalOrder {
  readonly ownerUrl: string;
  /** Connections to the database. */
  readonly connections: number;
  readonly issuer: string;
  readonly audience: string;
  readonly jwksUrl: string;
  readonly attachmentDir: string;
}

const STATEMENT_TIMEOUT_MS = 15_000;
const RATE_MAX = 1_000_000_000;
const RUNNER_CONNECTIONS_MAX = 2;

async function start(order: PortalOrder): Promise<number> {
  const connect = (role: 'milepost_api' | 'milepost_runner', max: number) =>
    createPool({
      connectionString: order.ownerUrl,
      role,
      max,
      applicationName: 'bench portal',
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    });
  const pool = connect('milepost_api', order.connections);
  const runnerPool = connect('milepost_runner', RUNNER_CONNECTIONS_MAX);
  const prometheus = new Registry();
  const served = new Histogram({
    name: 'milepost_http_request_seconds',
    help: 'Requests answered, by route',
    labelNames: ['method', 'route', 'status'],
    registers: [prometheus],
  });
  const app = await buildServer({
    pool,
    runnerPool,
    authenticate: createAuthenticate(createVerifier(order), createPrincipals({ pool })),
    fencesAt: () => [],
    attachmentStore: await openDiskStore(order.attachmentDir),
    cursorKey: randomBytes(32),
    trustProxy: [],
    log: { level: 'info' },
    version: 'bench',
    rateLimits: { perAddressMax: RATE_MAX, perUserMax: RATE_MAX, perTenantMax: RATE_MAX },
    readiness: () => ({ ready: true, reasons: [] }),
    renderMetrics: () => prometheus.metrics(),
    onServed: ({ method, route, status, durationMs }) =>
      served.observe({ method, route, status }, durationMs / 1000),
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  close = async () => {
    await app.close();
    await Promise.all([pool.end(), runnerPool.end()]);
  };
  return (app.server.address() as AddressInfo).port;
}

let close = (): Promise<void> => Promise.resolve();

takeOrders(start, () => close());

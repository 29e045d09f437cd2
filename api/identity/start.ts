/** Starts telling the identity provider, or sees to it that nothing waits for one that is not there. */
import type pg from 'pg';
import type { Logger } from 'pino';
import { createAuth0Provider, type Auth0Options } from './auth0.ts';
import { createIdentityRunner } from './runner.ts';
import { switchIdentitySync } from './task-rows.ts';

export interface RunningIdentity {
  /** A role or a user has changed. */
  wake(): void;
  /** Puts back what is under way. */
  stop(): Promise<void>;
}

/** Rejects when the database cannot be asked; the provider is not asked before there is something to tell. */
export async function startIdentity(
  auth0: Auth0Options | null,
  pool: pg.Pool,
  log: Logger,
): Promise<RunningIdentity> {
  await switchIdentitySync(pool, auth0 !== null);
  if (auth0 === null) return { wake: () => undefined, stop: () => Promise.resolve() };
  const runner = createIdentityRunner({
    pool,
    provider: createAuth0Provider(auth0),
    onError: (error, task) => log.warn({ err: error, task }, 'the identity provider was not told'),
  });
  const stopped = new AbortController();
  const running = runner.run(stopped.signal);
  log.info(
    { url: auth0.url, connection: auth0.connection },
    'the identity provider is kept up to date',
  );
  return {
    wake: () => runner.wake(),
    async stop() {
      stopped.abort();
      await running;
    },
  };
}

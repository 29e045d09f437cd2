/** Starts the live WebSocket on the transport asked for. */
import { listenUws, loadUws } from './uws.ts';
import { listenWs } from './ws.ts';
import type { RunningTransport, TransportOptions } from './transport.ts';

export type TransportName = 'uws' | 'ws';

export interface LiveOptions extends TransportOptions {
  /** `auto`: uWebSockets.js where it loads, else `ws`. */
  readonly transport: TransportName | 'auto';
}

export interface RunningLive extends RunningTransport {
  readonly transport: TransportName;
}

/**
 * Listens and serves the hub. Rejects when the port is taken (code `EADDRINUSE`) and when `uws` is asked for and
 * cannot load here (code `LIVE_UWS_UNAVAILABLE`). A port that is taken is never a reason to try the other transport.
 * `load` stands in for the addon's loader in tests.
 */
export async function startLive(options: LiveOptions, load = loadUws): Promise<RunningLive> {
  const transport = await choose(options, load);
  const running = await transport.listen();
  const { port } = running;
  options.log.info({ transport: transport.name, host: options.host, port }, 'live: listening');
  return { transport: transport.name, port, close: () => running.close() };
}

async function choose(
  options: LiveOptions,
  load: typeof loadUws,
): Promise<{ name: TransportName; listen(): Promise<RunningTransport> }> {
  if (options.transport !== 'ws') {
    const loaded = await load();
    if (loaded.ok) return { name: 'uws', listen: () => listenUws(loaded.uws, options) };
    if (options.transport === 'uws') {
      const error = new Error('uWebSockets.js cannot be loaded here', { cause: loaded.reason });
      throw Object.assign(error, { code: 'LIVE_UWS_UNAVAILABLE' });
    }
    options.log.warn({ reason: loaded.reason }, 'live: uWebSockets.js does not load, using ws');
  }
  return { name: 'ws', listen: () => listenWs(options) };
}

/**
 * The live WebSocket on uWebSockets.js. Knows sockets, handshakes and heartbeat frames; everything said over them is
 * the hub's. The addon is native and may be missing: `loadUws` says so instead of throwing at import.
 *
 * Its own back-pressure limit would drop messages without a word, so it is set out of reach: the hub looks at
 * `getBufferedAmount` before every send and ends a socket long before.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import type { LiveSocket } from './connection.ts';
import type { Hub, LivePeer } from './hub.ts';
import {
  addressInUse,
  originAllowed,
  type RunningTransport,
  type TransportOptions,
} from './transport.ts';

// What is used of the addon. Its own types are not reachable under the package's `import` condition.
interface UwsModule {
  App(): UwsApp;
  us_listen_socket_close(token: object): void;
  readonly DISABLED: number;
}

interface UwsApp {
  ws(path: string, behavior: object): UwsApp;
  any(path: string, handler: (response: UwsResponse) => void): UwsApp;
  listen(host: string, port: number, done: (token: object | false) => void): void;
  close(): void;
}

interface UwsResponse {
  writeStatus(status: string): UwsResponse;
  end(body: string, closeConnection: boolean): void;
  upgrade(data: UserData, key: string, protocol: string, extensions: string, context: object): void;
}

interface UwsRequest {
  getHeader(name: string): string;
}

interface UwsSocket {
  getUserData(): UserData;
  send(text: string, isBinary: boolean, compress: boolean): number;
  getBufferedAmount(): number;
  ping(): number;
  end(code: number, reason: string): void;
  close(): void;
}

interface UserData {
  peer: LivePeer | null;
  isOpen: boolean;
}

// Of seconds: ends what neither the hub nor the peer has ended. The hub's own pings come far more often.
const IDLE_S_MAX = 120;
const SEND_DROPPED = 2;

/** The addon, or why it cannot be loaded here. */
export async function loadUws(): Promise<
  { readonly ok: true; readonly uws: UwsModule } | { readonly ok: false; readonly reason: string }
> {
  // Not a literal, so that the compiler does not ask for types that the package does not offer to ES modules.
  const name: string = 'uWebSockets.js';
  try {
    const module = (await import(name)) as { default?: UwsModule } & UwsModule;
    return { ok: true, uws: module.default ?? module };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Listens; rejects with the system's error (`EADDRINUSE`, `EACCES`, …) when it cannot. */
export async function listenUws(
  uws: UwsModule,
  options: TransportOptions,
): Promise<RunningTransport> {
  const { hub, host, path } = options;
  const app = uws.App();
  app.ws(path, behavior(uws, options));
  app.any('/*', (response) => response.writeStatus('404 Not Found').end('', true));
  const port = await probePort(host, options.port);
  const token = await new Promise<object | false>((resolve) => app.listen(host, port, resolve));
  if (token === false) {
    app.close();
    throw addressInUse(host, port);
  }
  let closing: Promise<void> | null = null;
  return {
    port,
    close() {
      closing ??= close(uws, app, token, hub);
      return closing;
    },
  };
}

/**
 * The port, once it is known that nobody else listens there; the system's error when somebody does. The addon listens
 * with SO_REUSEPORT, so a second process would silently take half of the clients. Its exclusive mode is no way out: it
 * leaves out SO_REUSEADDR too, and connections closed a moment ago then keep the port from the next start for a
 * minute. Two processes that start in the very same instant can still both pass.
 */
async function probePort(host: string, port: number): Promise<number> {
  const probe = createServer((socket) => socket.destroy());
  probe.listen(port, host);
  await once(probe, 'listening');
  const { port: found } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return found;
}

function behavior(uws: UwsModule, { hub, allowedOrigins }: TransportOptions): object {
  const text = new TextDecoder();
  return {
    compression: uws.DISABLED,
    maxPayloadLength: hub.limits.messageBytesMax,
    maxBackpressure: hub.limits.bufferedBytesMax * 4,
    closeOnBackpressureLimit: true,
    idleTimeout: IDLE_S_MAX,
    sendPingsAutomatically: true,
    upgrade(response: UwsResponse, request: UwsRequest, context: object) {
      if (!originAllowed(request.getHeader('origin'), allowedOrigins)) {
        response.writeStatus('403 Forbidden').end('', true);
      } else if (!hub.admits()) {
        response.writeStatus('503 Service Unavailable').end('', true);
      } else {
        const data: UserData = { peer: null, isOpen: false };
        const key = request.getHeader('sec-websocket-key');
        // No subprotocol is offered and no extension either.
        response.upgrade(data, key, '', '', context);
      }
    },
    open(socket: UwsSocket) {
      const data = socket.getUserData();
      data.isOpen = true;
      data.peer = hub.open(liveSocket(socket, data));
    },
    message(socket: UwsSocket, message: ArrayBuffer, isBinary: boolean) {
      const { peer } = socket.getUserData();
      if (isBinary) peer!.binary();
      else peer!.message(text.decode(message));
    },
    pong: (socket: UwsSocket) => socket.getUserData().peer!.pong(),
    close(socket: UwsSocket) {
      const data = socket.getUserData();
      data.isOpen = false;
      // Null when the hub closed the socket while it was being opened.
      if (data.peer === null) queueMicrotask(() => data.peer?.gone());
      else data.peer.gone();
    },
  };
}

// After its close event the addon's object must not be touched: it would throw. Hence `isOpen`.
function liveSocket(socket: UwsSocket, data: UserData): LiveSocket {
  return {
    send: (text) => !data.isOpen || socket.send(text, false, false) !== SEND_DROPPED,
    bufferedBytes: () => (data.isOpen ? socket.getBufferedAmount() : 0),
    ping() {
      if (data.isOpen) socket.ping();
    },
    close(code, reason) {
      if (data.isOpen) socket.end(code, reason);
    },
    terminate() {
      if (data.isOpen) socket.close();
    },
  };
}

// The close handlers run at once. What is left are connections that have been sent their close frame and have not
// hung up yet; they get the grace time, and the program does not wait for them.
function close(uws: UwsModule, app: UwsApp, token: object, hub: Hub): Promise<void> {
  uws.us_listen_socket_close(token);
  hub.shutdown();
  setTimeout(() => app.close(), hub.limits.closeGraceMs).unref();
  return Promise.resolve();
}

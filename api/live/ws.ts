/**
 * The live WebSocket on `ws` and Node's HTTP server. Knows sockets, handshakes and heartbeat frames; everything said
 * over them is the hub's.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { LiveSocket } from './connection.ts';
import type { Hub } from './hub.ts';
import { originAllowed, type RunningTransport, type TransportOptions } from './transport.ts';

// A handshake is one short request; whoever has not sent it by then never will.
const HANDSHAKE_MS_MAX = 5_000;
// Connections beyond the sockets that the hub admits: those in their handshake.
const HANDSHAKES_MAX = 500;

/** Listens; rejects with the system's error (`EADDRINUSE`, `EACCES`, …) when it cannot. */
export async function listenWs(options: TransportOptions): Promise<RunningTransport> {
  const { hub, path, allowedOrigins } = options;
  const server = createServer(
    {
      headersTimeout: HANDSHAKE_MS_MAX,
      requestTimeout: HANDSHAKE_MS_MAX,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 8 * 1024,
    },
    (request, response) => {
      const status = pathOf(request) === path ? 426 : 404;
      response.writeHead(status, { connection: 'close', 'content-length': 0 }).end();
    },
  );
  server.maxConnections = hub.limits.socketsMax + HANDSHAKES_MAX;
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    perMessageDeflate: false,
    maxPayload: hub.limits.messageBytesMax,
    closeTimeout: hub.limits.closeGraceMs,
  } as ConstructorParameters<typeof WebSocketServer>[0]);
  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    if (pathOf(request) !== path) return refuse(stream, '404 Not Found');
    if (!originAllowed(request.headers.origin, allowedOrigins)) {
      return refuse(stream, '403 Forbidden');
    }
    if (!hub.admits()) return refuse(stream, '503 Service Unavailable');
    sockets.handleUpgrade(request, stream, head, (socket) => attach(hub, socket));
  });
  await listening(server, options.host, options.port);
  return {
    port: (server.address() as AddressInfo).port,
    close: () => close(server, sockets, hub),
  };
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0]!;
}

function refuse(stream: Duplex, status: string): void {
  stream.on('error', () => stream.destroy());
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function attach(hub: Hub, socket: WebSocket): void {
  const live: LiveSocket = {
    send(text) {
      if (socket.readyState === socket.OPEN) socket.send(text);
      return true;
    },
    bufferedBytes: () => socket.bufferedAmount,
    ping() {
      if (socket.readyState === socket.OPEN) socket.ping();
    },
    close: (code, reason) => socket.close(code, reason),
    terminate: () => socket.terminate(),
  };
  const peer = hub.open(live);
  socket.on('message', (data, isBinary) => {
    if (isBinary) peer.binary();
    else peer.message((data as Buffer).toString('utf8'));
  });
  socket.on('pong', () => peer.pong());
  socket.on('close', () => peer.gone());
  // A broken frame or connection: `close` follows and says the rest.
  socket.on('error', () => socket.terminate());
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function close(server: Server, sockets: WebSocketServer, hub: Hub): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // With no server of its own this waits for the last client to be gone.
  const left = new Promise<void>((resolve) => sockets.close(() => resolve()));
  hub.shutdown();
  const impatience = setTimeout(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
  }, hub.limits.closeGraceMs);
  server.closeIdleConnections();
  await Promise.all([closed, left]);
  clearTimeout(impatience);
}

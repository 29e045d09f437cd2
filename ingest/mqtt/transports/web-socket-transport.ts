/**
 * MQTT over WebSocket (section 6 of MQTT 3.1.1 and 5.0), plain or over TLS: answers the upgrade of `/mqtt` and hands the
 * stream to the listener. Refuses to know MQTT packets and devices.
 */
import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import type { MqttPeer } from '../sink.ts';
import type { Certificates } from './certificates.ts';
import { Handshakes } from './handshakes.ts';
import { UPGRADE_HEADER_BYTES_MAX } from './limits.ts';
import { listen } from './listen.ts';
import { certifiedPeer, TLS_SERVER_OPTIONS, watchHandshakes } from './tls-transport.ts';
import type { Transport, TransportOptions } from './transport.ts';
import { WebSocketStream } from './web-socket-stream.ts';

/** Where the WebSocket is. */
export const WEB_SOCKET_PATH = '/mqtt';
/** A client has to offer it, and is answered with it [MQTT-6.0.0-3, -4]. */
const SUBPROTOCOL = 'mqtt';

export interface WebSocketTransportOptions extends TransportOptions {
  /** `null`: plain. */
  readonly certificates: Certificates | null;
  /** Bytes of one WebSocket message; at least those of the largest MQTT packet, as clients send one in one. */
  readonly messageBytesMax: number;
}

/** Makes the transport; nothing happens until `start`. */
export function createWebSocketTransport(options: WebSocketTransportOptions): Transport {
  const { certificates, refused } = options;
  const handshakes = new Handshakes(refused);
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: options.messageBytesMax,
    handleProtocols: () => SUBPROTOCOL,
  });
  let server: Server | null = null;
  let closed: Promise<void> | null = null;
  const stopAccepting = (): void => {
    closed ??= new Promise((resolve) =>
      server === null ? resolve() : server.close(() => resolve()),
    );
    handshakes.destroyAll();
    certificates?.stop();
  };
  return {
    name: certificates === null ? 'mqttWebSocket' : 'mqttWebSocketTls',
    async start() {
      server = await createServer(certificates, handshakes, refused);
      server.on('request', (_request, response) => {
        response.writeHead(426, { upgrade: 'websocket', connection: 'close' }).end();
      });
      server.on('upgrade', (request, socket, head) => {
        upgrade({ options, webSockets, handshakes }, request, socket, head);
      });
      return listen(server, options);
    },
    stopAccepting,
    async close() {
      stopAccepting();
      await closed;
    },
  };
}

async function createServer(
  certificates: Certificates | null,
  handshakes: Handshakes,
  refused: (reason: string) => void,
): Promise<Server> {
  const http = { ...TLS_SERVER_OPTIONS, maxHeaderSize: UPGRADE_HEADER_BYTES_MAX };
  if (certificates === null) {
    const server = createHttpServer(http);
    server.on('connection', (socket: Socket) => handshakes.begin(socket));
    return server;
  }
  const server = createHttpsServer({
    ...http,
    ...(await certificates.load()),
    requestCert: certificates.asksClients,
    rejectUnauthorized: false,
  });
  watchHandshakes(server, handshakes, refused);
  certificates.watch((renewed) => server.setSecureContext(renewed));
  return server;
}

interface UpgradeContext {
  readonly options: WebSocketTransportOptions;
  readonly webSockets: WebSocketServer;
  readonly handshakes: Handshakes;
}

function upgrade(
  { options, webSockets, handshakes }: UpgradeContext,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const { accept, refused } = options;
  // Until the codec listens for itself.
  socket.on('error', () => undefined);
  const fault = judge(request);
  if (fault !== null) {
    refused('web_socket_request');
    socket.end(`HTTP/1.1 ${fault}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    return;
  }
  const peer = peerOf(request, refused);
  if (peer === null) return;
  webSockets.handleUpgrade(request, socket, head, (ws) => {
    handshakes.end(request.socket);
    accept(new WebSocketStream(ws, socket, refused), peer);
  });
}

/** The status line of the answer to a request that is no MQTT over WebSocket, or `null`. */
function judge({ url = '', headers }: IncomingMessage): string | null {
  if (url.split('?', 1)[0] !== WEB_SOCKET_PATH) return '404 Not Found';
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  return offered.includes(SUBPROTOCOL) ? null : '400 Bad Request';
}

function peerOf({ socket }: IncomingMessage, refused: (reason: string) => void): MqttPeer | null {
  if (socket instanceof TLSSocket) return certifiedPeer(socket, refused);
  return { remoteAddress: socket.remoteAddress ?? '', certificateNames: null };
}

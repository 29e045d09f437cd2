/**
 * MQTT over TLS: hands decrypted streams to the listener, with the names of the client's certificate where it showed one
 * that an authority of ours vouches for. Refuses to know MQTT and devices.
 *
 * A client need not show a certificate; then it signs in with its password. One that shows a certificate nobody vouches
 * for, or an expired one, is closed: it means to be known by it, and would be taken for somebody without.
 */
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { certificateNames } from './certificate-names.ts';
import type { Certificates } from './certificates.ts';
import { Handshakes } from './handshakes.ts';
import { HANDSHAKE_MS_MAX, TCP_KEEP_ALIVE_S } from './limits.ts';
import { listen } from './listen.ts';
import type { Transport, TransportOptions } from './transport.ts';

/** The name under which MQTT is registered for ALPN. A client that asks for another protocol is refused. */
const ALPN = 'mqtt';

/** What a TLS server of ours needs beside certificates. */
export const TLS_SERVER_OPTIONS = {
  handshakeTimeout: HANDSHAKE_MS_MAX,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: TCP_KEEP_ALIVE_S * 1_000,
} as const;

/** Makes the transport; nothing happens until `start`. */
export function createTlsTransport(
  options: TransportOptions & { readonly certificates: Certificates },
): Transport {
  const { certificates, refused, accept } = options;
  const handshakes = new Handshakes(refused);
  let server: Server | null = null;
  let closed: Promise<void> | null = null;
  const stopAccepting = (): void => {
    closed ??= new Promise((resolve) =>
      server === null ? resolve() : server.close(() => resolve()),
    );
    handshakes.destroyAll();
    certificates.stop();
  };
  return {
    name: 'mqttTls',
    async start() {
      const material = await certificates.load();
      server = createServer({
        ...TLS_SERVER_OPTIONS,
        ...material,
        ALPNProtocols: [ALPN],
        requestCert: certificates.asksClients,
        // Judged below, as showing none is no fault.
        rejectUnauthorized: false,
      });
      watchHandshakes(server, handshakes, refused);
      server.on('secureConnection', (socket) => {
        handshakes.end(socket);
        const peer = certifiedPeer(socket, refused);
        if (peer !== null) accept(socket, peer);
      });
      certificates.watch((renewed) => server?.setSecureContext(renewed));
      return listen(server, options);
    },
    stopAccepting,
    async close() {
      stopAccepting();
      await closed;
    },
  };
}

/** Bounds the handshakes of a TLS server, counts those that fail, and allows one for each connection. */
export function watchHandshakes(
  server: Server,
  handshakes: Handshakes,
  refused: (reason: string) => void,
): void {
  server.on('connection', (socket: Socket) => handshakes.begin(socket));
  server.on('secureConnection', (socket) => {
    // A client of 1.2 could make the server work for it without end. Node tells of the attempt, and would go on.
    socket.disableRenegotiation();
    socket.on('error', () => socket.destroy());
  });
  server.on('tlsClientError', (_error, socket) => {
    refused('tls_handshake');
    socket.destroy();
  });
}

/** The far end of a TLS connection; `null`, and the connection closed, where its certificate is not to be trusted. */
export function certifiedPeer(
  socket: TLSSocket,
  refused: (reason: string) => void,
): { remoteAddress: string; certificateNames: string[] | null } | null {
  const remoteAddress = socket.remoteAddress ?? '';
  if (socket.getPeerX509Certificate() === undefined) {
    return { remoteAddress, certificateNames: null };
  }
  if (socket.authorized) {
    return { remoteAddress, certificateNames: certificateNames(socket.getPeerCertificate()) };
  }
  refused('certificate_untrusted');
  socket.on('error', () => undefined);
  socket.destroy();
  return null;
}

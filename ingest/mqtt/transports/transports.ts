/**
 * The transports that the settings ask for, made together, because they share one set of certificates. Refuses to know
 * how each one works.
 */
import type { Duplex } from 'node:stream';
import type { MqttPeer } from '../sink.ts';
import { Certificates, type CertificateFiles } from './certificates.ts';
import { createTlsTransport } from './tls-transport.ts';
import type { Transport, TransportLogger } from './transport.ts';
import { createWebSocketTransport } from './web-socket-transport.ts';

/** Settings; see config.ts. */
export interface TransportsConfig {
  readonly host: string;
  /** `null`: off; 0 lets the kernel choose. */
  readonly tlsPort: number | null;
  readonly webSocketPort: number | null;
  readonly webSocketTlsPort: number | null;
  /** Required where a port asks for TLS. */
  readonly tls: CertificateFiles | null;
  readonly packetBytesMax: number;
}

export interface TransportsOptions {
  readonly config: TransportsConfig;
  readonly listener: { accept(stream: Duplex, peer: MqttPeer): void };
  readonly metrics: { refused(reason: string): void };
  readonly log: TransportLogger;
}

export type Transports = readonly Transport[];

/** Makes them; nothing happens until each is started. Throws when TLS is asked for without certificates. */
export function createTransports({
  config,
  listener,
  metrics,
  log,
}: TransportsOptions): Transports {
  const { host, tlsPort, webSocketPort, webSocketTlsPort, packetBytesMax } = config;
  const certificates = config.tls === null ? null : new Certificates(config.tls, log);
  const common = {
    host,
    accept: (stream: Duplex, peer: MqttPeer) => listener.accept(stream, peer),
    refused: (reason: string) => metrics.refused(reason),
    log,
    messageBytesMax: packetBytesMax,
  };
  const found: Transport[] = [];
  if (tlsPort !== null) {
    found.push(createTlsTransport({ ...common, port: tlsPort, certificates: need(certificates) }));
  }
  if (webSocketPort !== null) {
    found.push(createWebSocketTransport({ ...common, port: webSocketPort, certificates: null }));
  }
  if (webSocketTlsPort !== null) {
    const port = webSocketTlsPort;
    found.push(createWebSocketTransport({ ...common, port, certificates: need(certificates) }));
  }
  return found;
}

function need(certificates: Certificates | null): Certificates {
  if (certificates === null) throw new Error('TLS needs a certificate and its key');
  return certificates;
}

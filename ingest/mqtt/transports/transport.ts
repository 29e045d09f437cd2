/**
 * What all transports are to the rest of the program, and what they are made of. Plain types.
 */
import type { Duplex } from 'node:stream';
import type { MqttPeer } from '../sink.ts';

/** A port that hands byte streams to the MQTT listener. Can be started and stopped once. */
export interface Transport {
  readonly name: 'mqttTls' | 'mqttWebSocket' | 'mqttWebSocketTls';
  /** Listens; rejects with the system's error, or with what is wrong with the certificates. */
  start(): Promise<{ port: number }>;
  /** Takes no new connections and ends those in their handshake. Those handed over go on. */
  stopAccepting(): void;
  /** Stops, and resolves when every connection has gone; those handed over are the listener's to close. */
  close(): Promise<void>;
}

/** The part of a logger that transports use. */
export interface TransportLogger {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What every transport is made of. */
export interface TransportOptions {
  readonly host: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
  /** The MQTT listener's door. */
  readonly accept: (stream: Duplex, peer: MqttPeer) => void;
  /** Counts a socket that was closed by the transport, by reason. */
  readonly refused: (reason: string) => void;
  readonly log: TransportLogger;
}

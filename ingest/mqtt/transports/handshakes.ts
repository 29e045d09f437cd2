/**
 * The sockets of one port that are not handed over yet. Bounds how many there are and how long each may take, whatever it
 * does in the meantime; refuses to know what a handshake is.
 *
 * States of a socket: begun → (end) handed over, and forgotten · (time out, its own end) gone.
 */
import type { Socket } from 'node:net';
import { HANDSHAKE_MS_MAX, HANDSHAKES_MAX } from './limits.ts';

interface Handshake {
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
}

export class Handshakes {
  readonly #refused: (reason: string) => void;
  readonly #countMax: number;
  readonly #msMax: number;
  /** By the far end, as TLS shows the same connection as another object. */
  readonly #byPeer = new Map<string, Handshake>();

  constructor(
    refused: (reason: string) => void,
    countMax = HANDSHAKES_MAX,
    msMax = HANDSHAKE_MS_MAX,
  ) {
    this.#refused = refused;
    this.#countMax = countMax;
    this.#msMax = msMax;
  }

  /** A socket was accepted. */
  begin(socket: Socket): void {
    const refused = this.#refused;
    const peer = peerOf(socket);
    if (this.#byPeer.size >= this.#countMax) {
      refused('handshakes');
      socket.destroy();
      return;
    }
    const timer = setTimeout(() => {
      refused('handshake_timeout');
      socket.destroy();
    }, this.#msMax);
    const handshake = { socket, timer };
    this.#byPeer.set(peer, handshake);
    socket.once('close', () => this.#forget(peer, handshake));
  }

  /** The socket, or what TLS made of it, is handed over. */
  end(socket: Socket): void {
    const peer = peerOf(socket);
    const handshake = this.#byPeer.get(peer);
    if (handshake !== undefined) this.#forget(peer, handshake);
  }

  /** Closes what is left. */
  destroyAll(): void {
    for (const { socket } of this.#byPeer.values()) socket.destroy();
  }

  #forget(peer: string, handshake: Handshake): void {
    clearTimeout(handshake.timer);
    if (this.#byPeer.get(peer) === handshake) this.#byPeer.delete(peer);
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

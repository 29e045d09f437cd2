/**
 * A socket without a network: the test pushes what the peer sends, and what is written is counted. Knows the life of a
 * stream; refuses to know what goes over it.
 */
import { Duplex } from 'node:stream';

/** Turns of the event loop that a connection is given to come to its own end. */
const TURNS_MAX = 10;

export class FakeSocket extends Duplex {
  readonly remoteAddress = '192.0.2.1';
  writtenBytes = 0;

  constructor() {
    super({ allowHalfOpen: false });
  }

  override _read(): void {
    // What the peer sends is pushed.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.writtenBytes += chunk.length;
    done();
  }
}

/** One turn of the event loop: whatever waits for a promise, a tick or a drained queue goes on. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Sends the pieces with a turn after each, takes leave, and at last vanishes; resolves when the socket is closed. */
export async function sendAndLeave(socket: FakeSocket, pieces: readonly Buffer[]): Promise<void> {
  let isGone = false;
  socket.once('close', () => (isGone = true));
  for (const piece of pieces) {
    if (socket.destroyed || socket.readableEnded) break;
    socket.push(piece);
    await turn();
  }
  if (!socket.destroyed) socket.push(null);
  for (let turns = 0; turns < TURNS_MAX && !isGone; turns++) await turn();
  // One that waits for its answers is left by a peer that does not.
  socket.destroy();
  while (!isGone) await turn();
}

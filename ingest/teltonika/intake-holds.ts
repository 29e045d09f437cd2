/**
 * The connections that do not read because the intake is full. Knows who waits, and asks the intake once for all of
 * them; refuses to know what they wait with.
 */
import type { IntakePort } from './listener.ts';

/** A connection that can be let go on. */
export interface Held {
  intakeDrained(): void;
}

export class IntakeHolds {
  readonly #intake: IntakePort;
  readonly #waiting = new Set<Held>();
  #asked = false;

  constructor(intake: IntakePort) {
    this.#intake = intake;
  }

  /** Lets the connection go on when the intake has room again; it must look whether there is still some. */
  wait(connection: Held): void {
    this.#waiting.add(connection);
    if (this.#asked) return;
    this.#asked = true;
    this.#intake.onceDrained(() => {
      this.#asked = false;
      const released = [...this.#waiting];
      this.#waiting.clear();
      for (const held of released) held.intakeDrained();
    });
  }

  /** Forgets a closed connection. */
  forget(connection: Held): void {
    this.#waiting.delete(connection);
  }
}

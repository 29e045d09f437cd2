/**
 * Watches connections for silence (section 3.1.2.10): calls out after one and a half times the keep-alive without a
 * packet. Knows a clock of quarter seconds of its own; refuses to know sockets.
 *
 * One timer serves all connections. Each stands in the slot of the tick at which its time would be up; when the tick
 * comes, those that were heard in between move on by as much. So a packet costs one number, a silent minute nothing, and
 * a connection a place in a set. The clock stands still while the process does, so a stall of the server is never taken
 * for silence of its clients; and a connection is let go up to two ticks late.
 *
 * States of a connection: absent → (watch) in a slot → (silent) told once, and absent → (forget) absent.
 */

/** What is watched. The fields are the wheel's to write. */
export interface Watched {
  /** The tick at which the last packet came. To be set to `wheel.tick` whenever one does. */
  heardTick: number;
  /** Ticks of silence that are allowed; 0: it is not watched. */
  allowedTicks: number;
  slotTick: number;
  /** False while the listener itself does not read it: then silence proves nothing. */
  isRead(): boolean;
  silent(): void;
}

const TICK_MS = 250;
const TICKS_PER_S = 1_000 / TICK_MS;

export class KeepAliveWheel {
  /** Quarter seconds since the first connection was watched. */
  tick = 0;

  readonly #slots = new Map<number, Set<Watched>>();
  #timer: NodeJS.Timeout | null = null;

  /** Begins to watch; `keepAliveS` in seconds, 0 for never. */
  watch(watched: Watched, keepAliveS: number): void {
    if (keepAliveS === 0) return;
    watched.heardTick = this.tick;
    // The tick that runs is not whole.
    watched.allowedTicks = Math.ceil(keepAliveS * 1.5 * TICKS_PER_S) + 1;
    this.#place(watched);
    this.#timer ??= setInterval(() => this.#turn(), TICK_MS).unref();
  }

  forget(watched: Watched): void {
    if (watched.allowedTicks === 0) return;
    watched.allowedTicks = 0;
    const slot = this.#slots.get(watched.slotTick);
    slot?.delete(watched);
    if (slot?.size === 0) this.#slots.delete(watched.slotTick);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #place(watched: Watched): void {
    watched.slotTick = watched.heardTick + watched.allowedTicks;
    const slot = this.#slots.get(watched.slotTick);
    if (slot === undefined) this.#slots.set(watched.slotTick, new Set([watched]));
    else slot.add(watched);
  }

  #turn(): void {
    this.tick++;
    const due = this.#slots.get(this.tick);
    if (due === undefined) return;
    this.#slots.delete(this.tick);
    for (const watched of due) {
      // Forgotten by what another one's silence led to.
      if (watched.allowedTicks === 0) continue;
      if (!watched.isRead()) watched.heardTick = this.tick;
      if (watched.heardTick + watched.allowedTicks > this.tick) this.#place(watched);
      else {
        watched.allowedTicks = 0;
        watched.silent();
      }
    }
  }
}

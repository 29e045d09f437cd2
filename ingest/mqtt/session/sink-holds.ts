/**
 * The devices that are not read because the sink was full when they last published. Knows devices, not connections
 * alone: a device that reconnects while the sink is full comes back held. Otherwise each reconnect would bring one more
 * message past a full queue, and an outage of the database is when devices reconnect.
 *
 * States of a device: absent → (hold) held, with one call awaited from the sink → (drained) absent, all released.
 */
import type { MqttSink } from '../sink.ts';

/** A connection that can be let go on. */
export interface Held {
  sinkDrained(): void;
}

export class SinkHolds {
  readonly #sink: MqttSink;
  readonly #byDevice = new Map<number, Set<Held>>();

  constructor(sink: MqttSink) {
    this.#sink = sink;
  }

  isHeld(iotDeviceId: number): boolean {
    return this.#byDevice.has(iotDeviceId);
  }

  /** Holds the device, and remembers whom to let go on when the sink has drained. */
  hold(iotDeviceId: number, connection: Held): void {
    const waiting = this.#byDevice.get(iotDeviceId);
    if (waiting !== undefined) {
      waiting.add(connection);
      return;
    }
    this.#byDevice.set(iotDeviceId, new Set([connection]));
    this.#sink.onceDrained(() => {
      const released = this.#byDevice.get(iotDeviceId);
      this.#byDevice.delete(iotDeviceId);
      for (const held of released ?? []) held.sinkDrained();
    });
  }

  /** Forgets a closed connection; its device stays held. */
  forget(iotDeviceId: number, connection: Held): void {
    this.#byDevice.get(iotDeviceId)?.delete(connection);
  }
}

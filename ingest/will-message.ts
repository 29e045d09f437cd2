/**
 * The last wills of MQTT clients as intake messages: a `disconnected` event of the device. Nothing is routed; topic and
 * payload are kept in the event's detail as the client wrote them.
 *
 * Nobody holds a will back by not reading a socket, as its client has gone. So while the intake's queue is full they wait
 * here, one of each device and so many in all, and a device that comes and goes all the time takes no more than its place.
 */
import { isUtf8 } from 'node:buffer';
import { addEvent, emptyDecoded } from './decode/decoded.ts';
import type { Intake, IntakeMessage } from './intake.ts';
import type { MqttWill } from './mqtt/sink.ts';
import type { RegisteredDevice, Registry } from './registry.ts';

/** Bytes of a will's payload that the event keeps. */
export const WILL_PAYLOAD_BYTES_MAX = 4096;

/** Wills that wait while the queue is full; one more drops the one that has waited longest. */
export const WILLS_WAITING_MAX = 10_000;

/** Hands wills to the intake, as far as its queue has room. Those of devices that are not registered lead to nothing. */
export class Wills {
  readonly #intake: Pick<Intake, 'isFull' | 'onceDrained' | 'submit'>;
  readonly #registry: Pick<Registry, 'device'>;
  /** By device, the one that has waited longest first. */
  readonly #waiting = new Map<number, MqttWill>();

  constructor(
    intake: Pick<Intake, 'isFull' | 'onceDrained' | 'submit'>,
    registry: Pick<Registry, 'device'>,
  ) {
    this.#intake = intake;
    this.#registry = registry;
  }

  /** Takes a will. While the queue is full it takes the place of an earlier one of its device. */
  take(will: MqttWill): void {
    if (!this.#intake.isFull) {
      this.#submit(will);
      return;
    }
    const waiting = this.#waiting;
    if (waiting.size === 0) this.#intake.onceDrained(() => this.#drained());
    waiting.delete(will.identity.iotDeviceId);
    if (waiting.size >= WILLS_WAITING_MAX) {
      const [longest] = waiting.keys();
      waiting.delete(longest!);
    }
    waiting.set(will.identity.iotDeviceId, will);
  }

  #drained(): void {
    for (const [iotDeviceId, will] of this.#waiting) {
      if (this.#intake.isFull) {
        this.#intake.onceDrained(() => this.#drained());
        return;
      }
      this.#waiting.delete(iotDeviceId);
      this.#submit(will);
    }
  }

  /** Nobody waits for the outcome: a will is stored with what else is under way, or lost with the process. */
  #submit(will: MqttWill): void {
    const device = this.#registry.device(will.identity.iotDeviceId);
    if (device === undefined) return;
    this.#intake.submit(willMessage(will, device, Date.now()), () => undefined);
  }
}

/**
 * The message; its one event has no place, and the time at which the connection ended. It is received when it is due: the
 * delay that the client asked for is none of ours.
 */
export function willMessage(
  will: MqttWill,
  device: RegisteredDevice,
  receivedMs: number,
): IntakeMessage {
  const decoded = emptyDecoded();
  const kept = will.payload.subarray(0, WILL_PAYLOAD_BYTES_MAX);
  addEvent(decoded, {
    index: 0,
    device: null,
    kind: 'disconnected',
    timeMs: will.atMs,
    latDeg: NaN,
    lonDeg: NaN,
    detail: {
      cause: will.cause,
      client_id: will.clientId,
      topic: will.topic,
      ...(isUtf8(kept)
        ? { payload: kept.toString('utf8') }
        : { payload_base64: kept.toString('base64') }),
      payload_bytes: will.payload.length,
    },
  });
  return {
    source: 'mqtt',
    topic: will.topic,
    sender: { kind: 'device', device },
    payload: will.payload,
    decoded,
    receivedMs,
  };
}

/**
 * The last will of an MQTT client as an intake message: a `disconnected` event of its device. Nothing is routed; topic and
 * payload are kept in the event's detail as the client wrote them.
 */
import { isUtf8 } from 'node:buffer';
import { addEvent, emptyDecoded } from './decode/decoded.ts';
import type { IntakeMessage } from './intake.ts';
import type { MqttWill } from './mqtt/sink.ts';
import type { RegisteredDevice } from './registry.ts';

/** Bytes of a will's payload that the event keeps. */
export const WILL_PAYLOAD_BYTES_MAX = 4096;

/** The message; its one event has no place, and the time at which the connection ended. */
export function willMessage(will: MqttWill, device: RegisteredDevice): IntakeMessage {
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
    receivedMs: will.atMs,
  };
}

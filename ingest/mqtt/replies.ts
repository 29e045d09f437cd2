/**
 * The packets the listener sends, as bytes, made by the codec. Knows their form in 3.1.1 and 5.0; refuses to know when
 * one is due.
 */
import type { IConnackPacket } from 'mqtt-packet';
import { generate, writeToStream } from 'mqtt-packet';
import type { Version } from './connect-reader.ts';
import type { Fault } from './faults.ts';
import { NO_SUBSCRIPTION_EXISTED, NOT_AUTHORIZED, SUBACK_FAILURE_311 } from './faults.ts';
import { returnCode311 } from './faults.ts';
import type { MqttLimits } from './limits.ts';

// The codec would keep 65,536 two-byte buffers to write identifiers from; acks are written without it.
writeToStream.cacheNumbers = false;

const VERSION_4 = { protocolVersion: 4 } as const;
const VERSION_5 = { protocolVersion: 5 } as const;

/** Characters of a reason string; more is cut off. */
const REASON_CHARS_MAX = 256;

export const PINGRESP: Buffer = generate({ cmd: 'pingresp' });

/** What one accepted client is told beyond "yes". */
export interface Welcome {
  /** The identifier given to a 5.0 client that came without one. */
  readonly assignedClientId: string | null;
  /** Seconds, when the listener wants another keep-alive than the client. */
  readonly serverKeepAliveS: number | null;
}

/**
 * The CONNACK of an accepted connection.
 *
 * Session Present is 0 and the Session Expiry Interval 0, always: the listener keeps no session. It grants no
 * subscription and takes nothing at quality of service 2, so all a session could hold is empty. What a client with
 * cleanSession = 0 wants of its session is that its unacknowledged publishes go again after a reconnect, and that is
 * the client's half: 3.1.1 clients (MQTT.js, Mosquitto, Paho) send them again whatever this flag says, and the store
 * takes each once. A strict 5.0 client drops its own half when it reads 0 [MQTT-3.2.2-5] and its application sends
 * again. Answering 1 would need proof, kept over restarts, that this client was here before [MQTT-3.2.2-4].
 */
export function connackAccepted(version: Version, welcome: Welcome, limits: MqttLimits): Buffer {
  if (version === 4) {
    return generate({ cmd: 'connack', returnCode: 0, sessionPresent: false }, VERSION_4);
  }
  const properties: NonNullable<IConnackPacket['properties']> = {
    sessionExpiryInterval: 0,
    receiveMaximum: limits.inFlightMax,
    maximumQoS: 1,
    retainAvailable: false,
    maximumPacketSize: limits.packetBytesMax,
    topicAliasMaximum: 0,
    wildcardSubscriptionAvailable: false,
    subscriptionIdentifiersAvailable: false,
    sharedSubscriptionAvailable: false,
  };
  if (welcome.assignedClientId !== null) {
    properties.assignedClientIdentifier = welcome.assignedClientId;
  }
  if (welcome.serverKeepAliveS !== null) properties.serverKeepAlive = welcome.serverKeepAliveS;
  return generate({ cmd: 'connack', reasonCode: 0, sessionPresent: false, properties }, VERSION_5);
}

/** The CONNACK that refuses. In 5.0 it says the fault's code; in 3.1.1 the return code nearest to it. */
export function connackRefused(version: Version, fault: Fault): Buffer {
  return version === 4
    ? generate(
        { cmd: 'connack', returnCode: returnCode311(fault), sessionPresent: false },
        VERSION_4,
      )
    : generate({ cmd: 'connack', reasonCode: fault.code, sessionPresent: false }, VERSION_5);
}

/** A 5.0 PUBACK with a reason code; the reason string goes along where the client wants it and it fits. */
export function pubackRefused(
  packetId: number,
  reasonCode: number,
  reason: string | null,
  packetBytesMax: number,
): Buffer {
  const packet = { cmd: 'puback', messageId: packetId, reasonCode } as const;
  if (reason !== null) {
    const reasonString = reason.slice(0, REASON_CHARS_MAX);
    const bytes = generate({ ...packet, properties: { reasonString } }, VERSION_5);
    if (bytes.length <= packetBytesMax) return bytes;
  }
  return generate(packet, VERSION_5);
}

/** A 5.0 DISCONNECT with the fault's code, and its word as reason string where it fits. */
export function disconnect(fault: Fault, packetBytesMax: number): Buffer {
  const packet = { cmd: 'disconnect', reasonCode: fault.code } as const;
  const properties = { reasonString: fault.reason };
  const bytes = generate({ ...packet, properties }, VERSION_5);
  return bytes.length <= packetBytesMax ? bytes : generate(packet, VERSION_5);
}

/** A SUBACK that denies every filter: the listener takes in and sends nothing out. */
export function subackDenied(version: Version, packetId: number, filterCount: number): Buffer {
  const code = version === 5 ? NOT_AUTHORIZED : SUBACK_FAILURE_311;
  const granted = new Array<number>(filterCount).fill(code);
  const options = version === 5 ? VERSION_5 : VERSION_4;
  return generate({ cmd: 'suback', messageId: packetId, granted }, options);
}

/** An UNSUBACK; in 5.0 it says for every filter that there was no such subscription. */
export function unsuback(version: Version, packetId: number, filterCount: number): Buffer {
  const granted = new Array<number>(filterCount).fill(NO_SUBSCRIPTION_EXISTED);
  const options = version === 5 ? VERSION_5 : VERSION_4;
  return generate({ cmd: 'unsuback', messageId: packetId, granted }, options);
}

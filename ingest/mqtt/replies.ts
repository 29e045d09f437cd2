/**
 * The packets the listener sends, as bytes, made by the codec. Knows their form in 3.1.1 and 5.0 and leaves out a reason
 * string that would not fit; refuses to know when a packet is due.
 */
import type { IConnackPacket, IPublishPacket, Packet } from 'mqtt-packet';
import { generate, writeToStream } from 'mqtt-packet';
import type { Version } from './connect-reader.ts';
import type { Fault } from './faults.ts';
import { returnCode311, SUBACK_FAILURE_311 } from './faults.ts';
import type { MqttLimits } from './limits.ts';

// The codec would keep 65,536 two-byte buffers to write identifiers from; acks are written without it.
writeToStream.cacheNumbers = false;

const VERSION_4 = { protocolVersion: 4 } as const;
const VERSION_5 = { protocolVersion: 5 } as const;

/** Characters of a reason string; more is cut off. */
const REASON_CHARS_MAX = 256;

export const PINGRESP: Buffer = generate({ cmd: 'pingresp' });

/** Whom a reply goes to, as far as its form depends on it. */
export interface Recipient {
  readonly version: Version;
  /** Bytes of the largest packet that the client takes [MQTT-3.1.2-24]. */
  readonly packetBytesMax: number;
  /** Whether it wants reason strings outside of CONNACK and DISCONNECT [MQTT-3.1.2-29]. */
  readonly wantsReasons: boolean;
}

/** What one accepted client is told beyond "yes". */
export interface Welcome {
  /** True: the listener kept this client's session, and goes on with it. */
  readonly sessionPresent: boolean;
  /** The identifier given to a 5.0 client that came without one. */
  readonly assignedClientId: string | null;
  /** Seconds, when the listener wants another keep-alive than the client. */
  readonly serverKeepAliveS: number | null;
  /** Seconds, when the listener keeps the session for less long than the client asked. */
  readonly sessionExpiryS: number | null;
}

/**
 * The CONNACK of an accepted connection.
 *
 * Session Present is the truth about memory: sessions are kept there and nowhere else, so after a restart of the server
 * it is 0 for everyone. A client that reads 0 begins anew: a strict 5.0 one drops its own half [MQTT-3.2.2-5] and its
 * application publishes again; 3.1.1 clients (MQTT.js, Mosquitto, Paho) send unacknowledged publishes again whatever
 * this flag says. Either way the store takes each fix once, because it knows them by device and time and not by packet
 * identifier. What a restart loses besides is a subscription, which the client makes again when it reads 0, and commands
 * under way, which their keeper sends again when the device subscribes.
 */
export function connackAccepted(version: Version, welcome: Welcome, limits: MqttLimits): Buffer {
  const { sessionPresent, assignedClientId, serverKeepAliveS, sessionExpiryS } = welcome;
  if (version === 4) return generate({ cmd: 'connack', returnCode: 0, sessionPresent }, VERSION_4);
  // What may be left out is: a maximum of 2 for the quality of service, and subscription identifiers, which work.
  // A client that asks for a wildcard nevertheless is answered in SUBACK (0xA2, 0x9E), which 5.0 provides for beside
  // DISCONNECT: a device that asks out of habit is to lose no more than its answer.
  const properties: NonNullable<IConnackPacket['properties']> = {
    receiveMaximum: limits.inFlightMax,
    retainAvailable: false,
    maximumPacketSize: limits.packetBytesMax,
    topicAliasMaximum: limits.topicAliasMax,
    wildcardSubscriptionAvailable: false,
    sharedSubscriptionAvailable: false,
  };
  if (sessionExpiryS !== null) properties.sessionExpiryInterval = sessionExpiryS;
  if (assignedClientId !== null) properties.assignedClientIdentifier = assignedClientId;
  if (serverKeepAliveS !== null) properties.serverKeepAlive = serverKeepAliveS;
  return generate({ cmd: 'connack', reasonCode: 0, sessionPresent, properties }, VERSION_5);
}

/**
 * The CONNACK that refuses. In 5.0 it says the fault's code, and its word as reason string; in 3.1.1 the return code
 * nearest to it. `null` where there is nothing to be said.
 */
export function connackRefused(
  version: Version,
  fault: Fault,
  packetBytesMax: number,
): Buffer | null {
  if (version === 4) {
    const returnCode = returnCode311(fault);
    if (returnCode === null) return null;
    return generate({ cmd: 'connack', returnCode, sessionPresent: false }, VERSION_4);
  }
  const packet = { cmd: 'connack', reasonCode: fault.code, sessionPresent: false } as const;
  return withReason(packet, fault.reason, packetBytesMax);
}

/** A 5.0 DISCONNECT with the fault's code, and its word as reason string where it fits. */
export function disconnect(fault: Fault, packetBytesMax: number): Buffer {
  return withReason(
    { cmd: 'disconnect', reasonCode: fault.code } as const,
    fault.reason,
    packetBytesMax,
  );
}

/** A 5.0 ack that says more than success; the reason string goes along where the client wants it and it fits. */
export function ackWithReason(
  cmd: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp',
  answer: { readonly packetId: number; readonly reasonCode: number; readonly says: string },
  to: Recipient,
): Buffer {
  const packet = { cmd, messageId: answer.packetId, reasonCode: answer.reasonCode } as const;
  return withReason(packet, to.wantsReasons ? answer.says : null, to.packetBytesMax);
}

/** A SUBACK with a code for each filter, in their order; 3.1.1 knows one failure only [MQTT-3.9.3-2]. */
export function suback(
  packetId: number,
  codes: readonly number[],
  reason: string | null,
  to: Recipient,
): Buffer {
  if (to.version === 4) {
    const granted = codes.map((code) => (code > 2 ? SUBACK_FAILURE_311 : code));
    return generate({ cmd: 'suback', messageId: packetId, granted }, VERSION_4);
  }
  const packet = { cmd: 'suback' as const, messageId: packetId, granted: [...codes] };
  return withReason(packet, to.wantsReasons ? reason : null, to.packetBytesMax);
}

/** An UNSUBACK; 5.0 says for every filter whether there was such a subscription. */
export function unsuback(version: Version, packetId: number, codes: readonly number[]): Buffer {
  const options = version === 5 ? VERSION_5 : VERSION_4;
  return generate({ cmd: 'unsuback', messageId: packetId, granted: [...codes] }, options);
}

/** What a PUBLISH to a client says. `packetId` is 0 for quality of service 0. */
export interface OutgoingPublish {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly packetId: number;
  readonly isRepeat: boolean;
  /** The identifier that the client gave its subscription, which 5.0 sends along [MQTT-3.3.4-3]. */
  readonly subscriptionIdentifier: number | null;
}

/** A PUBLISH to a client, never retained. */
export function publish(version: Version, message: OutgoingPublish): Buffer {
  const { topic, payload, qos, packetId, isRepeat, subscriptionIdentifier } = message;
  const packet: IPublishPacket = {
    cmd: 'publish',
    topic,
    payload,
    qos,
    dup: isRepeat,
    retain: false,
  };
  if (qos > 0) packet.messageId = packetId;
  if (version === 4) return generate(packet, VERSION_4);
  if (subscriptionIdentifier !== null) {
    packet.properties = { subscriptionIdentifier };
  }
  return generate(packet, VERSION_5);
}

type Reasoned = Extract<Packet, { cmd: 'connack' | 'disconnect' | 'suback' }> | AckPacket;
interface AckPacket {
  readonly cmd: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
  readonly messageId: number;
  readonly reasonCode: number;
}

function withReason(packet: Reasoned, reason: string | null, packetBytesMax: number): Buffer {
  if (reason !== null) {
    const properties = { reasonString: reason.slice(0, REASON_CHARS_MAX) };
    const bytes = generate({ ...packet, properties }, VERSION_5);
    if (bytes.length <= packetBytesMax) return bytes;
  }
  return generate(packet, VERSION_5);
}

/**
 * Reads PUBLISH packets of one connection. Knows the packet (section 3.3 of 3.1.1 and 5.0); refuses to know acks and
 * what a topic means.
 *
 * The one packet that comes by the million is read here and not by the codec, which takes 1.65 µs for it (2026-11-21,
 * `mqtt-packet` 9.0.2 given one packet at a time, QoS 1, a 24-byte topic and 80 bytes of JSON, Node 20.20; gate and
 * reader together take 0.2 to 0.3 µs). A device repeats its topic, so the last one is kept with its string, and only
 * compared.
 */
import type { Fault } from './faults.ts';
import {
  MALFORMED,
  PROTOCOL_ERROR,
  QOS_UNSUPPORTED,
  RETAIN_UNSUPPORTED,
  TOPIC_ALIAS,
  TOPIC_INVALID,
} from './faults.ts';
import { FieldCursor, PROPERTY, PUBLISH_PROPERTIES } from './field-cursor.ts';
import { judgeTopicName } from './topics.ts';

const NO_BYTES = Buffer.alloc(0);

/** After `read` returned null: the packet's fields, until the next call. `packetId` is 0 for quality of service 0. */
export class PublishReader {
  topic = '';
  qos: 0 | 1 = 0;
  packetId = 0;
  payload: Buffer = NO_BYTES;

  readonly #version5: boolean;
  #topicBytes: Buffer = NO_BYTES;

  constructor(version5: boolean) {
    this.#version5 = version5;
  }

  /** Reads the packet whose first byte is `buffer[start]`, or says what is wrong with it. */
  read(buffer: Buffer, start: number, bodyStart: number, end: number): Fault | null {
    const flags = buffer[start]! & 0x0f;
    const qos = (flags >> 1) & 3;
    if (qos === 3) return MALFORMED;
    if (qos === 0 && flags >= 8) return PROTOCOL_ERROR;
    if (qos === 2) return QOS_UNSUPPORTED;
    // A 3.1.1 client cannot be told that nothing is retained; its message is taken like any other.
    if (this.#version5 && (flags & 1) === 1) return RETAIN_UNSUPPORTED;
    if (bodyStart + 2 > end) return MALFORMED;
    const topicStart = bodyStart + 2;
    const topicEnd = topicStart + buffer.readUInt16BE(bodyStart);
    let offset = topicEnd + (qos === 1 ? 2 : 0);
    if (offset > end) return MALFORMED;
    if (topicEnd > topicStart) {
      const fault = this.#readTopic(buffer, topicStart, topicEnd);
      if (fault !== null) return fault;
    }
    this.packetId = qos === 1 ? buffer.readUInt16BE(topicEnd) : 0;
    if (qos === 1 && this.packetId === 0) return PROTOCOL_ERROR;
    if (this.#version5) {
      if (offset < end && buffer[offset] === 0) offset++;
      else {
        const cursor = new FieldCursor(buffer, offset, end);
        const fault = checkProperties(cursor);
        if (fault !== null) return fault;
        offset = cursor.offset;
      }
    }
    if (topicEnd === topicStart) return this.#version5 ? PROTOCOL_ERROR : TOPIC_INVALID;
    this.qos = qos === 1 ? 1 : 0;
    this.payload = buffer.subarray(offset, end);
    return null;
  }

  #readTopic(buffer: Buffer, start: number, end: number): Fault | null {
    const known = this.#topicBytes;
    let same = known.length === end - start;
    // From the end, where the topics of one device differ.
    for (let i = known.length - 1; same && i >= 0; i--) same = known[i] === buffer[start + i];
    if (same) return null;
    const verdict = judgeTopicName(buffer, start, end);
    if (verdict !== 'ok') return verdict === 'wildcard' ? TOPIC_INVALID : MALFORMED;
    this.#topicBytes = Buffer.from(buffer.subarray(start, end));
    this.topic = buffer.toString('utf8', start, end);
    return null;
  }
}

function checkProperties(cursor: FieldCursor): Fault | null {
  let fault: Fault | null = null;
  cursor.properties(PUBLISH_PROPERTIES, (id) => {
    if (id === PROPERTY.topicAlias) fault ??= TOPIC_ALIAS;
    // Only a server sends these [MQTT-3.3.4-6].
    if (id === PROPERTY.subscriptionIdentifier) fault ??= PROTOCOL_ERROR;
  });
  return cursor.fault ?? fault;
}

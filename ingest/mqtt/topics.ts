/**
 * Topic names: which bytes are one, and which one is a device's own. Knows the rule of MQTT (section 4.7) and the shape
 * `v1/devices/{device}/fixes|metrics`; refuses to know what a payload holds.
 */
import { isMqttText } from './field-cursor.ts';

/** What a device publishes to a topic of its own. */
export type TopicKind = 'fixes' | 'metrics';

const PREFIX = 'v1/devices/';
const PLUS = 0x2b;
const HASH = 0x23;

/**
 * Says what `topic` carries when it is the own topic of `deviceName`, exactly; `null` for another device's topic and for
 * any other name. Compares, never splits: a device name with a slash in it cannot reach into another's space.
 */
export function ownTopicKind(topic: string, deviceName: string): TopicKind | null {
  const kindStart = PREFIX.length + deviceName.length;
  if (!topic.startsWith(PREFIX) || !topic.startsWith(deviceName, PREFIX.length)) return null;
  if (topic.length === kindStart + 6 && topic.endsWith('/fixes')) return 'fixes';
  if (topic.length === kindStart + 8 && topic.endsWith('/metrics')) return 'metrics';
  return null;
}

/** What is wrong with the bytes of a topic name: not text, or text that no PUBLISH may carry [MQTT-3.3.2-2]. */
export type TopicVerdict = 'ok' | 'not_text' | 'wildcard';

/** Judges the bytes of a topic name that is not empty. */
export function judgeTopicName(buffer: Buffer, start: number, end: number): TopicVerdict {
  if (!isMqttText(buffer, start, end)) return 'not_text';
  for (let i = start; i < end; i++) {
    if (buffer[i] === PLUS || buffer[i] === HASH) return 'wildcard';
  }
  return 'ok';
}

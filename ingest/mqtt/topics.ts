/**
 * Topic names and filters: which bytes are one, which name is a device's own, and which filter a device may subscribe to.
 * Knows the rules of MQTT (section 4.7, shared subscriptions 4.8.2 of 5.0) and the shape
 * `v1/devices/{device}/fixes|metrics|commands`; refuses to know what a payload holds.
 */
import { isMqttText } from './field-cursor.ts';

/** What a device publishes to a topic of its own. */
export type TopicKind = 'fixes' | 'metrics';

const PREFIX = 'v1/devices/';
const PLUS = 0x2b;
const HASH = 0x23;
const SHARED_PREFIX = '$share/';

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

/** The topic on which a device is sent commands; no other can be subscribed to. */
export function commandTopic(deviceName: string): string {
  return `${PREFIX}${deviceName}/commands`;
}

/** What is wrong with the bytes of a topic name: not text, or text that no PUBLISH may carry [MQTT-3.3.2-2]. */
export type TopicVerdict = 'ok' | 'not_text' | 'wildcard';

/** Judges the bytes of a topic name that is not empty. */
export function judgeTopicName(buffer: Buffer, start: number, end: number): TopicVerdict {
  if (!isMqttText(buffer, start, end)) return 'not_text';
  return hasWildcard(buffer, start, end) ? 'wildcard' : 'ok';
}

/** True when a `+` or `#` is among the bytes. */
export function hasWildcard(buffer: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (buffer[i] === PLUS || buffer[i] === HASH) return true;
  }
  return false;
}

/** What a topic filter is; `invalid`: no filter by section 4.7.1 or 4.8.2. */
export type FilterKind = 'plain' | 'wildcard' | 'shared' | 'invalid';

/** Judges a filter that is valid text. Shared subscriptions are of 5.0; in 3.1.1 their names are filters like any other. */
export function judgeFilter(filter: string, version5: boolean): FilterKind {
  if (!version5 || !filter.startsWith(SHARED_PREFIX)) return judgeUnshared(filter);
  const nameEnd = filter.indexOf('/', SHARED_PREFIX.length);
  if (nameEnd <= SHARED_PREFIX.length) return 'invalid';
  const name = filter.slice(SHARED_PREFIX.length, nameEnd);
  if (/[+#]/.test(name)) return 'invalid';
  return judgeUnshared(filter.slice(nameEnd + 1)) === 'invalid' ? 'invalid' : 'shared';
}

function judgeUnshared(filter: string): FilterKind {
  if (filter === '') return 'invalid';
  if (!/[+#]/.test(filter)) return 'plain';
  const levels = filter.split('/');
  const isValid = levels.every(
    (level, i) =>
      !/[+#]/.test(level) || level === '+' || (level === '#' && i === levels.length - 1),
  );
  return isValid ? 'wildcard' : 'invalid';
}

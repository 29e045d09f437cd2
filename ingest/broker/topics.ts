/**
 * Whose message a topic of the broker carries: the device is named by the level of the topic that each format says.
 * Refuses to know registries and payloads.
 */
import { FORMATS, ownTopic } from '../decode/formats.ts';
import type { TopicDecode } from '../decode/wires.ts';

const DEVICE = '{device}';

/** What stands before the device's name, in each format that has topics. */
const PREFIXES: readonly string[] = FORMATS.flatMap(({ mqtt }) =>
  mqtt === undefined ? [] : [mqtt.topics.slice(0, mqtt.topics.indexOf(DEVICE))],
);

/** The device that a topic names, and how to read what is published there; `null` where no format knows the topic. */
export function readTopic(topic: string): { deviceName: string; decode: TopicDecode } | null {
  for (const prefix of PREFIXES) {
    if (!topic.startsWith(prefix)) continue;
    const end = topic.indexOf('/', prefix.length);
    const deviceName = topic.slice(prefix.length, end < 0 ? topic.length : end);
    const decode = deviceName === '' ? null : ownTopic(topic, deviceName);
    if (decode !== null) return { deviceName, decode };
  }
  return null;
}

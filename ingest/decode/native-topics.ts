/**
 * The native format's topics: `v1/devices/{device}/fixes` and `…/metrics`. Its HTTP door, with answers of its own, is
 * `http-telemetry.ts`. Refuses to know what a payload holds: `native.ts`.
 */
import { decodeUntyped } from './native.ts';
import type { Format, TopicDecode } from './wires.ts';

const PREFIX = 'v1/devices/';

/** The topic of fixes, which nearly all publishes go to. */
export const decodeFixes: TopicDecode = (payload, nowMs) => decodeUntyped(payload, 'fix', nowMs);
const decodeMetrics: TopicDecode = (payload, nowMs) => decodeUntyped(payload, 'metric', nowMs);

export const nativeFormat: Format<'native'> = {
  name: 'native',
  mqtt: {
    topics: `${PREFIX}{device}/fixes|metrics`,
    ownTopic(topic, deviceName) {
      const kindStart = PREFIX.length + deviceName.length;
      if (!topic.startsWith(PREFIX) || !topic.startsWith(deviceName, PREFIX.length)) return null;
      if (topic.length === kindStart + 6 && topic.endsWith('/fixes')) return decodeFixes;
      if (topic.length === kindStart + 8 && topic.endsWith('/metrics')) return decodeMetrics;
      return null;
    },
  },
};

/**
 * The formats that devices speak, in one list: a new one is its decoder, the table of payloads beside it, and a line
 * here. Doors are opened from this list: `http-wires.ts` a route for every `http`, the MQTT sink asks `ownTopic`.
 * Refuses to know sockets and who is speaking.
 */
import { flespi } from './flespi.ts';
import { nativeFormat } from './native-topics.ts';
import { osmand } from './osmand.ts';
import { owntracks } from './owntracks.ts';
import { teltonika } from './teltonika.ts';
import type { Format, HttpWire, MqttWire, TopicDecode } from './wires.ts';

const LIST = [nativeFormat, owntracks, osmand, flespi, teltonika] as const;

/** Every format. The order is the order in which topics are asked for: the busiest first. */
export const FORMATS: readonly Format<FormatName>[] = LIST;
export type FormatName = (typeof LIST)[number]['name'];

const MQTT_WIRES: readonly MqttWire[] = FORMATS.flatMap(({ mqtt }) => (mqtt ? [mqtt] : []));

export type HttpFormat = Format<FormatName> & { readonly http: HttpWire };

/** Formats that come over HTTP by a route of their own. */
export const HTTP_FORMATS: readonly HttpFormat[] = FORMATS.flatMap((format) =>
  format.http ? [{ ...format, http: format.http }] : [],
);

/**
 * How to read what the device `deviceName` publishes to `topic`; `null` where the topic is none of its own, in any
 * format. Compares and never splits, so a name cannot reach into another device's topics; allocates nothing.
 */
export function ownTopic(topic: string, deviceName: string): TopicDecode | null {
  for (let i = 0; i < MQTT_WIRES.length; i++) {
    const decode = MQTT_WIRES[i]!.ownTopic(topic, deviceName);
    if (decode !== null) return decode;
  }
  return null;
}

/** The topics that are a device's own, in words. */
export function ownTopicsText(deviceName: string): string {
  return MQTT_WIRES.map(({ topics }) => topics.replaceAll('{device}', deviceName)).join(' and ');
}

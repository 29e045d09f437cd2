/**
 * Flespi's messages: JSON objects with dotted keys, many devices in one array. Knows the keys that have a place of their
 * own with us; any other number or boolean is a reading under its own name. A message whose position is absent, or marked
 * as not valid, yields its readings alone.
 */
import { emptyDecoded, refuseMessage, type Decoded } from './decoded.ts';
import {
  decodeEach,
  deviceNameOf,
  DraftRecord,
  kmToM,
  kphToMps,
  parseJson,
  type JsonObject,
  type Reason,
} from './record.ts';
import { readTime } from './time.ts';
import type { Format, HttpWireMessage, HttpWireRequest } from './wires.ts';

export const flespi: Format<'flespi'> = {
  name: 'flespi',
  http: {
    path: '/flespi',
    methods: ['POST'],
    contentTypes: ['application/json'],
    takesOtherTypes: false,
    credentials: ['bearer', 'token_key'],
    answer: 'counts',
    // A stream sends its batch again until it is taken: one message that is never right, or of a device that is not known,
    // would hold up all behind it. A body that is no batch comes from no stream, or one that is set up wrongly.
    status: { refused: 200, malformed: 422, unknownDevice: 200 },
    decode: (request: HttpWireRequest): HttpWireMessage => ({
      deviceName: null,
      decoded: decodeFlespi(request.body, request.nowMs),
    }),
    operation: {
      name: 'flespi',
      summary: 'A stream of flespi',
      description:
        'An array of messages, each with `ident` (the name of the device) and `timestamp`. The token of a gateway, or of ' +
        'the one device, is a bearer token or the key `token` of the query. Answered after the commit with what became of ' +
        'the messages. Refused ones are kept, and do not hold up the stream.',
      query: { token: 'Token of a gateway or device' },
    },
  },
};

/** Decodes an array of messages, or one. Never throws; what is wrong becomes a refusal with the message's index. */
export function decodeFlespi(payload: Buffer, nowMs: number): Decoded {
  const decoded = emptyDecoded();
  const parsed = parseJson(payload);
  if (!parsed.ok) refuseMessage(decoded, parsed.reason, parsed.detail);
  else {
    const messages = Array.isArray(parsed.value) ? parsed.value : [parsed.value];
    decodeEach(decoded, messages, (message, index) =>
      decodeMessage(decoded, message, index, nowMs),
    );
  }
  return decoded;
}

function decodeMessage(
  decoded: Decoded,
  message: JsonObject,
  index: number,
  nowMs: number,
): Reason | null {
  const device = deviceNameOf(message['ident']);
  if (typeof device !== 'string') return device;
  const time = readTime(message['timestamp'], nowMs);
  if (!time.ok) return time;
  const draft = new DraftRecord(decoded, { index, device, timeMs: time.timeMs });
  const refusal = draft.setPosition(message['position.latitude'], message['position.longitude']);
  if (refusal !== null) return refusal;
  if (message['position.valid'] === false) draft.doubtPosition();
  for (const [key, value] of Object.entries(message)) {
    if (OF_THE_ENVELOPE.has(key)) continue;
    const set = KEYS.get(key);
    if (set !== undefined) set(draft, value);
    else {
      draft.unknown(key, value);
      if (value === true && key.endsWith(TRIGGER)) draft.setEvent(key.slice(0, -TRIGGER.length));
    }
  }
  draft.finish();
  return null;
}

/** `shock.event.trigger` is the event `shock`; the first one that is true names the fix. */
const TRIGGER = '.event.trigger';

/** Keys that are read by name, and what flespi writes about the way of a message, which is nothing of the device's. */
const OF_THE_ENVELOPE: ReadonlySet<string> = new Set([
  'ident', 'timestamp', 'position.latitude', 'position.longitude', 'position.valid',
  'server.timestamp', 'channel.id', 'protocol.id', 'peer', 'device.id', 'device.name', 'device.type.id',
]); // prettier-ignore

const VOLTS = { uomCode: 'V' };
const PERCENT = { uomCode: '%', min: 0, max: 100 };

const KEYS: ReadonlyMap<string, (draft: DraftRecord, value: unknown) => void> = new Map([
  ['position.speed', (draft: DraftRecord, value) => draft.set('speedMps', value, kphToMps)],
  ['position.direction', (draft, value) => draft.set('headingDeg', value)],
  ['position.altitude', (draft, value) => draft.set('altitudeM', value)],
  ['position.satellites', (draft, value) => draft.set('satellites', value)],
  ['position.hdop', (draft, value) => draft.named('hdop', value, { min: 0 })],
  ['position.pdop', (draft, value) => draft.named('pdop', value, { min: 0 })],
  ['engine.ignition.status', (draft, value) => draft.setIgnition(value)],
  ['movement.status', (draft, value) => draft.setMotion(value)],
  ['vehicle.mileage', (draft, value) => draft.set('odometerM', value, kmToM)],
  ['record.seqnum', (draft, value) => draft.set('seq', value)],
  ['battery.level', (draft, value) => draft.named('battery_pct', value, PERCENT)],
  ['battery.voltage', (draft, value) => draft.named('battery_v', value, VOLTS)],
  ['external.powersource.voltage', (draft, value) => draft.named('external_v', value, VOLTS)],
  ['fuel.level', (draft, value) => draft.named('fuel_pct', value, PERCENT)],
] satisfies [string, (draft: DraftRecord, value: unknown) => void][]);

/**
 * OwnTracks' messages, over MQTT and HTTP alike. A location is a fix; what else a phone tells (regions entered and left,
 * waypoints, its last will, its card) is kept as an event, as it was told. Knows these messages; refuses to know who
 * sent them, and keys to what is encrypted.
 */
import {
  addEvent,
  emptyDecoded,
  ignore,
  refuseMessage,
  type Decoded,
  type DeviceEventKind,
} from './decoded.ts';
import {
  coordinateOf,
  decodeEach,
  DraftRecord,
  isAbsent,
  isObject,
  kmToM,
  kphToMps,
  numberOf,
  parseJson,
  timeValueOf,
  type JsonObject,
  type Reason,
} from './record.ts';
import { AHEAD_MS_MAX, readTime, type TimeResult } from './time.ts';
import type { Format, HttpWireMessage, HttpWireRequest } from './wires.ts';

/** Characters of a card's picture that are kept; a larger one is left out and counted. */
const FACE_CHARS_MAX = 12_000;
/** Epoch numbers below this are seconds. */
const EPOCH_S_BELOW = 1e11;
const PREFIX = 'owntracks/';
/** What may stand behind `owntracks/{user}/{device}`; what is sent to a device (`cmd`) is none of its own. */
const SUBTOPICS: ReadonlySet<string> = new Set([
  '/event', '/waypoint', '/waypoints', '/status', '/step', '/beacon', '/dump', '/info',
]); // prettier-ignore

export const owntracks: Format<'owntracks'> = {
  name: 'owntracks',
  mqtt: {
    topics: `${PREFIX}{device}/+`,
    ownTopic(topic, deviceName) {
      const userEnd = PREFIX.length + deviceName.length;
      if (!topic.startsWith(PREFIX) || !topic.startsWith(deviceName, PREFIX.length)) return null;
      if (topic[userEnd] !== '/') return null;
      const deviceEnd = topic.indexOf('/', userEnd + 1);
      if (deviceEnd === -1) return topic.length > userEnd + 1 ? decodeOwntracks : null;
      if (deviceEnd === userEnd + 1) return null;
      return SUBTOPICS.has(topic.slice(deviceEnd)) ? decodeOwntracks : null;
    },
  },
  http: {
    path: '/owntracks',
    methods: ['POST'],
    contentTypes: ['application/json'],
    takesOtherTypes: false,
    credentials: ['basic', 'bearer'],
    answer: 'empty_list',
    // The app sends one message after the other, and waits until each is taken: one that can never be taken would hold
    // up all behind it for good. It is kept as refused, so it is taken. A device that is not known yet may be tomorrow.
    status: { refused: 200, malformed: 200, unknownDevice: 400 },
    decode: decodeRequest,
    operation: {
      name: 'owntracks',
      summary: 'OwnTracks in HTTP mode',
      description:
        'Basic authentication with the name and token of a device, or with any user and the token of a gateway; then the ' +
        'device is `X-Limit-D`, the key `d`, the third level of `topic`, or `tid`. Answered with `[]` after the commit; a body ' +
        'of no bytes is passed over. A refused message that is kept in the list of rejects is answered so too, because ' +
        'the app would send it for ever and nothing behind it.',
      query: { d: "Name of the device, with a gateway's token" },
    },
  },
};

/** Decodes one message for the device behind the credential. Never throws; no bytes at all are no message. */
export function decodeOwntracks(payload: Buffer, nowMs: number): Decoded {
  return decodeFor(payload, nowMs, () => null).decoded;
}

/** As {@link decodeOwntracks}, for a sender who must say which device the message is of. */
function decodeRequest(request: HttpWireRequest): HttpWireMessage {
  const { body, nowMs, mustNameDevice } = request;
  return decodeFor(body, nowMs, (message) => (mustNameDevice ? nameIn(request, message) : null));
}

function decodeFor(
  payload: Buffer,
  nowMs: number,
  deviceOf: (message: JsonObject) => string | null,
): HttpWireMessage {
  const decoded = emptyDecoded();
  if (payload.length === 0) return { deviceName: null, decoded };
  const parsed = parseJson(payload);
  if (!parsed.ok) {
    refuseMessage(decoded, parsed.reason, parsed.detail);
    return { deviceName: null, decoded };
  }
  if (!isObject(parsed.value)) {
    refuseMessage(decoded, 'record_type', 'a message must be a JSON object');
    return { deviceName: null, decoded };
  }
  const device = deviceOf(parsed.value);
  const refusal = decodeMessage(decoded, parsed.value, { index: 0, device, nowMs });
  if (refusal !== null) refuseMessage(decoded, refusal.reason, refusal.detail);
  return { deviceName: device, decoded };
}

function nameIn({ header, query }: HttpWireRequest, message: JsonObject): string | null {
  const { topic, tid } = message;
  const levels = typeof topic === 'string' ? topic.split('/', 3) : [];
  const names = [header('x-limit-d'), new URLSearchParams(query).get('d'), levels[2], tid];
  const name = names.find((one) => !isAbsent(one));
  return typeof name === 'string' ? name : null;
}

interface Head {
  readonly index: number;
  readonly device: string | null;
  readonly nowMs: number;
}

type MessageDecode = (decoded: Decoded, message: JsonObject, head: Head) => Reason | null;

const TYPES: ReadonlyMap<unknown, MessageDecode> = new Map<unknown, MessageDecode>([
  ['location', decodeLocation],
  ['transition', decodeTransition],
  ['waypoint', decodeWaypoint],
  ['waypoints', decodeWaypoints],
  // Its time is that of the first connection and not of the loss, which is now.
  ['lwt', (decoded, message, head) => keep(decoded, message, head, 'last_will', head.nowMs)],
  ['card', decodeCard],
  ['status', (decoded, message, head) => keepTimed(decoded, message, head, 'status')],
  ['steps', (decoded, message, head) => keepTimed(decoded, message, head, 'steps')],
  ['beacon', (decoded, message, head) => keepTimed(decoded, message, head, 'beacon')],
  ['dump', decodeDump],
  ['encrypted', () => ({ reason: 'encrypted', detail: 'encrypted messages cannot be read here' })],
]);

function decodeMessage(decoded: Decoded, message: JsonObject, head: Head): Reason | null {
  const type = message['_type'];
  if (isAbsent(type)) return { reason: 'type_missing', detail: '_type is required' };
  const decode = TYPES.get(type);
  if (decode !== undefined) return decode(decoded, message, head);
  const named = JSON.stringify(type).slice(0, 40);
  return { reason: 'type_unknown', detail: `messages of the _type ${named} are not taken` };
}

type Setter = (draft: DraftRecord, value: unknown) => void;
const PERCENT = { uomCode: '%', min: 0, max: 100 };
const READ_ELSEWHERE: ReadonlySet<string> = new Set([
  '_type', '_id', 'lat', 'lon', 'tst', 't', 'tid', 'topic',
]); // prettier-ignore

const LOCATION_KEYS = new Map<string, Setter>([
  ['acc', (draft, value) => draft.set('accuracyM', value)],
  ['alt', (draft, value) => draft.set('altitudeM', value)],
  ['vel', (draft, value) => draft.set('speedMps', value, kphToMps)],
  ['cog', (draft, value) => draft.set('headingDeg', value)],
  ['ign', (draft, value) => draft.setIgnition(value)],
  ['motion', (draft, value) => draft.setMotion(value)],
  ['odometer', (draft, value) => draft.set('odometerM', value, kmToM)],
  ['vac', (draft, value) => draft.named('vertical_accuracy_m', value, { uomCode: 'm', min: 0 })],
  ['batt', (draft, value) => draft.named('battery_pct', value, PERCENT)],
  ['bs', (draft, value) => draft.named('battery_status', value, { min: 0, max: 3 })],
  ['p', (draft, value) => draft.named('pressure_kpa', value, { uomCode: 'kPa', min: 0 })],
  ['m', (draft, value) => draft.named('monitoring_mode', value)],
  ['created_at', (draft, value) => draft.named('created_at_s', value, { uomCode: 's', min: 0 })],
  ['ubatt', (draft, value) => draft.named('battery_v', value, { uomCode: 'V' })],
  ['uext', (draft, value) => draft.named('external_v', value, { uomCode: 'V' })],
  ['rpm', (draft, value) => draft.named('rpm', value, { min: 0 })],
  ['hmc', (draft, value) => draft.named('engine_hours_s', value, { uomCode: 's', min: 0 })],
]);

function decodeLocation(decoded: Decoded, message: JsonObject, head: Head): Reason | null {
  const time = timeOf(message['tst'], head.nowMs);
  if (!time.ok) return time;
  const { index, device } = head;
  const draft = new DraftRecord(decoded, { index, device, timeMs: time.timeMs });
  for (const key of ['lat', 'lon'] as const) {
    const place = coordinateOf(key, message[key], key === 'lat' ? 90 : 180);
    if (typeof place !== 'number') return place;
  }
  draft.setPosition(message['lat'], message['lon']);
  draft.setEvent(message['t']);
  for (const [key, value] of Object.entries(message)) {
    const set = LOCATION_KEYS.get(key);
    if (set !== undefined) set(draft, value);
    else if (!READ_ELSEWHERE.has(key)) draft.unknown(key, value);
  }
  draft.finish();
  return null;
}

const REGION_KIND: Readonly<Record<string, DeviceEventKind>> = {
  enter: 'region_enter',
  leave: 'region_leave',
};

function decodeTransition(decoded: Decoded, message: JsonObject, head: Head): Reason | null {
  const { event, t } = message;
  if (typeof event !== 'string' || !Object.hasOwn(REGION_KIND, event)) {
    return { reason: 'event_unknown', detail: 'event must be enter or leave' };
  }
  const time = timeOf(message['tst'], head.nowMs);
  if (!time.ok) return time;
  // Beside a beacon the phone's position is made up, or that of another time.
  const placed = t === 'b' ? { ...message, lat: undefined, lon: undefined } : message;
  return keep(decoded, placed, head, REGION_KIND[event]!, time.timeMs);
}

/**
 * A place that the owner has marked. Its time is when it was marked, which may be years ago and names the waypoint ever
 * after; so it is held to the present alone.
 */
function decodeWaypoint(decoded: Decoded, message: JsonObject, head: Head): Reason | null {
  const { tst } = message;
  if (isAbsent(tst)) return { reason: 'time_missing', detail: 'tst is required' };
  const epoch = numberOf(tst);
  if (Number.isNaN(epoch)) {
    return {
      reason: 'time_invalid',
      detail: 'tst must be an epoch number in seconds or milliseconds',
    };
  }
  const timeMs = Math.floor(epoch < EPOCH_S_BELOW ? epoch * 1000 : epoch);
  if (timeMs < 0 || timeMs > head.nowMs + AHEAD_MS_MAX) {
    return { reason: 'time_range', detail: 'tst is before 1970 or more than 10 minutes ahead' };
  }
  const radius = numberOf(message['rad']);
  const stated = Number.isNaN(radius) ? message : { ...message, rad: radius };
  return keep(decoded, stated, head, 'waypoint', timeMs);
}

function decodeWaypoints(decoded: Decoded, message: JsonObject, head: Head): Reason | null {
  const list = message['waypoints'];
  if (!Array.isArray(list)) {
    return { reason: 'waypoints_type', detail: 'waypoints must be a list' };
  }
  decodeEach(decoded, list, (waypoint, index) =>
    decodeWaypoint(decoded, waypoint, { ...head, index }),
  );
  return null;
}

function decodeCard(decoded: Decoded, message: JsonObject, head: Head): Reason | null {
  const { face, ...card } = message;
  const isKept = face === undefined || (typeof face === 'string' && face.length <= FACE_CHARS_MAX);
  if (!isKept) ignore(decoded, 'face');
  return keep(decoded, isKept ? message : card, head, 'card', head.nowMs);
}

/** Settings of the app that open something. */
const SECRETS: ReadonlySet<string> = new Set([
  'password',
  'encryptionKey',
  'secret',
  'tlsClientCrtPassword',
]);

/** The app's settings, without those that are secret. */
function decodeDump(decoded: Decoded, message: JsonObject, head: Head): Reason | null {
  const settings = message['configuration'];
  const told = isObject(settings)
    ? Object.fromEntries(Object.entries(settings).filter(([key]) => !SECRETS.has(key)))
    : settings;
  return keep(decoded, { ...message, configuration: told }, head, 'dump', head.nowMs);
}

function keepTimed(
  decoded: Decoded,
  message: JsonObject,
  head: Head,
  kind: DeviceEventKind,
): Reason | null {
  const time = timeOf(isAbsent(message['tst']) ? head.nowMs : message['tst'], head.nowMs);
  return time.ok ? keep(decoded, message, head, kind, time.timeMs) : time;
}

/** Keeps the message as an event; its place, where it has one that makes sense, stands beside its own fields. */
function keep(
  decoded: Decoded,
  message: JsonObject,
  head: Head,
  kind: DeviceEventKind,
  timeMs: number,
): null {
  const { lat, lon } = message;
  const detail = Object.fromEntries(
    Object.entries(message).filter(([key]) => !OUTSIDE_DETAIL.has(key)),
  );
  const place = [coordinateOf('lat', lat, 90), coordinateOf('lon', lon, 180)];
  const hasPlace = place.every((value) => typeof value === 'number');
  if (!hasPlace && !(isAbsent(lat) && isAbsent(lon))) ignore(decoded, 'place');
  const [latDeg, lonDeg] = hasPlace ? (place as [number, number]) : [NaN, NaN];
  const { index, device } = head;
  addEvent(decoded, { index, device, kind, timeMs, latDeg, lonDeg, detail });
  return null;
}

const OUTSIDE_DETAIL: ReadonlySet<string> = new Set(['_type', 'lat', 'lon', 'topic']);

function timeOf(value: unknown, nowMs: number): TimeResult {
  return readTime(timeValueOf(value), nowMs);
}

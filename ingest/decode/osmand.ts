/**
 * OsmAnd's live tracking, as Traccar Client speaks it in three generations: keys in the query (up to 8), JSON (9), keys
 * in a form (10). Knows these names and units; refuses to know who is allowed to send them.
 *
 * A message without a position, or with one that the client marks as not valid, yields its readings alone. Cell towers
 * and Wi-Fi networks are no position: they are left out and counted.
 */
import { addEvent, emptyDecoded, ignore, refuseMessage, type Decoded } from './decoded.ts';
import {
  coordinateOf,
  decodeEach,
  deviceNameOf,
  DraftRecord,
  isAbsent,
  isObject,
  knotsToMps,
  numberOf,
  parseJson,
  timeValueOf,
  type JsonObject,
  type Reason,
} from './record.ts';
import { readTime, type TimeResult } from './time.ts';
import type { Format, HttpWireMessage, HttpWireRequest } from './wires.ts';

/** Bytes of a form; a record has 200. */
const FORM_BYTES_MAX = 65_536;
/** Keys of a query or form; more are refused before they are looked at. */
const KEYS_MAX = 500;

export const osmand: Format<'osmand'> = {
  name: 'osmand',
  http: {
    path: '/osmand',
    methods: ['GET', 'POST'],
    contentTypes: ['application/json', 'application/x-www-form-urlencoded'],
    // Clients post an empty body with whatever type their library puts there; the query counts then.
    takesOtherTypes: true,
    credentials: ['bearer', 'basic', 'token_key', 'name'],
    answer: 'empty',
    // As these clients expect it. They keep the message, and try it again until it is taken or removed by hand.
    status: { refused: 400, malformed: 400, unknownDevice: 400 },
    decode: decodeOsmand,
    operation: {
      name: 'osmand',
      summary: 'OsmAnd and Traccar Client, all three generations',
      description:
        'Keys in the query (GET or POST), keys in a form, or the JSON of Traccar Client 9, where `location` may be a ' +
        'list. The query wins: a form is read only where the query holds nothing but `token`. Answered with an empty ' +
        'body after the commit. The token of a device or gateway goes into `Authorization` (bearer, or basic with any ' +
        'user for a gateway) or the key `token`; without one, only devices marked for it may sign in, by name.',
      query: {
        id: 'Name of the device; also `deviceid`',
        token: 'Token of a device or gateway',
        timestamp:
          'Epoch seconds or milliseconds, or ISO 8601; time of receipt where it is left out',
        lat: 'Degrees north',
        lon: 'Degrees east',
        location: '`lat,lon` in place of both',
        valid: '`false`: the position is left out',
        speed: 'Knots',
        bearing: 'Degrees; also `heading`',
        altitude: 'Metres',
        accuracy: 'Metres',
        batt: 'Percent',
        charge: '`true` while charging',
        alarm: 'What is wrong, such as `sos`',
      },
    },
  },
};

/** Decodes a request of any generation. Every refusal is one of the message, and nothing throws. */
export function decodeOsmand(request: HttpWireRequest): HttpWireMessage {
  const isJson = request.contentType === 'application/json' && request.body.length > 0;
  if (isJson) return decodeJson(request);
  if (request.query === '' && request.body.length > FORM_BYTES_MAX) {
    return refused(null, {
      reason: 'form_max',
      detail: `a form has at most ${FORM_BYTES_MAX} bytes`,
    });
  }
  const text = request.query === '' ? request.body.toString('utf8') : request.query;
  return decodeKeys(new URLSearchParams(text), request.nowMs);
}

/** Generations up to 8 and 10: keys and values. */
function decodeKeys(params: URLSearchParams, nowMs: number): HttpWireMessage {
  if (params.size > KEYS_MAX) {
    return refused(null, { reason: 'keys_max', detail: `a message has at most ${KEYS_MAX} keys` });
  }
  const device = deviceNameOf(params.get('id') ?? params.get('deviceid'));
  if (typeof device !== 'string') return refused(null, device);
  const decoded = emptyDecoded();
  const time = timeOf(params.get('timestamp'), nowMs);
  if (!time.ok) return refused(device, time);
  const draft = new DraftRecord(decoded, { index: 0, device, timeMs: time.timeMs });
  const refusal = draft.setPosition(...placeIn(params));
  if (refusal !== null) return refused(device, refusal);
  if (isFalse(params.get('valid'))) draft.doubtPosition();
  draft.setEvent(params.get('alarm'));
  for (const [key, value] of params) setKey(draft, decoded, key, value);
  draft.finish();
  return { deviceName: device, decoded };
}

/** Epoch or ISO 8601; where there is none, the time of receipt. */
function timeOf(value: unknown, nowMs: number): TimeResult {
  return readTime(isAbsent(value) ? nowMs : timeValueOf(value), nowMs);
}

function placeIn(params: URLSearchParams): [lat: string | null, lon: string | null] {
  const lat = params.get('lat');
  const lon = params.get('lon');
  const location = params.get('location');
  if (!isAbsent(lat) || !isAbsent(lon) || isAbsent(location)) return [lat, lon];
  const [first = '', second = ''] = location!.split(',');
  return [first, second];
}

type KeyMeaning = 'read' | 'no_place' | ((draft: DraftRecord, value: string) => void);

/** What a key means: `read` elsewhere, has `no_place` with us, or sets something. */
const KEYS = new Map<string, KeyMeaning>([
  ...['id', 'deviceid', 'timestamp', 'lat', 'lon', 'location', 'valid', 'alarm'].map(
    (key): [string, KeyMeaning] => [key, 'read'],
  ),
  ...['cell', 'wifi', 'driverUniqueId'].map((key): [string, KeyMeaning] => [key, 'no_place']),
  ['speed', (draft, value) => draft.set('speedMps', value, knotsToMps)],
  ['bearing', (draft, value) => draft.set('headingDeg', value)],
  ['heading', (draft, value) => draft.set('headingDeg', value)],
  ['altitude', (draft, value) => draft.set('altitudeM', value)],
  ['accuracy', (draft, value) => draft.set('accuracyM', value)],
  ['odometer', (draft, value) => draft.set('odometerM', value)],
  ['sat', (draft, value) => draft.set('satellites', value)],
  ['satellites', (draft, value) => draft.set('satellites', value)],
  ['ignition', (draft, value) => draft.setIgnition(value)],
  ['motion', (draft, value) => draft.setMotion(value)],
  ['event', (draft, value) => draft.setEvent(value)],
  ['batt', (draft, value) => draft.named('battery_pct', value, PERCENT)],
  ['charge', (draft, value) => draft.namedFlag('charging', value)],
  ['mock', (draft, value) => draft.namedFlag('mock', value)],
  ['hdop', (draft, value) => draft.named('hdop', value, { min: 0 })],
]);

const PERCENT = { uomCode: '%', min: 0, max: 100 };

function setKey(draft: DraftRecord, decoded: Decoded, key: string, value: string): void {
  const meaning = KEYS.get(key);
  if (meaning === 'read') return;
  if (meaning === 'no_place') ignore(decoded, key);
  else if (meaning !== undefined) meaning(draft, value);
  else if (value !== '') draft.unknown(key, looseValueOf(value));
}

/** A number or boolean where the text is one. */
function looseValueOf(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  const number = numberOf(text);
  return Number.isNaN(number) ? text : number;
}

function isFalse(value: unknown): boolean {
  return value === false || value === 'false' || value === '0';
}

/** Generation 9: `device_id`, and a location or a list of them. */
function decodeJson(request: HttpWireRequest): HttpWireMessage {
  const parsed = parseJson(request.body);
  if (!parsed.ok) return refused(null, parsed);
  if (!isObject(parsed.value)) {
    return refused(null, { reason: 'record_type', detail: 'the body must be a JSON object' });
  }
  const { device_id: deviceId, location } = parsed.value;
  const params = new URLSearchParams(request.query);
  const device = deviceNameOf(deviceId ?? params.get('id') ?? params.get('deviceid'));
  if (typeof device !== 'string') return refused(null, device);
  if (isAbsent(location)) {
    return refused(device, { reason: 'location_missing', detail: 'location is required' });
  }
  const decoded = emptyDecoded();
  for (const key of Object.keys(parsed.value)) {
    if (key !== 'device_id' && key !== 'location') ignore(decoded, 'unknown_key');
  }
  decodeEach(decoded, Array.isArray(location) ? location : [location], (record, index) =>
    decodeLocation(decoded, record, { index, device, nowMs: request.nowMs }),
  );
  return { deviceName: device, decoded };
}

interface LocationHead {
  readonly index: number;
  readonly device: string;
  readonly nowMs: number;
}

function decodeLocation(decoded: Decoded, record: JsonObject, head: LocationHead): Reason | null {
  const { index, device, nowMs } = head;
  const time = timeOf(record['timestamp'], nowMs);
  if (!time.ok) return time;
  const draft = new DraftRecord(decoded, { index, device, timeMs: time.timeMs });
  const coords = isObject(record['coords']) ? record['coords'] : null;
  if (coords !== null) {
    const refusal = setCoords(draft, coords);
    if (refusal !== null) return refusal;
  }
  if (isFalse(record['valid'])) draft.doubtPosition();
  draft.setEvent(record['alarm']);
  draft.setEvent(record['event']);
  draft.setMotion(record['is_moving']);
  draft.set('odometerM', record['odometer']);
  draft.namedFlag('mock', record['mock']);
  if (isObject(record['battery'])) setBattery(draft, record['battery']);
  if (isObject(record['activity'])) setActivity(draft, decoded, record['activity']);
  for (const [key, value] of Object.entries(record)) {
    if (!LOCATION_KEYS.has(key)) draft.unknown(key, value);
  }
  if (isObject(record['extras'])) {
    for (const [key, value] of Object.entries(record['extras'])) draft.unknown(key, value);
  }
  draft.finish();
  if (isObject(record['geofence'])) {
    addRegion(decoded, record['geofence'], coords, { index, device, timeMs: time.timeMs });
  }
  return null;
}

/** Keys of a location that are read by name; the name of a request (`uuid`) and its copy as a query (`_`) say nothing. */
const LOCATION_KEYS: ReadonlySet<string> = new Set([
  'timestamp', 'coords', 'valid', 'alarm', 'event', 'is_moving', 'odometer', 'mock', 'battery', 'activity', 'extras',
  'geofence', 'uuid', '_',
]); // prettier-ignore

const COORDS_KEYS: ReadonlySet<string> = new Set([
  'latitude', 'longitude', 'accuracy', 'speed', 'heading', 'altitude',
]); // prettier-ignore

function setCoords(draft: DraftRecord, coords: JsonObject): Reason | null {
  const refusal = draft.setPosition(coords['latitude'], coords['longitude']);
  if (refusal !== null) return refusal;
  draft.set('accuracyM', coords['accuracy']);
  draft.set('speedMps', coords['speed']);
  draft.set('headingDeg', coords['heading']);
  draft.set('altitudeM', coords['altitude']);
  for (const [key, value] of Object.entries(coords)) {
    // −1 is "unknown" for these numbers, which are accuracies mostly.
    if (!COORDS_KEYS.has(key) && value !== -1) draft.unknown(key, value);
  }
  return null;
}

function setBattery(draft: DraftRecord, battery: JsonObject): void {
  // To a hundredth, so that 0.57 is 57 and not a little less.
  const convert = (level: number): number => Math.round(level * 1e4) / 100;
  draft.named('battery_pct', battery['level'], { ...PERCENT, convert });
  draft.namedFlag('charging', battery['is_charging']);
}

function setActivity(draft: DraftRecord, decoded: Decoded, activity: JsonObject): void {
  if (!isAbsent(activity['type'])) ignore(decoded, 'activity');
  draft.named('activity_confidence_pct', activity['confidence'], PERCENT);
}

const REGION_KIND: Readonly<Record<string, 'region_enter' | 'region_leave'>> = {
  ENTER: 'region_enter',
  EXIT: 'region_leave',
};

/** A region that the client itself watches. Staying in one has no place with us. */
function addRegion(
  decoded: Decoded,
  region: JsonObject,
  coords: JsonObject | null,
  head: { index: number; device: string; timeMs: number },
): void {
  const { identifier, action } = region;
  const isKnown = typeof action === 'string' && Object.hasOwn(REGION_KIND, action);
  if (!isKnown || typeof identifier !== 'string') return ignore(decoded, 'geofence');
  const latDeg = coordinateOf('lat', coords?.['latitude'], 90);
  const lonDeg = coordinateOf('lon', coords?.['longitude'], 180);
  addEvent(decoded, {
    ...head,
    kind: REGION_KIND[action]!,
    latDeg: typeof latDeg === 'number' ? latDeg : NaN,
    lonDeg: typeof lonDeg === 'number' ? lonDeg : NaN,
    detail: { desc: identifier, action },
  });
}

function refused(deviceName: string | null, { reason, detail }: Reason): HttpWireMessage {
  const decoded = emptyDecoded();
  refuseMessage(decoded, reason, detail);
  return { deviceName, decoded };
}

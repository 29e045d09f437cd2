import t from 'tap';
import { FORMATS, HTTP_FORMATS, ownTopic, ownTopicsText } from './formats.ts';
import { told } from './test-told.ts';

const NOW_MS = Date.parse('2026-06-15T12:00:00Z');

/** What each topic is read as, told by what an empty object gives there. */
const READ_AS = {
  fixes: 'refused 0 time_missing',
  owntracks: 'refused -1 type_missing',
};

const TOPICS: readonly [topic: string, device: string, format: keyof typeof READ_AS | null][] = [
  ['v1/devices/dev-1/fixes', 'dev-1', 'fixes'],
  ['v1/devices/dev-1/metrics', 'dev-1', 'fixes'],
  ['v1/devices/dev-2/fixes', 'dev-1', null],
  ['v1/devices/dev-11/fixes', 'dev-1', null],
  ['v1/devices/dev-1/fixes/', 'dev-1', null],
  ['v1/devices/dev-1//fixes', 'dev-1', null],
  ['v1/devices/dev-1/Fixes', 'dev-1', null],
  ['/v1/devices/dev-1/fixes', 'dev-1', null],
  ['v1/devices/dev-1/x/fixes', 'dev-1', null],
  ['v1/devices/dev-1', 'dev-1', null],
  ['v1/devices/dev-1/commands', 'dev-1', null],
  ['owntracks/dev-1/phone', 'dev-1', 'owntracks'],
  ['owntracks/dev-1/dev-2', 'dev-1', 'owntracks'],
  ['owntracks/dev-1/phone/event', 'dev-1', 'owntracks'],
  ['owntracks/dev-1/phone/waypoint', 'dev-1', 'owntracks'],
  ['owntracks/dev-1/phone/waypoints', 'dev-1', 'owntracks'],
  ['owntracks/dev-1/phone/status', 'dev-1', 'owntracks'],
  ['owntracks/dev-1/phone/step', 'dev-1', 'owntracks'],
  ['owntracks/dev-1/phone/beacon', 'dev-1', 'owntracks'],
  ['owntracks/dev-1/phone/dump', 'dev-1', 'owntracks'],
  ['owntracks/dev-1/phone/info', 'dev-1', 'owntracks'],
  ['owntracks/dev-1/phone/cmd', 'dev-1', null],
  ['owntracks/dev-1/phone/event/x', 'dev-1', null],
  ['owntracks/dev-1/phone/', 'dev-1', null],
  ['owntracks/dev-1/', 'dev-1', null],
  ['owntracks/dev-1//event', 'dev-1', null],
  ['owntracks/dev-1', 'dev-1', null],
  ['owntracks/dev-11/phone', 'dev-1', null],
  ['owntracks/dev-123/event', 'dev-1', null],
  ['owntracks/dev-12', 'dev-1', null],
  ['owntracks/dev-2/dev-1', 'dev-1', null],
  ['$SYS/x', 'dev-1', null],
];

t.test('topics of a device, and those that are not its own', (t) => {
  for (const [topic, device, format] of TOPICS) {
    const decode = ownTopic(topic, device);
    const gives = decode === null ? null : told(decode(Buffer.from('{}'), NOW_MS))[0];
    t.equal(gives, format === null ? null : READ_AS[format], topic);
  }
  const text = 'v1/devices/dev-1/fixes|metrics and owntracks/dev-1/+';
  t.equal(ownTopicsText('dev-1'), text);
  t.end();
});

t.test('the kind of a native topic', (t) => {
  const record = Buffer.from(JSON.stringify({ time: NOW_MS, metric: 'x', value: 1 }));
  const decode = (topic: string) => told(ownTopic(topic, 'd')!(record, NOW_MS));
  t.same(decode('v1/devices/d/fixes'), ['refused 0 lat_missing']);
  t.same(decode('v1/devices/d/metrics'), ['reading x=1']);
  const fix = JSON.stringify({ time: NOW_MS, lat: 1, lon: 2 });
  const many = (text: string) =>
    told(ownTopic('v1/devices/d/fixes', 'd')!(Buffer.from(text), NOW_MS));
  const read = `fix timeMs=${NOW_MS} latDeg=1 lonDeg=2`;
  const lines = `${fix}\r\n\n{"time":\n${record.toString()}\n${fix}`;
  const refused = ['refused 1 json_malformed', 'refused 2 lat_missing'];
  t.same(many(lines), [read, read, ...refused], 'one record a line, each a fix');
  t.same(many(JSON.stringify([JSON.parse(fix), JSON.parse(fix)], null, 2)), [read, read], 'a list');
  t.same(many(JSON.stringify(JSON.parse(fix), null, 2)), [read], 'one record on many lines');
  t.same(many(`{\n"time":}\n`), ['refused -1 json_malformed'], 'broken as a whole');
  t.end();
});

t.test('names and routes are there once', (t) => {
  const names = FORMATS.map(({ name }) => name);
  t.equal(new Set(names).size, names.length);
  const paths = HTTP_FORMATS.map(({ http }) => http.path);
  t.equal(new Set(paths).size, paths.length);
  t.ok(paths.length > 0);
  for (const { name, http, mqtt, tcp } of FORMATS) t.ok(http ?? mqtt ?? tcp, `${name} has a wire`);
  t.end();
});

import t from 'tap';
import { ownTopicKind } from './topics.ts';

const ROWS: readonly [string, string, string | null][] = [
  ['v1/devices/dev-1/fixes', 'dev-1', 'fixes'],
  ['v1/devices/dev-1/metrics', 'dev-1', 'metrics'],
  ['v1/devices/dev-2/fixes', 'dev-1', null],
  ['v1/devices/dev-11/fixes', 'dev-1', null],
  ['v1/devices/dev-1/fixes/', 'dev-1', null],
  ['v1/devices/dev-1//fixes', 'dev-1', null],
  ['v1/devices/dev-1/Fixes', 'dev-1', null],
  ['/v1/devices/dev-1/fixes', 'dev-1', null],
  ['v1/devices/dev-1', 'dev-1', null],
  ['v1/devices/dev-1/x/fixes', 'dev-1', null],
  ['v1/devices//fixes', '', 'fixes'],
  ['$SYS/x', 'dev-1', null],
  ['owntracks/u/dev-1', 'dev-1', null],
];

t.test('a device owns exactly two topics', (t) => {
  for (const [topic, device, kind] of ROWS) t.equal(ownTopicKind(topic, device), kind, topic);
  t.end();
});

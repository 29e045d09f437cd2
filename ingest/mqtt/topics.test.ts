import t from 'tap';
import { commandTopic, judgeFilter, ownTopicKind, type FilterKind } from './topics.ts';

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

// filter, what it is in 5.0, what it is in 3.1.1
const FILTERS: readonly [string, FilterKind, FilterKind][] = [
  ['a/b', 'plain', 'plain'],
  ['/', 'plain', 'plain'],
  [commandTopic('dev-1'), 'plain', 'plain'],
  ['', 'invalid', 'invalid'],
  ['#', 'wildcard', 'wildcard'],
  ['a/+/#', 'wildcard', 'wildcard'],
  ['+', 'wildcard', 'wildcard'],
  ['a/#/b', 'invalid', 'invalid'],
  ['a#', 'invalid', 'invalid'],
  ['a/b+', 'invalid', 'invalid'],
  ['$share/g/a', 'shared', 'plain'],
  ['$share/g/a/#', 'shared', 'wildcard'],
  ['$share/g/a#', 'invalid', 'invalid'],
  ['$share/g', 'invalid', 'plain'],
  ['$share//a', 'invalid', 'plain'],
  ['$share/g/', 'invalid', 'plain'],
  ['$share/+/a', 'invalid', 'wildcard'],
  ['$shared/g/a', 'plain', 'plain'],
];

t.test('filters, row by row', (t) => {
  for (const [filter, in5, in311] of FILTERS) {
    t.equal(judgeFilter(filter, true), in5, `5.0 ${filter}`);
    t.equal(judgeFilter(filter, false), in311, `3.1.1 ${filter}`);
  }
  t.end();
});

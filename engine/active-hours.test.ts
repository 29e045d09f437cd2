import t from 'tap';
import { readActiveHours } from './active-hours.ts';
import { SCHEDULE_WINDOWS_MAX } from './schedule.ts';

const window = { days: ['mon'], from: '08:00', to: '18:00' };

t.test('active hours as they are stored', (t) => {
  t.same(readActiveHours(null, 'nowhere'), { ok: true, schedule: null }, 'no hours, no zone');
  t.same(
    readActiveHours(
      [
        { days: ['sun', 'mon', 'wed'], from: '08:05', to: '18:00' },
        { days: ['tue'], from: '22:00', to: '06:00' },
        { days: ['thu'], from: '00:00', to: '24:00' },
        { days: ['fri'], from: '23:59', to: '00:00' },
      ],
      'Europe/Berlin',
    ),
    {
      ok: true,
      schedule: {
        timeZone: 'Europe/Berlin',
        windows: [
          { days: [1, 3, 7], startMin: 485, endMin: 1080 },
          { days: [2], startMin: 1320, endMin: 360 },
          { days: [4], startMin: 0, endMin: 1440 },
          { days: [5], startMin: 1439, endMin: 1440 },
        ],
      },
    },
  );
  t.end();
});

t.test('active hours that are refused, with the field', (t) => {
  const rows: [unknown, string, RegExp?][] = [
    [undefined, ''],
    ['mon 08:00-18:00', ''],
    [{}, ''],
    [[], '', /1 to 32/],
    [Array.from({ length: SCHEDULE_WINDOWS_MAX + 1 }, () => window), ''],
    [[window, null], '/1'],
    [[window, []], '/1'],
    [[{ ...window, until: '9' }], '/0/until', /not a field/],
    [[{ ...window, 'a/b~c': '9' }], '/0/a~1b~0c'],
    [[{ ...window, days: undefined }], '/0/days'],
    [[{ ...window, days: [] }], '/0/days', /one day/],
    [[{ ...window, days: 'mon' }], '/0/days'],
    [[{ ...window, days: ['mon', 'Tue'] }], '/0/days/1', /mon, tue/],
    [[{ ...window, days: ['mon', 1] }], '/0/days/1'],
    [[{ ...window, days: ['mon', 'tue', 'mon'] }], '/0/days/2', /twice/],
    [[{ ...window, from: '24:00' }], '/0/from', /23:59$/],
    [[{ ...window, from: '8:00' }], '/0/from'],
    [[{ ...window, from: 480 }], '/0/from'],
    [[{ ...window, from: undefined }], '/0/from'],
    [[{ ...window, to: '24:01' }], '/0/to', /24:00/],
    [[{ ...window, to: '18:60' }], '/0/to'],
    [[{ ...window, to: '18:00:00' }], '/0/to'],
    [[{ ...window, to: null }], '/0/to'],
  ];
  for (const [value, at, detail = /\w/] of rows) {
    t.match(
      readActiveHours(value, 'UTC'),
      { ok: false, reason: 'active_hours', pointer: `/active_hours${at}`, detail },
      JSON.stringify(value)?.slice(0, 80),
    );
  }
  for (const zone of [null, undefined, 7, '', 'Mars/Olympus', '+05:30']) {
    t.match(
      readActiveHours([window], zone),
      { ok: false, reason: 'time_zone', pointer: '/time_zone', detail: /time zone/ },
      `zone ${JSON.stringify(zone)}`,
    );
  }
  t.end();
});

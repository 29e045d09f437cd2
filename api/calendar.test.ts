/** Days of the calendar, by tables: time zones, clock changes, leap days, ends of months. */
import t from 'tap';
import { addDays, addMonths, dayIn, daysBetween, startOfDayMs } from './calendar.ts';

t.test('the day in a time zone', (t) => {
  const table = [
    // The same instant on two days of the world.
    ['2026-03-01T05:30:00Z', 'America/Chicago', '2026-02-28'],
    ['2026-03-01T05:30:00Z', 'Europe/Berlin', '2026-03-01'],
    ['2026-03-01T05:30:00Z', 'Pacific/Auckland', '2026-03-01'],
    // The last minute before midnight and the first after it, on days of 23 and 25 hours.
    ['2026-03-29T21:59:59Z', 'Europe/Berlin', '2026-03-29'],
    ['2026-03-29T22:00:00Z', 'Europe/Berlin', '2026-03-30'],
    ['2026-10-25T22:59:59Z', 'Europe/Berlin', '2026-10-25'],
    ['2026-10-25T23:00:00Z', 'Europe/Berlin', '2026-10-26'],
    ['2026-03-08T05:59:59Z', 'America/Chicago', '2026-03-07'],
    ['2026-03-08T06:00:00Z', 'America/Chicago', '2026-03-08'],
    // Zones a half and three quarters of an hour off.
    ['2026-06-30T18:29:59Z', 'Asia/Kolkata', '2026-06-30'],
    ['2026-06-30T18:30:00Z', 'Asia/Kolkata', '2026-07-01'],
    ['2026-06-30T18:15:00Z', 'Asia/Kathmandu', '2026-07-01'],
    ['2024-02-29T12:00:00Z', 'UTC', '2024-02-29'],
  ] as const;
  for (const [instant, zone, day] of table) {
    t.equal(dayIn(zone, Date.parse(instant)), day, `${instant} in ${zone}`);
  }
  t.end();
});

t.test('where a day begins', (t) => {
  const table = [
    ['Europe/Berlin', '2026-03-29', '2026-03-28T23:00:00.000Z'],
    ['Europe/Berlin', '2026-03-30', '2026-03-29T22:00:00.000Z'],
    ['America/Chicago', '2026-11-01', '2026-11-01T05:00:00.000Z'],
    ['America/Chicago', '2026-11-02', '2026-11-02T06:00:00.000Z'],
    // Clocks went from 0:00 to 1:00: the day began at one.
    ['America/Sao_Paulo', '2018-11-04', '2018-11-04T03:00:00.000Z'],
  ] as const;
  for (const [zone, day, instant] of table) {
    t.equal(new Date(startOfDayMs(zone, day)).toISOString(), instant, `${day} in ${zone}`);
    t.equal(dayIn(zone, Date.parse(instant)), day);
    t.equal(dayIn(zone, Date.parse(instant) - 1), addDays(day, -1));
  }
  t.end();
});

t.test('months', (t) => {
  const table = [
    ['2026-01-31', 1, '2026-02-28'],
    ['2024-01-31', 1, '2024-02-29'],
    ['2026-01-31', 2, '2026-03-31'],
    ['2026-03-31', 1, '2026-04-30'],
    ['2026-03-31', -1, '2026-02-28'],
    ['2024-02-29', 12, '2025-02-28'],
    ['2024-02-29', 48, '2028-02-29'],
    ['2025-12-15', 1, '2026-01-15'],
    ['2096-02-29', 48, '2100-02-28'],
  ] as const;
  for (const [day, months, then] of table) {
    t.equal(addMonths(day, months), then, `${day} and ${months}`);
  }
  t.end();
});

t.test('days', (t) => {
  const table = [
    ['2026-02-28', 1, '2026-03-01'],
    ['2024-02-28', 1, '2024-02-29'],
    ['2026-03-28', 2, '2026-03-30'],
    ['2026-12-31', 1, '2027-01-01'],
    ['2024-03-01', -1, '2024-02-29'],
    ['2024-01-01', 366, '2025-01-01'],
  ] as const;
  for (const [day, days, then] of table) {
    t.equal(addDays(day, days), then, `${day} and ${days}`);
    t.equal(daysBetween(day, then), days);
  }
  t.end();
});

/** Days that follow from inspections, by tables: leap days, ends of months, clocks of the customer. */
import t from 'tap';
import { dayIn } from '../calendar.ts';
import { annualExpiry, defaultDays, dueStatus, returnDue } from './days.ts';

t.test('an annual inspection counts for twelve months, through the last day', (t) => {
  const table = [
    ['2026-03-02', '2027-03-02'],
    ['2024-02-29', '2025-02-28'],
    ['2023-02-28', '2024-02-28'],
    ['2027-02-28', '2028-02-28'],
    ['2027-03-01', '2028-03-01'],
    ['2026-12-31', '2027-12-31'],
    ['2026-01-31', '2027-01-31'],
    ['2096-02-29', '2097-02-28'],
    ['2099-12-31', '2100-12-31'],
  ] as const;
  for (const [on, expires] of table) t.equal(annualExpiry(on), expires, on);
  t.end();
});

t.test('a report that is wanted back is due after fifteen days', (t) => {
  const table = [
    ['2026-03-02', '2026-03-17'],
    ['2024-02-20', '2024-03-06'],
    ['2026-02-20', '2026-03-07'],
    ['2026-12-20', '2027-01-04'],
    ['2026-03-20', '2026-04-04'],
  ] as const;
  for (const [on, due] of table) t.equal(returnDue(on), due, on);
  t.end();
});

t.test('how near the end is', (t) => {
  const table = [
    [null, 'none'],
    ['2026-06-14', 'overdue'],
    ['2026-06-15', 'due'],
    ['2026-06-22', 'due'],
    ['2026-06-23', 'due_soon'],
    ['2026-07-15', 'due_soon'],
    ['2026-07-16', 'ok'],
    ['2025-06-15', 'overdue'],
  ] as const;
  for (const [expires, status] of table) {
    t.equal(dueStatus(expires, '2026-06-15'), status, String(expires));
  }
  // The same instant is still the last day in Chicago, and the day after in Berlin.
  const atMs = Date.parse('2026-06-15T23:30:00Z');
  t.equal(dueStatus('2026-06-15', dayIn('America/Chicago', atMs)), 'due');
  t.equal(dueStatus('2026-06-15', dayIn('Europe/Berlin', atMs)), 'overdue');
  t.end();
});

t.test('days that nobody says', (t) => {
  const annual = {
    inspection_kind: 'annual',
    inspection_result: 'pass',
    inspection_date: '2026-03-02',
  };
  const roadside = {
    inspection_kind: 'roadside',
    inspection_result: 'fail',
    inspection_date: '2026-03-02',
    is_return_required: true,
  };
  const storedAnnual = { ...annual, expires_on: '2027-03-02', return_due_on: null };
  const storedRoadside = { ...roadside, expires_on: null, return_due_on: '2026-03-17' };
  const table = [
    [annual, null, { expires_on: '2027-03-02' }],
    [{ ...annual, expires_on: '2026-12-31' }, null, {}],
    [{ ...annual, inspection_result: 'fail' }, null, { expires_on: null }],
    [{ ...annual, inspection_kind: 'state' }, null, {}],
    [roadside, null, { return_due_on: '2026-03-17' }],
    [{ ...roadside, return_due_on: '2026-03-10' }, null, {}],
    [{ ...roadside, is_return_required: false }, null, {}],
    [{ ...annual, is_return_required: true }, null, { expires_on: '2027-03-02' }],
    // What followed from the date moves with it; what was said stays.
    [{ inspection_date: '2026-03-05' }, storedAnnual, { expires_on: '2027-03-05' }],
    [{ inspection_date: '2026-03-05' }, { ...storedAnnual, expires_on: '2027-03-31' }, {}],
    [{ inspection_result: 'fail' }, storedAnnual, { expires_on: null }],
    [
      { inspection_result: 'pass' },
      { ...storedAnnual, inspection_result: 'fail', expires_on: null },
      { expires_on: '2027-03-02' },
    ],
    [{ inspection_date: '2026-03-05' }, storedRoadside, { return_due_on: '2026-03-20' }],
    [{ return_due_on: '2026-04-30' }, storedRoadside, {}],
    [
      { is_return_required: true },
      { ...storedRoadside, is_return_required: false, return_due_on: null },
      { return_due_on: '2026-03-17' },
    ],
  ] as const;
  for (const [values, stored, days] of table) {
    t.same(defaultDays({ ...values }, stored), days, JSON.stringify(values));
  }
  t.end();
});

/** How long agreements run, by tables of days: ends of months, leap years, renewals; and what a master becomes by itself. */
import t from 'tap';
import { endOfMaster } from './ends.ts';
import { contractEnd, renewedTerm } from './terms.ts';

t.test('the last day of a contract', (t) => {
  const table = [
    ['2026-01-01', 12, '2026-12-31'],
    ['2026-01-15', 1, '2026-02-14'],
    // The months after are shorter.
    ['2026-01-31', 1, '2026-02-27'],
    ['2024-01-31', 1, '2024-02-28'],
    ['2026-01-31', 2, '2026-03-30'],
    ['2026-03-31', 1, '2026-04-29'],
    ['2026-10-31', 4, '2027-02-27'],
    // Leap days.
    ['2024-02-29', 12, '2025-02-27'],
    ['2024-02-29', 48, '2028-02-28'],
    ['2023-03-01', 12, '2024-02-29'],
    ['2024-03-01', 12, '2025-02-28'],
    ['2023-02-28', 12, '2024-02-27'],
    ['2099-03-01', 12, '2100-02-28'],
  ] as const;
  for (const [from, months, last] of table) {
    t.equal(contractEnd(from, months), last, `${from} and ${months} months`);
  }
  t.end();
});

t.test('a renewal reckons from the first day', (t) => {
  const table = [
    // Not yet over; over by a day; missed twice.
    ['2026-01-01', 12, 12, '2026-12-31', 12],
    ['2026-01-01', 12, 12, '2027-01-01', 24],
    ['2026-01-01', 12, 6, '2028-02-01', 30],
    // After February it ends on the 30th again.
    ['2026-01-31', 1, 1, '2026-02-28', 2],
    ['2024-02-29', 12, 12, '2025-02-28', 24],
    // No longer than a contract may run.
    ['2026-01-01', 600, 1, '2076-01-01', null],
    ['2026-01-01', 599, 1, '2075-12-31', 600],
  ] as const;
  for (const [effective, months, renewal, today, term] of table) {
    t.equal(renewedTerm({ effective, months }, renewal, today), term, `${effective} on ${today}`);
  }
  t.end();
});

t.test('what a master becomes of itself', (t) => {
  const row = {
    status: 'active',
    terminated_on: null,
    contract_effective_date: '2026-01-01',
    contract_end_date: '2026-12-31',
    contract_term: 12,
    auto_renews: false,
    renewal_term: null,
  } as const;
  const renewing = { ...row, auto_renews: true, renewal_term: 12 };
  const table = [
    [row, '2026-12-31', null],
    [row, '2027-01-01', { status: 'expired' }],
    [{ ...row, status: 'suspended' }, '2027-01-01', { status: 'expired' }],
    [{ ...row, status: 'draft' }, '2027-01-01', null],
    [{ ...row, status: 'terminated' }, '2027-01-01', null],
    [renewing, '2026-12-31', null],
    [renewing, '2027-01-01', { contract_term: 24 }],
    [{ ...renewing, status: 'expired' }, '2027-01-01', null],
    // Notice was given: it is not renewed, and holds until that day.
    [{ ...renewing, terminated_on: '2026-08-31' }, '2026-08-31', null],
    [{ ...renewing, terminated_on: '2026-08-31' }, '2026-09-01', { status: 'terminated' }],
    [
      { ...row, status: 'draft', terminated_on: '2026-08-31' },
      '2026-09-01',
      { status: 'terminated' },
    ],
  ] as const;
  for (const [master, today, becomes] of table) {
    t.same(endOfMaster(master, today), becomes, `${master.status} on ${today}`);
  }
  t.end();
});

import t from 'tap';
import {
  anyText,
  dateText,
  headerOf,
  headerText,
  instantMs,
  isFormulaLike,
  numberText,
} from './columns.ts';

t.test('text that a spreadsheet would run', (t) => {
  const rows: [text: string, isFormula: boolean][] = [
    ['=1+1', true],
    ['=HYPERLINK("http://example.com")', true],
    ["=cmd|' /C calc'!A0", true],
    ['+49 30 1234567', true],
    ['-1', true],
    ['@SUM(A1)', true],
    ['\t=1', true],
    ['\rx', true],
    ['\nx', true],
    ['\tx', true],
    ['＝1', true],
    ['＋1', true],
    ['－1', true],
    ['＠a', true],
    ['  =1', true],
    ['\u00a0=1', true],
    ['\ufeff=1', true],
    ["'=1", true],
    ["''-", true],
    ['', false],
    ['a=1', false],
    ['1-1', false],
    ['Z', false],
    ["'", false],
    ["'a", false],
    [' a', false],
    ['(=1)', false],
    ['ä', false],
    ['_', false],
    ['"=1"', false],
    ['[1]', false],
    ['{"a":1}', false],
  ];
  for (const [text, isFormula] of rows)
    t.equal(isFormulaLike(text), isFormula, JSON.stringify(text));
  t.end();
});

t.test('headers say the unit and the time zone', (t) => {
  t.equal(headerOf('odometer_m'), 'Odometer (m)');
  t.equal(headerOf('max_speed_mps'), 'Max speed (m/s)');
  t.equal(headerOf('equipment_id'), 'Equipment ID');
  t.equal(headerOf('vin'), 'VIN');
  t.equal(headerOf('m'), 'M', 'a name of one word has no unit');
  t.equal(headerOf('constructor'), 'Constructor');
  t.equal(headerOf('is_constructor'), 'Is constructor');
  t.equal(headerOf(''), '');
  const header = (text: string, kind: 'instant' | 'date') =>
    headerText({ name: 'x', header: text, kind });
  t.equal(header('Opened at', 'instant'), 'Opened at (UTC)');
  t.equal(header('Opened at, UTC', 'instant'), 'Opened at, UTC');
  t.equal(header('Due date', 'date'), 'Due date');
  t.end();
});

t.test('values of a kind, and those that are not', (t) => {
  const numbers: [unknown, string | null][] = [
    [-0.5, '-0.5'],
    [-0, '0'],
    [1e300, '1e+300'],
    [12n, '12'],
    ['-12.50', '-12.50'],
    [NaN, null],
    [-Infinity, null],
    ['=1', null],
    ['-1+1', null],
    ['1 ', null],
    [true, null],
  ];
  for (const [value, text] of numbers) t.equal(numberText(value), text);
  t.equal(dateText('2026-02-03'), '2026-02-03');
  t.equal(dateText(new Date('2026-02-03T23:59:59Z')), '2026-02-03');
  t.equal(dateText('infinity'), null);
  t.equal(dateText(new Date(NaN)), null);
  t.equal(instantMs('2026-02-03T00:00:00+01:00'), Date.UTC(2026, 1, 2, 23));
  t.equal(instantMs('2026-02-03T00:00:00'), null, 'without a zone it is no instant');
  t.equal(instantMs('2026-02-03'), null);
  t.equal(instantMs(Infinity), null);
  t.equal(anyText({ a: [1] }), '{"a":[1]}');
  t.equal(anyText(new Date(0)), '1970-01-01T00:00:00.000Z');
  t.equal(anyText(new Date(NaN)), '');
  t.end();
});

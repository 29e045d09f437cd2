import fc from 'fast-check';
import assert from 'node:assert/strict';
import t from 'tap';
import { isFormulaLike, type ExportRow } from './columns.ts';
import { CSV_AHEAD_BYTES_MAX, writeCsv } from './csv.ts';
import {
  bytesOf,
  columnOf,
  COLUMNS,
  endlessPages,
  KINDS,
  pagesArbitrary,
  pagesOf,
  turns,
} from './test-rows.ts';

/** RFC 4180 character by character, without a thought for how it was written. */
function parseCsv(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let field = '';
  let isQuoted = false;
  for (let i = 0; i < text.length; i++) {
    const here = text[i]!;
    if (isQuoted) {
      if (here !== '"') field += here;
      else if (text[i + 1] === '"') field += text[++i]!;
      else isQuoted = false;
    } else if (here === '"') {
      if (field !== '') throw new Error(`a quote within a field at ${i}`);
      isQuoted = true;
    } else if (here === ',') {
      record.push(field);
      field = '';
    } else if (here === '\r' && text[i + 1] === '\n') {
      records.push([...record, field]);
      record = [];
      field = '';
      i++;
    } else {
      if (here === '\r' || here === '\n') throw new Error(`a bare line end at ${i}`);
      field += here;
    }
  }
  if (isQuoted || field !== '' || record.length > 0) throw new Error('it ends within a record');
  return records;
}

/** Without the apostrophe that was put before it. */
function unguarded(text: string): string {
  return text.startsWith("'") && isFormulaLike(text.slice(1)) ? text.slice(1) : text;
}

async function csvOf(columns: typeof COLUMNS, ...pages: ExportRow[][]): Promise<string> {
  const bytes = await bytesOf(writeCsv(columns, pagesOf(...pages)));
  assert.equal(bytes.toString('hex', 0, 3), 'efbbbf', 'a byte order mark');
  return bytes.toString().slice(1);
}

t.test('a file as it is', async (t) => {
  const columns = [
    { name: 'unit', header: 'Unit', kind: 'text' },
    { name: 'latitude_deg', header: 'Latitude (°)', kind: 'number' },
    { name: 'at', header: 'Seen at', kind: 'instant' },
  ] as const;
  const rows = [
    { unit: 'T-1, "the old"', latitude_deg: -33.5, at: new Date('2026-03-04T05:06:07.089Z') },
    { unit: null, latitude_deg: undefined, at: null, unnamed: 1 },
    { unit: 'a\r\nb', latitude_deg: '-1.50', at: '2026-03-04T05:06:07+02:00' },
  ];
  t.equal(
    await csvOf([...columns], rows),
    'Unit,Latitude (°),Seen at (UTC)\r\n' +
      '"T-1, ""the old""",-33.5,2026-03-04T05:06:07.089Z\r\n' +
      ',,\r\n' +
      '"a\r\nb",-1.50,2026-03-04T03:06:07.000Z\r\n',
  );
  t.equal(await csvOf([...columns]), 'Unit,Latitude (°),Seen at (UTC)\r\n', 'no rows');
});

t.test('what a spreadsheet would run is text, whatever column it is in', async (t) => {
  const payloads = [
    '=1+1',
    '+1x',
    '-1+1',
    '@a',
    '\tx',
    '\rx',
    '\nx',
    '＝1',
    '＋1',
    '－1',
    '＠1',
    ' =1',
    "'=1",
  ];
  for (const kind of KINDS) {
    const rows = payloads.map((value) => ({ value }));
    const [, ...records] = parseCsv(await csvOf([columnOf(kind, 'value')], rows));
    const cells = records.map(([cell]) => cell!);
    // JSON has it in quotes.
    if (kind === 'json') t.notOk(cells.some((cell) => isFormulaLike(cell)));
    else
      t.same(
        cells,
        payloads.map((payload) => `'${payload}`),
        kind,
      );
  }
  const [header] = parseCsv(await csvOf([{ ...columnOf('text'), header: '=a' }]));
  t.same(header, ["'=a"]);
});

t.test('numbers that are numbers are left alone', async (t) => {
  const rows = [-1.5, -7, '-12.50', 1e-7, -(10n ** 30n), -Infinity].map((number) => ({ number }));
  const [, ...records] = parseCsv(await csvOf([columnOf('number')], rows));
  t.same(records.flat(), ['-1.5', '-7', '-12.50', '1e-7', `-1${'0'.repeat(30)}`, "'-Infinity"]);
});

t.test('any rows are read back as they were', async () => {
  await fc.assert(
    fc.asyncProperty(pagesArbitrary, async (pages) => {
      const [header, ...records] = parseCsv(await csvOf(COLUMNS, ...pages));
      assert.deepEqual(header, [...KINDS.slice(0, 5), 'instant (UTC)', 'json']);
      assert.deepEqual(records.map(readRecord), pages.flat().map(asRead));
    }),
    { numRuns: 200 },
  );
});

function readRecord(record: readonly string[]): unknown[] {
  const [text, integer, number, boolean, date, instant, json] = record.map(unguarded);
  const numberOf = (digits: string) => (digits === '' ? null : Number(digits));
  return [
    text,
    numberOf(integer!),
    numberOf(number!),
    boolean,
    date,
    instant === '' ? null : new Date(instant!),
    json === '' ? null : (JSON.parse(json!) as unknown),
  ];
}

/** Null and empty text are the same in CSV, and so are 0 and −0. */
function asRead(row: ExportRow): unknown[] {
  const number = row['number'] as number | null;
  return [
    wellFormed((row['text'] as string | null) ?? ''),
    row['integer'],
    number === null ? null : number + 0,
    String((row['boolean'] as boolean | null) ?? ''),
    row['date'] ?? '',
    row['instant'],
    row['json'],
  ];
}

/** UTF-8 has no halves of characters. */
const wellFormed = (text: string) => Buffer.from(text).toString();

t.test('a reader that stands still holds the rows back', async (t) => {
  const value = 'x'.repeat(CSV_AHEAD_BYTES_MAX / 8);
  const { state, pages } = endlessPages(() => [{ value }]);
  const file = writeCsv([columnOf('text', 'value')], pages);
  await turns();
  t.equal(state.pulled, 0, 'nothing is asked for before the first read');
  let readBytes = 0;
  const reader = file[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  for (let i = 0; i < 5; i++) {
    readBytes += (await reader.next()).value!.length;
    await turns(400);
    const aheadBytes = state.pulled * value.length - readBytes;
    t.ok(aheadBytes <= CSV_AHEAD_BYTES_MAX + value.length, `${aheadBytes} bytes are ahead`);
  }
  t.equal(state.isEnded, false);
  await reader.return!();
  await turns(10);
  t.equal(state.isEnded, true, 'a reader that goes away ends the rows');
});

t.test(
  'a reader that goes away ends rows that come slowly, and need not wait for one that never comes',
  async (t) => {
    const { state, pages } = endlessPages(() => [{ text: 'a' }]);
    const file = writeCsv([columnOf('text')], pages);
    await new Promise((resolve) => file.once('data', resolve));
    file.destroy();
    await turns(10);
    t.equal(state.isEnded, true, 'after a page, though it does not fill a piece of the file');
    const never = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }),
    };
    const stuck = writeCsv([columnOf('text')], never);
    const read = bytesOf(stuck);
    stuck.destroy(new Error('enough'));
    await t.rejects(read, /enough/);
  },
);

t.test('an error of the rows is the error of the file', async (t) => {
  async function* failing() {
    yield [{ text: 'a' }];
    await Promise.resolve();
    throw new Error('the database went away');
  }
  await t.rejects(bytesOf(writeCsv([columnOf('text')], failing())), /the database went away/);
  t.throws(() => writeCsv([], pagesOf()), /columns/);
});

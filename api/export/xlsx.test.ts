import fc from 'fast-check';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import t from 'tap';
import type { ExportColumn, ExportRow } from './columns.ts';
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
import { readXlsx, readZip } from './test-xlsx.ts';
import { CELL_TEXT_MAX, columnLetters, CUT_MARK } from './xlsx-parts.ts';
import { writeXlsx, XLSX_AHEAD_BYTES_MAX, type XlsxOptions } from './xlsx.ts';

const WRITTEN: XlsxOptions = { madeAt: new Date('2026-01-02T03:04:05Z') };

async function sheetsOf(
  columns: readonly ExportColumn[],
  pages: readonly ExportRow[][],
  options: XlsxOptions = {},
) {
  return readXlsx(await bytesOf(writeXlsx(columns, pagesOf(...pages), { ...WRITTEN, ...options })));
}

/** Values of one column, below the header. */
async function cellsOf(kind: ExportColumn['kind'], values: readonly unknown[]) {
  const rows = values.map((value) => ({ value }));
  const [sheet] = await sheetsOf([columnOf(kind, 'value')], [rows]);
  return sheet!.rows.slice(1).map(([cell]) => cell);
}

const STYLES = { header: 1, text: 2, whole: 3, date: 4, instant: 5 };

t.test('cells have types and styles', async (t) => {
  const [sheet] = await sheetsOf(COLUMNS, [
    [
      {
        text: 'T-1',
        integer: 861_230_045_678_901,
        number: -33.5,
        boolean: false,
        date: '2026-03-04',
        instant: new Date('2026-03-04T12:00:00Z'),
        json: { a: 1 },
      },
    ],
    [],
    [{ text: '' }, { text: null }],
  ]);
  t.equal(sheet!.name, 'Export');
  t.same(sheet!.rows, [
    [...KINDS.slice(0, 5), 'instant (UTC)', 'json'].map((value) => ({
      value,
      style: STYLES.header,
    })),
    [
      { value: 'T-1', style: 0 },
      { value: 861_230_045_678_901, style: STYLES.whole },
      { value: -33.5, style: 0 },
      { value: false, style: 0 },
      { value: 46_085, style: STYLES.date },
      { value: 46_085.5, style: STYLES.instant },
      { value: '{"a":1}', style: 0 },
    ],
    [],
    [],
  ]);
  t.match(sheet!.xml, '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>');
  t.match(sheet!.xml, '<autoFilter ref="A1:G4"/>');
});

t.test('the parts of the file', async (t) => {
  const write = () => bytesOf(writeXlsx(COLUMNS, pagesOf([{ text: 'a' }]), WRITTEN));
  const bytes = await write();
  t.same(
    [...readZip(bytes).keys()],
    [
      '_rels/.rels',
      'xl/styles.xml',
      'xl/worksheets/sheet1.xml',
      'xl/workbook.xml',
      'xl/_rels/workbook.xml.rels',
      '[Content_Types].xml',
    ],
  );
  const styles = readZip(bytes).get('xl/styles.xml')!;
  t.equal([...styles.matchAll(/<xf /g)].length, 1 + 6);
  t.match(styles, /quotePrefix="1"/);
  t.ok(bytes.equals(await write()), 'the same rows give the same bytes');
});

t.test('what a spreadsheet would run stays text, unchanged', async (t) => {
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
  ];
  for (const kind of KINDS.filter((name) => name !== 'json')) {
    const cells = await cellsOf(kind, payloads);
    t.same(
      cells,
      payloads.map((value) => ({ value, style: STYLES.text })),
      kind,
    );
  }
  t.same(await cellsOf('json', ['=1']), [{ value: '"=1"', style: 0 }]);
});

t.test('characters that XML cannot hold', async (t) => {
  const texts = [
    'a\u0000b',
    '\u001b[1m',
    '\r',
    '\uffff',
    '_x0041_',
    '_x004',
    '__x000d__',
    '\ud800',
    '🚚',
    'a&b<c>"',
  ];
  const cells = await cellsOf('text', texts);
  t.same(
    cells.map((cell) => cell!.value),
    texts.map((text) => (text === '\ud800' ? '\ufffd' : text)),
  );
});

t.test('text that is too long is cut and says so', async (t) => {
  const [fits, cut, pair] = (
    await cellsOf('text', [
      'a'.repeat(CELL_TEXT_MAX),
      'a'.repeat(CELL_TEXT_MAX + 1),
      'a' + '🚚'.repeat(20_000),
    ])
  ).map((cell) => cell!.value as string);
  t.equal(fits, 'a'.repeat(CELL_TEXT_MAX));
  t.equal(cut, 'a'.repeat(CELL_TEXT_MAX - CUT_MARK.length) + CUT_MARK);
  t.ok(pair!.length <= CELL_TEXT_MAX && pair!.endsWith(`🚚${CUT_MARK}`), 'not within a character');
});

t.test('what Excel cannot hold as a number or date is text', async (t) => {
  const values = async (kind: ExportColumn['kind'], given: unknown[]) =>
    (await cellsOf(kind, given)).map((cell) => cell!.value);
  t.same(await values('integer', ['9007199254740993', 12n, '123456789012345']), [
    '9007199254740993',
    12,
    123_456_789_012_345,
  ]);
  t.same(await values('number', [NaN, -Infinity, '1.5', 1e-7]), ['NaN', '-Infinity', 1.5, 1e-7]);
  t.same(
    await values('date', ['1900-02-28', '1900-03-01', '9999-12-31', 'infinity', '2026-13-01']),
    ['1900-02-28', 61, 2_958_465, 'infinity', '2026-13-01'],
  );
  const early = new Date('1812-06-24T00:00:00Z');
  t.same(await values('instant', [early, '2026-01-01T00:00:00Z', 'soon']), [
    early.toISOString(),
    46_023,
    'soon',
  ]);
});

t.test('rows beyond a sheet go on in the next', async (t) => {
  const rows = Array.from({ length: 7 }, (_, integer) => ({ integer }));
  const columns = [columnOf('integer')];
  const sheets = await sheetsOf(columns, [rows.slice(0, 2), rows.slice(2)], {
    rowsPerSheetMax: 4,
    sheetName: "Driver's [all]: a name that is far too long for Excel",
  });
  t.same(
    sheets.map(({ rows: found }) => found.map(([cell]) => cell!.value)),
    [
      ['integer', 0, 1, 2],
      ['integer', 3, 4, 5],
      ['integer', 6],
    ],
  );
  t.same(
    sheets.map(({ name }) => name),
    [
      "Driver's  all   a name that is",
      "Driver's  all   a name that (2)",
      "Driver's  all   a name that (3)",
    ],
  );
  const full = await sheetsOf(columns, [rows.slice(0, 3)], { rowsPerSheetMax: 4 });
  t.equal(full.length, 1, 'a full sheet begins no other');
  t.same(
    (await sheetsOf(columns, [])).map((sheet) => sheet.rows.length),
    [1],
    'no rows',
  );
  t.equal((await sheetsOf(columns, [], { sheetName: " '[]' " }))[0]!.name, 'Export');
});

t.test('columns by their letters', (t) => {
  t.same([0, 25, 26, 51, 701, 702, 16_383].map(columnLetters), [
    'A',
    'Z',
    'AA',
    'AZ',
    'ZZ',
    'AAA',
    'XFD',
  ]);
  t.throws(() => columnLetters(16_384));
  t.throws(() => writeXlsx([], pagesOf()), /columns/);
  t.end();
});

t.test('any rows are read back as they were', async () => {
  await fc.assert(
    fc.asyncProperty(
      pagesArbitrary,
      fc.integer({ min: 2, max: 5 }),
      async (pages, rowsPerSheetMax) => {
        const sheets = await sheetsOf(COLUMNS, pages, { rowsPerSheetMax });
        const read = sheets.flatMap(({ rows }) =>
          rows.slice(1).map((row) => KINDS.map((_, i) => row[i]?.value)),
        );
        assert.deepEqual(read, pages.flat().map(asRead));
      },
    ),
    { numRuns: 150 },
  );
});

/** Lines end with LF, empty text is no cell, and halves of characters are not UTF-8. */
function asRead(row: ExportRow): unknown[] {
  const text = row['text'] as string | null;
  const number = row['number'] as number | null;
  const day = (value: string | Date | null) =>
    value === null ? undefined : new Date(value).getTime() / 86_400_000 + 25_569;
  return [
    text === null || text === ''
      ? undefined
      : Buffer.from(text).toString().replaceAll('\r\n', '\n'),
    row['integer'] ?? undefined,
    number === null ? undefined : number + 0,
    row['boolean'] ?? undefined,
    day(row['date'] as string | null),
    day(row['instant'] as Date | null),
    row['json'] === null ? undefined : JSON.stringify(row['json']),
  ];
}

t.test('a reader that stands still holds the rows back', async (t) => {
  // As good as not to be compressed, so that what is read and what is written are of one size.
  const value = () =>
    randomBytes(XLSX_AHEAD_BYTES_MAX / 32)
      .toString('latin1')
      .replaceAll(/[^!-~]/g, 'x');
  const { state, pages } = endlessPages(() => [{ value: value() }, { value: value() }]);
  const file = writeXlsx([columnOf('text', 'value')], pages);
  const pageBytes = 2 * (XLSX_AHEAD_BYTES_MAX / 32);
  let readBytes = 0;
  const reader = file[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  for (let i = 0; i < 5; i++) {
    await turns(1_000);
    const aheadBytes = state.pulled * pageBytes - readBytes;
    t.ok(aheadBytes <= XLSX_AHEAD_BYTES_MAX + pageBytes, `${aheadBytes} bytes are ahead`);
    readBytes += (await reader.next()).value!.length;
  }
  t.ok(state.pulled > 0);
  t.equal(state.isEnded, false);
  await reader.return!();
  await turns(20);
  t.equal(state.isEnded, true, 'a reader that goes away ends the rows');
});

t.test('an error of the rows is the error of the file, whenever it is read', async (t) => {
  async function* failing() {
    yield [{ text: 'a' }];
    await Promise.resolve();
    throw new Error('the database went away');
  }
  await t.rejects(bytesOf(writeXlsx([columnOf('text')], failing())), /the database went away/);
  const late = writeXlsx([columnOf('text')], failing());
  await turns(50);
  await t.rejects(bytesOf(late), /the database went away/);
});

/**
 * The XML of a workbook: cells, rows, sheets, styles and the parts that hold them together. Makes text and knows no streams.
 * ECMA-376 part 1, SpreadsheetML.
 *
 * Strings are inline, so that none has to be remembered until the end: sharing the first 50,000 different ones makes the bench's
 * file a tenth smaller and is no faster. Cells keep their references, which the standard lets be left out (the file would be a third
 * smaller), because not every program reads cells without them. Measured 2026-11-28.
 */
import assert from 'node:assert/strict';
import {
  anyText,
  dateText,
  headerText,
  instantMs,
  isFormulaLike,
  jsonText,
  numberText,
  type ExportColumn,
  type ExportKind,
  type ExportRow,
} from './columns.ts';

export const COLUMNS_MAX = 16_384;
/** UTF-16 units of a cell's text. Excel specifications and limits. */
export const CELL_TEXT_MAX = 32_767;
/** Ends a text that was cut. */
export const CUT_MARK = ' … [cut]';
const SHEET_NAME_MAX = 31;

/** Indexes into the cellXfs of {@link STYLES_XML}. */
const STYLE = { header: 1, text: 2, whole: 3, date: 4, instant: 5 } as const;

const DAY_MS = 86_400_000;
/** Day numbers of Excel's 1900 system: 1970-01-01; 1900-03-01, before which they are off by its leap day; the year 10000. */
const EPOCH_DAY = 25_569;
const DAY_MIN = 61;
const DAY_MAX = 2_958_466;
/** Digits that a double holds for certain; longer numbers are written as text. */
const DIGITS_MAX = 15;
/** From here on Excel shows whole numbers as powers of ten, unless told otherwise. */
const LONG_WHOLE = 1e11;

const WIDTH_MIN = 8;
const WIDTH_MAX = 60;
/** Rows of the first page by which widths are chosen. */
const WIDTH_ROWS_MAX = 100;

const DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';
const MAIN = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main';
const RELATIONS = 'http://schemas.openxmlformats.org/package/2006/relationships';
const OFFICE = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
const TYPE = 'application/vnd.openxmlformats-officedocument.spreadsheetml';

export const ROOT_RELATIONS_XML =
  `${DECLARATION}<Relationships xmlns="${RELATIONS}">` +
  `<Relationship Id="rId1" Type="${OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>`;

// quotePrefix keeps text that looks like a formula from becoming one when somebody edits the cell; format 49 is text.
export const STYLES_XML =
  `${DECLARATION}<styleSheet xmlns="${MAIN}"><numFmts count="2">` +
  '<numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>' +
  '<numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>' +
  '<fonts count="2"><font><sz val="11"/><name val="Calibri"/><family val="2"/></font>' +
  '<font><b/><sz val="11"/><name val="Calibri"/><family val="2"/></font></fonts>' +
  '<fills count="2"><fill><patternFill patternType="none"/></fill>' +
  '<fill><patternFill patternType="gray125"/></fill></fills>' +
  '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>' +
  '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>' +
  '<cellXfs count="6">' +
  formatXml(0, '') +
  formatXml(0, 'fontId="1" applyFont="1"') +
  formatXml(49, 'quotePrefix="1"') +
  [1, 164, 165].map((id) => formatXml(id, '')).join('') +
  '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>' +
  '</styleSheet>';

function formatXml(numberFormat: number, more: string): string {
  const font = more.includes('fontId') ? '' : ' fontId="0"';
  return `<xf numFmtId="${numberFormat}"${font} fillId="0" borderId="0" xfId="0" applyNumberFormat="1" ${more}/>`;
}

/** What comes before the rows, and the header row, frozen and bold. Widths are chosen by the first of `rows`. */
export function sheetHead(
  columns: readonly ExportColumn[],
  rows: readonly ExportRow[],
  isFirst: boolean,
): string {
  const widths = columns.map((column, i) => {
    const width = columnWidth(column, rows);
    return `<col min="${i + 1}" max="${i + 1}" width="${width}" customWidth="1"/>`;
  });
  const cells = columns.map((column, i) =>
    textCell(`${columnLetters(i)}1`, headerText(column), STYLE.header),
  );
  return (
    `${DECLARATION}<worksheet xmlns="${MAIN}"><sheetViews>` +
    `<sheetView ${isFirst ? 'tabSelected="1" ' : ''}workbookViewId="0">` +
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>' +
    `<cols>${widths.join('')}</cols><sheetData><row r="1">${cells.join('')}</row>`
  );
}

/** What comes after the rows; `rowCount` includes the header. */
export function sheetTail(columnCount: number, rowCount: number): string {
  const last = `${columnLetters(columnCount - 1)}${rowCount}`;
  return `</sheetData><autoFilter ref="A1:${last}"/></worksheet>`;
}

/** Gives a function that writes a row at its number, from 1. Empty cells are left out. */
export function rowWriter(
  columns: readonly ExportColumn[],
): (row: ExportRow, number: number) => string {
  const fields = columns.map(({ name, kind }, i) => ({
    name,
    letters: columnLetters(i),
    cell: CELLS[kind],
  }));
  return (row, number) => {
    const at = String(number);
    let xml = `<row r="${at}">`;
    for (const { name, letters, cell } of fields) {
      const value = row[name];
      if (value !== null && value !== undefined) xml += cell(letters + at, value);
    }
    return `${xml}</row>`;
  };
}

/** `rowCounts` of the sheets, headers included. */
export function workbookXml({
  sheetName,
  rowCounts,
  columnCount,
}: {
  sheetName: string;
  rowCounts: readonly number[];
  columnCount: number;
}): string {
  const names = rowCounts.map((_, i) => sheetNameOf(sheetName, i));
  const sheets = names.map(
    (name, i) => `<sheet name="${escapeXml(name)}" sheetId="${i + 1}" r:id="rId${i + 1}"/>`,
  );
  // Excel keeps the range of an autofilter under this name as well.
  const filters = rowCounts.map((rowCount, i) => {
    const range = `$A$1:$${columnLetters(columnCount - 1)}$${rowCount}`;
    const name = escapeXml(names[i]!.replaceAll("'", "''"));
    return `<definedName name="_xlnm._FilterDatabase" localSheetId="${i}" hidden="1">'${name}'!${range}</definedName>`;
  });
  return (
    `${DECLARATION}<workbook xmlns="${MAIN}" xmlns:r="${OFFICE}"><bookViews><workbookView/></bookViews>` +
    `<sheets>${sheets.join('')}</sheets><definedNames>${filters.join('')}</definedNames></workbook>`
  );
}

export function workbookRelationsXml(sheetCount: number): string {
  const sheets = Array.from({ length: sheetCount }, (_, i) =>
    relationXml(i + 1, 'worksheet', `worksheets/sheet${i + 1}.xml`),
  );
  const styles = relationXml(sheetCount + 1, 'styles', 'styles.xml');
  return `${DECLARATION}<Relationships xmlns="${RELATIONS}">${sheets.join('')}${styles}</Relationships>`;
}

function relationXml(id: number, type: string, target: string): string {
  return `<Relationship Id="rId${id}" Type="${OFFICE}/${type}" Target="${target}"/>`;
}

export function contentTypesXml(sheetCount: number): string {
  const override = (part: string, type: string) =>
    `<Override PartName="/xl/${part}.xml" ContentType="${TYPE}.${type}+xml"/>`;
  const sheets = Array.from({ length: sheetCount }, (_, i) =>
    override(`worksheets/sheet${i + 1}`, 'worksheet'),
  );
  return (
    `${DECLARATION}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>' +
    '<Default Extension="xml" ContentType="application/xml"/>' +
    override('workbook', 'sheet.main') +
    override('styles', 'styles') +
    `${sheets.join('')}</Types>`
  );
}

/** A for 0, Z for 25, AA for 26. */
export function columnLetters(index: number): string {
  assert(index >= 0 && index < COLUMNS_MAX, 'a column of a sheet');
  const last = String.fromCharCode(65 + (index % 26));
  return index < 26 ? last : columnLetters(Math.floor(index / 26) - 1) + last;
}

/** How a value that is there is written, by the kind of its column. */
const CELLS: Readonly<Record<ExportKind, (ref: string, value: unknown) => string>> = {
  text: (ref, value) => textCell(ref, anyText(value)),
  integer: numberCell,
  number: numberCell,
  boolean: (ref, value) =>
    typeof value === 'boolean'
      ? `<c r="${ref}" t="b"><v>${value ? 1 : 0}</v></c>`
      : textCell(ref, anyText(value)),
  date: dateCell,
  instant: instantCell,
  json: (ref, value) => textCell(ref, jsonText(value)),
};

function numberCell(ref: string, value: unknown): string {
  const digits = numberText(value);
  if (digits === null || isTooLong(value, digits)) return textCell(ref, digits ?? anyText(value));
  const isLong =
    typeof value === 'number' && Number.isInteger(value) && Math.abs(value) >= LONG_WHOLE;
  return `<c r="${ref}"${isLong ? ` s="${STYLE.whole}"` : ''}><v>${digits}</v></c>`;
}

/** Whether digits would be lost that were not lost already. */
function isTooLong(value: unknown, digits: string): boolean {
  return (
    typeof value !== 'number' &&
    digits.replace(/e.*$/i, '').replaceAll(/\D/g, '').length > DIGITS_MAX
  );
}

function dateCell(ref: string, value: unknown): string {
  const text = dateText(value);
  const day = text === null ? NaN : Date.parse(text) / DAY_MS + EPOCH_DAY;
  return serialCell(ref, day, STYLE.date) ?? textCell(ref, text ?? anyText(value));
}

function instantCell(ref: string, value: unknown): string {
  const time = instantMs(value);
  if (time === null) return textCell(ref, anyText(value));
  return (
    serialCell(ref, time / DAY_MS + EPOCH_DAY, STYLE.instant) ??
    textCell(ref, new Date(time).toISOString())
  );
}

/** Null for days that Excel cannot show. */
function serialCell(ref: string, day: number, style: number): string | null {
  if (!(day >= DAY_MIN && day < DAY_MAX)) return null;
  return `<c r="${ref}" s="${style}"><v>${day}</v></c>`;
}

const KEPT_SPACE = /^\s|\s$|\n/;

function textCell(ref: string, given: string, style: number | null = null): string {
  if (given === '') return '';
  // A line ends with LF in a cell, and programs other than Excel show what CR would have to be written as.
  const whole = given.includes('\r\n') ? given.replaceAll('\r\n', '\n') : given;
  const text = whole.length > CELL_TEXT_MAX ? cutText(whole) : whole;
  const shown = style ?? (isFormulaLike(text) ? STYLE.text : null);
  const start = shown === null ? `<c r="${ref}"` : `<c r="${ref}" s="${shown}"`;
  const space = KEPT_SPACE.test(text) ? ' xml:space="preserve"' : '';
  return `${start} t="inlineStr"><is><t${space}>${escapeXml(text)}</t></is></c>`;
}

function cutText(text: string): string {
  const end = CELL_TEXT_MAX - CUT_MARK.length;
  // Not between the halves of a character.
  const isHigh = (text.charCodeAt(end - 1) & 0xfc00) === 0xd800;
  return text.slice(0, isHigh ? end - 1 : end) + CUT_MARK;
}

// What XML cannot hold, and what would be read as an escape.
// eslint-disable-next-line no-control-regex -- these are the characters that it cannot hold
const ESCAPED = /[&<>\u0000-\u0008\u000b-\u001f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)/;
const ESCAPED_ALL = new RegExp(ESCAPED, 'g');
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
};

/**
 * Text for XML. What XML 1.0 cannot hold, and CR which it would change, becomes `_xHHHH_`, and so does the `_` of text
 * that looks like that (ECMA-376 part 1, 22.9.2.19). Half characters are left to the encoding, which replaces them.
 */
export function escapeXml(text: string): string {
  return ESCAPED.test(text) ? text.replaceAll(ESCAPED_ALL, escapeOne) : text;
}

function escapeOne(found: string): string {
  const code = found.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  return ENTITIES[found] ?? `_x${code}_`;
}

/** Without what Excel takes in no name, and apostrophes at the ends; escaped by its user. */
function sheetNameOf(name: string, index: number): string {
  const suffix = index === 0 ? '' : ` (${index + 1})`;
  const allowed = name.replaceAll(/[\p{Cc}[\]:*?/\\"]/gu, ' ').replace(/^[\s']+/, '');
  const short = allowed.slice(0, SHEET_NAME_MAX - suffix.length).replace(/[\s']+$/, '');
  return (short || 'Export') + suffix;
}

function columnWidth(column: ExportColumn, rows: readonly ExportRow[]): number {
  const { name, kind } = column;
  // The arrow of the filter takes room beside the header.
  let width = headerText(column).length + 3;
  if (kind === 'instant') width = Math.max(width, 20);
  else if (kind === 'date') width = Math.max(width, 11);
  else {
    for (const row of rows.slice(0, WIDTH_ROWS_MAX)) {
      const value = row[name];
      if (value === null || value === undefined) continue;
      width = Math.max(width, (kind === 'json' ? jsonText(value) : anyText(value)).length + 2);
    }
  }
  return Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, width));
}

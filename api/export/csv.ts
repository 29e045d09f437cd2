/**
 * Writes CSV: RFC 4180 in UTF-8 with a byte order mark, for Excel takes a file without one for the code page of the machine.
 * Text that a spreadsheet would run gets an apostrophe in front; numbers are numbers and get none. It holds one page of rows
 * and one piece of the file, and asks for rows no faster than the file is read.
 */
import assert from 'node:assert/strict';
import type { Readable } from 'node:stream';
import { streamOfChunks } from './chunk-stream.ts';
import {
  anyText,
  dateText,
  EXPORT_CHUNK_BYTES,
  headerText,
  instantMs,
  isFormulaLike,
  jsonText,
  numberText,
  type ExportColumn,
  type ExportKind,
  type ExportPages,
} from './columns.ts';

/** Bytes of the file that are made ahead of its reader, beside the page that is being written. */
export const CSV_AHEAD_BYTES_MAX = 4 * EXPORT_CHUNK_BYTES;

const BYTE_ORDER_MARK = '\ufeff';
const LINE_END = '\r\n';
const QUOTED = /[",\r\n]/;

/**
 * The file as a stream of bytes. At least one column. Null and empty text are both empty cells; instants are ISO 8601 in UTC;
 * a value that is not of its column's kind is written as text. Destroying the stream ends `pages`; an error of `pages` destroys
 * the stream.
 */
export function writeCsv(columns: readonly ExportColumn[], pages: ExportPages): Readable {
  assert(columns.length > 0, 'a file has columns');
  return streamOfChunks(csvChunks(columns, pages));
}

async function* csvChunks(
  columns: readonly ExportColumn[],
  pages: ExportPages,
): AsyncGenerator<Buffer, void> {
  const fields = columns.map(({ name, kind }) => ({ name, cell: CELLS[kind] }));
  const headers = columns.map((column) => textCell(headerText(column)));
  let text = BYTE_ORDER_MARK + headers.join(',') + LINE_END;
  for await (const rows of pages) {
    for (const row of rows) {
      let separator = '';
      for (const { name, cell } of fields) {
        const value = row[name];
        text += value === null || value === undefined ? separator : separator + cell(value);
        separator = ',';
      }
      text += LINE_END;
      if (text.length >= EXPORT_CHUNK_BYTES) {
        yield Buffer.from(text);
        text = '';
      }
    }
    // Whoever reads gets what there is, and may go away between two pages however short they are.
    if (text !== '') yield Buffer.from(text);
    text = '';
  }
  if (text !== '') yield Buffer.from(text);
}

/** How a value that is there is written, by the kind of its column. */
const CELLS: Readonly<Record<ExportKind, (value: unknown) => string>> = {
  text: (value) => textCell(anyText(value)),
  integer: numberCell,
  number: numberCell,
  boolean: (value) => (typeof value === 'boolean' ? String(value) : textCell(anyText(value))),
  date: (value) => textCell(dateText(value) ?? anyText(value)),
  instant: instantCell,
  json: (value) => textCell(jsonText(value)),
};

function numberCell(value: unknown): string {
  return numberText(value) ?? textCell(anyText(value));
}

function instantCell(value: unknown): string {
  const time = instantMs(value);
  // Years beyond 9999 begin with a sign.
  return textCell(time === null ? anyText(value) : new Date(time).toISOString());
}

function textCell(text: string): string {
  const harmless = isFormulaLike(text) ? `'${text}` : text;
  return QUOTED.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/**
 * Writes XLSX workbooks: sheets made row by row, compressed and zipped by yazl as they are made. It holds one page of rows and
 * a few pieces of the file, and asks for rows no faster than the file is read. What a row looks like is told in
 * `xlsx-parts.ts`.
 *
 * States of one file: sheet after sheet, then the parts that name the sheets, then the end. An error of the rows, or a reader
 * that goes away, leads from any of them to a destroyed stream and rows that were told to end.
 */
import assert from 'node:assert/strict';
import type { PassThrough, Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { ZipFile } from 'yazl';
import { streamOfChunks } from './chunk-stream.ts';
import {
  EXPORT_CHUNK_BYTES,
  type ExportColumn,
  type ExportPages,
  type ExportRow,
} from './columns.ts';
import {
  COLUMNS_MAX,
  contentTypesXml,
  ROOT_RELATIONS_XML,
  rowWriter,
  sheetHead,
  sheetTail,
  STYLES_XML,
  workbookRelationsXml,
  workbookXml,
} from './xlsx-parts.ts';

/** Rows of one sheet, its header included. Excel specifications and limits. */
export const SHEET_ROWS_MAX = 1_048_576;
/** Bytes of a sheet that are made ahead of the reader of a file that does not compress, beside the page being written. */
export const XLSX_AHEAD_BYTES_MAX = 8 * EXPORT_CHUNK_BYTES;

/**
 * Of 60,000 rows of `npm run bench -- export` level 6 takes 2.7 times the processor time of level 1 (1.56 and 0.57 s), for a file
 * that is a sixth smaller (9.0 and 11.0 MB); 2026-11-28.
 */
const COMPRESSION_LEVEL = 1;

export interface XlsxOptions {
  /** Of the first sheet; those that follow are numbered. What Excel does not take is left out. */
  readonly sheetName?: string;
  /** From 2 to {@link SHEET_ROWS_MAX}, header included; rows beyond go on in the next sheet. */
  readonly rowsPerSheetMax?: number;
  /** When the parts of the file were made; the same rows and the same time give the same bytes. */
  readonly madeAt?: Date;
}

/**
 * The file as a stream of bytes. Text is a string cell and never a formula; text that looks like one keeps being text when it
 * is edited. Instants are date cells in UTC. From 1 to 16,384 columns. Text beyond 32,767 characters is cut and says so; a
 * value that is not of its column's kind is written as text. Begins at once; destroying the stream ends `pages`, and an error of
 * `pages` destroys the stream.
 */
export function writeXlsx(
  columns: readonly ExportColumn[],
  pages: ExportPages,
  options: XlsxOptions = {},
): Readable {
  const { rowsPerSheetMax = SHEET_ROWS_MAX, madeAt = new Date() } = options;
  assert(columns.length > 0 && columns.length <= COLUMNS_MAX, 'a sheet has 1 to 16,384 columns');
  assert(rowsPerSheetMax >= 2 && rowsPerSheetMax <= SHEET_ROWS_MAX, 'a sheet has rows');
  const zip = new ZipFile();
  // Typed as less than it is.
  const output = zip.outputStream as PassThrough;
  zip.on('error', (error: Error) => output.destroy(error));
  // Rows are asked for before anybody listens; whoever reads later still gets the error.
  output.on('error', () => undefined);
  const sheets = { columns, rowsPerSheetMax, sheetName: options.sheetName ?? 'Export' };
  fillWorkbook(zip, output, sheets, { rows: new RowCursor(pages), madeAt }).catch(
    (error: unknown) => output.destroy(error as Error),
  );
  return output;
}

interface Sheets {
  readonly columns: readonly ExportColumn[];
  readonly rowsPerSheetMax: number;
  readonly sheetName: string;
}

async function fillWorkbook(
  zip: ZipFile,
  output: PassThrough,
  { columns, rowsPerSheetMax, sheetName }: Sheets,
  { rows, madeAt }: { rows: RowCursor; madeAt: Date },
): Promise<void> {
  const options = { mtime: madeAt, compressionLevel: COMPRESSION_LEVEL };
  const add = (path: string, xml: string) => zip.addBuffer(Buffer.from(xml), path, options);
  try {
    // These come first, for programs that tell by the first names what a file is.
    add('_rels/.rels', ROOT_RELATIONS_XML);
    add('xl/styles.xml', STYLES_XML);
    const rowCounts: number[] = [];
    do {
      const isFirst = rowCounts.length === 0;
      const xml = streamOfChunks(
        sheetChunks(columns, rows, { rowsMax: rowsPerSheetMax, isFirst, rowCounts }),
      );
      const stop = () => xml.destroy();
      output.once('close', stop);
      zip.addReadStream(xml, `xl/worksheets/sheet${rowCounts.length + 1}.xml`, options);
      await finished(xml);
      output.off('close', stop);
    } while ((await rows.peek()) !== null);
    add('xl/workbook.xml', workbookXml({ sheetName, rowCounts, columnCount: columns.length }));
    add('xl/_rels/workbook.xml.rels', workbookRelationsXml(rowCounts.length));
    add('[Content_Types].xml', contentTypesXml(rowCounts.length));
    zip.end();
  } finally {
    await rows.close();
  }
}

/** One sheet; the number of its rows, header included, is added to `rowCounts` at its end. */
async function* sheetChunks(
  columns: readonly ExportColumn[],
  rows: RowCursor,
  { rowsMax, isFirst, rowCounts }: { rowsMax: number; isFirst: boolean; rowCounts: number[] },
): AsyncGenerator<Buffer, void> {
  const writeRow = rowWriter(columns);
  let rowCount = 1;
  let page = await rows.peek();
  let xml = sheetHead(columns, page ?? [], isFirst);
  while (page !== null && rowCount < rowsMax) {
    for (const row of rows.take(rowsMax - rowCount)) {
      xml += writeRow(row, ++rowCount);
      if (xml.length >= EXPORT_CHUNK_BYTES) {
        yield Buffer.from(xml);
        xml = '';
      }
    }
    // A reader may go away between two pages, however short they are.
    if (xml !== '') yield Buffer.from(xml);
    xml = '';
    if (rowCount < rowsMax) page = await rows.peek();
  }
  rowCounts.push(rowCount);
  yield Buffer.from(xml + sheetTail(columns.length, rowCount));
}

/** Pages of rows, of which a sheet may take a part and leave the rest to the next. */
class RowCursor {
  readonly #pages: AsyncIterator<readonly ExportRow[]>;
  #page: readonly ExportRow[] = [];
  #isOver = false;

  constructor(pages: ExportPages) {
    this.#pages = pages[Symbol.asyncIterator]();
  }

  /** The rows that come next, at least one; null at the end. */
  async peek(): Promise<readonly ExportRow[] | null> {
    while (this.#page.length === 0) {
      if (this.#isOver) return null;
      const next = await this.#pages.next();
      if (next.done === true) this.#isOver = true;
      else this.#page = next.value;
    }
    return this.#page;
  }

  /** Takes up to `countMax` of the rows that were peeked at. */
  take(countMax: number): readonly ExportRow[] {
    const taken = this.#page.length <= countMax ? this.#page : this.#page.slice(0, countMax);
    this.#page = taken === this.#page ? [] : this.#page.slice(countMax);
    return taken;
  }

  /** No more rows are wanted. */
  async close(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#page = [];
    await this.#pages.return?.();
  }
}

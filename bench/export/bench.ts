/**
 * `npm run bench -- export`: a list written as CSV and as XLSX into a reader that keeps nothing. Rows are made up as they are
 * asked for, and what making them takes alone is told beside: no database and no network are in these figures.
 */
import { createHash } from 'node:crypto';
import { createDeflateRaw } from 'node:zlib';
import type { Readable } from 'node:stream';
import type { ExportPages } from '../../api/export/columns.ts';
import { writeCsv } from '../../api/export/csv.ts';
import { writeXlsx } from '../../api/export/xlsx.ts';
import { collectGarbage } from '../engine/held-bytes.ts';
import type { Report } from '../report.ts';
import { WORKORDER_COLUMNS, workorderPages, type ExportRowsParams } from './rows.ts';

export interface ExportBenchParams extends ExportRowsParams {
  readonly format: 'every' | 'csv' | 'xlsx';
}

export const EXPORT_PARAMS: ExportBenchParams = {
  seed: 1,
  rows: 300_000,
  pageRows: 1_000,
  format: 'every',
};

export const EXPORT_PARAMS_TINY: ExportBenchParams = { ...EXPORT_PARAMS, rows: 3_000 };

export const EXPORT_WORDS = { format: ['every', 'csv', 'xlsx'] } as const;

/** Of the files, so that the same rows give the same bytes. */
const MADE_AT = new Date('2026-06-01T00:00:00Z');
const MIB = 1_048_576;
/** Code is made by the first rows, and stays. */
const WARM_UP_ROWS_MAX = 5_000;

const WRITERS = {
  csv: (pages: ExportPages) => writeCsv(WORKORDER_COLUMNS, pages),
  xlsx: (pages: ExportPages) => writeXlsx(WORKORDER_COLUMNS, pages, { madeAt: MADE_AT }),
} as const;

/** Time, size and the memory of the process over what it was before, at its highest. */
export async function benchExport(params: ExportBenchParams, report: Report): Promise<void> {
  // The first compressor of a process brings memory that stays.
  createDeflateRaw().destroy();
  for (const format of ['csv', 'xlsx'] as const) {
    if (params.format !== 'every' && params.format !== format) continue;
    const rows = Math.min(params.rows, WARM_UP_ROWS_MAX);
    await drain(WRITERS[format](workorderPages({ ...params, rows })));
    collectGarbage();
    const { hash, bytes, seconds, rssGrowthBytes, rssPeakBytes } = await drain(
      WRITERS[format](workorderPages(params)),
    );
    const told = { ...params, format, columns: WORKORDER_COLUMNS.length, hash };
    const figure = (metric: string, value: number, unit: string) =>
      report({ scenario: `export_${format}`, metric, value, unit, params: told });
    figure('rows_per_s', params.rows / seconds, 'rows/s');
    figure('time', seconds, 's');
    figure('time_of_rows_alone', await secondsOfRows(params), 's');
    figure('size', bytes, 'bytes');
    figure('rss_growth_max', rssGrowthBytes / MIB, 'MiB');
    figure('rss_max', rssPeakBytes / MIB, 'MiB');
  }
}

async function drain(file: Readable) {
  const hash = createHash('sha256');
  const rssBefore = process.memoryUsage.rss();
  const startedMs = performance.now();
  let rssPeakBytes = rssBefore;
  let bytes = 0;
  for await (const chunk of file as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
    rssPeakBytes = Math.max(rssPeakBytes, process.memoryUsage.rss());
  }
  return {
    hash: hash.digest('hex').slice(0, 12),
    bytes,
    seconds: (performance.now() - startedMs) / 1_000,
    rssGrowthBytes: rssPeakBytes - rssBefore,
    rssPeakBytes,
  };
}

async function secondsOfRows(params: ExportBenchParams): Promise<number> {
  const startedMs = performance.now();
  let rows = 0;
  for await (const page of workorderPages(params)) rows += page.length;
  if (rows !== params.rows) throw new Error(`${rows} rows were made of ${params.rows}`);
  return (performance.now() - startedMs) / 1_000;
}

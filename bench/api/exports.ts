/** Exports of the big customer's invoices: rows a second, and by how much the portal grows meanwhile. */
import assert from 'node:assert/strict';
import { median } from '../engine/statistics.ts';
import { residentBytes } from '../ingest/process-cost.ts';
import type { ApiHouse, Server } from './bench.ts';
import type { Downloaded, LoadOrder, LoadRequest } from './load-program.ts';

const SAMPLE_MS = 20;

export async function measureExports(
  house: ApiHouse,
  format: 'csv' | 'xlsx',
): Promise<[string, number, string][]> {
  const { params, portal, bare, bigAsker } = house;
  const rows = params.invoicesBig;
  const ours = {
    path: `/v1/invoices/export?format=${format}`,
    headers: { authorization: `Bearer ${bigAsker.all}` },
  };
  const theirs = { path: `/export?customer=${bigAsker.customerId}`, headers: {} };
  const results: { ours: Exported; theirs: Exported }[] = [];
  for (let round = 0; round < params.exportRounds; round++) {
    const one = await exportOnce(house, portal, ours);
    const other = await exportOnce(house, bare, theirs);
    // The header is a line as well; a workbook is not made of lines.
    if (format === 'csv') assert.equal(one.lines, rows + 1, 'every invoice in the file');
    assert.equal(other.lines, rows, 'every invoice from the bare server');
    results.push({ ours: one, theirs: other });
  }
  const middle = (read: (result: (typeof results)[number]) => number): number =>
    median(results.map(read));
  return [
    ['rows_per_s', middle((one) => rows / one.ours.seconds), 'rows/s'],
    ['bare_rows_per_s', middle((one) => rows / one.theirs.seconds), 'rows/s'],
    ['ratio_to_bare', middle((one) => one.theirs.seconds / one.ours.seconds), '×'],
    ['file_mib', middle((one) => one.ours.bytes / 2 ** 20), 'MiB'],
    ['resident_growth_first_mib', results[0]!.ours.growthMib, 'MiB'],
    ['resident_growth_last_mib', results.at(-1)!.ours.growthMib, 'MiB'],
  ];
}

interface Exported extends Downloaded {
  /** The most that the server held during the export, less what it held before. */
  readonly growthMib: number;
}

async function exportOnce(
  { load }: ApiHouse,
  { program, port }: Server,
  request: LoadRequest,
): Promise<Exported> {
  const before = await residentBytes(program.pid);
  let most = before;
  const look = async (): Promise<void> => {
    most = Math.max(most, await residentBytes(program.pid));
  };
  const timer = setInterval(() => void look(), SAMPLE_MS);
  try {
    const order: LoadOrder = { order: 'download', port, request };
    const downloaded = await load.ask<Downloaded>(order);
    return { ...downloaded, growthMib: (most - before) / 2 ** 20 };
  } finally {
    clearInterval(timer);
  }
}

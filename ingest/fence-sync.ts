/**
 * Keeps the engine's fences equal to those of the database: all of them, or those that may have changed. Reads page by
 * page, so that large geometries are not all in memory as JSON, nobody waits for long, and the server works on a page while the
 * one before is put in force.
 */
import type { Pool } from 'pg';
import type { Edit } from '../engine/types.ts';
import type { Logger } from './logger.ts';
import {
  loadFences,
  readFenceOutlines,
  readFenceRows,
  type FenceChanges,
  type FenceMark,
  type FenceOutline,
  type LoadedFence,
} from './fence-rows.ts';

/** Fences read in one query, and the stored bytes of their geometries beyond which no further one is. */
export const PAGE_FENCES_MAX = 1_000;
export const PAGE_GEOMETRY_BYTES_MAX = 4_000_000;

interface FenceSyncOptions {
  readonly pool: Pool;
  readonly log: Logger;
  readonly applyEdits: (edits: readonly Edit[]) => void;
}

export class FenceSync {
  private readonly options: FenceSyncOptions;
  /** Of the fences in force. */
  private readonly marks = new Map<number, FenceMark>();

  constructor(options: FenceSyncOptions) {
    this.options = options;
  }

  /** Fences in force. */
  get count(): number {
    return this.marks.size;
  }

  /**
   * One round. A full one takes what is another than it was, by version and time zone; else what the round names is read
   * anew. Rejects when the database cannot be read: what had been read by then is in force, and noted, so that the round may
   * be done again.
   */
  async sync(round: FenceChanges & { readonly full: boolean }): Promise<void> {
    if (!round.full && round.fences.size + round.customers.size === 0) return;
    const outlines = await readFenceOutlines(this.options.pool, round.full ? null : round);
    const isNamed = (fenceId: number): boolean => !round.full && round.fences.has(fenceId);
    const wanted = outlines.filter(
      ({ fenceId, mark }) => isNamed(fenceId) || this.marks.get(fenceId) !== mark,
    );
    const present = new Set(outlines.map(({ fenceId }) => fenceId));
    for (const { fenceId } of wanted) present.delete(fenceId);
    for (const fenceId of await this.read(wanted)) present.add(fenceId);
    const asked = round.full ? this.marks.keys() : [...round.fences, ...outlines.map(idOf)];
    const gone = [...new Set(asked)].filter((id) => this.marks.has(id) && !present.has(id));
    this.remove(gone);
  }

  /** Puts fences in force, page by page; gives the ids of those that are good. */
  private async read(outlines: readonly FenceOutline[]): Promise<number[]> {
    const { pool, log } = this.options;
    const ids: number[] = [];
    const pages = pagesOf(outlines);
    let next = pages.length > 0 ? readFenceRows(pool, pages[0] ?? []) : null;
    for (let page = 1; next !== null; page++) {
      const rows = await next;
      next = page < pages.length ? readFenceRows(pool, pages[page] ?? []) : null;
      // It is awaited in the next turn, unless this one throws.
      next?.catch(() => undefined);
      const { loaded, bad } = loadFences(rows);
      for (const fence of bad) log.error({ fence }, 'a stored fence is refused by the engine');
      this.put(loaded);
      for (const { fence } of loaded) ids.push(fence.fenceId);
    }
    return ids;
  }

  private put(loaded: readonly LoadedFence[]): void {
    if (loaded.length === 0) return;
    this.options.applyEdits(loaded.map(({ fence }) => ({ type: 'fence_put', fence })));
    // When it is done, as a round that fails is done again.
    for (const { fence, mark } of loaded) this.marks.set(fence.fenceId, mark);
  }

  private remove(ids: readonly number[]): void {
    if (ids.length === 0) return;
    this.options.applyEdits(ids.map((fenceId) => ({ type: 'fence_delete', fenceId })));
    for (const fenceId of ids) this.marks.delete(fenceId);
  }
}

function idOf({ fenceId }: FenceOutline): number {
  return fenceId;
}

function pagesOf(outlines: readonly FenceOutline[]): number[][] {
  const pages: number[][] = [];
  let page: number[] = [];
  let bytes = 0;
  for (const { fenceId, geometryBytes } of outlines) {
    if (page.length === PAGE_FENCES_MAX || bytes >= PAGE_GEOMETRY_BYTES_MAX) {
      pages.push(page);
      page = [];
      bytes = 0;
    }
    page.push(fenceId);
    bytes += geometryBytes;
  }
  if (page.length > 0) pages.push(page);
  return pages;
}

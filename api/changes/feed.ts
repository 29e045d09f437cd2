/**
 * What can be followed: a feed has rows that are told as a whole in the order of their keys, and told of again when the log
 * of changes names them. Knows no cursor and no HTTP.
 */
import type pg from 'pg';
import type { Reader } from '../../db/tenancy.ts';
import type { RoutePermission } from '../auth/permissions.ts';

/** Who reads, and through what. */
export interface Reading {
  readonly pool: pg.Pool;
  readonly reader: Reader;
}

export const OPERATIONS = ['created', 'updated', 'deleted'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** An entry of the log; see `record_change`. */
export interface Entry {
  readonly entity_type: string;
  readonly entity_id: string;
  readonly operation: Operation;
  readonly version: number | null;
  readonly changed_at: Date;
}

/** What is told of one row. */
export interface Item {
  readonly id: string | number;
  readonly operation: Operation;
  readonly changedAt: Date;
  readonly version: number | null;
  /** JSON, as its list shows it; null: gone, or not the caller's to see. */
  readonly row: string | null;
}

export type Key = string | number;

/** Where a stream has been read to, in whole numbers. */
export type StreamPosition = readonly number[];

/** Rows that are written too often for the log, and told from records of their own. */
export interface Stream {
  /** Where it stands now. */
  begin(reading: Reading): Promise<StreamPosition>;
  /**
   * What came after a position, and where that ends. Null: the position is too old or of another database, and everything
   * is to be told anew.
   */
  read(reading: Reading, position: StreamPosition, itemsMax: number): Promise<StreamPage | null>;
}

export interface StreamPage {
  readonly items: readonly Item[];
  readonly position: StreamPosition;
  /** Nothing more has come. */
  readonly isAll: boolean;
}

export interface ListPage {
  readonly items: readonly Item[];
  /** Where the next page begins; null: this was the last. */
  readonly after: Key | null;
}

export interface Feed {
  readonly path: string;
  readonly right: RoutePermission;
  /** Tables whose entries in the log tell of its rows. */
  readonly kinds: readonly string[];
  /** What is told for entries of one of its kinds, no two of them of one row: by the place of the entry. */
  tell(reading: Reading, entries: readonly Entry[]): Promise<ReadonlyMap<Entry, readonly Item[]>>;
  /** Rows after a key in their order, as they are; a page may hold fewer than `rowsMax` and not be the last. */
  list(reading: Reading, after: Key | null, rowsMax: number): Promise<ListPage>;
  readonly stream: Stream | null;
}

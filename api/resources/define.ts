/**
 * What a resource is: one declaration from which its routes, schemas, rights, filters, export columns and column
 * preferences are made. Knows no HTTP and no SQL; `api/catalog/` holds the declarations, a file a domain.
 */
import type { SQL } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { TSchema } from 'typebox';
import type { TenantDb } from '../../db/tenancy.ts';
import type { Right } from '../auth/permissions.ts';
import type { Principal } from '../auth/principal.ts';
import type { Quotas } from '../context.ts';
import type { Representation } from './representation.ts';
import type { StateMachine } from './states.ts';

/** A row by the names of its columns. */
export type Row = Record<string, unknown>;

/** What a rule works with: the transaction of the request, and who asks. */
export interface RuleContext {
  readonly db: TenantDb;
  readonly principal: Principal;
  readonly quotas: Quotas;
  /** When the request is answered, in epoch milliseconds: what rules stamp and reckon with. */
  readonly nowMs: number;
}

/** What a domain adds to the plain reading and writing of its rows. All of it runs in the transaction of the request. */
export interface ResourceRules {
  /**
   * Before a row is locked to be changed or deleted: locks what stands above it, for all lock from above. `patch` is null
   * for a deletion. What is not there, or not the caller's, is for the lock of the row itself to find.
   */
  holding?(context: RuleContext, key: string | number, patch: Row | null): Promise<void>;
  /**
   * Before many new rows are made in one request, each by itself: locks what stands above them, in one order. What it gives
   * is done when all of them have been.
   */
  many?(context: RuleContext, bodies: readonly Row[]): Promise<(() => Promise<void>) | void>;
  /**
   * Before a row is written; `stored` is null for a new one. May throw a `Problem`, and gives the values to be written:
   * those of the request, changed or added to. `given` is the request as it was sent: of a patch, also what is as it was.
   */
  prepare?(context: RuleContext, values: Row, stored: Row | null, given?: Row): Promise<Row> | Row;
  /** Writes a new row in place of the plain INSERT. May throw a `Problem`. */
  insert?(context: RuleContext, values: Row): Promise<Inserted>;
  /** After a row was written. */
  written?(context: RuleContext, row: Row, stored: Row | null): Promise<void>;
  /** Before a row is deleted. May throw a `Problem`. */
  removing?(context: RuleContext, stored: Row): Promise<void> | void;
  /** After a row was deleted, or marked as deleted. */
  removed?(context: RuleContext, stored: Row): Promise<void>;
}

/** A row that rules have inserted. */
export interface Inserted {
  readonly key: string | number;
  /** The declaration's `secrets`, for the answer that makes the row. */
  readonly secrets?: Row;
}

/** Columns of another table that are shown beside the row's own; of rows without a partner they are null. */
export interface Joined {
  readonly table: PgTable;
  readonly on: SQL;
  /** Bodies that make a row may give them, to `rules.insert`; nothing else writes them. */
  readonly columns: readonly PgColumn[];
}

export interface ResourceDeclaration {
  readonly table: PgTable;
  /** Under `/v1/`: a noun in kebab-case plural. */
  readonly path: string;
  /** One of them, in words, such as `service request`; begins the texts of the documentation. */
  readonly noun: string;
  /** Several of them, in words. */
  readonly nouns: string;
  /** Of the documentation. */
  readonly tag: string;
  /**
   * Reading asks for `<right>:read`, everything else for `<right>:write`. `signed_in`: both ask only that somebody is
   * signed in, for rows that are nobody else's.
   */
  readonly right: Right | 'signed_in';
  /** False: the rows are shipped, or are written by rules alone. */
  readonly writable?: boolean;
  /** False: rows are made by a route of their own, or not at all by callers; they are changed and deleted as others. */
  readonly creatable?: boolean;
  /**
   * Rows without an account belong to the whole customer, and are not written by those who are held to accounts; true: its
   * rules see to that.
   */
  readonly heldMayWrite?: boolean;
  /** False: rows stay as they were made. */
  readonly changeable?: boolean;
  /** False: rows are never deleted by callers. */
  readonly deletable?: boolean;
  /** The column that a path names a row by; the primary key when left out. */
  readonly key?: string;
  /** Columns that must hold something and may be left out, for rules fill them in. */
  readonly optional?: readonly string[];
  /** Columns that are given when a row is made and never changed. */
  readonly fixed?: readonly string[];
  /** Columns that are shown and that callers never write. */
  readonly derived?: readonly string[];
  /** Columns that are not shown. */
  readonly hidden?: readonly string[];
  readonly joined?: Joined;
  /** The order of its list where none is asked for, as a query says it; by the key when left out. */
  readonly sort?: string;
  /** What is shown, filtered and sorted by in place of what a column holds; without parameters. */
  readonly read?: Readonly<Record<string, SQL>>;
  /**
   * Of words that are read so: the rows that show a word, as a condition that an index serves. A word that is left out is
   * that of the column.
   */
  readonly words?: Readonly<Record<string, Readonly<Record<string, SQL>>>>;
  /**
   * Fields beside the columns that are shown once, in the answer that makes a row; rules give them. An answer that is kept
   * for its `Idempotency-Key` is kept without them.
   */
  readonly secrets?: Readonly<Record<string, TSchema>>;
  /** How many rows a customer may have. */
  readonly quota?: keyof Quotas;
  /** Rows that are tried to be made are counted as registrations, for a refusal tells what others have. */
  readonly countsAsRegistration?: boolean;
  /** Another form in which rows are shown and taken, for those who ask for it. */
  readonly representation?: Representation;
  /** The states that its rows go through. */
  readonly states?: StateMachine;
  /** What the documentation says of making, changing and deleting a row besides. */
  readonly notes?: Readonly<Partial<Record<'create' | 'change' | 'remove', string>>>;
  /** Columns of text longer than a name. */
  readonly long?: readonly string[];
  /** Schemas of single columns, where the column's type says too little. */
  readonly fields?: Readonly<Record<string, TSchema>>;
  /** Columns that hold the key of another table and do not bear its name: column → table. */
  readonly references?: Readonly<Record<string, string>>;
  /** A body that makes a row, with ids as placeholders; also the example in the documentation. */
  readonly example?: Row;
  /** Values of the documentation's example of a row that callers do not write, where the column's type says too little. */
  readonly shown?: Row;
  readonly rules?: ResourceRules;
}

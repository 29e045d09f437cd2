/**
 * Several statements in one write to the socket, COPY … FROM STDIN among them, with one answer to all: a transaction then
 * waits for the network, and for its turn of the event loop, once and not once a statement. Knows the extended query
 * protocol (PostgreSQL manual, "Pipelining" and "COPY Operations") and how `pg` speaks to a query of our own; refuses to
 * know tables.
 *
 * When a statement fails, the server passes over all that come behind it, COMMIT included, and the transaction is left for
 * the caller to roll back. The data of a COPY goes out before the server has asked for it; where it never asks, it passes
 * over the data, too. Who gives up waiting does not stop what is on its way: with COMMIT in it, it may still be done.
 */
import assert from 'node:assert/strict';
import type { ClientBase } from 'pg';
import pg from 'pg';
import { objectRows, type Field, type RowReader } from './json-rows.ts';
import { Prepared, type PreparingConnection } from './prepared.ts';

/** Values of one statement; a Buffer is in PostgreSQL's binary format. */
type Values = readonly unknown[];

/** What a statement gave; filled once the pipeline has run. */
export interface Answer<Row> {
  readonly rows: Row[];
}

/** To text, or to a Buffer; not typed yet. */
const { prepareValue } = (
  pg as unknown as { utils: { prepareValue(this: void, value: unknown): unknown } }
).utils;

interface Statement extends Answer<unknown> {
  /** Prepared under this name, once a connection: one name, one text. Empty: parsed each time. Null: kept by its text. */
  readonly name: string | null;
  readonly text: string;
  readonly values: Values;
  /** What a COPY sends; `null` for every other statement. */
  readonly data: Buffer | null;
  readonly reader: RowReader<unknown>;
  /** Takes no time to speak of. */
  readonly isBrief: boolean;
}

export class Pipeline {
  private readonly statements: Statement[] = [];

  /**
   * Adds a statement that is prepared under `name`. An empty name has it planned anew each time, by how large its tables are
   * then: a plan that was made while they were empty stays.
   */
  query<Row>(name: string, text: string, values: Values = []): Answer<Row> {
    return this.add<Row>({ name, text, values });
  }

  /** Adds a statement that reads no table: its answer comes with that of the next, and within the next one's time. */
  brief(name: string, text: string, values: Values): void {
    this.add({ name, text, values, isBrief: true });
  }

  /**
   * Adds a statement that may come again: a connection keeps the last `KEPT_STATEMENTS_MAX` of these prepared. The server
   * plans them anew for other values until it finds that these make no difference, and again when a table was analyzed.
   */
  recurring<Row>(
    text: string,
    values: Values,
    reader: RowReader<unknown> = objectRows,
  ): Answer<Row> {
    return this.add<Row>({ name: null, text, values, reader });
  }

  private add<Row>(given: Pick<Statement, 'name' | 'text' | 'values'> & Partial<Statement>) {
    const rows: unknown[] = [];
    const values = given.values.map((value) => prepareValue(value));
    const plain = { data: null, reader: objectRows, isBrief: false };
    this.statements.push({ ...plain, ...given, values, rows });
    return { rows: rows as Row[] };
  }

  /** Adds a COPY … FROM STDIN. The bytes must stay as they are until the pipeline has run. */
  copy(name: string, text: string, data: Buffer): void {
    this.add({ name, text, values: [], data });
  }

  /**
   * Sends everything. Resolves when all is done. Rejects with the first error of the server or that of the connection, when
   * the answer to a statement takes longer than the client's `query_timeout`, and when a value cannot be read (then all is
   * done). Without BEGIN and COMMIT it is one transaction as well. To be called once.
   */
  run(client: ClientBase): Promise<void> {
    assert(this.statements.length > 0, 'a pipeline without statements');
    return new Promise((resolve, reject) => {
      client.query(new Run(this.statements, answerMsMaxOf(client), resolve, reject));
    });
  }
}

/** CopyDone. */
const DONE = Buffer.from([0x63, 0, 0, 0, 4]);
const DATA_CODE = 0x64;
const HEAD_BYTES = 5;
/** Of one CopyData message: the server looks at its time limits, and tells of its progress, between messages. */
const COPY_PIECE_BYTES_MAX = 16_384;

/** What `pg` hands to a query: the part that is used here. */
interface Connection extends PreparingConnection {
  bind(config: { statement: string; values: Values }): void;
  describe(what: { type: 'P' }): void;
  execute(config: object): void;
  flush(): void;
  sync(): void;
  readonly stream: {
    cork(): void;
    uncork(): void;
    write(bytes: Uint8Array): boolean;
  };
}

/** A longer timer would fire at once. */
const TIMER_MS_MAX = 2_147_483_647;

/** One run on one connection. `pg` calls what is public, by these names. */
class Run {
  /** Where queries have a time limit, `pg` puts a function here that ends it. */
  callback = (): void => undefined;
  /** Not for `pg` to keep: its limit is for one statement, and here there are many. */
  readonly query_timeout = TIMER_MS_MAX;
  private readonly answerMsMax: number;
  private timer: NodeJS.Timeout | null = null;
  private isOver = false;
  /** The first value that could not be read. */
  private unreadable: Error | null = null;
  private readonly statements: readonly Statement[];
  private readonly resolve: () => void;
  private readonly reject: (error: Error) => void;
  private prepared: Prepared | null = null;
  /** Statements that are done. */
  private done = 0;
  private readRow: (texts: readonly (string | null)[]) => unknown = () => undefined;

  /** `answerMsMax`: how long the answer to one statement may take, 0 for ever. */
  constructor(
    statements: readonly Statement[],
    answerMsMax: number,
    resolve: () => void,
    reject: (error: Error) => void,
  ) {
    this.statements = statements;
    this.answerMsMax = answerMsMax;
    this.resolve = resolve;
    this.reject = reject;
    // A query before it may never be answered.
    this.startTimer();
  }

  submit(sent: unknown): Error | undefined {
    // It was given up while it waited: it must not be done after all.
    if (this.isOver) return new Error('given up before it was sent');
    const connection = sent as Connection;
    const prepared = Prepared.of(connection);
    this.prepared = prepared;
    this.startTimer();
    connection.stream.cork();
    prepared.begin();
    for (const statement of this.statements) {
      const { name, text, values, data } = statement;
      const preparedName = name === null ? prepared.keep(text) : prepared.name(name, text);
      connection.bind({ statement: preparedName, values });
      if (data === null) connection.describe({ type: 'P' });
      connection.execute({});
      if (data !== null) sendCopyData(connection, data);
      // Or else the server keeps its answers together until the end, and who waits does not know that it is at work. What
      // takes no time, and what comes last, is answered together with what follows: each packet less is a turn less.
      const isLast = statement === this.statements.at(-1);
      if (!isLast && !statement.isBrief) connection.flush();
    }
    connection.sync();
    connection.stream.uncork();
    return undefined;
  }

  handleRowDescription({ fields }: { readonly fields: readonly Field[] }): void {
    this.readRow = this.statements[this.done]!.reader(fields);
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    try {
      this.statements[this.done]!.rows.push(this.readRow(fields));
    } catch (error) {
      this.unreadable ??= error as Error;
    }
  }

  handleCommandComplete(): void {
    this.done++;
    this.startTimer();
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete();
  }

  handleCopyInResponse(): void {
    // The data is on its way.
  }

  handleReadyForQuery(): void {
    if (this.unreadable !== null) {
      this.handleError(this.unreadable);
      return;
    }
    this.end();
    this.resolve();
  }

  handleError(error: Error): void {
    for (const { name, text } of this.statements) if (name === null) this.prepared?.forget(text);
    this.end();
    this.reject(error);
  }

  private end(): void {
    this.isOver = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.prepared?.end();
    this.callback();
  }

  /** The words are those of `pg`. */
  private startTimer(): void {
    if (this.answerMsMax === 0 || this.isOver) return;
    if (this.timer !== null) this.timer.refresh();
    else {
      const error = new Error('Query read timeout');
      this.timer = setTimeout(() => this.handleError(error), this.answerMsMax);
    }
  }
}

/** What the client's `query_timeout` says; `pg` keeps its settings to itself. */
function answerMsMaxOf(client: ClientBase): number {
  const { connectionParameters } = client as unknown as {
    connectionParameters: { query_timeout: number | false };
  };
  return Number(connectionParameters.query_timeout);
}

function sendCopyData({ stream }: Connection, data: Buffer): void {
  for (let at = 0; at < data.length; at += COPY_PIECE_BYTES_MAX) {
    const piece = data.subarray(at, at + COPY_PIECE_BYTES_MAX);
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    head[0] = DATA_CODE;
    head.writeUInt32BE(piece.length + HEAD_BYTES - 1, 1);
    stream.write(head);
    stream.write(piece);
  }
  stream.write(DONE);
}

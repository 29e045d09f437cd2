/**
 * What one connection has prepared at its server: statements with a name for as long as it lives, and of those that only have
 * a text the last few. Knows when the server has done what it was asked, and what it is still to forget; refuses to know
 * what the statements are for. A prepared statement holds no values and no rows, and its plan is that of the connection's
 * one role: who used it before makes no difference to the next tenant.
 */
import type { EventEmitter } from 'node:events';

/** Statements that a connection keeps by their text; each takes some 50 kB of the server's memory. */
export const KEPT_STATEMENTS_MAX = 32;

/** What `pg` calls a connection: the part that is used here. */
export interface PreparingConnection extends Pick<EventEmitter, 'on'> {
  parse(query: { name: string; text: string }): void;
  close(what: { type: 'S'; name: string }): void;
}

interface Named {
  readonly name: string;
  readonly text: string;
}

export class Prepared {
  readonly #connection: PreparingConnection;
  readonly #names = new Set<string>();
  /** Text → name, the least recently used first. */
  readonly #kept = new Map<string, string>();
  /** Names that the server is to forget. */
  readonly #surplus: string[] = [];
  /** What the server has been asked for in this run and has not done yet, in order. */
  #parsing: Named[] = [];
  #closing = 0;
  /** Numbers names, so that none comes twice. */
  #serial = 0;

  private constructor(connection: PreparingConnection) {
    this.#connection = connection;
    connection.on('parseComplete', () => this.#parsed());
    connection.on('closeComplete', () => this.#closed());
  }

  static of(connection: PreparingConnection): Prepared {
    let prepared = preparedOf.get(connection);
    if (prepared === undefined) {
      prepared = new Prepared(connection);
      preparedOf.set(connection, prepared);
    }
    return prepared;
  }

  /** Begins a run: the first that it sends is what is to be forgotten, so that nothing can fail before it. */
  begin(): void {
    this.#closing = this.#surplus.length;
    for (const name of this.#surplus) this.#connection.close({ type: 'S', name });
  }

  /** Ends a run, whatever it came to: what was not done by now never will be. */
  end(): void {
    this.#parsing = [];
    this.#closing = 0;
  }

  /** Sees to it that the statement of this name is prepared; an empty name is anew each time. */
  name(name: string, text: string): string {
    const isKnown = name !== '' && (this.#names.has(name) || this.#isParsing(name));
    if (!isKnown) this.#parse({ name, text });
    return name;
  }

  /** Sees to it that the text is prepared, and gives the name that it has got. */
  keep(text: string): string {
    const known =
      this.#kept.get(text) ?? this.#parsing.find((one) => isKept(one) && one.text === text)?.name;
    if (known === undefined) {
      const name = `${KEPT}${this.#serial++}`;
      this.#parse({ name, text });
      return name;
    }
    if (this.#kept.delete(text)) this.#kept.set(text, known);
    return known;
  }

  /** Keeps the text no longer: a plan whose table was altered may fail ever after. */
  forget(text: string): void {
    const name = this.#kept.get(text);
    if (name === undefined) return;
    this.#kept.delete(text);
    this.#surplus.push(name);
  }

  #isParsing(name: string): boolean {
    return this.#parsing.some((one) => one.name === name);
  }

  #parse(named: Named): void {
    this.#parsing.push(named);
    this.#connection.parse(named);
  }

  // Not all that is sent is prepared: the server passes over what comes behind an error.
  #parsed(): void {
    const named = this.#parsing.shift();
    // Of somebody else on this connection.
    if (named === undefined) return;
    if (!isKept(named)) {
      this.#names.add(named.name);
      return;
    }
    this.#kept.set(named.text, named.name);
    if (this.#kept.size <= KEPT_STATEMENTS_MAX) return;
    this.forget(this.#kept.keys().next().value!);
  }

  #closed(): void {
    if (this.#closing === 0) return;
    this.#closing -= 1;
    this.#surplus.shift();
  }
}

/** What the names of kept texts begin with, and no others. */
const KEPT = 'kept ';

function isKept({ name }: Named): boolean {
  return name.startsWith(KEPT);
}

const preparedOf = new WeakMap<PreparingConnection, Prepared>();

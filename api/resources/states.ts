/**
 * The states that rows of a resource go through: which may follow which, what entering one asks for, and what it notes.
 * One table a resource, in its declaration; PATCH and `POST …/transitions` both go by it. Knows no SQL and no HTTP.
 */
import type { FieldError } from '../problem.ts';
import { Problem } from '../problem.ts';
import type { Row } from './define.ts';

export interface StateMachine {
  /** The column that holds the state. */
  readonly column: string;
  /** States in which a row may be made. */
  readonly first: readonly string[];
  /** From each state to those that may follow it; one that nothing follows is an end. */
  readonly next: Readonly<Record<string, readonly string[]>>;
  /** What is asked and noted when a state is entered. */
  readonly enter?: Readonly<Record<string, Entry>>;
  /** The column that says why the row is where it is: it belongs to one transition, and is emptied by the next. */
  readonly reason?: string;
  /** States that rules enter by themselves, and that nobody asks for: they are not among those that are allowed. */
  readonly inner?: readonly string[];
  /** States in which nothing of a row is changed but the state. */
  readonly settled?: readonly string[];
}

export interface Entry {
  /** The column for the instant. */
  readonly stamp?: string;
  /** The column for the user who did it. */
  readonly by?: string;
  /** Columns that must hold something by then. */
  readonly needs?: readonly string[];
}

/** When a transition is made, and by whom. */
export interface Mover {
  readonly nowMs: number;
  readonly userId: number;
}

/** The states that may be asked for from the one a row is in. */
export function allowedFrom({ next, inner = [] }: StateMachine, state: string): readonly string[] {
  return (next[state] ?? []).filter((to) => !inner.includes(to));
}

/** Every column that the machine names; for looking that they are there. */
export function columnsOf({ column, enter = {}, reason }: StateMachine): string[] {
  const entered = Object.values(enter).flatMap(({ stamp, by, needs = [] }) => [
    stamp,
    by,
    ...needs,
  ]);
  return [column, reason, ...entered].filter((name) => name !== undefined);
}

/**
 * Holds a new row to the states in which one may be made, and notes its entry. Throws 422 naming the field.
 * A row that names no state has that of the column's default, which must be the first of `first`.
 */
export function beginState(machine: StateMachine, mover: Mover, values: Row): Row {
  const { column, first } = machine;
  const state = (values[column] ?? first[0]) as string;
  if (!first.includes(state)) {
    const detail = `is no state to begin in; begin with ${first.join(' or ')}`;
    throw refusal([{ in: 'body', pointer: `/${column}`, detail }]);
  }
  return enterState(machine, state, mover, values, values);
}

/**
 * Holds a change to the transitions that are allowed, and notes an entry. `given` is the patch as it was sent, `changes`
 * what of it is new. What a state asks for is not emptied while a row is in it. Throws 409 with the transitions that are
 * allowed, or 422 naming what is missing.
 */
export function moveState(
  machine: StateMachine,
  mover: Mover,
  { stored, given, changes }: { stored: Row; given: Row; changes: Row },
): Row {
  const { column, reason, settled = [] } = machine;
  const from = stored[column] as string;
  const to = changes[column] as string | undefined;
  if (to === undefined) {
    if (settled.includes(from)) throw stays(machine, from, 'changes nothing else of it');
    const kept = needsOf(machine, from).filter((name) => name in changes);
    requireThere(from, kept, changes);
    return changes;
  }
  if (!allowedFrom(machine, from).includes(to)) throw stays(machine, from, `and not ${to}`);
  const moved =
    reason === undefined || given[reason] !== undefined ? changes : { ...changes, [reason]: '' };
  return enterState(machine, to, mover, { ...stored, ...moved }, moved);
}

/** 409 for a state that does not allow what was asked, with those that it allows. */
export function stays(machine: StateMachine, from: string, words: string): Problem {
  const allowedTransitions = allowedFrom(machine, from);
  const allows = allowedTransitions.length === 0 ? 'nothing more' : allowedTransitions.join(', ');
  const detail = `${machine.column} is ${from}, which allows ${allows}, ${words}`;
  const errors: FieldError[] = [
    { in: 'body', pointer: `/${machine.column}`, detail: `is ${from}, which allows ${allows}` },
  ];
  return new Problem('conflict', detail, { errors, allowedTransitions });
}

/**
 * 409 for a state that may follow, but not yet, with the others that may; `from` is null for a new row. `pointer` names the
 * field that stands in the way.
 */
export function notYet(
  machine: StateMachine,
  {
    from,
    to,
    pointer = `/${machine.column}`,
  }: { from: string | null; to: string; pointer?: string },
  why: string,
): Problem {
  const others = from === null ? machine.first : allowedFrom(machine, from);
  const detail = `may not be ${to}: ${why}`;
  return new Problem('conflict', `${machine.column} ${detail}`, {
    errors: [{ in: 'body', pointer, detail }],
    allowedTransitions: others.filter((state) => state !== to),
  });
}

function enterState(
  machine: StateMachine,
  state: string,
  mover: Mover,
  whole: Row,
  values: Row,
): Row {
  const { stamp, by } = machine.enter?.[state] ?? {};
  requireThere(state, needsOf(machine, state), whole);
  return {
    ...values,
    ...(stamp !== undefined && { [stamp]: new Date(mover.nowMs) }),
    ...(by !== undefined && { [by]: mover.userId }),
  };
}

function needsOf({ enter = {} }: StateMachine, state: string): readonly string[] {
  return enter[state]?.needs ?? [];
}

function requireThere(state: string, names: readonly string[], whole: Row): void {
  const missing = names.filter((name) => isBlank(whole[name]));
  if (missing.length === 0) return;
  throw refusal(
    missing.map((name) => ({
      in: 'body',
      pointer: `/${name}`,
      detail: `is required to be ${state}`,
    })),
  );
}

/** Whether a value says nothing: it is not there, or text without a letter. */
export function isBlank(value: unknown): boolean {
  return (value ?? null) === null || (typeof value === 'string' && value.trim() === '');
}

function refusal(errors: readonly FieldError[]): Problem {
  const detail = errors.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`).join('; ');
  return new Problem('unprocessable', detail, { errors });
}

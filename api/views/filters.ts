/** The filters that are kept with a view: field → operator → text, by the same words as a list's own `filter`. */
import type { SQL } from 'drizzle-orm';
import { escapePointer, Problem } from '../problem.ts';
import { conditionOf, FILTER_LENGTH_MAX, OPERATORS } from '../resources/filters.ts';
import type { Field } from '../resources/fields.ts';
import type { Resource } from '../resources/resource.ts';

/** Told of each thing that cannot be: where it is (a JSON pointer into the preference), and why. */
export type OnWrong = (pointer: string, detail: string) => void;

/** The conditions that can be made of what is kept; of the others `onWrong` is told. */
export function readKeptFilters(
  resource: Resource,
  filters: Readonly<Record<string, unknown>>,
  onWrong: OnWrong,
): SQL[] {
  return Object.entries(filters).flatMap(([name, operators]) => {
    const pointer = `/filters/${escapePointer(name)}`;
    const field = resource.fields.get(name);
    if (!field) {
      onWrong(pointer, `is no field of ${resource.nouns}`);
      return [];
    }
    if (typeof operators !== 'object' || operators === null || Array.isArray(operators)) {
      onWrong(pointer, 'must be an object of operators, such as {"eq": "…"}');
      return [];
    }
    return Object.entries(operators).flatMap(
      ([operator, text]) => readKept(field, [operator, text], pointer, onWrong) ?? [],
    );
  });
}

function readKept(
  field: Field,
  [operator, text]: [string, unknown],
  at: string,
  onWrong: OnWrong,
): SQL | undefined {
  const pointer = `${at}/${escapePointer(operator)}`;
  const known = OPERATORS[field.kind];
  if (!known.includes(operator)) onWrong(pointer, `must be one of ${known.join(', ')}`);
  else if (typeof text !== 'string') onWrong(pointer, 'must be text, as in the query of the list');
  else if (text.length > FILTER_LENGTH_MAX)
    onWrong(pointer, `is longer than ${FILTER_LENGTH_MAX} characters`);
  else {
    try {
      return conditionOf(field, operator, text, pointer);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      onWrong(pointer, error.errors[0]!.detail);
    }
  }
  return undefined;
}

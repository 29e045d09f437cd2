/** The example of a row as it is shown: what the declaration says, and plausible values for what the server fills in. */
import type { Row } from './define.ts';
import type { Field } from './fields.ts';

const INSTANT = '2026-03-02T14:05:00.000Z';
const DAY = '2026-03-02';

/** `given` are values by column; what is left out and may be null is null. */
export function shownExample(fields: Iterable<Field>, given: Row): Row {
  return Object.fromEntries(
    [...fields].map((field) => [
      field.name,
      field.name in given ? given[field.name] : plausible(field),
    ]),
  );
}

function plausible({ name, kind, isNullable, column }: Field): unknown {
  if (name === 'created_by') return 1;
  if (isNullable) return null;
  const standard: unknown = column.default;
  if (['string', 'number', 'boolean'].includes(typeof standard)) return standard;
  switch (kind) {
    case 'word':
      return column.enumValues![0];
    case 'integer':
      return 1;
    case 'number':
      return 0;
    case 'boolean':
      return false;
    case 'date':
      return DAY;
    case 'instant':
      return INSTANT;
    case 'list':
      return [];
    case 'json':
      return {};
    case 'text':
      return '';
  }
}

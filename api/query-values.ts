/**
 * Query and path values arrive as text. Where the route's schema wants a number or a boolean, text in exactly that form
 * becomes one; anything else is left as it is, for the schema to refuse. Bodies are never converted.
 */
const INTEGER = /^-?\d{1,16}$/;
const NUMBER = /^-?\d{1,16}(\.\d{1,16})?$/;

/** `filter[field][operator]`, or `filter[field]` for equality. */
const FILTER = /^filter\[([a-z0-9_]{1,63})\](?:\[([a-z]{1,16})\])?$/;

/**
 * A copy of `values` converted by `schema`, the JSON schema of an object. Repeated fields stay arrays. Where the schema
 * has a `filter`, the fields of that form are gathered in it: field → operator → text.
 */
export function convertValues(values: unknown, schema: unknown): unknown {
  const properties = (schema as { properties?: Record<string, { type?: unknown }> } | undefined)
    ?.properties;
  if (!properties || typeof values !== 'object' || values === null) return values;
  const entries = Object.entries(values);
  const given = Object.hasOwn(properties, 'filter') ? gatherFilters(entries) : entries;
  return Object.fromEntries(
    given.map(([name, value]) => {
      const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
      return [name, typeof value === 'string' ? convertText(value, property?.type) : value];
    }),
  );
}

// Objects without a prototype, for the names come from outside. In the order of the names, so that two queries that say the
// same are the same to a cursor.
function gatherFilters(entries: [string, unknown][]): [string, unknown][] {
  const fields = Object.create(null) as Record<string, Record<string, unknown>>;
  const others: [string, unknown][] = [];
  for (const [name, value] of [...entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [, field, operator = 'eq'] = FILTER.exec(name) ?? [];
    if (field === undefined) others.push([name, value]);
    else (fields[field] ??= Object.create(null) as Record<string, unknown>)[operator] = value;
  }
  return Object.keys(fields).length === 0 ? others : [...others, ['filter', fields]];
}

function convertText(text: string, type: unknown): unknown {
  if (type === 'integer' && INTEGER.test(text)) return Number(text);
  if (type === 'number' && NUMBER.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

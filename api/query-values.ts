/**
 * Query and path values arrive as text. Where the route's schema wants a number or a boolean, text in exactly that form
 * becomes one; anything else is left as it is, for the schema to refuse. Bodies are never converted.
 */
const INTEGER = /^-?\d{1,16}$/;
const NUMBER = /^-?\d{1,16}(\.\d{1,16})?$/;

/** A copy of `values` converted by `schema`, the JSON schema of an object. Repeated fields stay arrays. */
export function convertValues(values: unknown, schema: unknown): unknown {
  const properties = (schema as { properties?: Record<string, { type?: unknown }> } | undefined)
    ?.properties;
  if (!properties || typeof values !== 'object' || values === null) return values;
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
      return [name, typeof value === 'string' ? convertText(value, property?.type) : value];
    }),
  );
}

function convertText(text: string, type: unknown): unknown {
  if (type === 'integer' && INTEGER.test(text)) return Number(text);
  if (type === 'number' && NUMBER.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

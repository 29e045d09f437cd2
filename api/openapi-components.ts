/**
 * Makes the description of the interface small and exact: what many operations have in common becomes a component that
 * they refer to. A schema with a `title` is the component of that name; one that says nothing but the title, and
 * perhaps the type, stands for it. Knows the form of an OpenAPI document, and no route.
 */

type Json = Record<string, unknown>;

interface Operation extends Json {
  parameters?: Json[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { description?: string; content?: Record<string, Media> }>;
}

interface Media {
  schema?: unknown;
  example?: unknown;
}

interface Document extends Json {
  components: Record<string, Json> & { schemas: Record<string, Json> };
  paths: Record<string, Record<string, Operation>>;
}

/** Parameters that so many operations have alike become components. */
const SHARED_BY_MIN = 10;

/** What stands where a route says nothing of its answer, and what it says then. */
const UNSAID = 'Default Response';
const SAID: Readonly<Record<string, string>> = {
  200: 'What was asked for.',
  201: 'What was made.',
  202: 'It will be done.',
};

/** Changes the document, and gives it. Throws when two schemas of one title differ. */
export function shareComponents(document: Document): Document {
  const { schemas } = document.components;
  for (const [name, schema] of Object.entries(schemas)) {
    if (name.endsWith('Filter')) schemas[name] = orPlain(schema);
  }
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  for (const operation of operations) {
    for (const media of Object.values(operation.requestBody?.content ?? {}))
      shareSchema(media, schemas);
    for (const [status, response] of Object.entries(operation.responses)) {
      if (response.description === UNSAID) response.description = SAID[status] ?? 'Done.';
      for (const media of Object.values(response.content ?? {})) shareSchema(media, schemas);
    }
    for (const parameter of operation.parameters ?? []) finishParameter(parameter, schemas);
  }
  document.components['responses'] = shareProblems(operations);
  document.components['parameters'] = shareParameters(operations);
  composeFields(schemas);
  return document;
}

/** `filter[field]=value` is short for `filter[field][eq]=value`. */
function orPlain({ title: _title, ...schema }: Json): Json {
  return { anyOf: [{ type: 'string', description: 'Equal to it.' }, schema] };
}

function shareSchema(media: Media, schemas: Record<string, Json>): void {
  const whole = media.schema as Json | undefined;
  // An example of a schema with a name is the component's.
  if (isNamed(whole) && media.example !== undefined) {
    whole['examples'] = [media.example];
    delete media.example;
  }
  media.schema = shared(whole, schemas);
}

/** The schema with references in place of what has a title. */
function shared(schema: unknown, schemas: Record<string, Json>): unknown {
  if (Array.isArray(schema)) return schema.map((one) => shared(one, schemas));
  if (typeof schema !== 'object' || schema === null) return schema;
  const parts = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === 'examples' || key === 'example' ? (value as unknown) : shared(value, schemas),
    ]),
  );
  if (!isNamed(parts)) return parts;
  const { title } = parts;
  if (Object.keys(parts).length > 2) {
    const known = schemas[title];
    if (known && JSON.stringify(known) !== JSON.stringify(parts))
      throw new Error(`two schemas have the title ${title}`, { cause: [known, parts] });
    schemas[title] = parts;
  }
  return { $ref: `#/components/schemas/${title}` };
}

function isNamed(schema: unknown): schema is Json & { title: string } {
  const { type, title } = (schema ?? {}) as Json;
  const isBare = type === undefined && Object.keys(schema as Json).length === 1;
  return typeof title === 'string' && (type === 'object' || isBare);
}

/** An object in a query is written as `name[property]=value`. */
function finishParameter(parameter: Json, schemas: Record<string, Json>): void {
  const schema = parameter['schema'] as Json | undefined;
  if (parameter['in'] === 'query' && schema?.['type'] === 'object') {
    Object.assign(parameter, { style: 'deepObject', explode: true });
  }
  parameter['schema'] = shared(schema, schemas);
}

function shareProblems(operations: readonly Operation[]): Json {
  const problems: Json = {};
  for (const { responses } of operations) {
    for (const [status, response] of Object.entries(responses)) {
      if (!response.content?.['application/problem+json']) continue;
      const name = `Problem${status}`;
      problems[name] ??= response;
      if (JSON.stringify(problems[name]) !== JSON.stringify(response)) continue;
      Object.assign(responses, { [status]: { $ref: `#/components/responses/${name}` } });
    }
  }
  return problems;
}

function shareParameters(operations: readonly Operation[]): Json {
  const counts = new Map<string, number>();
  const all = operations.flatMap(({ parameters = [] }) => parameters);
  for (const one of all) {
    const text = JSON.stringify(one);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const parameters: Json = {};
  const names = new Map<string, string>();
  for (const [text, count] of counts) {
    if (count < SHARED_BY_MIN) continue;
    const { in: place, name } = JSON.parse(text) as { in: string; name: string };
    const base = `${place}-${name}`;
    const taken = Object.keys(parameters).filter((other) => other.startsWith(base)).length;
    const free = taken === 0 ? base : `${base}-${taken + 1}`;
    parameters[free] = JSON.parse(text) as Json;
    names.set(text, free);
  }
  for (const operation of operations) {
    if (!operation.parameters) continue;
    operation.parameters = operation.parameters.map((one) => {
      const name = names.get(JSON.stringify(one));
      return name === undefined ? one : { $ref: `#/components/parameters/${name}` };
    });
  }
  return parameters;
}

/** A row is its fields, all of them there; a row of a list may have some of them. */
function composeFields(schemas: Record<string, Json>): void {
  for (const [name, schema] of Object.entries(schemas)) {
    const fields = schemas[`${name}Fields`];
    if (!fields) continue;
    if (JSON.stringify(fields['properties']) !== JSON.stringify(schema['properties'])) continue;
    const { title, required, examples } = schema;
    schemas[name] = {
      title,
      allOf: [{ $ref: `#/components/schemas/${name}Fields` }],
      required,
      examples,
    };
  }
}

/** Pieces of schemas that more than one domain uses. Ids are positive integers, instants RFC 3339 in UTC. */
import { Type, type Static, type TSchema } from 'typebox';
import { PROBLEM_CONTENT_TYPE } from './problem.ts';

/** Rows of one page. */
export const PAGE_ROWS_MAX = 500;
export const PAGE_ROWS_DEFAULT = 100;
/** Characters of a cursor. */
export const CURSOR_LENGTH_MAX = 1_024;
/** Characters of a name, and of a longer text. */
export const NAME_LENGTH_MAX = 200;
export const TEXT_LENGTH_MAX = 2_000;

/** PostgreSQL keeps no U+0000 in text, and half of a pair of surrogates is no character. */
export const STORABLE = '^[^\\u0000\\p{Cs}]*$';

export const Id = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
/** A row's instant, serialised from a Date. */
export const Instant = Type.Unsafe<Date>({ type: 'string', format: 'date-time' });
/** An instant in a query, with its zone. */
export const InstantText = Type.String({ format: 'date-time', maxLength: 40 });
export const Name = Type.String({ minLength: 1, maxLength: NAME_LENGTH_MAX, pattern: STORABLE });
export const Text = Type.String({ maxLength: TEXT_LENGTH_MAX, pattern: STORABLE });
export const LonDeg = Type.Number({ minimum: -180, maximum: 180 });
export const LatDeg = Type.Number({ minimum: -90, maximum: 90 });

/** The same schema, with what it means said. */
export function described<T extends TSchema>(schema: T, description: string): T {
  return { ...schema, description };
}

/** One of a list of words. */
export function oneOf<const T extends readonly string[]>(
  words: T,
  options: Record<string, unknown> = {},
) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: [...words], ...options });
}

/** A word of a list as the database gives it: any string to the compiler, the list to the reader of the document. */
export function storedWord(words: readonly string[]) {
  return Type.Unsafe<string>({ type: 'string', enum: [...words] });
}

/** The same schema with null allowed, as a list of types: its errors name the field and not a union's branches. */
export function nullable<T extends TSchema>(schema: T) {
  const { type, enum: words, ...rest } = schema as unknown as { type: string; enum?: unknown[] };
  return Type.Unsafe<Static<T> | null>({
    ...rest,
    type: [type, 'null'],
    ...(words && { enum: [...words, null] }),
  });
}

/** An object without any other fields. */
export function closed<P extends Record<string, TSchema>>(
  properties: P,
  options: Record<string, unknown> = {},
) {
  return Type.Object(properties, { additionalProperties: false, ...options });
}

/**
 * The body of a merge patch: every field optional, and none with a default, which the validator would put in where the
 * caller left it out.
 */
export function patchOf<P extends Record<string, TSchema>>(
  properties: P,
  options: Record<string, unknown>,
) {
  const optional = Type.Partial(Type.Object(properties)).properties;
  for (const [name, schema] of Object.entries(optional)) {
    const bare: { default?: unknown } = { ...(schema as object) };
    delete bare.default;
    Object.assign(optional, { [name]: Type.Optional(Type.Unsafe(bare)) });
  }
  return closed(optional, { description: 'JSON Merge Patch (RFC 7396).', ...options });
}

/** The query fields of every list. */
export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: PAGE_ROWS_MAX,
      default: PAGE_ROWS_DEFAULT,
      description: 'Rows of one page.',
    }),
  ),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: CURSOR_LENGTH_MAX,
      description: 'The `next_cursor` of the page before. Filters and order must stay the same.',
    }),
  ),
};

/** The response of every list. */
export function pageOf<T extends TSchema>(item: T) {
  return Type.Object({
    data: Type.Array(item),
    page: Type.Object(
      { next_cursor: nullable(Type.String()), has_more: Type.Boolean() },
      { title: 'Page', examples: [{ next_cursor: null, has_more: false }] },
    ),
  });
}

/** The path of one row. */
export const idParams = closed({
  id: described(Id, 'The key of the row.'),
});

/** Registered with the server under this id; responses refer to it. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    instance: Type.String(),
    code: Type.String({ description: 'Stable; made to be compared by programs.' }),
    requestId: Type.String({ description: 'Under this id the server has logged the request.' }),
    errors: Type.Array(
      Type.Object({
        in: oneOf(['body', 'query', 'path', 'header']),
        pointer: Type.String({ description: 'JSON pointer to the field.' }),
        detail: Type.String(),
      }),
    ),
    allowedTransitions: Type.Optional(
      Type.Array(Type.String(), {
        description:
          'Of a row whose state does not allow it: the states that may follow, or the steps that are open.',
      }),
    ),
  },
  { $id: 'Problem' },
);

const PROBLEM_TEXT: Record<number, string> = {
  400: 'The request is malformed; `errors` name the fields.',
  401: 'No token, or one that is not accepted.',
  403: 'The right is missing.',
  404: 'There is no such thing for this caller.',
  408: 'It took too long to arrive.',
  409: 'It conflicts with what is stored.',
  410: 'It is not given out any more.',
  412: 'It has been changed since it was read (`If-Match`).',
  413: 'It is larger than this server takes.',
  415: 'The content type is not supported.',
  416: 'The range lies beyond the end.',
  422: 'Well-formed, but it makes no sense; `errors` name the fields.',
  428: '`If-Match` is missing.',
  429: 'Too many requests; see `Retry-After`.',
  503: 'The server cannot do this just now; see `Retry-After`.',
};

/** The error responses of a route, for its schema. */
export function problems(...statuses: number[]) {
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: PROBLEM_TEXT[status] ?? 'A problem.',
        content: { [PROBLEM_CONTENT_TYPE]: { schema: Type.Ref('Problem#') } },
      },
    ]),
  );
}

/** The error responses of every route behind a token. */
export const guardedProblems = problems(400, 401, 403, 429, 503);

const condition = Type.Optional(Type.String({ description: 'Entity tags such as "3", or *.' }));
/** Headers of reading and of changing one row. Other headers are let through. */
export const readCondition = Type.Object({ 'if-none-match': condition });
export const writeCondition = Type.Object({ 'if-match': condition });
/** The same response, of which headers are told. */
export function withHeaders<T extends TSchema>(schema: T, headers: Record<string, string>): T {
  const told = Object.entries(headers).map(([name, description]) => [
    name,
    { type: 'string', description },
  ]);
  return { ...schema, headers: Object.fromEntries(told) as unknown };
}

/** Headers of an answer that shows one row. */
export const versionHeaders = { etag: 'The version of the row, for `If-Match`.' };
/** Responses without a body. */
export const noContent = Type.Unsafe<undefined>({ type: 'null', description: 'Done.' });
export const notModified = Type.Unsafe<undefined>({
  type: 'null',
  description: 'The caller has the current version.',
});

/**
 * Many rows in one request, each answered for itself: one that is refused does not hold up those beside it. All that were
 * made are committed together.
 */
import { sql } from 'drizzle-orm';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type, type TSchema } from 'typebox';
import { toProblem, toFieldError } from '../problem-mapping.ts';
import { Problem, type FieldError } from '../problem.ts';
import { closed } from '../schemas.ts';
import type { Row } from './define.ts';
import { titleOf, type Resource } from './resource.ts';
import { run, type Work } from './store.ts';

/** Rows of one request. */
export const BULK_ITEMS_MAX = 1_000;
/** Bytes of its body. */
export const BULK_BYTES_MAX = 4_194_304;

/**
 * The body: items in the form of a single create. They are looked at one by one, so that each gets its answer, also one
 * that is no object.
 */
export function bulkBodyOf(createSchema: TSchema, itemsMax = BULK_ITEMS_MAX) {
  const { examples = [], title } = createSchema as { examples?: Row[]; title?: string };
  // The title stands for the schema of this name in the documentation.
  const items = Type.Array(Type.Unsafe<unknown>(title ? { title } : {}), {
    minItems: 1,
    maxItems: itemsMax,
  });
  return closed({ items }, { examples: examples.map((example) => ({ items: [example] })) });
}

const BULK_EXAMPLE = {
  created: 1,
  refused: 1,
  results: [
    { index: 0, status: 201, id: 1 },
    { index: 1, status: 422, code: 'unprocessable', detail: 'account_id refers to nothing' },
  ],
};

/** The answer. `more` is told of an item that was made. */
export function bulkResultOf(title: string, more: Record<string, TSchema> = {}) {
  const properties = {
    created: Type.Integer(),
    refused: Type.Integer(),
    results: Type.Array(
      Type.Object({
        index: Type.Integer(),
        status: Type.Integer({
          description: 'The HTTP status that a single create would have had.',
        }),
        id: Type.Optional(Type.Unsafe<number | string>({ type: ['integer', 'string'] })),
        ...more,
        code: Type.Optional(Type.String()),
        detail: Type.Optional(Type.String()),
        errors: Type.Optional(
          Type.Array(
            Type.Object({ in: Type.String(), pointer: Type.String(), detail: Type.String() }),
          ),
        ),
      }),
      { description: 'In the order of `items`.' },
    ),
  };
  return Type.Object(properties, { title, examples: [BULK_EXAMPLE] });
}

const BulkResult = bulkResultOf('BulkResult');

/** The answer to many rows of a resource. */
export function bulkResultFor({ secrets, noun }: Resource): TSchema {
  if (Object.keys(secrets).length === 0) return BulkResult;
  const told = Object.entries(secrets).map(([name, schema]) => [name, Type.Optional(schema)]);
  const title = `${titleOf(noun)}BulkResult`;
  return bulkResultOf(title, Object.fromEntries(told) as Record<string, TSchema>);
}

export interface BulkAnswer {
  readonly created: number;
  readonly refused: number;
  readonly results: ItemResult[];
}

/** What became of one item. */
export interface ItemResult {
  index: number;
  status: number;
  id?: number | string;
  code?: string;
  detail?: string;
  errors?: readonly FieldError[];
}

/**
 * Makes something of every item that fits the schema, and gives its key; what one throws is the answer to it alone. Only
 * what the whole transaction cannot survive is thrown.
 */
export async function createEach(
  work: Work,
  request: FastifyRequest,
  [schema, items]: readonly [TSchema, readonly unknown[]],
  make: (item: Row, index: number) => Promise<number | string>,
): Promise<BulkAnswer> {
  const results = lookThrough(request, schema, items);
  for (const [index, item] of items.entries()) {
    results[index] ??= await createOne(work, index, () => make(item as Row, index));
  }
  return answerOf(results as ItemResult[]);
}

/** The refusals of items that do not fit the schema, each at its place; undefined for those that do. */
export function lookThrough(
  request: FastifyRequest,
  schema: TSchema,
  items: readonly unknown[],
): (ItemResult | undefined)[] {
  const validate = request.compileValidationSchema(schema);
  return items.map((item, index) =>
    validate(item) ? undefined : refused(index, invalid(validate.errors ?? [], index)),
  );
}

export function answerOf(results: ItemResult[]): BulkAnswer {
  const created = results.filter(({ status }) => status === 201).length;
  return { created, refused: results.length - created, results };
}

/** Makes something under a savepoint; what is thrown is the answer. */
export async function createOne(
  work: Work,
  index: number,
  make: () => Promise<number | string>,
): Promise<ItemResult> {
  await run(work.client, sql`savepoint item`);
  try {
    const id = await make();
    await run(work.client, sql`release savepoint item`);
    return { index, status: 201, id };
  } catch (error) {
    const problem = toProblem(error);
    // The server's own trouble is the whole request's.
    if (problem.status >= 500) throw error;
    await run(work.client, sql`rollback to savepoint item`);
    return refused(index, problem);
  }
}

/** The answer to an item that is refused; it names its fields by their place in the whole body. */
export function refused(index: number, problem: Problem): ItemResult {
  const errors = problem.errors.map((error) =>
    error.in === 'body'
      ? { ...error, pointer: `/items/${index}${error.pointer.replace(`/items/${index}`, '')}` }
      : error,
  );
  const { code, message: detail, status } = problem;
  return { index, status, code, detail, ...(errors.length > 0 && { errors }) };
}

type ValidationErrors = NonNullable<
  ReturnType<FastifyRequest['compileValidationSchema']>['errors']
>;

function invalid(found: ValidationErrors, index: number): Problem {
  const errors = found.map((error) => {
    const field = toFieldError(error, 'body');
    return { ...field, pointer: `/items/${index}${field.pointer}` };
  });
  const detail = errors.map((error) => `${error.pointer}: ${error.detail}`).join('; ');
  return new Problem('invalid_request', detail, { errors });
}

/** Bulk bodies are larger than others. */
export function bulkLimits(app: FastifyInstance): { bodyLimit: number } {
  return { bodyLimit: Math.max(BULK_BYTES_MAX, app.initialConfig.bodyLimit ?? 0) };
}

/** The `query` in the body of an export job: the query of a list, and the view that it names. */
import type { FastifyRequest } from 'fastify';
import { toFieldError } from '../problem-mapping.ts';
import { Problem, type FieldError, type ProblemCode } from '../problem.ts';
import { listQueryOf, readList, type ListRequest, type ListSelect } from '../resources/list.ts';
import type { Resource } from '../resources/resource.ts';
import type { Work } from '../resources/store.ts';
import { closed } from '../schemas.ts';
import { findViewIn, type View } from '../views/view.ts';

/** The query of a job: with the view itself where one was named, as it was when the job was asked for. */
export type JobQuery = Omit<ListRequest, 'view'> & { readonly view?: View };

/** Throws 400 naming the place in the body. */
export async function requireQuery(
  request: FastifyRequest,
  resource: Resource,
  query: ListRequest,
): Promise<void> {
  const validate = request.compileValidationSchema(querySchemaOf(resource));
  if (!validate(query)) {
    const errors = (validate.errors ?? []).map((error) => toFieldError(error, 'body'));
    throw inQuery('invalid_request', errors);
  }
  await placed(() => readList(resource, query));
}

/** What the job keeps of its query, so that what becomes of the view does not matter to it. Throws 422 naming the view. */
export async function keptQuery(
  { client, principal }: Work,
  resource: Resource,
  { view: text, ...query }: ListRequest,
): Promise<JobQuery> {
  const view = await placed(() => findViewIn(client, principal, resource, text));
  return view === null ? query : { ...query, view };
}

/** The rows of a job and their columns. */
export function readJobQuery(resource: Resource, { view, ...query }: JobQuery): ListSelect {
  return readList(resource, query, { view: view ?? null, isFile: true });
}

// It speaks of the query of a list; here that is a part of the body.
async function placed<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof Problem ? inQuery(error.code, error.errors) : error;
  }
}

function inQuery(code: ProblemCode, found: readonly FieldError[]): Problem {
  const errors = found.map(({ pointer, detail }) => ({
    in: 'body' as const,
    pointer: `/query${pointer}`,
    detail,
  }));
  const detail = errors.map((one) => `${one.pointer}: ${one.detail}`).join('; ');
  return new Problem(code, detail, { errors });
}

/** One object a resource: the compiled schema is remembered by it. */
const querySchemas = new WeakMap<Resource, ReturnType<typeof closed>>();

function querySchemaOf(resource: Resource) {
  let schema = querySchemas.get(resource);
  if (!schema) querySchemas.set(resource, (schema = closed(listQueryOf(resource))));
  return schema;
}

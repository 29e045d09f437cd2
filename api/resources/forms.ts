/** The schemas and the choice of form of a route whose resource is shown in another form than columns as well. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import { prefers, type Representation } from './representation.ts';
import type { Resource } from './resource.ts';

/** A schema, and that of the resource's other form where it has one. */
export function inForms(resource: Resource, schema: TSchema, part: 'row' | 'page'): TSchema {
  const { representation } = resource;
  if (!representation) return schema;
  const { mediaType } = representation;
  const content = {
    'application/json': { schema },
    [mediaType]: { schema: representation.schemasOf(resource)[part] },
  };
  return { description: `Columns, or ${mediaType} where \`Accept\` asks for it.`, content };
}

/** The schema of a body that makes a row, by its content types where there are two. */
export function bodyOf(resource: Resource): object {
  const { representation, createSchema } = resource;
  if (!representation) return createSchema;
  const content = {
    'application/json': { schema: createSchema },
    [representation.mediaType]: { schema: representation.schemasOf(resource).body },
  };
  return { content };
}

/** The other form of the resource, where the request asks for it. */
export function formFor(
  { representation }: Resource,
  request: FastifyRequest,
  reply: FastifyReply,
): Representation | null {
  if (!representation) return null;
  reply.header('vary', 'accept');
  return prefers(request.headers.accept, representation.mediaType) ? representation : null;
}

/**
 * The reader of JSON bodies: what Fastify's own refuses, and what could not be worked with or kept: values that are nested so
 * deep that whoever walks along them runs out of stack, and names that the database cannot hold (RFC 7493, section 2.1).
 */
import type { FastifyBodyParser, FastifyInstance } from 'fastify';
import { Problem } from './problem.ts';
import { STORABLE } from './schemas.ts';

/** Levels of objects and arrays in a body; a collection of fences has ten. */
export const BODY_DEPTH_MAX = 64;

const NAME = new RegExp(STORABLE, 'u');

/** To be given to `addContentTypeParser` with `parseAs: 'string'`. */
export function jsonParser(app: FastifyInstance): FastifyBodyParser<string> {
  const parse = app.getDefaultJsonParser('error', 'error');
  return (request, body, done) => {
    void parse(request, body, (error, value) => {
      if (error) done(error);
      else done(findFault(value), value);
    });
  };
}

// Level by level: this must not run out of stack itself.
function findFault(body: unknown): Problem | null {
  let level = [body].filter(isContainer);
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > BODY_DEPTH_MAX) return refuse(`is nested deeper than ${BODY_DEPTH_MAX} levels`);
    const next: object[] = [];
    for (const container of level) {
      if (!Array.isArray(container) && !Object.keys(container).every((name) => NAME.test(name))) {
        return refuse('has a member whose name holds NUL or half of a character');
      }
      for (const member of Object.values(container)) if (isContainer(member)) next.push(member);
    }
    level = next;
  }
  return null;
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function refuse(detail: string): Problem {
  return new Problem('invalid_request', `the body ${detail}`, {
    errors: [{ in: 'body', pointer: '', detail }],
  });
}

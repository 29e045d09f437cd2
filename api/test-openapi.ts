/** For tests: the description of the interface as a program reads it, and validators of what it says. */
import ajvCompiler from '@fastify/ajv-compiler';
import type { FastifyInstance } from 'fastify';
import { readDecimals } from './decimals.ts';
import { readInstants } from './instants.ts';

export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: { title: string; version: string };
  readonly tags: { name: string }[];
  readonly components: {
    readonly schemas: Record<string, object>;
    readonly securitySchemes: object;
  };
  readonly paths: Record<string, Record<string, Operation>>;
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: string[];
  readonly security: object[];
  readonly parameters?: Parameter[];
  readonly requestBody?: { content: Record<string, Media> };
  readonly responses: Record<
    string,
    { description?: string; headers?: object; content?: Record<string, Media> }
  >;
  readonly 'x-required-permission'?: string;
}

export interface Parameter {
  readonly in: string;
  readonly name: string;
  readonly description?: string;
  readonly style?: string;
  readonly explode?: boolean;
  readonly schema: object;
}

export interface Media {
  readonly schema?: object;
  readonly example?: unknown;
  readonly examples?: Record<string, { value: unknown }>;
}

/** An operation and where it stands. */
export interface Placed {
  readonly name: string;
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
}

/** Gives what is wrong with a value; nothing where it fits. */
export type Validate = (schema: object, value: unknown) => string[];

export async function readDocument(app: FastifyInstance): Promise<OpenApiDocument> {
  return (await app.inject('/docs/json')).json<OpenApiDocument>();
}

/** Every operation, with references to shared parameters and responses followed. */
export function operationsOf(document: OpenApiDocument): Placed[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, found]) => {
      const operation = {
        ...found,
        ...(found.parameters && {
          parameters: found.parameters.map((one) => follow(document, one)),
        }),
        responses: Object.fromEntries(
          Object.entries(found.responses).map(([status, one]) => [status, follow(document, one)]),
        ),
      };
      return { name: `${method.toUpperCase()} ${path}`, path, method, operation };
    }),
  );
}

/** What a reference leads to; anything else stays as it is. Throws where it leads nowhere. */
export function follow<T extends object>(document: OpenApiDocument, one: T): T {
  const { $ref: reference } = one as { $ref?: string };
  if (reference === undefined) return one;
  const found = reference
    .replace(/^#\//, '')
    .split('/')
    .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], document);
  if (found === undefined) throw new Error(`${reference} leads nowhere`);
  return follow(document, found as T);
}

/** A validator that knows the document's components. */
export function validatorOf(document: OpenApiDocument): Validate {
  const components = Object.entries(document.components.schemas).map(([name, schema]) => [
    name,
    { ...withIds(schema), $id: name },
  ]);
  const compile = ajvCompiler()(Object.fromEntries(components) as never, {
    customOptions: { allowUnionTypes: true, strict: false, ...STRICT },
    onCreate(validator) {
      readDecimals(validator);
      readInstants(validator);
    },
  }) as unknown as (definition: object) => Compiled;
  const known = new Map<string, Compiled>();
  return (schema, value) => {
    const text = JSON.stringify(schema);
    const validate = known.get(text) ?? compile({ schema: withIds(schema) });
    known.set(text, validate);
    return validate(value)
      ? []
      : validate.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`);
  };
}

/** Examples must be right as they stand. */
const STRICT = { coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: true };

interface Compiled {
  (value: unknown): boolean;
  errors?: { instancePath: string; message: string }[];
}

function withIds<T>(schema: T): T {
  return JSON.parse(
    JSON.stringify(schema)
      .replaceAll('"#/components/schemas/', '"')
      .replaceAll(/"\$ref":"([A-Za-z]+)"/g, '"$ref":"$1#"'),
  ) as T;
}

/**
 * Compiles the schemas of routes when they are first used. There are hundreds of routes with several schemas each, and
 * compiling all of them would hold up every start by seconds. What Fastify compiles by itself stays as it is; that every
 * schema compiles is seen in the tests, which use every route.
 */
import ajvCompiler from '@fastify/ajv-compiler';
import serializerCompiler from '@fastify/fast-json-stringify-compiler';
import type { FastifyServerOptions } from 'fastify';

type Compile = (definition: unknown) => (value: unknown) => unknown;
type Build = (...args: unknown[]) => Compile;

/** For the server's option of this name. */
export function lazySchemas(): NonNullable<FastifyServerOptions['schemaController']> {
  return {
    compilersFactory: {
      buildValidator: lazily(ajvCompiler() as unknown as Build),
      buildSerializer: lazily(serializerCompiler() as unknown as Build),
    },
  } as unknown as NonNullable<FastifyServerOptions['schemaController']>;
}

function lazily(build: Build): Build {
  return (...args) => {
    let compile: Compile | undefined;
    return (definition) => {
      let compiled: ReturnType<Compile> | undefined;
      const use = (value: unknown) => {
        compiled ??= (compile ??= build(...args))(definition);
        const result = compiled(value);
        // A validator leaves what was wrong on the function that was called.
        Object.assign(use, { errors: (compiled as { errors?: unknown }).errors });
        return result;
      };
      return use;
    };
  };
}

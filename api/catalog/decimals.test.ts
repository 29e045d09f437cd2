/** No number that callers write is finer than its column keeps: what would be rounded away is refused, by its name. */
import ajvCompiler from '@fastify/ajv-compiler';
import t from 'tap';
import { readDecimals } from '../decimals.ts';
import { CATALOG } from './catalog.ts';

/** Finer than any column of decimals. */
const TOO_FINE = 1.00001;

interface Compiled {
  (value: unknown): boolean;
  errors?: { instancePath: string; keyword: string }[] | null;
}
const compile = ajvCompiler()(
  {},
  {
    customOptions: {
      removeAdditional: false,
      coerceTypes: false,
      allowUnionTypes: true,
      allErrors: true,
    },
    onCreate: readDecimals,
  },
) as unknown as (definition: object) => Compiled;

/** `table.column` of all fields that are kept to so many decimals, with the schemas of the bodies that write them. */
const written = [...CATALOG.values()].flatMap(({ name: table, fields, writable, ...resource }) =>
  [...fields.values()]
    .filter(({ name, column }) => writable.has(name) && column.getSQLType().startsWith('numeric'))
    .map(({ name, column }) => ({ table, name, type: column.getSQLType(), resource })),
);

t.test('what is finer than the column is refused', (t) => {
  t.ok(written.length > 40, `${written.length} fields`);
  for (const { table, name, type, resource } of written) {
    for (const [kind, schema] of [
      ['create', resource.createSchema],
      ['patch', resource.patchSchema],
    ] as const) {
      if (!(name in (schema as { properties: object }).properties)) continue;
      const validate = compile({ schema });
      validate({ [name]: TOO_FINE });
      const about = (validate.errors ?? []).filter((e) => e.instancePath === `/${name}`);
      t.ok(
        about.some(({ keyword }) => keyword === 'multipleOf' || keyword === 'type'),
        `${kind} ${table}.${name} ${type}`,
      );
    }
  }
  t.end();
});

t.test('what is as fine as the column is taken', (t) => {
  for (const { table, name, type, resource } of written) {
    const scale = Number(/, ?(\d+)\)$/.exec(type)?.[1]);
    const validate = compile({ schema: resource.createSchema });
    validate({ [name]: Number((1 + (scale && 10 ** -scale)).toFixed(scale)) });
    const about = (validate.errors ?? []).filter((e) => e.instancePath === `/${name}`);
    t.same(about, [], `${table}.${name} ${type}`);
  }
  t.end();
});

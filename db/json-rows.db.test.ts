/** Rows as JSON say what the same rows say as objects. */
import { t } from 'tap';
import { jsonRows, objectRows, type JsonRow } from './json-rows.ts';
import { Pipeline } from './pipeline.ts';
import { connectTestClient, createTestDatabase } from './test-database.ts';

type Rows = Record<string, unknown>[];

/** One value a type and more, as PostgreSQL takes them. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  boolean: ['true', 'false'],
  smallint: ['-32768', '0'],
  integer: ['2147483647', '-1'],
  bigint: ['9007199254740991', '-9007199254740991', '123456789012345', '0'],
  real: ['1e20', '-0.1', '3.4028235e38', '1e-30', 'NaN', 'Infinity', '-Infinity'],
  'double precision': [
    '0.1',
    '-1.7976931348623157e308',
    '5e-324',
    '-0',
    '12345678901234567890',
    'NaN',
  ],
  text: ['', 'plain', '"quoted" \\ / \b\f\n\r\t', '\u0001\u001f\u2028', 'Größe 東京 🚚', '{"a":1}'],
  'varchar(30)': ["O'Brien", '~0'],
  date: ['2024-02-29', '0044-03-15 BC', '12026-01-01'],
  timestamptz: [
    '2026-03-02 13:20:00+00',
    '2026-03-02 13:20:00.5+02',
    '2026-03-02 13:20:00.123456Z',
    '2026-03-02 13:20:00.0299999Z',
    '0001-01-01 00:00:00.001Z',
    '0044-03-15 00:00:00+00 BC',
    '12026-01-01 00:00:00+00',
    'infinity',
  ],
  jsonb: ['{"a": [1, 2.50, null, "x"], "b": {}}', 'null', '"text"', '1e3'],
  json: ['{ "a" : 1 }'],
  'bigint[]': ['{}', '{1,NULL,3}'],
  'text[]': ['{}', '{"a,b",NULL,"\\"q\\""}'],
  uuid: ['8a1f3c52-58b5-4f8e-9f6d-0a6a3f1c2d4e'],
  numeric: ['12.50'],
};

t.test('rows as JSON say what they say as objects', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl);
  for (const [type, values] of Object.entries(VALUES)) {
    const text = `select v::${type} as "the ""value""", n, null::${type} as nothing
      from unnest($1::text[]) with ordinality as given (v, n) order by n`;
    const { json, objects } = await bothOf(client, text, [values]);
    t.equal(json.length, values.length);
    t.same(
      json.map((row) => JSON.parse(row.json) as unknown),
      JSON.parse(JSON.stringify(objects)),
      type,
    );
  }
});

t.test('columns that begin with ~ are beside the row', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl);
  const text = `select 1 as "~0", 'a' as a, null as "~1", true as b`;
  const { json } = await bothOf(client, text, []);
  t.same(json, [{ json: '{"a":"a","b":true}', aside: ['1', null] }]);
  const none = await bothOf(client, `select 7 as "~0"`, []);
  t.same(none.json, [{ json: '{}', aside: ['7'] }]);
});

t.test('a number that JavaScript cannot hold is refused', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = await connectTestClient(t, ownerUrl);
  const pipeline = new Pipeline();
  pipeline.recurring('select 9007199254740993::bigint as v', [], jsonRows);
  await t.rejects(pipeline.run(client), RangeError);
});

async function bothOf(
  client: Parameters<Pipeline['run']>[0],
  text: string,
  values: readonly unknown[],
): Promise<{ json: readonly JsonRow[]; objects: Rows }> {
  const pipeline = new Pipeline();
  const json = pipeline.recurring<JsonRow>(text, values, jsonRows);
  const objects = pipeline.recurring<Rows[number]>(text, values, objectRows);
  await pipeline.run(client);
  return { json: json.rows, objects: objects.rows };
}

/** The description of the interface: complete, exact, and of the server's own routes. */
import type { RouteOptions } from 'fastify';
import t from 'tap';
import { CATALOG } from './catalog/catalog.ts';
import { PERMISSIONS } from './auth/permissions.ts';
import { PROBLEM_CONTENT_TYPE } from './problem.ts';
import { startTestPortal } from './test-portal.ts';
import {
  follow,
  operationsOf,
  readDocument,
  validatorOf,
  type Media,
  type OpenApiDocument,
} from './test-openapi.ts';

/** Of the compact document; it is compressed to a tenth of that on its way. */
const BYTES_MAX = 1_500_000;
const METHODS = new Set(['get', 'post', 'put', 'patch', 'delete']);

const { app } = await startTestPortal(t);
const document = await readDocument(app);
const operations = operationsOf(document);
const validate = validatorOf(document);

/** What a client can call: not the documentation itself, and not what a route answers to HEAD. */
const shown = ({ method, url, schema }: RouteOptions) =>
  method !== 'HEAD' && !url.startsWith('/docs') && (schema as { hide?: boolean })?.hide !== true;
const routes = app.routeTable.filter(shown);

t.test('it is of the routes, and of all of them', (t) => {
  const inTable = routes.map(
    ({ method, url }) => `${String(method)} ${url.replaceAll(/:(\w+)/g, '{$1}')}`,
  );
  t.same(operations.map(({ name }) => name).sort(), inTable.sort());
  t.ok(inTable.length > 400, `${inTable.length} operations`);
  const ids = operations.map(({ operation }) => operation.operationId);
  t.same(
    ids.filter((id, index) => ids.indexOf(id) < index),
    [],
    'no two have one id',
  );
  t.end();
});

t.test('what stands at the top', async (t) => {
  t.equal(document.openapi, '3.1.0');
  t.match(document.info, { title: /\w/, version: /\w/ });
  t.match(document.components.securitySchemes, { bearer: { type: 'http', scheme: 'bearer' } });
  const used = new Set(operations.flatMap(({ operation }) => operation.tags));
  // These come with plugins that the portal under test has not got.
  const elsewhere = new Set(['telemetry']);
  t.same(
    document.tags.map(({ name }) => name).filter((name) => !used.has(name) && !elsewhere.has(name)),
    [],
    'no tag is empty',
  );
  const text = JSON.stringify(document);
  t.ok(text.length < BYTES_MAX, `${text.length} bytes`);
  t.notMatch(text, /Default Response/);
  const page = await app.inject('/docs/');
  t.match(page, { statusCode: 200, body: /swagger-ui/ });
  t.notMatch(page.headers['content-security-policy'], /upgrade-insecure/);
});

t.test('every reference leads somewhere, and every component is referred to', (t) => {
  const references = new Set<string>();
  JSON.stringify(document, (key, value: unknown) => {
    if (key === '$ref') references.add(value as string);
    return value;
  });
  for (const $ref of references) t.ok(follow(document, { $ref }), $ref);
  const components = Object.entries(document.components)
    .filter(([kind]) => kind !== 'securitySchemes')
    .flatMap(([kind, named]) => Object.keys(named).map((name) => `#/components/${kind}/${name}`));
  t.same(
    components.filter((name) => !references.has(name)),
    [],
  );
  t.end();
});

t.test('every operation says who may, and what it answers', (t) => {
  const tags = new Set(document.tags.map(({ name }) => name));
  const rights = new Set<string>([...PERMISSIONS, 'signed_in']);
  const wrong: string[] = [];
  for (const { name, path, method, operation } of operations) {
    const say = (isRight: boolean, what: string) => {
      if (!isRight) wrong.push(`${name}: ${what}`);
    };
    say(METHODS.has(method), 'method');
    say(/^[a-z][A-Za-z]+$/.test(operation.operationId), `operationId ${operation.operationId}`);
    say(operation.summary.length > 5, 'summary');
    say(operation.tags.length === 1 && operation.tags.every((tag) => tags.has(tag)), 'tags');
    const right = operation['x-required-permission'];
    const isGuarded = path.startsWith('/v1/');
    say(isGuarded ? rights.has(right ?? '') : right === undefined, `right ${right}`);
    const security = JSON.stringify(operation.security);
    say(security === (isGuarded ? '[{"bearer":[]}]' : '[]'), 'security');
    const statuses = Object.keys(operation.responses);
    say(
      statuses.some((status) => status.startsWith('2')),
      'no answer when all is well',
    );
    for (const status of isGuarded ? ['400', '401', '403', '429', '503'] : [])
      say(statuses.includes(status), `${status} is missing`);
    for (const [status, response] of Object.entries(operation.responses)) {
      const isEmpty = status === '204' || status === '304';
      say(isEmpty === (response.content === undefined), `content of ${status}`);
      say((response.description ?? '').length > 3, `description of ${status}`);
      const isProblem = response.content?.[PROBLEM_CONTENT_TYPE] !== undefined;
      if (isGuarded) say(isProblem === Number(status) >= 400, `kind of ${status}`);
    }
  }
  t.same(wrong, []);
  t.end();
});

t.test('every parameter is declared, described and typed', (t) => {
  const wrong: string[] = [];
  for (const { name, path, operation } of operations) {
    const parameters = operation.parameters ?? [];
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, one]) => one);
    const declared = parameters.filter((one) => one.in === 'path').map((one) => one.name);
    if (declared.join() !== inPath.join()) wrong.push(`${name}: ${declared.join()} in the path`);
    for (const parameter of parameters) {
      const { description = '', schema, style, explode } = parameter;
      if (description.length < 5) wrong.push(`${name}: ${parameter.name} is not described`);
      const isObject = 'properties' in follow(document, schema);
      const isDeep = style === 'deepObject' && explode === true;
      if (isObject !== isDeep) wrong.push(`${name}: style of ${parameter.name}`);
    }
  }
  t.same(wrong, []);
  t.end();
});

/** The examples of a schema: its own, those of what it refers to, or made of those of its parts. */
function examplesOf(schema: object): unknown[] {
  const found = follow(document, schema) as {
    examples?: unknown[];
    properties?: Record<string, object>;
    items?: object;
  };
  if (found.examples) return found.examples;
  if (found.items) return examplesOf(found.items).map((one) => [one]);
  const parts = Object.entries(found.properties ?? {}).map(([name, part]) => [
    name,
    examplesOf(part)[0],
  ]);
  const isWhole = parts.length > 0 && parts.every(([, example]) => example !== undefined);
  return isWhole ? [Object.fromEntries(parts) as unknown] : [];
}

function examplesOfMedia({ schema, example, examples = {} }: Media): unknown[] {
  const told = Object.values(examples).map(({ value }) => value);
  if (example !== undefined) told.push(example);
  return told.length > 0 || !schema ? told : examplesOf(schema);
}

/** Who may add members of their own: GeoJSON (RFC 7946, section 6.1), and the query of a list, read as that list reads it. */
const OPEN = /^(POST|PATCH) \/v1\/geofences(\/\{id\}|\/bulk)?$|^POST \/v1\/exports$/;

t.test('bodies are closed, and their examples are right', (t) => {
  const wrong: string[] = [];
  let count = 0;
  for (const { name, operation } of operations) {
    for (const [type, media] of Object.entries(operation.requestBody?.content ?? {})) {
      if (type.startsWith('multipart/')) continue;
      const examples = examplesOfMedia(media);
      if (examples.length === 0) wrong.push(`${name}: no example`);
      for (const example of examples) {
        count += 1;
        for (const error of validate(media.schema!, example)) wrong.push(`${name}:${error}`);
      }
      if (OPEN.test(name)) continue;
      for (const hole of holesOf(document, media.schema!)) wrong.push(`${name}: ${hole} is open`);
    }
  }
  t.same(wrong, []);
  t.ok(count > 150, `${count} examples`);
  t.end();
});

/** Objects that take fields which nobody has described. */
function holesOf(document: OpenApiDocument, schema: object, at = ''): string[] {
  const found = follow(document, schema) as {
    type?: string | string[];
    properties?: Record<string, object>;
    additionalProperties?: unknown;
    items?: object;
    anyOf?: object[];
    oneOf?: object[];
  };
  const isObject = [found.type].flat().includes('object');
  const isOpen = isObject && [undefined, true].includes(found.additionalProperties as undefined);
  const inner = Object.entries(found.properties ?? {}).flatMap(([name, part]) =>
    holesOf(document, part, `${at}/${name}`),
  );
  const others = [...(found.items ? [found.items] : []), ...(found.anyOf ?? found.oneOf ?? [])];
  return [
    ...(isOpen ? [at === '' ? '/' : at] : []),
    ...inner,
    ...others.flatMap((part) => holesOf(document, part, `${at}/*`)),
  ];
}

t.test('what resources answer has an example, and that is right', (t) => {
  const paths = new Set([...CATALOG.values()].map(({ path }) => `/v1/${path}`));
  const wrong: string[] = [];
  let count = 0;
  for (const { name, path, operation } of operations) {
    if (![...paths].some((one) => path === one || path.startsWith(`${one}/{id}`))) continue;
    for (const [status, response] of Object.entries(operation.responses)) {
      const media = response.content?.['application/json'];
      if (!status.startsWith('2') || !media) continue;
      const isResource = operation.operationId.match(/^(list|get|create|patch)[A-Z]\w*$/) !== null;
      const examples = examplesOfMedia(media);
      const isOwn = isResource && path === path.replace(/\{id\}\/.*/, '');
      if (examples.length === 0 && isOwn) wrong.push(`${name}: no example of ${status}`);
      for (const example of examples) {
        count += 1;
        for (const error of validate(media.schema!, example)) wrong.push(`${name}:${error}`);
      }
    }
  }
  t.same(wrong, []);
  t.ok(count > 250, `${count} examples`);
  t.end();
});

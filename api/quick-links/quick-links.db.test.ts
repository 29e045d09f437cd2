/** Quick links: kept in order, bounded, each customer's own, and nothing but plain addresses. */
import type { InjectOptions } from 'fastify';
import t from 'tap';
import { startTestPortal, type Who } from '../test-portal.ts';
import { QUICK_LINKS_MAX } from './rules.ts';

const many = 10_000_000;
const portal = await startTestPortal(t, {
  rateLimits: { perAddressMax: many, perUserMax: many, perTenantMax: many },
});

type Body = Record<string, unknown> & { data: Record<string, unknown>[]; errors: object[] };

async function ask(request: InjectOptions, who: Who = 'admin') {
  const answer = await portal.as(who, request);
  return { ...answer, body: answer.body as unknown as Body };
}
const URL_ = '/v1/quick-links';
const post = (payload: object, who: Who = 'admin') =>
  ask({ method: 'POST', url: URL_, payload }, who);
const names = async (query = '', who: Who = 'admin') =>
  (await ask({ url: `${URL_}${query}` }, who)).body.data.map((row) => row['name']);
const https = 'https://tires.example/orders';

t.test('they come in their order, page by page', async (t) => {
  const rows = [
    ['Zeta', 1],
    ['Alpha', 3],
    ['Beta', 2],
    ['Gamma', 2],
    ['Delta', 0],
  ] as const;
  for (const [name, sort_order] of rows) {
    t.equal((await post({ name, link: https, sort_order })).status, 201);
  }
  const ordered = ['Delta', 'Zeta', 'Beta', 'Gamma', 'Alpha'];
  t.same(await names(), ordered);
  const first = await ask({ url: `${URL_}?limit=3` });
  const { next_cursor } = (first.body as unknown as { page: { next_cursor: string } }).page;
  t.same(await names(`?limit=3&cursor=${next_cursor}`), ordered.slice(3));
  t.same(await names('?sort=-name&limit=1'), ['Zeta'], 'or in another that is asked for');
  const csv = await ask({ url: `${URL_}/export?format=csv&fields=name` });
  t.same(
    csv.text
      .split('\r\n')
      .slice(1, -1)
      .map((line) => line.split(',')[1]),
    ordered,
  );
});

t.test('changed, moved, deleted; a name is there once', async (t) => {
  const made = await post({ name: 'Fuel cards', link: https, sort_order: 9 });
  const url = `${URL_}/${String(made.body['ten_quick_link_id'])}`;
  const headers = { 'if-match': '*' };
  t.match(await post({ name: 'Fuel cards', link: https }), {
    status: 409,
    body: { errors: [{ pointer: '/name' }] },
  });
  await ask({ method: 'PATCH', url, headers, payload: { sort_order: 0, name: 'A fuel card' } });
  t.equal((await names())[0], 'A fuel card');
  t.equal((await ask({ method: 'DELETE', url, headers })).status, 204);
  t.equal((await ask({ url })).status, 404);
});

t.test('they are the customer’s own, and written by those who see all of it', async (t) => {
  t.same(await names('', 'foreign'), []);
  t.equal((await ask({ url: URL_ }, 'bare')).status, 403);
  t.ok((await names('', 'held')).length > 0, 'held to accounts one sees them');
  t.equal((await post({ name: 'Mine', link: https }, 'held')).status, 403, 'and makes none');
});

const LINKS: readonly (readonly [string, number])[] = [
  ['https://tires.example', 201],
  ['https://tires.example/', 201],
  ['https://tires.example:8443/a?b=c&d=%20#e', 201],
  ['https://xn--mnchen-3ya.example/', 201],
  ['https://[2001:db8::1]/status', 201],
  ['https://tires.example/m\u00fcnchen?q=\u00e9', 201],
  ['https://tires.example/a@b', 201],
  ['javascript:alert(1)', 400],
  ['http://tires.example', 400],
  ['HTTPS://tires.example', 400],
  ['data:text/html,x', 400],
  ['//tires.example', 400],
  ['tires.example', 400],
  ['https://', 400],
  ['https:tires.example', 400],
  ['https:///tires.example', 400],
  ['https://?x', 400],
  [' https://tires.example', 400],
  ['https://tires.example/a b', 400],
  ['https://tires.example/\n', 400],
  ['https://tires.example/\u0000', 422],
  ['https://user@tires.example/', 422],
  ['https://user:secret@tires.example/', 422],
  ['https://tires.example@evil.example/', 422],
  ['https://tires.example\\@evil.example/', 422],
  ['https:\\\\evil.example', 400],
  ['https://tires.example/\u0007', 422],
  ['https://tires.example/\u007f', 422],
  ['https://tires.example/\u202egpj.exe', 422],
  ['https://tires.example/\u200b', 422],
  ['https://ti\u200bres.example/', 422],
  ['https://\u0430pple.example/', 422],
  ['https://m\u00fcnchen.example/', 422],
  ['https://tires\u3002example/', 422],
  ['https://tires.example%2eevil.example/', 422],
  ['https://tires.example:port/', 422],
  ['https://tires.example:99999/', 422],
  ['https://Tires.example:443/', 201],
  ['https://tires.example/\u3164', 422],
  ['https://tires.example/\u2800', 422],
  ['https://tires.example/a\ufe0f', 422],
  ['https://tires.example/\u{e0100}', 422],
  ['https://0x7f.1/', 422],
  ['https://2130706433/', 422],
  ['https://a..com/', 422],
  ['https://.a.com/', 422],
  ['https://[::1/', 422],
  ['https://999.999.999.999/', 422],
  [`https://tires.example/${'a'.repeat(2_048)}`, 400],
];

t.test('links', async (t) => {
  for (const [index, [link, status]] of LINKS.entries()) {
    const answer = await post({ name: `link ${index}`, link });
    t.equal(answer.status, status, `${JSON.stringify(link)}: ${answer.text}`);
    if (status !== 201) t.match(answer.body.errors, [{ in: 'body', pointer: '/link' }]);
    const url = `${URL_}/${String(answer.body['ten_quick_link_id'])}`;
    if (status === 201) await ask({ method: 'DELETE', url, headers: { 'if-match': '*' } });
  }
  const idn = await post({ name: 'idn', link: 'https://m\u00fcnchen.example/' });
  t.match(idn.body, { detail: /xn--mnchen-3ya\.example/ });
  const { customerId } = portal.seed.mine;
  for (const link of [
    'https://a@b.example',
    'https://\u0430.example',
    'https://b.example/\u0001',
    'https://b.example\\',
  ]) {
    const past = portal.owner.query(
      'insert into ten_quick_link (customer_id, name, link) values ($1, $2, $2)',
      [customerId, link],
    );
    await t.rejects(past, /ten_quick_link_link_check_plain/, 'nor past the API');
  }
});

t.test('there are so many and no more', async (t) => {
  const held = (await names('?limit=500')).length;
  const more = QUICK_LINKS_MAX - held + 10;
  const made = await Promise.all(
    Array.from({ length: more }, (_none, n) => post({ name: `many ${n}`, link: https })),
  );
  t.equal(made.filter(({ status }) => status === 409).length, 10);
  t.equal((await names('?limit=500')).length, QUICK_LINKS_MAX);
  const bulk = await ask({
    method: 'POST',
    url: `${URL_}/bulk`,
    payload: { items: [{ name: 'one more', link: https }] },
  });
  t.match(bulk.body, { created: 0, refused: 1 });
});

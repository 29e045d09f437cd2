/**
 * Two tenants do as they like at the same time, to rows that bear the same names. Each must see exactly what a model of
 * one tenant alone says: no row of the other's, no name that is taken by the other, no version that the other moved.
 */
import fc from 'fast-check';
import t from 'tap';
import { startTestPortal } from '../test-portal.ts';

const many = 10_000_000;
const portal = await startTestPortal(t, {
  rateLimits: { perAddressMax: many, perUserMax: many, perTenantMax: many },
});

type Tenant = 'admin' | 'foreign';
type Act =
  | {
      readonly kind: 'named';
      readonly isMade: boolean;
      readonly who: Tenant;
      readonly name: number;
    }
  | {
      readonly kind: 'paint';
      readonly who: Tenant;
      readonly name: number;
      readonly color: number;
      readonly isStale: boolean;
    }
  | { readonly kind: 'seen'; readonly isExport: boolean; readonly who: Tenant };

interface Tag {
  readonly id: number;
  color: string | null;
  version: number;
}

const who = fc.constantFrom<Tenant>('admin', 'foreign');
const name = fc.integer({ min: 0, max: 3 });
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ kind: fc.constant('named' as const), isMade: fc.boolean(), who, name }),
  fc.record({
    kind: fc.constant('paint' as const),
    who,
    name,
    color: fc.integer({ min: 0, max: 2 }),
    isStale: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('seen' as const), isExport: fc.boolean(), who }),
);

/** What one tenant has, by name. */
type Model = Map<string, Tag>;

async function perform(step: Act, model: Model, ids: Set<number>): Promise<string | null> {
  const nameOf = (n: number) => `tag-${n}`;
  if (step.kind === 'seen') {
    const { isExport } = step;
    const url = isExport
      ? '/v1/tags/export?format=csv&fields=tag_name&sort=tag_name'
      : '/v1/tags?limit=500&sort=tag_name';
    const { body, text } = await portal.as(step.who, { url });
    const seen = isExport
      ? text
          .split('\r\n')
          .slice(1, -1)
          .map((line) => line.split(',')[1])
      : (body.data as unknown as { tag_name: string }[]).map((row) => row.tag_name);
    const expected = [...model.keys()].sort();
    return JSON.stringify(seen) === JSON.stringify(expected)
      ? null
      : `${step.who} sees ${seen.join()}, not ${expected.join()}`;
  }
  const named = nameOf(step.name);
  const known = model.get(named);
  if (step.kind === 'named' && step.isMade) {
    const { status, body } = await portal.as(step.who, {
      method: 'POST',
      url: '/v1/tags',
      payload: { tag_name: named },
    });
    if (known) return status === 409 ? null : `a second ${named}: ${status}`;
    const id = (body as unknown as { tag_lookup_id: number }).tag_lookup_id;
    model.set(named, { id, color: null, version: 1 });
    ids.add(id);
    return status === 201 ? null : `making ${named}: ${status}`;
  }
  // Where the tenant has no such row, it tries for one of the other's by its id.
  const id = known?.id ?? [...ids].at(-1) ?? 1;
  const url = `/v1/tags/${id}`;
  const own = [...model.values()].find((tag) => tag.id === id);
  if (step.kind === 'named') {
    const { status } = await portal.as(step.who, {
      method: 'DELETE',
      url,
      headers: { 'if-match': '*' },
    });
    if (!own) return status === 404 ? null : `removing another's: ${status}`;
    for (const [key, tag] of model) if (tag === own) model.delete(key);
    return status === 204 ? null : `removing: ${status}`;
  }
  const color = `#00000${step.color}`;
  const version = (own?.version ?? 1) + (step.isStale ? 7 : 0);
  const answer = await portal.as(step.who, {
    method: 'PATCH',
    url,
    payload: { color },
    headers: { 'if-match': `"${version}"` },
  });
  if (!own) return answer.status === 404 ? null : `painting another's: ${answer.status}`;
  if (step.isStale) return answer.status === 412 ? null : `a stale tag: ${answer.status}`;
  if (own.color !== color) own.version += 1;
  own.color = color;
  return answer.status === 200 && answer.body.version === own.version
    ? null
    : `painting: ${answer.status} ${answer.text}`;
}

t.test('each tenant sees what a model of it alone says', async (t) => {
  let acts = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 4, maxLength: 16 }), async (steps) => {
      await portal.owner.query('delete from tag_lookup');
      const models: Record<Tenant, Model> = { admin: new Map(), foreign: new Map() };
      const ids = new Set<number>();
      for (const step of steps) {
        acts += 1;
        const wrong = await perform(step, models[step.who], ids);
        if (wrong !== null) throw new Error(`${JSON.stringify(step)}: ${wrong}`);
      }
    }),
    { numRuns: 60 },
  );
  t.pass(`${acts} acts`);
});

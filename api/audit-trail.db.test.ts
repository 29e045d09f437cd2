/** The audit trail tells of no record that the reader could not read where it is kept. */
import t from 'tap';
import { pdf } from './attachments/test-files.ts';
import { READ_RIGHTS } from './audit-kinds.ts';
import { startTestPortal } from './test-portal.ts';

interface Entry {
  readonly entity_type: string;
  readonly actor_user_id: number | null;
}

const portal = await startTestPortal(t);
const { mine } = portal.seed;

async function grant(permission: object): Promise<void> {
  await portal.owner.query(
    `update user_role set role_permission = $1 where name = 'bare role' and customer_id = $2`,
    [JSON.stringify(permission), mine.customerId],
  );
  portal.principals.invalidate();
}

async function kindsFor(who: 'admin' | 'bare', query = ''): Promise<string[]> {
  const answer = await portal.as(who, { url: `/v1/audit-trail?limit=500${query}` });
  t.equal(answer.status, 200, answer.text.slice(0, 100));
  const entries = answer.body.data as unknown as Entry[];
  return [...new Set(entries.map(({ entity_type }) => entity_type))].sort();
}

t.test('every kind that leaves a trail has a right', async (t) => {
  const { rows } = await portal.owner.query<{ name: string }>(
    `select c.relname as name from pg_trigger g join pg_class c on c.oid = g.tgrelid where g.tgname = 'audit'`,
  );
  t.ok(rows.length > 50);
  t.same(
    rows.map(({ name }) => name).filter((name) => !READ_RIGHTS.has(name)),
    [],
  );
});

t.test('entries are of kinds that may be read', async (t) => {
  const post = (url: string, payload: object) =>
    portal.as('admin', { method: 'POST', url, payload });
  const view = { table_name: 'equipment' };
  await post('/v1/tags', { tag_name: 'seen' });
  await post('/v1/geofences', {
    geofence_name: 'yard',
    shape_type: 'circle',
    center_lat: 50,
    center_lng: 10,
    radius_m: 100,
  });
  const list = await portal.owner.query<{ id: number }>(
    'select column_preference_table_name_id as id from column_preference_table_name where table_name = $1',
    [view.table_name],
  );
  const preference = await post('/v1/column-preferences', {
    column_preference_table_name_id: list.rows[0]!.id,
    view_name: 'mine',
    selected_columns: ['unit_number'],
  });
  t.equal(preference.status, 201, preference.text);
  t.same(await kindsFor('admin'), ['column_preferences', 'geofence', 'tag_lookup']);

  await grant({ audit_trail: ['read'] });
  t.same(await kindsFor('bare'), [], 'nothing else may be read');
  await grant({ audit_trail: ['read'], geofence: ['read'] });
  t.same(await kindsFor('bare'), ['geofence']);
  t.same(await kindsFor('bare', '&entity_type=tag_lookup'), []);
  await grant({ audit_trail: ['read'], lookup: ['read', 'write'] });
  t.same(await kindsFor('bare'), ['tag_lookup'], 'and nobody’s columns but their own');
});

t.test('entries of files are for those who may read all that files hang on', async (t) => {
  const form = new FormData();
  form.append('file', new Blob([new Uint8Array(pdf())]), 'a.pdf');
  const sent = await fetch(`${portal.url}/v1/equipment/${mine.equipmentIds[0]}/attachments`, {
    method: 'POST',
    body: form,
    headers: portal.headersOf('admin'),
  });
  t.equal(sent.status, 201);
  const parents = ['equipment', 'ers', 'agreement', 'workorder'];
  const without = (left: string | null) =>
    Object.fromEntries(
      ['audit_trail', 'attachment', ...parents]
        .filter((right) => right !== left)
        .map((right) => [right, ['read']]),
    );
  const query = '&entity_type=attachment';
  for (const left of ['attachment', ...parents]) {
    await grant(without(left));
    t.same(await kindsFor('bare', query), [], `not without ${left}:read`);
  }
  await grant(without(null));
  t.same(await kindsFor('bare', query), ['attachment']);
});

import pg from 'pg';
import t from 'tap';
import { permissionsOf } from '../../api/auth/permissions.ts';
import { createTestDatabase } from '../../db/test-database.ts';
import { FENCES, RULES } from './fences.ts';
import { subjectOf, USERS } from './people.ts';
import { planVehicles } from './plan.ts';
import { seed } from './seed.ts';
import { tokenHash } from './secrets.ts';

const TABLES = [
  'customer', 'account', 'user_role', '"user"', 'equipment', 'iot_device', 'equipment_has_iot_device',
  'geofence', 'telematic_alert',
]; // prettier-ignore

t.test('seeding', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  t.teardown(() => client.end());
  const start = (count: number, key = 'a') =>
    seed({
      connectionString: ownerUrl,
      plans: planVehicles(count),
      tokenHashOf: (name) => tokenHash(`${key} ${name}`),
    });
  const counts = async () => {
    const found: Record<string, number> = {};
    for (const table of TABLES) {
      const { rows } = await client.query<{ n: number }>(`select count(*)::int as n from ${table}`);
      found[table] = rows[0]!.n;
    }
    return found;
  };

  await t.test('a first start makes everything', async (t) => {
    const made = await start(40);
    t.match(made, { isNew: true, vehiclesAdded: 40, feedId: 0 });
    t.equal(made.lastSeen.size, 0);
    t.same(await counts(), {
      customer: 2,
      account: 5,
      user_role: 6,
      '"user"': USERS.length,
      // The spare unit is one more.
      equipment: 41,
      iot_device: 41,
      equipment_has_iot_device: 41,
      geofence: FENCES.length,
      telematic_alert: RULES.length,
    });
    const { rows } = await client.query(
      `select count(*)::int as n from equipment e join account a using (account_id)
        where e.customer_id <> a.customer_id`,
    );
    t.same(rows, [{ n: 0 }]);
    const typed = await client.query(
      'select from telematic_alert where alert_type_lookup_id is null',
    );
    t.equal(typed.rowCount, 0, 'every rule has its type');
  });

  await t.test('users have the rights of their role', async (t) => {
    const rights = new Map<string, ReadonlySet<string>>();
    for (const user of USERS) {
      const { rows } = await client.query<{
        email: string;
        role_permission: unknown;
        assigned_account_ids: string[];
      }>('select * from auth_user_by_subject($1)', [subjectOf(user)]);
      t.equal(rows[0]!.email, user.email);
      t.equal(rows[0]!.assigned_account_ids.length, user.region === null ? 0 : 1);
      rights.set(user.email, permissionsOf(rows[0]!.role_permission));
    }
    t.ok(rights.get('admin@northline.example')!.has('ingest_reject:read'));
    t.ok(rights.get('dispatch@northline.example')!.has('geofence:write'));
    t.notOk(rights.get('viewer@northline.example')!.has('geofence:write'));
    t.ok(rights.get('viewer@northline.example')!.has('telematics:read'));
  });

  await t.test('a second start changes nothing', async (t) => {
    const before = await counts();
    t.match(await start(40), { isNew: false, vehiclesAdded: 0 });
    t.same(await counts(), before);
  });

  await t.test('a larger fleet adds vehicles; what was deleted stays deleted', async (t) => {
    await client.query(`delete from geofence where geofence_name = 'Interstate 30'`);
    t.match(await start(45), { isNew: false, vehiclesAdded: 5 });
    const found = await counts();
    t.equal(found['equipment_has_iot_device'], 46);
    t.equal(found['geofence'], FENCES.length - 1);
    t.match(await start(3), { vehiclesAdded: 0 }, 'a smaller one leaves the others');
    t.equal((await counts())['equipment'], 46);
  });

  await t.test('new secrets reach the devices', async (t) => {
    await start(45, 'b');
    const { rows } = await client.query<{ device_identifier: string; token_hash: Buffer }>(
      'select device_identifier, token_hash from iot_device',
    );
    t.ok(rows.every((row) => row.token_hash.equals(tokenHash(`b ${row.device_identifier}`))));
  });
});

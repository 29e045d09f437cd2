/** The demo's stories, told into a fresh database: every domain has something to show, and it is what the story says. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openDiskStore } from '../../../api/attachments/disk-store.ts';
import { createTestDatabase } from '../../../db/test-database.ts';
import { CUSTOMERS, subjectOf, USERS } from '../people.ts';
import { planVehicles } from '../plan.ts';
import { tokenHash } from '../secrets.ts';
import { seed } from '../seed.ts';
import { tellNorthline } from './northline.ts';
import { withTeller, type Shown } from './teller.ts';

type List = { data: Shown[] };

t.test('what Northline has been through', async (t) => {
  const { ownerUrl } = await createTestDatabase(t);
  const dir = await mkdtemp(join(tmpdir(), 'milepost-stories-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await seed({ connectionString: ownerUrl, plans: planVehicles(1), tokenHashOf: tokenHash });
  const options = {
    connectionString: ownerUrl,
    subject: subjectOf(USERS[0]!),
    timeZone: CUSTOMERS[0]!.time_zone,
    store: await openDiskStore(dir),
  };
  await withTeller(options, tellNorthline);
  await withTeller(options, async (teller) => {
    const list = async (path: string) => ((await teller.get(path)) as unknown as List).data;
    const count = async (path: string, expected: number) =>
      t.equal((await list(path)).length, expected, path);

    t.match(await list('/v1/service-requests?sort=service_request_number'), [
      { status: 'closed' },
      { status: 'submitted' },
    ]);
    t.match(await list('/v1/workorders?sort=workorder_number'), [
      { workorder_status: 'closed', total_cost: 738.9 },
      { workorder_status: 'on_hold', hold_reason: 'parts' },
    ]);
    t.match(await list('/v1/ers'), [{ ers_status: 'closed', outcome: 'roadside' }]);
    t.match(await list('/v1/equipment-type-allocations'), [
      { units_allowed: 4, units_assigned: 4 },
    ]);
    t.match(await list('/v1/invoices?sort=invoice_number'), [
      { invoice_number: 'NL-C-0007', status: 'paid' },
      { invoice_number: 'NL-R-0091', status: 'overdue' },
      { invoice_number: 'NL-R-0102', status: 'partial' },
      { invoice_number: 'NL-S-0033', status: 'paid' },
    ]);
    t.match(await list('/v1/account-balances'), [{ unapplied_amount: 61.1 }]);
    t.match(
      (await list('/v1/preventive-maintenance-schedules?sort=pm_schedule_id')).map(
        (row) => row['due_status'],
      ),
      ['ok', 'due_soon', 'overdue', 'ok'],
    );
    await count('/v1/dot-inspections', 8);
    const due = await list('/v1/inspections-due?within_days=30');
    t.same(
      due.filter((row) => row['status'] !== 'none').map((row) => row['status']),
      ['due_soon'],
      'a trailer is due for its annual inspection',
    );
    const soon = await list('/v1/expirations?within_days=30');
    t.ok(soon.length >= 3, 'a plate, a file and an inspection run out');
    const [van] = await list('/v1/vehicles');
    t.match(
      await list(`/v1/vehicles/${String(van!['vehicle_id_code_hdr'])}/service-due`),
      [{ type_of_service: 'Oil change', due_status: 'due_soon' }],
      'the van is due for its oil change',
    );
    t.match(
      new Set((await list('/v1/expirations?within_days=60')).map(({ kind }) => kind)),
      new Set(['driver_license', 'vehicle_insurance', 'vehicle_registration']),
      'and papers of it run out',
    );
    await count('/v1/column-preferences', 1);
    await count('/v1/quick-links', 1);
    await count('/v1/service-request-locations', 1);
  });
});

/** Least privilege: what steps over tenants in the background is not for the role that answers people. */
import t from 'tap';
import { createPool, type DatabaseRole } from './pools.ts';
import { createTestDatabase } from './test-database.ts';

/** Functions that step over row-level security and that the API's role may call, and what keeps them harmless. */
const FOR_THE_API = new Map([
  ['account_is_within', 'whether an account is below another, of the tenant at work'],
  [
    'account_transfers',
    'of one account that the caller sees: amounts, and no row of another account',
  ],
  ['auth_user_by_subject', 'one user, by the subject of a token that was verified'],
  ['close_request_when_done', 'one request whose work is over, of the tenant at work'],
  [
    'corrected_unseen',
    'whether an order has corrected what the caller does not see, of the tenant at work',
  ],
  ['count_for_quota', 'a number of rows, of the tenant at work'],
  ['find_knock', 'one device, by its exact name, and nothing that it said'],
  ['global_search', 'of the tenant and the accounts at work'],
  ['hold_allocation', 'what a unit must fit that goes out, of the tenant at work'],
  ['hold_line', 'how much of a line is allocated, of the tenant at work'],
  ['hold_schedules_of', 'gives nothing, and locks schedules of the tenant at work'],
  ['hold_unit', 'gives nothing, and locks a unit of the tenant at work'],
  ['hold_units_out', 'how many units are out on a part of an agreement, of the tenant at work'],
  ['hold_units_out_since', 'the same, and when the first of them went out, of the tenant at work'],
  ['last_annual_passes', 'days and keys of inspections, of the tenant at work'],
  ['look_again_at_schedules', 'gives nothing, and marks schedules of the tenant at work'],
  ['metric_codes_since', 'names of metrics, of devices of the tenant at work'],
  ['next_number', 'of the tenant at work'],
  ['note_activity', 'gives nothing, and tells of three things, of the tenant at work'],
  ['note_sign_ins', 'gives nothing, and writes when somebody was here'],
  ['record_change_head', 'a number, of the tenant at work'],
  ['record_change_window', 'numbers, of the tenant at work'],
  ['schedules_with_unseen_events', 'which of given keys of schedules, of the tenant at work'],
  ['sees_device', 'of the tenant at work'],
  ['unit_out', 'whether a unit is out, and as what, of the tenant at work'],
  ['unit_unfit', 'why a unit may not be used, of the tenant at work'],
  ['is_news_for_identity', 'whether the transaction is the runner’s'],
  ['sync_identity_role', 'of the tenant at work'],
  ['unit_metrics', 'of the tenant and the accounts at work'],
  ['unit_odometers', 'of the tenant and the accounts at work'],
  ['work_of_request', 'how the work of a request stands, of the tenant at work'],
]);
const FOR_THE_RUNNER = [
  'agreements_ended',
  'attachment_content_unused',
  'beat_identity_task',
  'maintenance_tenants',
  'overdue_tenants',
  'prune_record_changes',
  'prune_telemetry_changes',
  'settle_identity_task',
  'sweep_export_jobs',
  'sweep_identity_tasks',
  'switch_identity_sync',
  'take_export_job',
  'take_identity_task',
];

const { ownerUrl } = await createTestDatabase(t);
function connect(role: DatabaseRole) {
  const pool = createPool({
    connectionString: ownerUrl,
    role,
    max: 1,
    applicationName: 'test',
    statementTimeoutMs: 10_000,
  });
  t.teardown(() => pool.end());
  return pool;
}
const owner = connect('owner');

async function callable(role: DatabaseRole): Promise<string[]> {
  const { rows } = await owner.query<{ name: string }>(
    `select distinct proname::text as name from pg_proc
     where prosecdef and pronamespace = 'public'::regnamespace and prorettype <> 'trigger'::regtype
       and has_function_privilege($1, oid, 'execute') order by 1`,
    [role],
  );
  return rows.map(({ name }) => name);
}

t.test('who may call what', async (t) => {
  const forTheApi = [...FOR_THE_API.keys()];
  t.same(await callable('milepost_api'), forTheApi.sort());
  t.same(await callable('milepost_runner'), [...forTheApi, ...FOR_THE_RUNNER].sort());
});

t.test(
  'the API is refused, the runner is not, and sees no tenant without saying which',
  async (t) => {
    const take = `select * from take_export_job(gen_random_uuid(), 1)`;
    const [api, runner] = [connect('milepost_api'), connect('milepost_runner')];
    await t.rejects(api.query(take), { code: '42501' });
    t.equal((await runner.query(take)).rowCount, 0);
    await owner.query(`insert into customer (customer_name) values ('hidden')`);
    t.equal((await runner.query('select from customer')).rowCount, 0);
    await t.rejects(runner.query('select from equipment_gps_location'), { code: '42501' });
  },
);

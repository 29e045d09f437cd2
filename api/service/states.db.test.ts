/** Every state to every state, through the API, against a table that was written by hand. */
import t from 'tap';
import type { Row } from '../resources/define.ts';
import { openService, type ServiceHouse } from './test-service.ts';

const house = await openService(t);

interface Machine {
  readonly path: string;
  readonly table: string;
  readonly key: string;
  readonly column: string;
  /** From each state to those that may follow, which are all there are. */
  readonly follows: Readonly<Record<string, readonly string[]>>;
  readonly first: readonly string[];
  /** All that any state asks for. */
  readonly needs: Row;
  /** Instants that are written where a state is entered. */
  readonly stamps: Readonly<Record<string, string>>;
  readonly make: (house: ServiceHouse) => Promise<Row>;
}

const MACHINES: readonly Machine[] = [
  {
    path: 'service-requests',
    table: 'service_request',
    key: 'service_request_id',
    column: 'status',
    follows: {
      draft: ['submitted', 'cancelled'],
      submitted: ['triaged', 'approved', 'rejected', 'cancelled'],
      triaged: ['approved', 'rejected', 'cancelled'],
      // Converted is entered by what is made of it, and not by hand.
      approved: ['cancelled'],
      converted: ['closed', 'cancelled'],
      closed: [],
      rejected: [],
      cancelled: [],
    },
    first: ['draft', 'submitted'],
    needs: { status_reason: 'for the test', resolution: 'mended' },
    stamps: {
      submitted: 'submitted_at',
      triaged: 'triaged_at',
      approved: 'approved_at',
      converted: 'converted_at',
      closed: 'closed_at',
      rejected: 'rejected_at',
      cancelled: 'cancelled_at',
    },
    async make({ request, sql }) {
      const row = await request();
      await sql(
        `insert into workorder (customer_id, account_id, equipment_id, service_request_id, workorder_description,
           currency_code, workorder_status)
         select customer_id, account_id, equipment_id, service_request_id, 'x', 'USD', 'cancelled'
         from service_request where service_request_id = $1`,
        [row['service_request_id']],
      );
      return row;
    },
  },
  {
    path: 'workorders',
    table: 'workorder',
    key: 'workorder_id',
    column: 'workorder_status',
    follows: {
      open: ['assigned', 'in_progress', 'cancelled'],
      assigned: ['open', 'in_progress', 'on_hold', 'cancelled'],
      in_progress: ['on_hold', 'completed', 'cancelled'],
      on_hold: ['assigned', 'in_progress', 'cancelled'],
      completed: ['in_progress', 'closed', 'cancelled'],
      closed: [],
      cancelled: [],
    },
    first: ['open', 'assigned'],
    needs: { status_reason: 'for the test' },
    stamps: {
      assigned: 'assigned_at',
      in_progress: 'started_at',
      completed: 'completed_at',
      closed: 'closed_at',
      cancelled: 'cancelled_at',
    },
    make: ({ order }) => order({ vendor_name: 'Prairie Tire', resolution: 'mended' }),
  },
  {
    path: 'ers',
    table: 'ers',
    key: 'ers_id',
    column: 'ers_status',
    follows: {
      reported: ['dispatched', 'cancelled'],
      dispatched: ['accepted', 'no_show', 'cancelled'],
      accepted: ['en_route', 'no_show', 'cancelled'],
      en_route: ['on_site', 'no_show', 'cancelled'],
      on_site: ['repairing', 'resolved', 'cancelled'],
      repairing: ['resolved', 'cancelled'],
      resolved: ['closed'],
      no_show: ['dispatched', 'cancelled'],
      closed: [],
      cancelled: [],
    },
    first: ['reported', 'dispatched'],
    needs: { status_reason: 'for the test', eta_at: '2026-03-02T14:30:00.000Z' },
    stamps: {
      dispatched: 'dispatched_at',
      accepted: 'accepted_at',
      en_route: 'en_route_at',
      on_site: 'on_site_at',
      repairing: 'repair_started_at',
      resolved: 'resolved_at',
      closed: 'closed_at',
      cancelled: 'cancelled_at',
      no_show: 'no_show_at',
    },
    make: ({ call }) =>
      call({ vendor_name: 'Platte', outcome: 'roadside', resolution: 'mended', cost: 10 }),
  },
];

/** A row that is in a state, however it came there. */
async function rowIn({ table, key, column, make }: Machine, state: string): Promise<Row> {
  const row = await make(house);
  const hold = table === 'workorder' && state === 'on_hold' ? `, hold_reason = 'parts'` : '';
  await house.sql(`update ${table} set ${column} = $1${hold} where ${key} = $2`, [state, row[key]]);
  return row;
}

function bodyTo({ table, column, needs }: Machine, state: string): Row {
  const hold = table === 'workorder' && state === 'on_hold' ? { hold_reason: 'parts' } : {};
  return { [column]: state, ...needs, ...hold };
}

for (const machine of MACHINES) {
  const { path, key, column, follows, first, stamps } = machine;
  const states = Object.keys(follows);

  t.test(`${path}: from every state to every state`, async (t) => {
    for (const from of states) {
      for (const to of states) {
        house.clock.minutes += 1;
        const row = await rowIn(machine, from);
        const what = `${from} → ${to}`;
        const one = `${path}/${String(row[key])}`;
        const told = await house.get(`${one}/transitions`);
        t.same(told.body['state'], from);
        t.same(new Set(told.body['allowed_transitions'] as string[]), new Set(follows[from]), what);
        const answer = await house.post(`${one}/transitions`, bodyTo(machine, to));
        const after = (await house.get(one)).body;
        if (follows[from]!.includes(to)) {
          t.equal(answer.status, 200, `${what}: ${answer.text}`);
          t.equal(after[column], to, what);
          const stamp = stamps[to];
          if (stamp) t.equal(after[stamp], house.nowIso(), `${what}: ${stamp}`);
        } else {
          t.match(answer, { status: 409, body: { code: 'conflict' } }, `${what}: ${answer.text}`);
          t.same(new Set(answer.body.allowedTransitions), new Set(follows[from]), what);
          t.match(answer.body.errors, [{ pointer: `/${column}` }], what);
          t.equal(after[column], from, what);
        }
      }
    }
  });

  t.test(`${path}: a patch of the state goes by the same table`, async (t) => {
    for (const from of states) {
      for (const to of states.filter((one) => one !== from)) {
        const row = await rowIn(machine, from);
        const answer = await house.patch(`${path}/${String(row[key])}`, bodyTo(machine, to));
        t.equal(answer.status, follows[from]!.includes(to) ? 200 : 409, `${from} → ${to}`);
      }
    }
  });

  t.test(`${path}: rows begin in few states, and instants are not given`, async (t) => {
    const { body: example } = await house.get(
      `${path}/${String((await machine.make(house))[key])}`,
    );
    const given = Object.fromEntries(
      Object.entries(example).filter(([name, value]) =>
        /^(account_id|equipment_id|service_urgency_lookup_id|\w+_description|currency_code|vendor_name)$/.test(
          name,
        )
          ? value !== null && value !== ''
          : false,
      ),
    );
    for (const state of states) {
      const answer = await house.post(path, { ...given, [column]: state });
      if (first.includes(state)) {
        t.equal(answer.status, 201, `${state}: ${answer.text}`);
        const stamp = stamps[state];
        if (stamp) t.equal(answer.body[stamp], house.nowIso(), stamp);
      } else {
        t.match(answer, { status: 422, body: { errors: [{ pointer: `/${column}` }] } }, state);
      }
    }
    for (const stamp of Object.values(stamps)) {
      const answer = await house.post(path, { ...given, [stamp]: house.nowIso() });
      t.match(answer, { status: 400, body: { errors: [{ pointer: `/${stamp}` }] } }, stamp);
    }
  });
}

t.test('a state asks for what belongs to it, by name', async (t) => {
  const tries: [string, string, Row, string][] = [
    ['service-requests', 'submitted', { status: 'rejected' }, 'status_reason'],
    ['service-requests', 'submitted', { status: 'cancelled' }, 'status_reason'],
    ['service-requests', 'converted', { status: 'closed' }, 'resolution'],
    ['workorders', 'open', { workorder_status: 'assigned', vendor_name: null }, 'assigned_user_id'],
    ['workorders', 'in_progress', { workorder_status: 'on_hold' }, 'hold_reason'],
    [
      'workorders',
      'in_progress',
      { workorder_status: 'on_hold', hold_reason: 'other' },
      'status_reason',
    ],
    ['workorders', 'in_progress', { workorder_status: 'completed', resolution: '' }, 'resolution'],
    ['workorders', 'completed', { workorder_status: 'in_progress' }, 'status_reason'],
    ['workorders', 'open', { workorder_status: 'cancelled' }, 'status_reason'],
    ['ers', 'reported', { ers_status: 'dispatched', vendor_name: null }, 'vendor_name'],
    ['ers', 'accepted', { ers_status: 'en_route' }, 'eta_at'],
    ['ers', 'accepted', { ers_status: 'no_show' }, 'status_reason'],
    ['ers', 'repairing', { ers_status: 'resolved', outcome: null }, 'outcome'],
    ['ers', 'repairing', { ers_status: 'resolved', resolution: '' }, 'resolution'],
    ['ers', 'on_site', { ers_status: 'resolved', outcome: 'towed' }, 'towed_to_facility_lookup_id'],
    ['ers', 'on_site', { ers_status: 'resolved', outcome: 'swapped' }, 'replacement_equipment_id'],
    ['ers', 'resolved', { ers_status: 'closed', cost: null }, 'cost'],
  ];
  for (const [path, from, body, name] of tries) {
    const machine = MACHINES.find((one) => one.path === path)!;
    const row = await rowIn(machine, from);
    const answer = await house.post(`${path}/${String(row[machine.key])}/transitions`, body);
    const refused = { status: 422, body: { errors: [{ pointer: `/${name}` }] } };
    t.match(answer, refused, `${path} ${JSON.stringify(body)}: ${answer.text}`);
  }
});

t.test('of fifty at once one goes, and the others are told where it may go', async (t) => {
  const { workorder_id: id, version } = await house.order({ vendor_name: 'Prairie Tire' });
  const url = `workorders/${String(id)}`;
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      house.post(`${url}/transitions`, { workorder_status: 'in_progress' }),
    ),
  );
  t.same(answers.filter(({ status }) => status === 200).length, 1);
  const late = answers.filter(({ status }) => status === 409);
  t.equal(late.length, 49);
  for (const { body } of late) {
    t.same(new Set(body.allowedTransitions), new Set(['on_hold', 'completed', 'cancelled']));
  }
  t.equal((await house.get(url)).body['version'], (version as number) + 1, 'written once');
});

t.test('what is asked for says something', async (t) => {
  const blank = ' \t\u00a0';
  const begun = async (more: object = {}) => {
    const path = `workorders/${String((await house.order(more))['workorder_id'])}`;
    await house.move(path, { workorder_status: 'in_progress' });
    return path;
  };
  const tries: [string, Row, string][] = [
    ['completed', { resolution: blank }, 'resolution'],
    ['cancelled', { status_reason: blank }, 'status_reason'],
    ['on_hold', { hold_reason: 'other', status_reason: blank }, 'status_reason'],
  ];
  for (const [workorder_status, more, name] of tries) {
    const answer = await house.post(`${await begun()}/transitions`, { workorder_status, ...more });
    t.match(answer, { status: 422, body: { errors: [{ pointer: `/${name}` }] } }, workorder_status);
  }
  const path = await begun({ part_cost: 9, cost_limit: 1 });
  const refusal = await house.post(`${path}/refuse-cost`, { status_reason: blank });
  t.match(refusal, { status: 422, body: { errors: [{ pointer: '/status_reason' }] } });
  const call = `ers/${String((await house.call())['ers_id'])}`;
  const sent = await house.post(`${call}/transitions`, {
    ers_status: 'dispatched',
    vendor_name: blank,
  });
  t.match(sent, { status: 422, body: { errors: [{ pointer: '/vendor_name' }] } });
});

/** Maintenance that falls due by the odometers that trackers tell of, and by the calendar; and a call from the roadside. */
import type { Test } from 'tap';
import { evaluateMaintenance } from '../../api/maintenance/rounds.ts';
import { atMs, bodyOf, dateOf, make, odometerM } from './fleet.ts';
import { driveTo, move, read, setClock, unitOf, type Story } from './story.ts';

/** A round of the background, by the story's clock. */
async function lookRound({ house }: Story): Promise<void> {
  const onError = (error: unknown) => {
    throw error;
  };
  await evaluateMaintenance({ pool: house.runnerPool, now: () => house.nowMs, onError });
}

/** Day 1: unit 1 is due every 2,010 km, unit 2 every 15 days. */
export async function schedules(story: Story): Promise<void> {
  const { north, ids } = story;
  setClock(story, north, 1, 9);
  const plan = (unit: number, name: string, more: object) =>
    make(north.person, '/v1/preventive-maintenance-schedules', {
      equipment_id: unitOf(north, unit),
      schedule_name: name,
      starts_on: dateOf(1),
      ...more,
    });
  ids['byDistance'] = await plan(1, 'Oil and filters', {
    frequency_interval: 2_010,
    frequency_type: 'km',
    interval_days: 180,
    due_soon_km: 300,
  });
  ids['byDate'] = await plan(2, 'Walk-around', {
    frequency_interval: 15,
    frequency_type: 'days',
    due_soon_days: 3,
  });
}

/**
 * How the two stand on the evening of each day, reckoned by hand. Unit 1 drives 101 km a day: 300 km before 2,010 km it has
 * driven 1,710, on day 17 (1,717); 2,010 km on day 20 (2,020); a hundredth of the interval beyond, 2,030.1 km, on day 21
 * (2,121). Unit 2 is due on day 16, fifteen days after day 1.
 */
const STANDING: readonly (readonly [day: number, byDistance: string, byDate: string])[] = [
  [12, 'ok', 'ok'],
  [13, 'ok', 'due_soon'],
  [15, 'ok', 'due_soon'],
  [16, 'ok', 'due'],
  [17, 'due_soon', 'overdue'],
  [19, 'due_soon', 'overdue'],
  [20, 'due', 'overdue'],
  [21, 'overdue', 'overdue'],
];

/** Open events of a schedule. */
async function openOf({ north, ids }: Story, schedule: string) {
  const filter = `filter[pm_schedule_id]=${ids[schedule]}&filter[status][in]=open,in_progress`;
  const path = `/v1/preventive-maintenance-events?${filter}`;
  return (await read<{ data: { pm_event_id: number }[] }>(north, path)).data;
}

/** Days 12 to 21: both fall due. */
export async function maintenance(t: Test, story: Story): Promise<void> {
  const { north, ids } = story;
  const statusOf = async (id: number) =>
    (await read(north, `/v1/preventive-maintenance-schedules/${id}`))['due_status'];
  for (const [day, byDistance, byDate] of STANDING) {
    await driveTo(story, day);
    await lookRound(story);
    t.equal(await statusOf(ids['byDistance']!), byDistance, `by distance on day ${day}`);
    t.equal(await statusOf(ids['byDate']!), byDate, `by date on day ${day}`);
    t.equal((await openOf(story, 'byDistance')).length, day >= 20 ? 1 : 0, `open on day ${day}`);
    t.equal((await openOf(story, 'byDate')).length, day >= 16 ? 1 : 0);
  }
  const due = await read(north, `/v1/preventive-maintenance-schedules/${ids['byDistance']}/due`);
  t.match(due, {
    due_status: 'overdue',
    distance_left_m: -111_000,
    reasons: [
      { dimension: 'date', status: 'ok' },
      { dimension: 'odometer', due_value: 102_010_000, now_value: odometerM(1, 21) },
    ],
  });
}

/** Day 22: both are done. An order that does it closes its event, and the next one counts from the order's completion. */
export async function maintained(t: Test, story: Story): Promise<void> {
  const { north, ids } = story;
  setClock(story, north, 22, 8);
  const [event] = await openOf(story, 'byDistance');
  const order = await make(north.person, '/v1/workorders', {
    equipment_id: unitOf(north, 1),
    workorder_description: 'Oil and filters.',
    currency_code: 'USD',
  });
  await bodyOf(
    north.person.patch(`/v1/preventive-maintenance-events/${event!.pm_event_id}`, {
      workorder_id: order,
    }),
  );
  await bodyOf(move(north, `/v1/workorders/${order}`, { workorder_status: 'in_progress' }));
  setClock(story, north, 22, 11);
  const finished = { workorder_status: 'completed', resolution: 'Oil and three filters.' };
  await bodyOf(move(north, `/v1/workorders/${order}`, finished));
  t.match(await read(north, `/v1/preventive-maintenance-events/${event!.pm_event_id}`), {
    status: 'completed',
    performed_date: dateOf(22),
    odometer_m: 102_121_000,
    work_performed: 'Oil and three filters.',
  });
  t.match(await read(north, `/v1/preventive-maintenance-schedules/${ids['byDistance']}`), {
    due_status: 'ok',
    last_done_odometer_m: 102_121_000,
    next_due_odometer_m: 104_131_000,
  });

  const [walk] = await openOf(story, 'byDate');
  const walked = { status: 'completed', performed_date: dateOf(18) };
  const at = `/v1/preventive-maintenance-events/${walk!.pm_event_id}`;
  await bodyOf(move(north, at, walked));
  t.match(await move(north, at, { status: 'in_progress' }), {
    status: 409,
    body: { allowedTransitions: [] },
  });
  t.match(await read(north, `/v1/preventive-maintenance-schedules/${ids['byDate']}`), {
    last_done_on: dateOf(18),
    next_due_on: dateOf(33),
    due_status: 'ok',
  });
}

/** Day 12: unit 3 stands at the roadside. Told before the maintenance of that evening. */
export async function roadside(t: Test, story: Story): Promise<void> {
  const { north, ids } = story;
  const { person } = north;
  await driveTo(story, 11);
  setClock(story, north, 12, 14);
  const requestId = await make(person, '/v1/service-requests', {
    equipment_id: unitOf(north, 3),
    status: 'submitted',
    service_urgency_lookup_id: ids['urgency'],
    issue_description: 'The left rear tyre has come apart.',
    cost_limit: 1_200,
    currency_code: 'USD',
  });
  const request = `/v1/service-requests/${requestId}`;
  t.match(await move(north, request, { status: 'closed', resolution: 'x' }), {
    status: 409,
    body: { allowedTransitions: ['triaged', 'approved', 'rejected', 'cancelled'] },
  });
  await bodyOf(move(north, request, { status: 'approved' }));
  const made = await person.post(`${request}/ers`, { driver_name: 'Sam Whitfield' });
  t.match(made, {
    status: 201,
    body: {
      ers_number: 'ERS-000001',
      location_source: 'last_fix',
      latitude: 41.03,
      longitude: -88,
      location_recorded_at: new Date(atMs(north, 11, 20)).toISOString(),
    },
  });
  await rollOn(t, story, request, made.headers.get('location')!);
}

/** The call goes its way, becomes an order, and takes the request along. */
async function rollOn(t: Test, story: Story, request: string, call: string): Promise<void> {
  const { north, ids } = story;
  const { person } = north;
  const steps: readonly [number, object][] = [
    [14.2, { ers_status: 'dispatched', vendor_name: 'Platte Valley Road Service' }],
    [14.4, { ers_status: 'accepted' }],
    [14.6, { ers_status: 'en_route', eta_at: new Date(atMs(north, 12, 15.5)).toISOString() }],
    [15.6, { ers_status: 'on_site' }],
    [15.7, { ers_status: 'repairing' }],
  ];
  for (const [hour, body] of steps) {
    setClock(story, north, 12, hour);
    await bodyOf(move(north, call, body));
  }
  await make(person, '/v1/ers-parts-used', {
    ers_id: Number(call.split('/').at(-1)),
    part_name: 'Tyre 295/75R22.5',
    part_quantity: 1,
    part_cost: 438.9,
    currency_code: 'USD',
  });
  setClock(story, north, 12, 17);
  const resolution = 'The tyre was changed on the shoulder.';
  const end = { ers_status: 'resolved', outcome: 'roadside', resolution, cost: 738.9 };
  await bodyOf(move(north, call, end));
  const order = await person.post(`${call}/workorders`, { vmrs_id: ids['vmrs'] });
  t.match(order, { status: 201, body: { part_cost: 438.9, labour_cost: 300, total_cost: 738.9 } });
  const at = order.headers.get('location')!;
  ids['roadsideOrder'] = Number(at.split('/').at(-1));
  await bodyOf(move(north, at, { workorder_status: 'in_progress' }));
  await bodyOf(move(north, at, { workorder_status: 'completed', resolution }));
  await bodyOf(move(north, at, { workorder_status: 'closed' }));
  await bodyOf(move(north, call, { ers_status: 'closed' }));
  t.match(await read(north, request), { status: 'closed', resolution });
  t.match(await read(north, call), {
    dispatched_at: new Date(atMs(north, 12, 14.2)).toISOString(),
    on_site_at: new Date(atMs(north, 12, 15.6)).toISOString(),
    resolved_at: new Date(atMs(north, 12, 17)).toISOString(),
  });
  const log = await read<{ data: { message: string }[] }>(
    north,
    `/v1/communication-logs?filter[ers_id]=${Number(call.split('/').at(-1))}`,
  );
  t.ok(log.data.length >= 7, 'each step is in the log');
}

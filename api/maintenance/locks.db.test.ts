/** What concerns one unit, at once and over sockets: somebody waits, and nobody is stuck. */
import t from 'tap';
import { addDays, dayIn } from '../calendar.ts';
import type { Row } from '../resources/define.ts';
import { TestFleet } from './test-fleet.ts';

const fleet = await TestFleet.start(t);
const { portal, unitId } = fleet;
const { mine } = portal.seed;
const headers = {
  ...portal.headersOf('admin'),
  'content-type': 'application/json',
  'if-match': '*',
};
const today = dayIn('Europe/Berlin', fleet.clock.nowMs);
const about = { account_id: mine.accountIds[0], equipment_id: unitId };

async function send(method: string, path: string, body?: object): Promise<number> {
  const response = await fetch(`${portal.url}/v1/${path}`, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (response.status >= 400) t.comment(`${method} ${path}: ${response.status} ${text}`);
  return response.status;
}

let reading = 1_000;
const readingOf = (more: object = {}) => ({
  equipment_id: unitId,
  reading_type: 'odometer',
  equipment_reading: ++reading,
  ...more,
});

/** An order in progress, with a maintenance event and a violation. */
async function orderAtWork(inspectionId: unknown): Promise<Row> {
  const order = await fleet.make('workorders', {
    ...about,
    workorder_description: 'Service',
    currency_code: 'EUR',
  });
  const id = order['workorder_id'];
  const schedule = await fleet.makeSchedule({
    frequency_interval: 30,
    frequency_type: 'days',
    starts_on: addDays(today, -31),
  });
  const [event] = await fleet.events(schedule['pm_schedule_id']);
  const eventId = String(event!['pm_event_id']);
  await fleet.patch(`preventive-maintenance-events/${eventId}`, { workorder_id: id });
  await fleet.make('dot-inspection-violations', violationOf(inspectionId, id));
  await fleet.patch(`workorders/${String(id)}`, { workorder_status: 'in_progress' });
  return { id, eventId, scheduleId: schedule['pm_schedule_id'] };
}

const violationOf = (inspectionId: unknown, workorderId: unknown) => ({
  dot_inspection_id: inspectionId,
  workorder_id: workorderId,
  violation_code: '393.75',
  violation_description: 'Tread depth',
  severity_level: 'minor',
});

t.test('orders are completed while violations, readings and schedules come and go', async (t) => {
  const uom = await fleet.uomId('km');
  const inspection = await fleet.make('dot-inspections', {
    ...about,
    inspection_kind: 'roadside',
    inspection_date: today,
    inspection_result: 'fail',
  });
  const inspectionId = inspection['dot_inspection_id'];
  const orders: Row[] = [];
  for (let n = 0; n < 12; n += 1) orders.push(await orderAtWork(inspectionId));
  const done = { workorder_status: 'completed', resolution: 'Done.' };
  const statuses = await Promise.all(
    orders.flatMap(({ id, eventId, scheduleId }) => [
      send('PATCH', `workorders/${String(id)}`, done),
      send('POST', 'dot-inspection-violations', violationOf(inspectionId, id)),
      send('POST', 'equipment-readings', readingOf({ uom_lookup_id: uom })),
      send('PATCH', `preventive-maintenance-events/${String(eventId)}`, { performed_by: 'Kim' }),
      send('DELETE', `preventive-maintenance-schedules/${String(scheduleId)}`),
    ]),
  );
  t.same(
    statuses.filter((status) => status >= 500),
    [],
  );
  t.equal(statuses.filter((status) => status === 200).length >= orders.length, true);
});

t.test('many readings of the same units, from both ends', async (t) => {
  const uom = await fleet.uomId('km');
  const { rows } = await portal.owner.query<{ id: number }>(
    `insert into equipment (customer_id, account_id, equipment_type_lookup_id, unit_number)
     select customer_id, account_id, equipment_type_lookup_id, 'L' || n
     from equipment, generate_series(1, 40) n where equipment_id = $1 returning equipment_id as id`,
    [unitId],
  );
  const items = rows.map(({ id }) => ({
    equipment_id: id,
    reading_type: 'odometer',
    equipment_reading: 5,
    uom_lookup_id: uom,
  }));
  const sent = Array.from({ length: 8 }, (_, n) =>
    send('POST', 'equipment-readings/bulk', { items: n % 2 ? items : [...items].reverse() }),
  );
  t.same(new Set(await Promise.all(sent)), new Set([200]));
});

t.test('readings made together have their units looked at once, when all are there', async (t) => {
  const uom = await fleet.uomId('km');
  const schedule = await fleet.makeSchedule({
    frequency_interval: 100,
    frequency_type: 'km',
  });
  reading += 60;
  const items = [1, 2, 3].map(() => readingOf({ uom_lookup_id: uom, reading_type: 'odometer' }));
  await fleet.post('equipment-readings/bulk', {
    items: [...items, readingOf({ uom_lookup_id: uom, equipment_reading: reading + 100 })],
  });
  const shown = await fleet.schedule(schedule['pm_schedule_id']);
  t.match(shown, { due_status: 'overdue', version: 2 }, 'written once');
});

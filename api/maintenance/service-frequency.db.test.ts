/** Service frequency of vehicles: which are due, and when a service that was recorded comes again. */
import t from 'tap';
import { addDays, addMonths, dayIn } from '../calendar.ts';
import type { Row } from '../resources/define.ts';
import { DAY_MS, TestFleet } from './test-fleet.ts';
import { planOf, SERVICE_SOON_DAYS, SERVICE_SOON_KM } from './service-frequency.ts';

const fleet = await TestFleet.start(t);
const today = dayIn('Europe/Berlin', fleet.clock.nowMs);
const { mine } = fleet.portal.seed;
// They become vehicles of chassis numbers of their own.
await fleet.portal.owner.query('update equipment set vin = null');
let serial = 0;

async function makeVehicle(given: Row): Promise<string> {
  serial += 1;
  const made = await fleet.make('vehicles', {
    account_id: mine.accountIds[0],
    vin_chassis_no: `CHASSIS${String(serial).padStart(10, '0')}`,
    gps_tracker_imei_number: String(356_938_035_643_800 + serial),
    maker_brand_description: 'TATA',
    maker_model: 'LPT 407',
    vehicle_type_id: 'VT004',
    usage_type_id: 'CARGO',
    engine_number: `E${serial}`,
    engine_type_id: 'DIESEL_4CYL',
    fuel_type_id: 'DIESEL',
    manufacturing_month_year: '2023-05',
    ...given,
  });
  return (made['header'] as Row)['vehicle_id_code_hdr'] as string;
}

const due = async (id: string) =>
  (await fleet.get(`vehicles/${id}/service-due`)).body['data'] as Row[];
const service = (id: string, given: Row) =>
  fleet.post('vehicle-services', {
    vehicle_id_code: id,
    service_date: today,
    type_of_service: 'Oil change',
    service_remark: 'Done.',
    ...given,
  });

t.test('a frequency as a schedule says it', (t) => {
  const rows = [
    ['6 months', 6, 'months'],
    ['1 year', 1, 'years'],
    ['2 weeks', 2, 'weeks'],
    ['1 day', 1, 'days'],
  ] as const;
  for (const [time_period, count, type] of rows) {
    const plan = planOf({ time_period, km_drove: null, status: 'active' }, today);
    t.match(plan, { frequency_interval: count, frequency_type: type, interval_km: null });
  }
  const far = planOf({ time_period: null, km_drove: 12.5, status: 'paused' }, today);
  t.match(far, { frequency_interval: 12.5, frequency_type: 'km', status: 'paused' });
  t.end();
});

t.test('from the registration, from the last service, whichever comes first', async (t) => {
  const registered = addDays(addMonths(today, -6), SERVICE_SOON_DAYS + 30);
  const id = await makeVehicle({
    equipment_id: fleet.unitId,
    ownerships: [
      {
        ownership_name: 'We',
        registration_number: 'MH12QX4821',
        registration_date: registered,
        valid_from: registered,
      },
    ],
    service_frequencies: [
      { type_of_service: 'Oil change', time_period: '6 months', km_drove: 10_000 },
      { type_of_service: 'Brakes', km_drove: 40_000 },
      { type_of_service: 'Paint', time_period: '1 year', status: 'paused' },
    ],
  });
  t.match(await due(id), [
    {
      sequence_number: 1,
      due_status: 'ok',
      last_service_id: null,
      next_due_odometer_m: 10_000_000,
    },
    { sequence_number: 2, due_status: 'no_data', next_due_on: null },
    { sequence_number: 3, due_status: 'ok', reasons: [] },
  ]);
  await fleet.drive(10_000 - SERVICE_SOON_KM);
  t.match(await due(id), [{ due_status: 'due_soon' }, { due_status: 'ok' }, {}]);
  fleet.clock.nowMs += 60_000;
  await fleet.drive(10_000);
  t.match(await due(id), [{ due_status: 'due', distance_left_m: 0 }, {}, {}]);
  const done = await service(id, { odometer_m: 10_000_000 });
  t.equal(done.status, 201, done.text);
  t.equal(done.body['upcoming_service_date'], addMonths(today, 6));
  t.match(await due(id), [
    {
      due_status: 'ok',
      last_service_id: done.body['vehicle_maintenance_id'],
      last_service_date: today,
      next_due_on: addMonths(today, 6),
      next_due_odometer_m: 20_000_000,
    },
    { due_status: 'ok', last_service_id: null },
    {},
  ]);
  await service(id, {});
  t.match((await due(id))[0], { next_due_odometer_m: null }, 'nobody has noted the odometer');
});

t.test('when a service comes again', async (t) => {
  const id = await makeVehicle({
    service_frequencies: [
      { type_of_service: 'Oil change', time_period: '1 year' },
      { type_of_service: 'Oil change', time_period: '1 month' },
      { type_of_service: 'Oil change', time_period: '1 day', status: 'paused' },
      { type_of_service: 'Brakes', km_drove: 40_000 },
      { time_period: '3 weeks' },
    ],
  });
  const upcoming = async (given: Row) => (await service(id, given)).body['upcoming_service_date'];
  t.equal(await upcoming({ service_date: '2026-01-31' }), '2026-02-28', 'the earliest');
  t.equal(await upcoming({ service_date: '2026-01-31', type_of_service: null }), '2026-02-21');
  t.equal(await upcoming({ upcoming_service_date: '2030-01-01' }), '2030-01-01', 'it may be given');
  const unknown = { status: 422, body: { errors: [{ pointer: '/upcoming_service_date' }] } };
  t.match(await service(id, { type_of_service: 'Brakes' }), unknown, 'nothing is known of its use');
  t.match(await service(id, { type_of_service: 'Paint' }), unknown, 'no frequency says');
});

t.test('by its distance and the average use', async (t) => {
  const equipment_id = mine.equipmentIds[2];
  const id = await makeVehicle({
    account_id: null,
    equipment_id,
    services: [{ type_of_service: 'Brakes', service_date: '2026-01-31', service_remark: 'New.' }],
    service_frequencies: [{ type_of_service: 'Brakes', km_drove: 10_000, time_period: '2 years' }],
  });
  t.match((await fleet.get(`vehicles/${id}/full`)).body, {
    services: [{ upcoming_service_date: '2028-01-31' }],
  });
  await fleet.drive(1_000, 2);
  fleet.clock.nowMs += 2 * DAY_MS;
  await fleet.drive(1_400, 2);
  const done = await service(id, { type_of_service: 'Brakes', odometer_m: 1_400_000 });
  t.equal(done.body['upcoming_service_date'], addDays(today, 50));
  const [brakes] = await due(id);
  t.match(brakes, { distance_left_m: 10_000_000, forecast_due_on: addDays(today, 52) });
});

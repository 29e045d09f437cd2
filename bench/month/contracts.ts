/** Agreements, allocations and assignments; an inspection that keeps a unit in the yard; the end of a schedule. */
import type { Test } from 'tap';
import { bodyOf, dateOf, make, odometerM, type Fleet } from './fleet.ts';
import { driveTo, move, read, setClock, unitOf, type Story } from './story.ts';

interface Contract {
  readonly number: string;
  readonly currency: string;
  readonly units: number;
  readonly rate: number;
  readonly equipmentTypeId: number;
}

/** A master agreement, a schedule and its line; gives the ids of the schedule and the line. */
async function sign({ person }: Fleet, contract: Contract) {
  const { number, currency, equipmentTypeId } = contract;
  const master = await make(person, '/v1/master-agreements', {
    agreement_number: number,
    agreement_name: `Lease ${number}`,
    contract_effective_date: dateOf(1),
    contract_term: 12,
    contract_billing_method: 'arrears',
    currency_code: currency,
    status: 'active',
  });
  const { data } = await bodyOf<{ data: { contract_type_lookup_id: number }[] }>(
    person.get('/v1/contract-types?limit=1'),
  );
  const schedule = await make(person, '/v1/schedule-agreements', {
    master_agreement_id: master,
    contract_type_lookup_id: data[0]!.contract_type_lookup_id,
    schedule_number: `${number}/1`,
    effective_date: dateOf(1),
    currency_code: currency,
    status: 'active',
  });
  const line = await make(person, '/v1/schedule-agreement-line-items', {
    schedule_agreement_id: schedule,
    line_number: 1,
    equipment_type_lookup_id: equipmentTypeId,
    number_of_units: contract.units,
    rate: contract.rate,
    rate_period: 'month',
    currency_code: currency,
  });
  return { schedule, line };
}

const allocate = ({ person, accounts }: Fleet, account: string, line: number, units: number) =>
  make(person, '/v1/equipment-type-allocations', {
    account_id: accounts[account],
    schedule_agreement_line_item_id: line,
    units_allowed: units,
    over_allocation_policy: 'block',
    effective_date: dateOf(1),
  });

/** Hands a unit over at the hour that it is. */
const handOut = (story: Story, fleet: Fleet, account: string, allocation: number, unit: number) =>
  fleet.person.post('/v1/equipment-assignments', {
    account_id: fleet.accounts[account],
    equipment_id: unitOf(fleet, unit),
    equipment_type_allocation_id: allocation,
    activation_date: dateOf(Math.max(1, story.drivenTo + 1)),
    assigned_at: new Date(story.house.nowMs).toISOString(),
  });

const assigned = async (fleet: Fleet, allocation: number) =>
  (await read(fleet, `/v1/equipment-type-allocations/${allocation}`))['units_assigned'];

/** Day 1: who may have how many, and who has them. */
export async function contracts(t: Test, story: Story, equipmentTypeId: number): Promise<void> {
  const { north, hafen, ids } = story;
  setClock(story, north, 1, 8);
  const lease = { equipmentTypeId, number: 'NL-MA-1', currency: 'USD', units: 30, rate: 415 };
  const { line } = await sign(north, lease);
  ids['prairie'] = await allocate(north, 'prairie', line, 20);
  ids['union'] = await allocate(north, 'union', line, 10);
  const eleventh = await north.person.post('/v1/equipment-type-allocations', {
    account_id: north.accounts['union'],
    schedule_agreement_line_item_id: line,
    units_allowed: 1,
    effective_date: dateOf(1),
  });
  t.match(eleventh, { status: 409, body: { errors: [{ pointer: '/units_allowed' }] } });

  setClock(story, north, 1, 10);
  for (let unit = 1; unit <= 20; unit++) {
    await bodyOf(handOut(story, north, 'prairie', ids['prairie'], unit));
  }
  for (let unit = 21; unit <= 29; unit++) {
    await bodyOf(handOut(story, north, 'union', ids['union'], unit));
  }
  t.match(await handOut(story, north, 'prairie', ids['prairie'], 31), { status: 409 }, 'all out');
  const taken = await handOut(story, north, 'union', ids['union'], 5);
  t.match(taken, { status: 409, body: { errors: [{ pointer: '/assigned_at' }] } });
  t.same([await assigned(north, ids['prairie']), await assigned(north, ids['union'])], [20, 9]);

  const coast = { equipmentTypeId, number: 'HL-MA-1', currency: 'EUR', units: 20, rate: 512.5 };
  const signed = await sign(hafen, coast);
  ids['hafenSchedule'] = signed.schedule;
  ids['lager'] = await allocate(hafen, 'lager', signed.line, 20);
  for (let unit = 1; unit <= 19; unit++) {
    await bodyOf(handOut(story, hafen, 'lager', ids['lager'], unit));
  }
  t.equal(await assigned(hafen, ids['lager']), 19);
}

/** Days 2 to 9: unit 30 fails its annual inspection, is repaired, passes, and goes out. */
export async function inspection(t: Test, story: Story): Promise<void> {
  const { north, ids } = story;
  const { person } = north;
  const unit = unitOf(north, 30);
  setClock(story, north, 2, 9);
  const inspectionId = await make(person, '/v1/dot-inspections', {
    equipment_id: unit,
    inspection_kind: 'annual',
    inspection_date: dateOf(2),
    inspection_result: 'fail',
    inspector_name: 'R. Dale',
  });
  const violation = await make(person, '/v1/dot-inspection-violations', {
    dot_inspection_id: inspectionId,
    violation_code: '393.47(e)',
    severity_level: 'critical',
    is_out_of_service: true,
  });
  setClock(story, north, 3, 9);
  const kept = await handOut(story, north, 'union', ids['union']!, 30);
  t.match(kept, { status: 409, body: { errors: [{ pointer: '/equipment_id' }] } });
  t.match(await read(north, `/v1/equipment/${unit}/fitness`), { is_fit: false });
  t.equal(await assigned(north, ids['union']!), 9, 'nothing of it is left');

  await repaired(t, story, violation);
  const still = await handOut(story, north, 'union', ids['union']!, 30);
  t.match(still, { status: 409 }, 'repaired, and not inspected anew');

  setClock(story, north, 8, 9);
  const passed = await make(person, '/v1/dot-inspections', {
    equipment_id: unit,
    inspection_kind: 'annual',
    inspection_date: dateOf(8),
    inspection_result: 'pass',
  });
  const { expires_on, retain_until } = await read<Record<string, string>>(
    north,
    `/v1/dot-inspections/${passed}`,
  );
  t.equal(expires_on!.slice(0, 4), String(Number(dateOf(8).slice(0, 4)) + 1));
  t.ok(retain_until! > expires_on!);
  t.match(await person.remove(`/v1/dot-inspections/${passed}`), { status: 409 }, 'it is kept');
  await driveTo(story, 8);
  setClock(story, north, 9, 10);
  t.match(await handOut(story, north, 'union', ids['union']!, 30), {
    status: 201,
    body: { pickup_odometer_m: odometerM(30, 8) },
  });
  t.equal(await assigned(north, ids['union']!), 10);
}

/** An order renews the linings, and the violation is corrected with it. */
async function repaired(t: Test, story: Story, violation: number): Promise<void> {
  const { north, ids } = story;
  const { person } = north;
  const order = await make(person, '/v1/workorders', {
    equipment_id: unitOf(north, 30),
    workorder_description: 'Renew the linings of axle 2.',
    currency_code: 'USD',
    payer: 'lessor',
    cost_limit: 500,
  });
  await bodyOf(
    move(north, `/v1/dot-inspection-violations/${violation}`, {
      status: 'repair_scheduled',
      workorder_id: order,
    }),
  );
  await make(person, '/v1/workorder-vmrs', {
    workorder_id: order,
    vmrs_id: ids['vmrs'],
    workorder_part_cost: 120.5,
    workorder_labour_cost: 90,
    currency_code: 'USD',
  });
  await driveTo(story, 6);
  setClock(story, north, 7, 8);
  const at = `/v1/workorders/${order}`;
  await bodyOf(move(north, at, { workorder_status: 'in_progress' }));
  setClock(story, north, 7, 15);
  const done = { workorder_status: 'completed', resolution: 'Linings and springs renewed.' };
  await bodyOf(move(north, at, done));
  t.match(await read(north, at), {
    part_cost: 120.5,
    labour_cost: 90,
    total_cost: 210.5,
    start_odometer_m: odometerM(30, 6),
    completion_odometer_m: odometerM(30, 6),
  });
  t.match(await read(north, `/v1/dot-inspection-violations/${violation}`), {
    status: 'corrected',
    corrective_action: 'Linings and springs renewed.',
  });
}

/** Day 30: the coast's schedule is ended, and all of its units come back. */
export async function ending(t: Test, story: Story): Promise<void> {
  const { hafen, ids } = story;
  await driveTo(story, 29);
  setClock(story, hafen, 30, 12);
  const ended = { status: 'terminated', termination_date: dateOf(29) };
  await bodyOf(move(hafen, `/v1/schedule-agreements/${ids['hafenSchedule']}`, ended));
  t.equal(await assigned(hafen, ids['lager']!), 0);
  const out = await read<{ data: { return_reason: string; equipment_id: number }[] }>(
    hafen,
    '/v1/equipment-assignments?limit=100',
  );
  t.equal(out.data.length, 19);
  t.ok(out.data.every(({ return_reason }) => return_reason === 'agreement_ended'));

  const had = (day: number) =>
    read(hafen, `/v1/equipment/${unitOf(hafen, 5)}/assignment?on=${dateOf(day)}`);
  t.match(await had(10), { data: [{ account_id: hafen.accounts['lager'] }] });
  t.match(await had(30), { data: [] }, 'nobody has it any more');
}

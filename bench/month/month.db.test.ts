/**
 * A month of a fleet, told through the API: two customers, 60 units, their trackers over MQTT. Every figure is held against
 * what was reckoned by hand beside the act it belongs to. The acts go on from one another, in the order of the days.
 */
import t from 'tap';
import { noteOverdue } from '../../api/billing/overdue.ts';
import { contracts, ending, inspection } from './contracts.ts';
import { bodyOf, drive, makeFleet } from './fleet.ts';
import { openHouse } from './house.ts';
import { invoices, ledger, payments } from './money.ts';
import { Partner } from './partner.ts';
import { setClock, type Story } from './story.ts';
import { maintained, maintenance, roadside, schedules } from './upkeep.ts';

const CHICAGO = 'America/Chicago';
const BERLIN = 'Europe/Berlin';

const house = await openHouse(t, [
  { name: 'northline', timeZone: CHICAGO },
  { name: 'hafen', timeZone: BERLIN },
]);
const [northline, harbour] = [house.person('northline'), house.person('hafen')];
const idOf = async (path: string, key: string) => {
  const { data } = await bodyOf<{ data: Record<string, number>[] }>(northline.get(path));
  return data[0]![key]!;
};
const equipmentTypeId = await idOf('/v1/equipment-types?limit=1', 'equipment_type_lookup_id');
const account = (name: string, number: string) => ({
  account_name: name,
  account_number: number,
  account_type: 'NATIONAL',
});
const north = await makeFleet(northline, {
  prefix: 'NL',
  timeZone: CHICAGO,
  unitCount: 40,
  equipmentTypeId,
  accounts: { prairie: account('Prairie Foods', 'PF'), union: account('Union Hardware', 'UH') },
});
const hafen = await makeFleet(harbour, {
  prefix: 'HL',
  timeZone: BERLIN,
  unitCount: 20,
  equipmentTypeId,
  accounts: { lager: account('Lager Nord', 'LN') },
});
const story: Story = {
  house,
  north,
  hafen,
  drivenTo: 0,
  ids: {
    vmrs: await idOf('/v1/vmrs-codes?limit=1', 'vmrs_id'),
    urgency: await idOf('/v1/service-urgencies?limit=1', 'service_urgency_lookup_id'),
  },
};
// The evening before the first day.
for (const fleet of [north, hafen]) await drive(house, fleet, 0, 0);

const partners = [new Partner(north), new Partner(hafen)];
const partnersLook = async () => {
  for (const partner of partners) await partner.look();
};

t.test('day 1: contracts', (t) => contracts(t, story, equipmentTypeId));
t.test('day 1: what is due when', () => schedules(story));
t.test('partners begin their copies', partnersLook);
t.test('days 2 to 9: an inspection that is failed', (t) => inspection(t, story));
t.test('day 12: a call from the roadside', (t) => roadside(t, story));
t.test('days 12 to 21: maintenance falls due', (t) => maintenance(t, story));
t.test('day 22: maintenance is done', (t) => maintained(t, story));
t.test('partners look in between', partnersLook);
t.test('days 22 to 28: what is billed', (t) => invoices(t, story));
t.test('days 29 and 30: what is paid', (t) => payments(t, story));
t.test('day 30: a schedule that ends', (t) => ending(t, story));
t.test('day 30: the ledger', (t) => ledger(t, story));
t.test('day 30: the copies of the partners', async (t) => {
  await partnersLook();
  for (const partner of partners) await partner.compare(t);
});
t.test('day 61: what is left to pay is overdue, and the copies say so', async (t) => {
  setClock(story, north, 61, 1);
  const noted = await noteOverdue({
    pool: house.runnerPool,
    now: () => house.nowMs,
    onError: (error) => t.fail(String(error)),
  });
  t.equal(noted, 1, 'the rent of Union Hardware');
  await partnersLook();
  for (const partner of partners) await partner.compare(t);
});

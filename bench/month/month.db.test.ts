import t from 'tap';
import { bodyOf, drive, makeFleet, odometerM } from './fleet.ts';
import { openHouse } from './house.ts';

const house = await openHouse(t, [
  { name: 'northline', timeZone: 'America/Chicago' },
  { name: 'hafen', timeZone: 'Europe/Berlin' },
]);
const person = house.person('northline');
const types = await bodyOf<{ data: { equipment_type_lookup_id: number }[] }>(
  person.get('/v1/equipment-types?limit=1'),
);
const fleet = await makeFleet(person, {
  prefix: 'NL',
  timeZone: 'America/Chicago',
  unitCount: 40,
  equipmentTypeId: types.data[0]!.equipment_type_lookup_id,
  accounts: {
    prairie: { account_name: 'Prairie', account_number: 'P', account_type: 'NATIONAL' },
  },
});
await drive(house, fleet, 1, 9);
const { data } = await bodyOf<{ data: { equipment_id: number; odometer_m: number }[] }>(
  person.get('/v1/telematics?limit=100'),
);
t.equal(data.length, 40);
const seventh = data.find((row) => row.equipment_id === fleet.units[7]!.equipmentId);
t.equal(seventh!.odometer_m, odometerM(7, 9));

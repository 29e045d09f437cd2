/** Saved places, from the one who saves them to the call that is made there. */
import t from 'tap';
import { openService } from './test-service.ts';

const house = await openService(t);
const { get, post, patch, remove, make, request } = house;
const [north, south] = house.portal.seed.mine.accountIds;

const yard = {
  unit_street: '2100 Mound Road',
  city: 'Joliet',
  state_code: 'IL',
  postal_code: '60436',
  country_code: 'US',
  latitude: 41.4932,
  longitude: -88.1303,
  contact_name: 'Gate office',
  contact_phone: '+1 815 555 0142',
};
let serial = 0;
const place = (more: object = {}) => {
  serial += 1;
  const body = { account_id: north, location_nick_name: `Yard ${serial}`, ...yard, ...more };
  return make('service-request-locations', body);
};
const refused = (status: number, name: string) => ({
  status,
  body: { errors: [{ pointer: `/${name}` }] },
});
const named = (row: Record<string, unknown>) => ({
  service_request_location_id: row['service_request_location_id'],
});

t.test('a place is its maker’s, and fills in a request', async (t) => {
  const me = (await get('me')).body['user_id'];
  const saved = await place();
  t.match(saved, { user_id: me, status: 'active' });
  const { unit_street: street, ...others } = yard;
  const asked = await request(named(saved));
  t.match(asked, { street, ...others, ...named(saved) });

  await patch(`service-request-locations/${String(saved['service_request_location_id'])}`, {
    city: 'Elwood',
  });
  const url = `service-requests/${String(asked['service_request_id'])}`;
  t.match((await get(url)).body, { city: 'Joliet' }, 'as it was at that moment');

  const other = await place({ city: 'Elwood', contact_name: null, contact_phone: null });
  t.match(
    await patch(url, named(other)),
    { status: 200, body: { city: 'Elwood', contact_name: 'Gate office' } },
    'another place is another address; a contact stays where it has none',
  );
  t.match(await patch(url, { service_request_location_id: null }), {
    body: { city: 'Elwood', service_request_location_id: null },
  });
});

t.test('what a request says itself stands, and addresses are not mixed', async (t) => {
  const saved = await place();
  t.match(await request({ ...named(saved), city: 'Elwood', contact_name: 'Dana' }), {
    street: null,
    city: 'Elwood',
    postal_code: null,
    latitude: yard.latitude,
    contact_name: 'Dana',
    contact_phone: null,
  });
  const bare = await place({ unit_street: undefined, city: null, latitude: null, longitude: null });
  t.match(await request({ ...named(bare), latitude: 1, longitude: 2 }), {
    street: null,
    state_code: 'IL',
    latitude: 1,
  });
});

t.test('a place that is disabled, or another account’s, is refused', async (t) => {
  const field = 'service_request_location_id';
  const body = {
    account_id: north,
    equipment_id: house.unit,
    service_urgency_lookup_id: 3,
    issue_description: 'x',
  };
  const disabled = await place({ status: 'disabled' });
  t.match(await post('service-requests', { ...body, ...named(disabled) }), refused(422, field));
  const ofSouth = await place({ account_id: south });
  t.match(await post('service-requests', { ...body, ...named(ofSouth) }), refused(422, field));
  t.match(
    await post('service-requests', { ...body, ...named(ofSouth) }, 'held'),
    refused(422, field),
    'one that is not seen is not there',
  );
  const { account_id, ...without } = body;
  t.equal(account_id, north);
  t.match(
    await post('service-requests', { ...without, ...named(ofSouth) }),
    refused(422, field),
    'a request is of the account of its unit',
  );
  const everyones = await place({ account_id: null });
  t.equal((await post('service-requests', { ...body, ...named(everyones) }, 'held')).status, 201);
  const asked = await request();
  const url = `service-requests/${String(asked['service_request_id'])}`;
  t.match(await patch(url, named(disabled)), refused(422, field));
});

t.test('a place of an account serves those below it', async (t) => {
  const above = await make('accounts', {
    account_name: 'All',
    account_number: 'all',
    account_type: 'NATIONAL',
  });
  await patch(`accounts/${north}`, { parent_account_id: above['account_id'] });
  const saved = await place({ account_id: above['account_id'] });
  t.match(await request(named(saved)), { city: 'Joliet' });
});

t.test('from the saved place to the work on the unit', async (t) => {
  const saved = await place();
  const asked = await house.approved(named(saved));
  const url = `service-requests/${String(asked['service_request_id'])}`;
  t.match(await make(`${url}/ers`, {}), {
    latitude: yard.latitude,
    location_description: '2100 Mound Road, Joliet, IL, 60436, US',
    driver_phone: yard.contact_phone,
  });
  const one = `service-request-locations/${String(saved['service_request_location_id'])}`;
  t.equal((await remove(one)).status, 409, 'a request refers to it');
  t.equal((await patch(one, { status: 'disabled' })).status, 200);
  t.match((await get(url)).body, { city: 'Joliet' });
  const list = await get('service-request-locations?filter[status]=active');
  t.notOk(
    list.body.data.some(
      (row) => row['service_request_location_id'] === saved['service_request_location_id'],
    ),
  );
});

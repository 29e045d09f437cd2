/** Instants at the ends of time, wherever one can be sent, are refused by name and never break the server. */
import t from 'tap';
import { instantMs } from './instants.ts';
import { startTestPortal } from './test-portal.ts';

const portal = await startTestPortal(t);
const { mine } = portal.seed;

/** RFC 3339 allows them, and JavaScript does not read them. */
const LEAP_SECONDS = [
  '2026-06-30T23:59:60Z',
  '2026-06-30T23:59:60.5Z',
  '2026-07-01T05:29:60+05:30',
  '2016-12-31T23:59:60z',
];
/** Out of the years 1 to 9999 once they are in UTC, or no instants at all. */
const BEYOND = [
  '9999-12-31T23:59:59-14:00',
  '9999-12-31T23:59:59.999999-00:01',
  '0001-01-01T00:00:00+14:00',
  '0000-12-31T23:59:59Z',
  '2026-02-30T00:00:00+25:00',
  ...LEAP_SECONDS,
];
const WITHIN = ['9999-12-31T23:59:59+14:00', '0001-01-01T00:00:00-14:00', '2026-06-30T12:00:00Z'];

/** What is a day before it cannot be stored. */
const SECOND_DAY = '0001-01-02T00:00:00+14:00';

t.test('values', (t) => {
  for (const text of BEYOND.slice(0, 4)) t.equal(instantMs(text), null, text);
  for (const text of WITHIN) t.equal(instantMs(text), Date.parse(text), text);
  t.end();
});

t.test('of queries', async (t) => {
  const [unit] = mine.equipmentIds;
  const [fence] = mine.geofenceIds;
  const places = [
    '/v1/audit-trail?from=',
    '/v1/audit-trail?to=',
    '/v1/activity-feed?from=',
    '/v1/activity-feed?to=',
    `/v1/equipment/${unit}/locations?to=`,
    `/v1/equipment/${unit}/locations?from=`,
    `/v1/equipment/${unit}/metrics?to=`,
    `/v1/geofences/${fence}/visits?from=`,
    `/v1/geofences/${fence}/visits?to=`,
    '/v1/equipment?filter[created_at]=',
    '/v1/equipment?filter[created_at][gte]=',
    '/v1/equipment?filter[created_at][between]=2026-01-01T00:00:00Z,',
    '/v1/equipment/export?format=csv&filter[created_at][lt]=',
  ];
  for (const place of places) {
    for (const text of BEYOND) {
      const { status } = await portal.as('admin', { url: place + encodeURIComponent(text) });
      t.equal(status, 400, `${place}${text}`);
    }
    for (const text of WITHIN) {
      const { status } = await portal.as('admin', { url: place + encodeURIComponent(text) });
      t.ok(
        status === 200 || (status === 400 && /locations|metrics/.test(place)),
        `${place}${text}`,
      );
    }
  }
});

t.test('of bodies', async (t) => {
  const units = await portal.owner.query<{ id: number }>(
    `select uom_lookup_id as id from uom_lookup where uom_code = 'km'`,
  );
  const reading = {
    equipment_id: mine.equipmentIds[0],
    reading_type: 'odometer',
    equipment_reading: 1,
    uom_lookup_id: units.rows[0]!.id,
  };
  const assignment = {
    account_id: mine.accountIds[0],
    equipment_id: mine.equipmentIds[0],
    assigned_at: '2026-06-01T00:00:00Z',
    activation_date: '2026-06-01',
  };
  const places = [
    ['POST', 'equipment-readings', 'reading_at', reading],
    ['PATCH', 'equipment-readings/1', 'reading_at', {}],
    ['POST', 'equipment-assignments', 'assigned_at', assignment],
    ['POST', 'equipment-assignments', 'returned_at', assignment],
    ['PATCH', 'equipment-assignments/1', 'assigned_at', {}],
    ['PATCH', 'equipment-assignments/1', 'returned_at', {}],
    ['POST', 'equipment-assignments/1/return', 'returned_at', { return_reason: 'other' }],
    ['POST', 'invoices/1/issue', 'issued_at', {}],
  ] as const;
  for (const [method, path, name, more] of places) {
    const bad = path.startsWith('invoices') ? LEAP_SECONDS : [...BEYOND, SECOND_DAY];
    for (const text of bad) {
      const answer = await portal.as('admin', {
        method,
        url: `/v1/${path}`,
        payload: { ...more, [name]: text },
        headers: { 'if-match': '*' },
      });
      const refused = { status: 400, body: { errors: [{ pointer: `/${name}` }] } };
      t.match(answer, refused, `${method} ${path} ${text}`);
    }
  }
  const many = await portal.as('admin', {
    method: 'POST',
    url: '/v1/equipment-readings/bulk',
    payload: { items: [reading, { ...reading, reading_at: LEAP_SECONDS[0] }] },
  });
  const detail = /an instant .* seconds of 00 to 59/;
  const errors = [{ pointer: '/items/1/reading_at', detail }];
  t.match(many, { status: 200, body: { results: [{ status: 201 }, { status: 400, errors }] } });
});

/** A quota is the tenant's: who is held to one account meets it as well, though he sees little of what fills it. */
import t from 'tap';
import { startTestPortal } from './test-portal.ts';

// As many as the seed has, of which the held user sees two of three.
const portal = await startTestPortal(t, {
  quotas: {
    geofencesPerTenantMax: 3,
    alertsPerTenantMax: 3,
    devicesPerTenantMax: 3,
    gatewayTokensPerTenantMax: 1,
  },
});
const { mine } = portal.seed;
const account_id = mine.accountIds[0];
const equipment_id = mine.equipmentIds[0];
const full = (max: number, nouns: string) => ({
  status: 409,
  body: { detail: `there are ${max} ${nouns} already, which is the limit` },
});
const post = (url: string, payload: object, who: 'admin' | 'held' | 'foreign' = 'held') =>
  portal.as(who, { method: 'POST', url, payload });

const open = {
  geofence_name: 'Depot',
  shape_type: 'circle',
  center_lat: 51.9,
  center_lng: 4.5,
  radius_m: 300,
};
const fence = { ...open, account_id };
const alert = {
  account_id,
  equipment_id,
  alert_name: 'Fast',
  metric_code: 'speed',
  operator: '>',
  operator_value: 90,
};
const device = (device_identifier: string) => ({ device_identifier, equipment_id });

t.test('one who is held to an account meets the quota of the tenant', async (t) => {
  const seen = await portal.as('held', { url: '/v1/geofences' });
  t.ok(seen.body.data.length < 3, 'of whose rows he does not see all');
  t.match(await post('/v1/geofences', fence), full(3, 'geofences'));
  t.match(await post('/v1/telematic-alerts', alert), full(3, 'alert rules'));
  t.match(await post('/v1/iot-devices', device('held-1')), full(3, 'devices'));
});

t.test('and so does everybody else, but for other tenants', async (t) => {
  t.match(await post('/v1/geofences', open, 'admin'), full(3, 'geofences'));
  t.match(await post('/v1/gateway-tokens', { name: 'x' }, 'admin'), full(1, 'gateway tokens'));
  await portal.owner.query('delete from geofence where geofence_id = $1', [
    portal.seed.foreign.geofenceIds[0],
  ]);
  t.match(await post('/v1/geofences', open, 'foreign'), { status: 201 });
});

t.test('a retired device takes up no room', async (t) => {
  await portal.owner.query(`update iot_device set status = 'retired' where iot_device_id = $1`, [
    mine.iotDeviceIds[1],
  ]);
  t.match(await post('/v1/iot-devices', device('held-2')), { status: 201 });
  t.match(await post('/v1/iot-devices', device('held-3')), { status: 409 });
  const patch = (payload: object) =>
    portal.as('admin', {
      method: 'PATCH',
      url: `/v1/iot-devices/${mine.iotDeviceIds[1]}`,
      payload,
      headers: { 'if-match': '*' },
    });
  t.match(await patch({ status: 'active' }), full(3, 'devices'), 'nor comes back to a full house');
  t.match(await patch({ device_type: 'spare' }), { status: 200 });
});

/**
 * A vehicle that is made through the API while the program runs: what its tracker sends is stored from then on, by every
 * way that it can come, and what it sent before is not, nor what it sends after the vehicle was deleted.
 */
import { createServer, type AddressInfo } from 'node:net';
import mqtt from 'mqtt';
import t from 'tap';
import { withPatience } from './bench/proof/patience.ts';
import { openHouse } from './bench/proof/run.ts';
import { encodeLogin, encodeRecords } from './ingest/teltonika/test-frames.ts';
import { openTracker } from './ingest/teltonika/test-listener.ts';

interface Made {
  readonly header: { readonly vehicle_id_code_hdr: string };
  readonly equipment_id: number;
  readonly iot_device_id: number;
  readonly token: string | null;
}

const teltonikaPort = await freePort();
const settings = { TELTONIKA_PORT: String(teltonikaPort), TELTONIKA_HOST: '127.0.0.1' };
const house = await openHouse(t, 'node dist/main.js', 1, settings);
const { owner, portal, rivalPortal, program, fleet } = house;
const timeMs = Date.now() - 60_000;
const place = { latDeg: 1, lonDeg: 2 };

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Asks again and again until the answer is not `null`. */
function until<T>(what: string, ask: () => Promise<T | null>): Promise<T> {
  const search = async (): Promise<T> => {
    for (;;) {
      const found = await ask();
      if (found !== null) return found;
      await owner.query('select pg_sleep(0.02)');
    }
  };
  return withPatience(search(), () => what);
}

async function fixTimesOf(equipmentId: number): Promise<number[]> {
  const { rows } = await owner.query<{ ms: number }>(
    `select extract(epoch from recorded_at)::float8 * 1000 as ms from equipment_gps_location
       join equipment_has_iot_device using (equipment_has_iot_device_id)
      where equipment_has_iot_device.equipment_id = $1 order by recorded_at`,
    [equipmentId],
  );
  return rows.map(({ ms }) => ms);
}

const vehicle = (imei: string, more: object = {}) => ({
  vin_chassis_no: `CHASSIS${imei.slice(-6)}`,
  engine_number: 'E 1',
  gps_tracker_imei_number: imei,
  ...more,
});

t.test('by its IMEI alone, and through a gateway', async (t) => {
  const imei = '356307042441013';
  const stranger = await openTracker(t, teltonikaPort);
  stranger.send(encodeLogin(imei));
  t.equal(await stranger.rest(), '00', 'nobody knows it yet');
  const made = await portal.send<Made>('POST', '/v1/vehicles', vehicle(imei));
  t.equal(made.token, null);
  const tracker = await until('the tracker to be let in', async () => {
    const one = await openTracker(t, teltonikaPort);
    one.send(encodeLogin(imei));
    return (await one.answer(1)) === '01' ? one : null;
  });
  tracker.send(encodeRecords(0x08, [{ ...place, timeMs }]));
  t.equal(await tracker.answer(4), '00000001');
  const response = await fetch(`${program.urls.http}/v1/telemetry`, {
    method: 'POST',
    headers: { authorization: `Bearer ${fleet.gatewayToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ device: imei, time: timeMs + 1, lat: 1, lon: 2 }),
  });
  t.equal(response.status, 200);
  t.same(await fixTimesOf(made.equipment_id), [timeMs, timeMs + 1]);
  const [latest] = await portal.list<{ unit_number: string }>(
    `/v1/telematics?equipment_id=${made.equipment_id}`,
  );
  t.match(latest, { unit_number: 'VEH0001', latitude: 1, longitude: 2 });
  await t.rejects(rivalPortal.send('POST', '/v1/vehicles', vehicle(imei)), {
    message: /gives 409.*gps_tracker_imei_number/,
  });
});

t.test('by its token over MQTT', async (t) => {
  const imei = '356307042441014';
  const body = vehicle(imei, { tracker: { issue_token: true } });
  const { token, equipment_id } = await portal.send<Made>('POST', '/v1/vehicles', body);
  const client = await until('the tracker to be let in', () =>
    mqtt
      .connectAsync(program.urls.mqtt, {
        username: imei,
        password: token!,
        protocolVersion: 5,
        reconnectPeriod: 0,
      })
      .catch(() => null),
  );
  t.teardown(() => client.endAsync(true));
  const fix = JSON.stringify({ time: timeMs, lat: 1, lon: 2 });
  await client.publishAsync(`v1/devices/${imei}/fixes`, fix, { qos: 1 });
  t.same(await fixTimesOf(equipment_id), [timeMs]);
  const byName = await openTracker(t, teltonikaPort);
  byName.send(encodeLogin(imei));
  t.equal(await byName.rest(), '00', 'its name alone is not enough');
});

t.test('not any more once the vehicle is deleted, and then for its next one', async (t) => {
  const imei = '356307042441015';
  const made = await portal.send<Made>('POST', '/v1/vehicles', vehicle(imei));
  const knock = async () => {
    const one = await openTracker(t, teltonikaPort);
    one.send(encodeLogin(imei));
    return { one, isIn: (await one.answer(1)) === '01' };
  };
  await until('the tracker to be let in', async () => ((await knock()).isIn ? true : null));
  await portal.send('DELETE', `/v1/vehicles/${made.header.vehicle_id_code_hdr}`);
  await until('the tracker to be shut out', async () => ((await knock()).isIn ? null : true));

  const next = await rivalPortal.send<Made>('POST', '/v1/vehicles', vehicle(imei));
  const tracker = await until('the tracker of the buyer to be let in', async () => {
    const { one, isIn } = await knock();
    return isIn ? one : null;
  });
  tracker.send(encodeRecords(0x08, [{ ...place, timeMs }]));
  t.equal(await tracker.answer(4), '00000001');
  t.same(await fixTimesOf(next.equipment_id), [timeMs]);
  t.same(await fixTimesOf(made.equipment_id), []);
});

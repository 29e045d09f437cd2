/**
 * Devices that nobody knows, from their first word to their first stored fix: they knock at the real program, their keeper
 * finds and claims them through the API, and what they send then is theirs. Another tenant sees and gets none of it.
 */
import { createServer, type AddressInfo } from 'node:net';
import t from 'tap';
import { withPatience } from './bench/proof/patience.ts';
import { openHouse } from './bench/proof/run.ts';
import { watchChanges } from './db/test-changes.ts';
import { connectTestClient } from './db/test-database.ts';
import { encodeLogin, encodeRecords } from './ingest/teltonika/test-frames.ts';
import { openTracker } from './ingest/teltonika/test-listener.ts';

interface Knock {
  readonly device_identifier: string;
  readonly protocol: string;
  readonly knock_count: number;
  readonly last_payload: string | null;
}

const teltonikaPort = await freePort();
const settings = { TELTONIKA_PORT: String(teltonikaPort), TELTONIKA_HOST: '127.0.0.1' };
const house = await openHouse(t, 'node dist/main.js', 1, settings);
const { owner, portal, rivalPortal, program, fleet } = house;
const knocks = await watchChanges(await connectTestClient(t, house.settings['DATABASE_URL']!), [
  'knocking_device',
]);
const { equipmentId: equipment_id } = house.units[0]!;
const timeMs = Date.now() - 60_000;

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Asks the program again and again until the answer is not `null`, as nothing else tells. */
async function until<T>(what: string, ask: () => Promise<T | null>): Promise<T> {
  let isOver = false;
  const search = async (): Promise<T> => {
    for (;;) {
      const found = await ask();
      if (found !== null) return found;
      if (isOver) throw new Error(what);
    }
  };
  return withPatience(search(), () => what).finally(() => (isOver = true));
}

/** Knocks are written once a second. */
const knocked = (name: string): Promise<boolean> => {
  const written = knocks.until(async () => {
    const { rowCount } = await owner.query(
      'select from knocking_device where device_identifier = $1',
      [name],
    );
    return rowCount === 1;
  });
  return withPatience(written, () => `the knock of ${name}`);
};

async function fixTimesOf(name: string): Promise<number[]> {
  const { rows } = await owner.query<{ ms: number }>(
    `select extract(epoch from recorded_at)::float8 * 1000 as ms from equipment_gps_location
       join equipment_has_iot_device using (equipment_has_iot_device_id)
       join iot_device using (iot_device_id) where device_identifier = $1 order by recorded_at`,
    [name],
  );
  return rows.map(({ ms }) => ms);
}

async function telemetry(token: string, body: string) {
  const response = await fetch(`${program.urls.http}/v1/telemetry`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body,
  });
  return { status: response.status, text: await response.text() };
}

t.test('through a gateway: seen by its tenant alone, claimed, and stored', async (t) => {
  const body = JSON.stringify({ device: 'ghost', time: timeMs, lat: 1, lon: 2 });
  t.match(await telemetry(fleet.gatewayToken, body), { status: 422, text: /unknown_device/ });
  await knocked('ghost');
  const shown = await portal.list<Knock>('/v1/knocking-devices');
  t.match(shown, [{ device_identifier: 'ghost', protocol: 'http', knock_count: 1 }]);
  t.equal(Buffer.from(shown[0]!.last_payload!, 'base64').toString(), body);
  t.same(await rivalPortal.list('/v1/knocking-devices'), []);
  const claim = { protocol: 'http', device_identifier: 'ghost' };
  const path = '/v1/knocking-devices/claim';
  await t.rejects(rivalPortal.send('POST', path, claim), { message: /gives 404/ });
  const { token } = await portal.send<{ token: string }>('POST', path, { ...claim, equipment_id });
  t.same(await portal.list('/v1/knocking-devices'), [], 'it knocks no more');
  await until('the token to be known', async () => {
    const { status } = await telemetry(token, body);
    return status === 200 ? true : null;
  });
  t.same(await fixTimesOf('ghost'), [timeMs]);
  const { status, text } = await telemetry(fleet.gatewayToken, body);
  t.match({ status, text }, { status: 200, text: /"duplicates":1/ }, 'the gateway may, too');
  await t.rejects(rivalPortal.send('POST', path, claim), { message: /gives 409/ });
});

t.test('a tracker that nobody vouches for: found by its IMEI, claimed, acknowledged', async (t) => {
  const imei = '356307042441013';
  const stranger = await openTracker(t, teltonikaPort);
  stranger.send(encodeLogin(imei));
  t.equal(await stranger.rest(), '00');
  await knocked(imei);
  t.same(await portal.list('/v1/knocking-devices'), [], 'no tenant is shown it');
  const query = `protocol=teltonika&device_identifier=${imei}`;
  const found = await portal.get(`/v1/knocking-devices/lookup?${query}`);
  t.match(found, { device_identifier: imei, vouched: false });
  const claimed = await portal.send('POST', '/v1/knocking-devices/claim', {
    protocol: 'teltonika',
    device_identifier: imei,
    equipment_id,
  });
  t.match(claimed, { sign_in_by_name: true, token: null });
  const tracker = await until('the tracker to be let in', async () => {
    const one = await openTracker(t, teltonikaPort);
    one.send(encodeLogin(imei));
    return (await one.answer(1)) === '01' ? one : null;
  });
  // Cut where no frame ends, and two of them in one segment.
  const place = { latDeg: 1, lonDeg: 2 };
  const first = encodeRecords(0x08, [{ ...place, timeMs }, { ...place, timeMs: timeMs + 1 }]); // prettier-ignore
  const second = encodeRecords(0x8e, [{ ...place, timeMs }, { ...place, timeMs: timeMs + 2 }, { ...place, timeMs: 0 }]); // prettier-ignore
  tracker.send(first.subarray(0, 21));
  tracker.send(first.subarray(21), second);
  t.equal(await tracker.answer(8), '0000000200000003');
  t.same(await fixTimesOf(imei), [timeMs, timeMs + 1, timeMs + 2], 'one time, one fix');
});

/**
 * One run under torture: a PostgreSQL of its own, a proxy before it, the program, its devices, somebody who watches the
 * live map, and the judge. Knows how all this is put together and how it is watched while something fails; refuses to
 * know what fails (`scenarios/`).
 */
import pg from 'pg';
import { valueTypes } from '../../db/pools.ts';
import { migrate } from '../../migrations/run.ts';
import { openIssuer } from '../proof/issuer.ts';
import { FENCES, RULES } from '../proof/journey.ts';
import { QUIET_SETTINGS } from '../proof/program.ts';
import { RawMqtt } from '../proof/raw-mqtt.ts';
import { lastingPort } from '../proof/run.ts';
import { seedProofTenant, type ProofTenant } from '../proof/tenants.ts';
import { Bulk, BULK_UNITS } from './bulk.ts';
import type { Tearable } from './cleanup.ts';
import { Fleet, isTeltonika, nameOf } from './fleet.ts';
import { judge, lostOf, type Verdict } from './oracle.ts';
import { POISON_SATELLITES, type Mix } from './plan.ts';
import { TorturedPostgres, type Disk } from './postgres.ts';
import { Proxy } from './proxy.ts';
import { TorturedServer } from './server.ts';
import { Viewer } from './viewer.ts';

export interface HouseOptions {
  readonly t: Tearable;
  readonly seed: string;
  readonly units: number;
  /** Of the program, besides those that every house has. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where PostgreSQL's data lies; an ordinary folder when there is none. */
  readonly disk?: Disk;
  readonly mix?: Mix;
  /** Devices with these numbers reach the listener through a proxy of their own. */
  readonly isBehindProxy?: (unit: number) => boolean;
  readonly keepAliveS?: (unit: number) => number;
  readonly windows?: readonly number[];
}

export interface House {
  readonly postgres: TorturedPostgres;
  /** Where its data lies, when that can be filled. */
  readonly disk: Disk | null;
  /** Between the program and PostgreSQL. */
  readonly databaseProxy: Proxy;
  /** Between some devices and the listener. */
  readonly deviceProxy: Proxy;
  readonly server: TorturedServer;
  readonly fleet: Fleet;
  readonly bulk: Bulk;
  readonly tenant: ProofTenant;
  /** Straight to PostgreSQL, as the owner. */
  readonly owner: pg.Pool;
  /** Another program with the same settings on ports of its own, not started. */
  standby(): Promise<TorturedServer>;
  /** Of a user of the tenant, who may everything. */
  token(): Promise<string>;
  /** What was acknowledged since this was last asked, and is not in the database. */
  lost(): Promise<string[]>;
  judge(): Promise<Verdict>;
}

const KEEP_ALIVE_S = 30;
/** Batches small enough that there are many, so that every instant has some under way. */
const SETTINGS = { INGEST_LINGER_MS: '20', LOG_LEVEL: 'info' } as const;

/** Everything started, and nothing sent yet. */
export async function openHouse(options: HouseOptions): Promise<House> {
  const { t, seed, units, isBehindProxy = () => false } = options;
  const postgres = await TorturedPostgres.start(t, options.disk ?? null);
  const { tenant, owner } = await prepareDatabase(t, postgres, units + BULK_UNITS);
  const issuer = await openIssuer(t);
  const ports = await serverPorts();
  const { databaseProxy, deviceProxy } = await openProxies(t, postgres, ports.MQTT_PORT);
  const program = (own: ServerPorts): TorturedServer =>
    new TorturedServer({
      t,
      settings: {
        ...QUIET_SETTINGS,
        ...SETTINGS,
        ...issuer.settings,
        TELTONIKA_HOST: '127.0.0.1',
        DATABASE_URL: postgres.urlThrough(databaseProxy.port),
        ...Object.fromEntries(Object.entries(own).map(([name, port]) => [name, String(port)])),
        ...options.settings,
      },
    });
  const server = program(ports);
  await server.start();
  const token = (): Promise<string> => issuer.tokenOf(tenant.subject);
  const viewer = new Viewer(t, { url: () => server.liveUrl, token });
  await viewer.watching;
  const fleet = new Fleet({
    t,
    seed,
    tenant,
    units,
    nowMs: Date.now(),
    httpPort: ports.HTTP_PORT,
    teltonikaPort: ports.TELTONIKA_PORT,
    mqttPort: (unit) => (isBehindProxy(unit) ? deviceProxy.port : ports.MQTT_PORT),
    takesQos2: await takesQos2(ports.MQTT_PORT, tenant),
    keepAliveS: options.keepAliveS ?? (() => KEEP_ALIVE_S),
    ...(options.mix === undefined ? {} : { mix: options.mix }),
    ...(options.windows === undefined ? {} : { windows: options.windows }),
  });
  const { ledger } = fleet;
  const bulk = new Bulk({ tenant, ledger, httpUrl: server.httpUrl, firstUnit: units });
  const { deviceIds, equipmentIds, customerId } = tenant;
  const unitOf = new Map([...deviceIds.keys()].map((unit) => [nameOf(tenant, unit), unit]));
  const { watcher } = viewer;
  return {
    postgres,
    disk: options.disk ?? null,
    databaseProxy,
    deviceProxy,
    server,
    fleet,
    bulk,
    tenant,
    owner,
    token,
    standby: async () => program(await serverPorts()),
    lost: () => lostOf({ owner, deviceIds }, ledger.takeFreshlyAcked()),
    judge: () => judge({ owner, ledger, deviceIds, equipmentIds, customerId, unitOf, watcher }),
  };
}

type ServerPorts = Record<'HTTP_PORT' | 'MQTT_PORT' | 'LIVE_PORT' | 'TELTONIKA_PORT', number>;

async function serverPorts(): Promise<ServerPorts> {
  const [http, mqtt, live, teltonika] = await lastingPorts(4);
  return { HTTP_PORT: http!, MQTT_PORT: mqtt!, LIVE_PORT: live!, TELTONIKA_PORT: teltonika! };
}

async function lastingPorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await lastingPort());
  return [...ports];
}

async function openProxies(
  t: Tearable,
  postgres: TorturedPostgres,
  mqttPort: number,
): Promise<{ databaseProxy: Proxy; deviceProxy: Proxy }> {
  const [before, between] = await lastingPorts(2);
  const databaseProxy = new Proxy(before!, Number(new URL(postgres.url).port), 'postgres');
  const deviceProxy = new Proxy(between!, mqttPort, 'any');
  for (const proxy of [databaseProxy, deviceProxy]) {
    await proxy.listen();
    t.teardown(() => proxy.close());
  }
  return { databaseProxy, deviceProxy };
}

async function prepareDatabase(
  t: Tearable,
  { url }: TorturedPostgres,
  units: number,
): Promise<{ tenant: ProofTenant; owner: pg.Pool }> {
  await migrate(url);
  const tenant = await seedProofTenant(url, 'fleet', units);
  const owner = new pg.Pool({ connectionString: url, max: 4, types: valueTypes });
  // Connections that were idle when PostgreSQL was killed.
  owner.on('error', () => undefined);
  t.teardown(() => owner.end());
  const poison = `check (satellites <> ${POISON_SATELLITES})`;
  await owner.query(`alter table equipment_gps_location add constraint no_poison ${poison}`);
  for (const unit of tenant.deviceIds.keys()) {
    if (!isTeltonika(unit)) continue;
    const { device } = tenant.credentials(unit);
    await owner.query(
      'update iot_device set device_identifier = $1, sign_in_by_name = true where device_identifier = $2',
      [nameOf(tenant, unit), device],
    );
  }
  for (const fence of FENCES) await insert(owner, 'geofence', tenant.customerId, { ...fence });
  for (const rule of RULES) await insert(owner, 'telematic_alert', tenant.customerId, { ...rule });
  return { tenant, owner };
}

async function insert(
  owner: pg.Pool,
  table: string,
  customerId: number,
  row: Readonly<Record<string, unknown>>,
): Promise<void> {
  const names = ['customer_id', ...Object.keys(row)];
  const places = names.map((_, i) => `$${i + 1}`);
  await owner.query(`insert into ${table} (${names.join(', ')}) values (${places.join(', ')})`, [
    customerId,
    ...Object.values(row),
  ]);
}

/** A server of 5.0 that does not take it says so (section 3.2.2.3.4). */
async function takesQos2(mqttPort: number, tenant: ProofTenant): Promise<boolean> {
  const { device, token } = tenant.credentials(0);
  const { client, connack } = await RawMqtt.signIn({
    url: `mqtt://127.0.0.1:${mqttPort}`,
    version: 5,
    username: device,
    password: token,
  });
  client.end();
  return (connack.properties?.maximumQoS ?? 2) === 2;
}

/**
 * One whole run: the program, devices on their journeys, two tenants' watchers, and as many ends of the program in the
 * middle as are asked for. Knows what was acknowledged and when the program ended; refuses to judge what came of it
 * (`hold.ts`).
 */
import { createServer } from 'node:net';
import type pg from 'pg';
import type { Test } from 'tap';
import { createTestDatabase, openOwnerPool } from '../../db/test-database.ts';
import { openIssuer } from './issuer.ts';
import { everywhere, FENCES, journeyOf, RULES, type Fix } from './journey.ts';
import { LiveWatcher } from './live-watcher.ts';
import { withPatience } from './patience.ts';
import { openPortal, readMetrics, type Portal } from './portal.ts';
import { QUIET_SETTINGS, startProgram, type Command, type Exit, type Program } from './program.ts';
import {
  mosquittoMissing,
  sendByMosquitto,
  sendByMqttJs,
  type Message,
  type Sender,
} from './senders.ts';
import { seedProofTenant, type ProofTenant } from './tenants.ts';

export interface Unit {
  readonly number: number;
  /** `equipment_has_iot_device_id`. */
  readonly deviceId: number;
  readonly equipmentId: number;
  readonly fixes: readonly Fix[];
}

export interface House {
  readonly owner: pg.Pool;
  /** The tenant whose units travel. */
  readonly fleet: ProofTenant;
  /** Another tenant, with one unit. */
  readonly rival: ProofTenant;
  readonly units: readonly Unit[];
  readonly settings: Record<string, string>;
  readonly portal: Portal;
  readonly rivalPortal: Portal;
  readonly watcher: LiveWatcher;
  readonly rivalWatcher: LiveWatcher;
  /** The one that runs now. */
  program: Program;
  /** Both watchers, connected to the program that runs now. */
  watch(): Promise<void>;
}

/** Devices on `mosquitto_pub`, where there is one; the rest are on MQTT.js. */
const MOSQUITTO_COUNT = 5;

/** A seeded database, the program running on it and the watchers connected; no fences and no rules yet. */
export async function openHouse(
  t: Test,
  command: Command,
  unitCount: number,
  more: Record<string, string> = {},
): Promise<House> {
  const { ownerUrl } = await createTestDatabase(t);
  const owner = openOwnerPool(t, ownerUrl, 2);
  const fleet = await seedProofTenant(ownerUrl, 'fleet', unitCount);
  const rival = await seedProofTenant(ownerUrl, 'rival', 1);
  const issuer = await openIssuer(t);
  // A port of its own and not any free one: devices must find the program again after a restart.
  const settings = {
    ...QUIET_SETTINGS,
    DATABASE_URL: ownerUrl,
    ...issuer.settings,
    MQTT_PORT: String(await lastingPort()),
    ...more,
  };
  const program = await startProgram(t, settings, command);
  const token = await issuer.tokenOf(fleet.subject);
  const rivalToken = await issuer.tokenOf(rival.subject);
  const nowMs = Date.now();
  const house: House = {
    owner,
    fleet,
    rival,
    settings,
    program,
    units: fleet.deviceIds.map((deviceId, number) => ({
      number,
      deviceId,
      equipmentId: fleet.equipmentIds[number]!,
      fixes: journeyOf(number, nowMs),
    })),
    portal: openPortal(() => house.program.urls.http, token),
    rivalPortal: openPortal(() => house.program.urls.http, rivalToken),
    watcher: new LiveWatcher(),
    rivalWatcher: new LiveWatcher(),
    async watch() {
      const { live } = house.program.urls;
      await house.watcher.connect(live, token);
      await house.rivalWatcher.connect(live, rivalToken);
    },
  };
  t.teardown(() => Promise.all([house.watcher.close(), house.rivalWatcher.close()]));
  await house.watch();
  return house;
}

/** Makes the journeys' fences and rules through the API, and waits until the engine has them. */
export async function configure({ portal, rivalPortal, program }: House): Promise<void> {
  for (const fence of FENCES) await portal.send('POST', '/v1/geofences', fence);
  const disabled = { ...everywhere('Disabled'), status: 'disabled' };
  await portal.send('POST', '/v1/geofences', disabled);
  for (const rule of RULES) await portal.send('POST', '/v1/telematic-alerts', rule);
  await rivalPortal.send('POST', '/v1/geofences', everywhere('Rival'));
  const inForce = (samples: Map<string, number>): boolean =>
    samples.get('milepost_engine_fences') === FENCES.length + 1 &&
    samples.get('milepost_engine_rules') === RULES.length;
  const force = async (): Promise<void> => {
    while (!inForce(await readMetrics(program.urls.http)));
  };
  await withPatience(force(), () => 'for the fences and rules to be in force');
}

/** Outside the range from which kernels give ports to others, so that it stays free while the program is down. */
const LASTING_PORT_MIN = 20_000;
const LASTING_PORT_COUNT = 10_000;

export async function lastingPort(): Promise<number> {
  for (;;) {
    const port = LASTING_PORT_MIN + Math.floor(Math.random() * LASTING_PORT_COUNT);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** What was acknowledged so far, as keys of rows: `{deviceId} {timeMs}`. */
export interface Ledger {
  readonly fixes: Set<string>;
  readonly readings: Set<string>;
}

/** The end of a program in the middle of the journeys. */
export interface Interruption {
  /** Acknowledged fixes at which it comes. */
  readonly at: number;
  /**
   * SIGKILL goes to the whole group, SIGTERM to the process that was started. Ctrl-C is SIGINT twice: from the terminal,
   * and from npm, which passes on what the terminal has told it, too.
   */
  readonly by: 'SIGKILL' | 'SIGTERM' | 'Ctrl-C';
}

export interface Interrupted {
  /** Fixes acknowledged when the signal was sent. */
  readonly acknowledgedCount: number;
  readonly exit: Exit;
  /** Rows that were acknowledged and are not in the database, which must be none. */
  readonly missing: readonly string[];
  /** Fixes in the database before the program was started again. */
  readonly storedCount: number;
}

/**
 * Sends all journeys until everything is acknowledged. At each interruption, ascending, the program ends, the database
 * is asked what it has, and the program is started again.
 */
export async function travel(
  t: Test,
  house: House,
  interruptions: readonly Interruption[],
): Promise<Interrupted[]> {
  const ledger: Ledger = { fixes: new Set(), readings: new Set() };
  const ahead = [...interruptions];
  const behind: Interrupted[] = [];
  let fail: (error: unknown) => void;
  const failed = new Promise<never>((_, reject) => (fail = reject));
  failed.catch(() => undefined);
  let isRunning = true;
  let restarting = Promise.resolve();
  const onAcknowledged = (): void => {
    const next = ahead[0];
    if (!isRunning || next === undefined || ledger.fixes.size < next.at) return;
    ahead.shift();
    isRunning = false;
    end(house.program, next.by);
    const acknowledgedCount = ledger.fixes.size;
    restarting = restart(t, house, ledger)
      .then((found) => {
        behind.push({ acknowledgedCount, ...found });
        isRunning = true;
      })
      .catch(fail);
  };
  const missing = mosquittoMissing();
  if (missing !== null)
    t.pass('devices on mosquitto_pub', { skip: `${missing}; all are on MQTT.js` });
  const senders = house.units.map((unit) => {
    const isMosquitto = missing === null && unit.number < MOSQUITTO_COUNT;
    return startSender(house, unit, isMosquitto, {
      ledger,
      onAcknowledged,
      serverUp: () => restarting,
    });
  });
  t.teardown(() => Promise.all(senders.map((sender) => sender.stop())));
  const arrived = Promise.all(senders.map((sender) => sender.finished));
  await withPatience(
    Promise.race([failed, arrived]),
    () => `for acknowledgements; ${ledger.fixes.size} fixes have one\n${house.program.output()}`,
  );
  await Promise.race([failed, restarting]);
  await Promise.all(senders.map((sender) => sender.stop()));
  return behind;
}

function end(program: Program, by: Interruption['by']): void {
  if (by === 'SIGKILL') program.kill();
  else if (by === 'SIGTERM') program.signal('SIGTERM');
  else {
    program.signal('SIGINT');
    void program.said('stopping').then(() => program.signal('SIGINT'));
  }
}

async function restart(
  t: Test,
  house: House,
  ledger: Ledger,
): Promise<Omit<Interrupted, 'acknowledgedCount'>> {
  const exit = await house.program.exited;
  await Promise.all([house.watcher.whenClosed(), house.rivalWatcher.whenClosed()]);
  const stored = await storedKeys(house.owner);
  // Asked for after the rows: an acknowledgement that was still on its way counts as well.
  const missing = [
    ...[...ledger.fixes].filter((key) => !stored.fixes.has(key)),
    ...[...ledger.readings].filter((key) => !stored.readings.has(key)),
  ];
  house.program = await startProgram(t, house.settings);
  await house.watch();
  return { exit, missing, storedCount: stored.fixes.size };
}

/** The keys of all rows that are stored. */
export async function storedKeys(owner: pg.Pool): Promise<Ledger> {
  const keysOf = async (table: string): Promise<Set<string>> => {
    const { rows } = await owner.query<{ id: number; at: Date }>(
      `select equipment_has_iot_device_id as id, recorded_at as at from ${table}`,
    );
    return new Set(rows.map(({ id, at }) => `${id} ${at.getTime()}`));
  };
  return {
    fixes: await keysOf('equipment_gps_location'),
    readings: await keysOf('iot_device_metric'),
  };
}

interface Packed extends Message {
  readonly fixes: readonly Fix[];
  readonly readings: readonly Fix[];
}

function startSender(
  house: House,
  unit: Unit,
  isMosquitto: boolean,
  travelling: { ledger: Ledger; onAcknowledged: () => void; serverUp: () => Promise<void> },
): Sender {
  const { ledger, onAcknowledged, serverUp } = travelling;
  const { device, token } = house.fleet.credentials(unit.number);
  const messages = packed(unit, device);
  const send = isMosquitto ? sendByMosquitto : sendByMqttJs;
  return send({
    device,
    token,
    mqttUrl: house.program.urls.mqtt,
    protocolVersion: unit.number % 2 === 0 ? 4 : 5,
    messages,
    serverUp,
    onAcknowledged(index) {
      const { fixes, readings } = messages[index]!;
      for (const { timeMs } of fixes) ledger.fixes.add(`${unit.deviceId} ${timeMs}`);
      for (const { timeMs } of readings) ledger.readings.add(`${unit.deviceId} ${timeMs}`);
      onAcknowledged();
    },
  });
}

/** Units that send ten fixes in a message, and those that send temperatures in messages of their own. */
const TEN_A_MESSAGE = new Set([8, 9]);
const TEMPERATURE_APART = new Set([10, 11]);

function packed({ number, fixes }: Unit, device: string): Packed[] {
  const topic = `v1/devices/${device}/fixes`;
  if (TEN_A_MESSAGE.has(number)) {
    return Array.from({ length: fixes.length / 10 }, (_, i) => {
      const some = fixes.slice(i * 10, i * 10 + 10);
      const payload = JSON.stringify(some.map((fix) => recordOf(fix, number, true)));
      return { topic, payload, fixes: some, readings: some.filter(hasTemperature) };
    });
  }
  const isApart = TEMPERATURE_APART.has(number);
  return fixes.flatMap((fix) => {
    const payload = JSON.stringify(recordOf(fix, number, !isApart));
    const readings = hasTemperature(fix) ? [fix] : [];
    if (!isApart) return [{ topic, payload, fixes: [fix], readings }];
    const metric = { time: fix.timeMs, metric: 'temperature_c', value: fix.temperatureC };
    const apart = { topic: `v1/devices/${device}/metrics`, payload: JSON.stringify(metric) };
    return [
      { topic, payload, fixes: [fix], readings: [] },
      ...(readings.length === 0 ? [] : [{ ...apart, fixes: [], readings }]),
    ];
  });
}

function hasTemperature({ temperatureC }: Fix): boolean {
  return temperatureC !== null;
}

/** The fix as JSON; its time as text, in seconds or in milliseconds, by the unit. */
function recordOf(fix: Fix, unit: number, withTemperature: boolean): object {
  const times = [fix.timeMs, fix.timeMs / 1000, new Date(fix.timeMs).toISOString()];
  return {
    time: times[unit % 3],
    lat: fix.latDeg,
    lon: fix.lonDeg,
    speed_mps: fix.speedMps,
    heading_deg: fix.headingDeg,
    accuracy_m: fix.accuracyM,
    ...(withTemperature && fix.temperatureC !== null ? { temperature_c: fix.temperatureC } : {}),
  };
}

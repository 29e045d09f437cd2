/** Connections that are dead on one side only: of devices, and of the database. */
import { setTimeout as wait } from 'node:timers/promises';
import { FIX_COUNT } from '../../proof/journey.ts';
import type { House } from '../house.ts';
import type { Planned } from '../plan.ts';
import { answerWithin, DRAIN_MS_MAX, Findings, seconds, type Scenario } from '../stage.ts';
import { lockTable } from './outages.ts';

const RECORDS_PER_S = 8;
/** Of four units one is behind the proxy that fails. */
const isBehindProxy = (unit: number): boolean => unit % 4 === 1;
const KEEP_ALIVE_S = 2;
/** One and a half keep-alives, and room for a loaded machine. */
const NOTICE_MS_MAX = KEEP_ALIVE_S * 1_500 + 5_000;
const POLL_MS = 50;

export const halfOpenDevices: Scenario = {
  name: 'half-open-devices',
  what: "devices whose connections die without a word; half of them come back before the server's keep-alive ends",
  house: { isBehindProxy, keepAliveS: (unit) => (isBehindProxy(unit) ? KEEP_ALIVE_S : 30) },
  async play({ house, isLong, say }) {
    const { deviceProxy: proxy, server, fleet } = house;
    const rounds = isLong ? 10 : 2;
    const findings = new Findings();
    fleet.make(RECORDS_PER_S);
    await answerWithin(house, DRAIN_MS_MAX);
    const victims = fleet.devices.filter(({ unit }) => isBehindProxy(unit));
    let slowestMs = 0;
    for (let round = 1; round <= rounds; round++) {
      await wait(1_000);
      const openBefore = await connections();
      proxy.freeze(Infinity);
      const frozenMs = performance.now();
      // These notice at once, and take their own session over; the others have lost power for a while.
      for (const [i, device] of victims.entries()) {
        if (i % 2 === 0) device.abandonSocket();
        else device.loseSocket();
      }
      const dead = victims.length >> 1;
      while ((await connections()) > openBefore - dead) {
        if (performance.now() - frozenMs > NOTICE_MS_MAX) break;
        await wait(POLL_MS);
      }
      const noticedMs = performance.now() - frozenMs;
      slowestMs = Math.max(slowestMs, noticedMs);
      findings.hold(
        noticedMs <= NOTICE_MS_MAX,
        `round ${round}: ${await connections()} connections are open, ${dead} of ${openBefore} are dead`,
      );
      say(`round ${round}: ${dead} dead connections noticed after ${seconds(noticedMs)} s`);
      for (const device of victims) device.start();
    }
    await fleet.drain(DRAIN_MS_MAX);
    const figures = { dead: (victims.length >> 1) * rounds, noticed_max_s: seconds(slowestMs) };
    return { breaches: findings.breaches, figures };

    async function connections(): Promise<number> {
      return (await server.metrics()).get('milepost_mqtt_connections') ?? NaN;
    }
  },
};

export const halfOpenDatabase: Scenario = {
  name: 'half-open-database',
  what: 'every connection to the database dies without a word under a batch with events, and new ones pass',
  async play(stage) {
    const { house, say } = stage;
    const { databaseProxy: proxy, server, fleet, owner, bulk } = house;
    const findings = new Findings();
    fleet.make(RECORDS_PER_S / 2);
    await answerWithin(house, DRAIN_MS_MAX);
    // Every partition has its connection, and nothing is under way.
    await fleet.drain(DRAIN_MS_MAX);
    // The batch has drawn the ids of its events and copied its fixes, and now waits.
    const unlock = await lockTable(house, 'telematics');
    const journey = bulk.journey(0);
    const sent = bulk.send(journey);
    await untilWaiting(house);
    const drawn = await lastEventId(owner);
    proxy.freeze(Infinity);
    const frozenMs = performance.now();
    await unlock();
    fleet.make(RECORDS_PER_S / 2);
    await sent;
    const recoveryMs = performance.now() - frozenMs;
    findings.recovered(recoveryMs, 'the death of all connections');
    findings.hold(server.isAlive, `the program has ended:\n${server.said.slice(-2_000)}`);
    say(`back after ${seconds(recoveryMs)} s`);
    const first = await firstEventIdOf(house, journey.at(-1)!);
    findings.hold(first > drawn, `event ${first} has an id drawn before the hold (≤ ${drawn})`);
    await fleet.drain(DRAIN_MS_MAX);
    return { breaches: findings.breaches, figures: { recovery_s: seconds(recoveryMs) } };
  },
};

/** Resolves when a batch waits for a lock. */
async function untilWaiting({ owner }: House): Promise<void> {
  for (;;) {
    const { rows } = await owner.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity
        where application_name like 'milepost-ingest%' and wait_event_type = 'Lock'`,
    );
    if (rows[0]!.n > 0) return;
    await wait(POLL_MS);
  }
}

async function lastEventId(owner: House['owner']): Promise<number> {
  const { rows } = await owner.query<{ id: number }>(
    'select last_value as id from activity_feed_activity_feed_id_seq',
  );
  return rows[0]!.id;
}

/** The lowest id of the events of the journey that ends with this record. */
async function firstEventIdOf({ owner, tenant }: House, last: Planned): Promise<number> {
  const { rows } = await owner.query<{ id: number | null }>(
    `select min(activity_feed_id) as id from activity_feed
      where entity_type is null and equipment_id = $1 and event_time <= to_timestamp($2 / 1000.0)
        and event_time > to_timestamp($2 / 1000.0) - interval '5 s' * ${FIX_COUNT}`,
    [tenant.equipmentIds[last.unit], last.fix.timeMs],
  );
  return rows[0]!.id ?? NaN;
}

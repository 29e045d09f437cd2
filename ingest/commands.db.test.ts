import type pg from 'pg';
import { Registry as PromRegistry } from 'prom-client';
import t, { type Test } from 'tap';
import { createChangeFeed } from '../db/change-feed.ts';
import { createPool } from '../db/pools.ts';
import { createTestDatabase } from '../db/test-database.ts';
import {
  COMMAND_ACK_MS_MAX,
  COMMAND_BYTES_IN_FLIGHT_MAX,
  COMMAND_ROUND_DEVICES_MAX,
  CommandSender,
} from './commands.ts';

type Outcome = 'delivered' | 'gone';

interface Told {
  readonly device: number;
  readonly payload: string;
  readonly done: (outcome: Outcome) => void;
}

/** Devices that listen, as the MQTT listener would have them. */
class Devices {
  readonly told: Told[] = [];
  readonly listening = new Set<number>();
  answer: Outcome | null = null;
  private waiting: { count: number; resolve: () => void }[] = [];

  send(device: number, payload: Buffer, done: (outcome: Outcome) => void): boolean {
    if (!this.listening.has(device)) return false;
    this.told.push({ device, payload: payload.toString(), done });
    if (this.answer !== null) done(this.answer);
    for (const one of this.waiting) if (this.told.length >= one.count) one.resolve();
    return true;
  }

  async toldTimes(count: number): Promise<Told> {
    if (this.told.length < count) {
      await new Promise<void>((resolve) => this.waiting.push({ count, resolve }));
    }
    return this.told[count - 1]!;
  }

  get payloads(): string[] {
    return this.told.map(({ payload }) => payload);
  }
}

async function openHouse(t: Test, deviceCount = 3) {
  const { ownerUrl } = await createTestDatabase(t);
  const open = (role: 'owner' | 'milepost_ingest'): pg.Pool => {
    const options = { connectionString: ownerUrl, role, max: 3, applicationName: 'test' };
    const pool = createPool({ ...options, statementTimeoutMs: 10_000 });
    t.teardown(() => pool.end());
    return pool;
  };
  const owner = open('owner');
  const ingest = open('milepost_ingest');
  const ids = await owner.query<{ id: number; customer_id: number }>(
    `with tenant as (insert into customer (customer_name) values ('Test') returning customer_id)
     insert into iot_device (customer_id, device_identifier, device_type)
     select customer_id, 'dev-' || n, 'tracker' from tenant, generate_series(1, $1::int) n
     returning iot_device_id as id, customer_id`,
    [deviceCount],
  );
  const customerId = ids.rows[0]!.customer_id;
  const deviceIds = ids.rows.map((row) => row.id);
  const queries = { count: 0, failing: 0, after: () => Promise.resolve() };
  const pool = {
    query: async (text: string, values?: unknown[]) => {
      queries.count++;
      if (queries.failing > 0) {
        queries.failing--;
        throw new Error('away');
      }
      const answer = await ingest.query(text, values);
      await queries.after();
      return answer;
    },
  } as unknown as pg.Pool;
  const devices = new Devices();
  const clock = { nowMs: Date.now() };
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const make = (): CommandSender => {
    const made = new CommandSender({
      pool,
      log,
      prometheus: new PromRegistry(),
      send: (device, payload, done) => devices.send(device, payload, done),
      nowMs: () => clock.nowMs,
    });
    t.teardown(() => made.stop());
    return made;
  };
  const subscribe = (sender: CommandSender, ...which: number[]): void => {
    for (const device of which) {
      devices.listening.add(device);
      sender.onSubscribed(device);
    }
  };
  const queue = async (device: number, payload: string, expires = '1 hour'): Promise<number> => {
    const { rows } = await owner.query<{ id: number }>(
      `insert into iot_device_command (customer_id, iot_device_id, payload, expires_at)
       values ($1, $2, $3, now() + $4::interval) returning iot_device_command_id as id`,
      [customerId, device, payload, expires],
    );
    return rows[0]!.id;
  };
  const changed = (sender: CommandSender, id: number): void =>
    sender.onChange({ table: 'iot_device_command', op: 'insert', id, customerId });
  const states = async (): Promise<string[]> => {
    const { rows } = await owner.query<{ text: string }>(
      `select concat_ws(' ', payload, status, case when sent_at is not null then 'at' end,
                        case when delivered_at is not null then 'done' end) as text
       from iot_device_command order by iot_device_command_id`,
    );
    return rows.map((row) => row.text);
  };
  const house = { ownerUrl, owner, customerId, deviceIds, queries, devices, clock };
  return { ...house, make, subscribe, queue, changed, states };
}

t.test('commands go in order, one at a time, and are delivered when acknowledged', async (t) => {
  const { make, devices, deviceIds, queue, subscribe, states } = await openHouse(t);
  const sender = make();
  const [first, second] = deviceIds as [number, number];
  await queue(first, 'a');
  await queue(first, 'b');
  await queue(second, 'c');
  subscribe(sender, first, second);
  await sender.settled();
  t.same(devices.payloads.sort(), ['a', 'c']);
  t.same(await states(), ['a sent at', 'b queued', 'c sent at']);
  const a = devices.told.find(({ payload }) => payload === 'a')!;
  a.done('delivered');
  await sender.settled();
  t.same(devices.payloads.slice(2), ['b']);
  t.same(await states(), ['a delivered at done', 'b sent at', 'c sent at']);
  a.done('gone');
  await sender.settled();
  t.equal(devices.told.length, 3, 'an answer counts once, and for its own command only');
  devices.told[2]!.done('delivered');
  await sender.settled();
  t.equal(devices.told.length, 3);
  t.same(await states(), ['a delivered at done', 'b delivered at done', 'c sent at']);
});

t.test('a new command is heard of through the change feed', async (t) => {
  const { make, devices, deviceIds, queue, subscribe, ownerUrl, states } = await openHouse(t);
  const sender = make();
  const feed = createChangeFeed({
    connectionString: ownerUrl,
    onChange: (change) => sender.onChange(change),
    onReset: () => sender.onReset(),
  });
  t.teardown(() => feed.stop());
  await feed.start();
  subscribe(sender, deviceIds[0]!);
  devices.answer = 'delivered';
  await queue(deviceIds[1]!, 'to one that is silent');
  await queue(deviceIds[0]!, 'a');
  t.match(await devices.toldTimes(1), { payload: 'a', device: deviceIds[0] });
  await sender.settled();
  t.same(await states(), ['to one that is silent queued', 'a delivered at done']);
});

t.test('changes that were missed are made up for', async (t) => {
  const { make, devices, deviceIds, queue, subscribe } = await openHouse(t);
  const sender = make();
  subscribe(sender, ...deviceIds);
  await sender.settled();
  await queue(deviceIds[2]!, 'a');
  await sender.settled();
  t.same(devices.payloads, []);
  sender.onReset();
  await sender.settled();
  t.same(devices.payloads, ['a']);
});

t.test(
  'what was not acknowledged goes again: after a reconnect, and after a restart',
  async (t) => {
    const { make, devices, deviceIds, queue, subscribe, states } = await openHouse(t);
    const sender = make();
    const device = deviceIds[0]!;
    await queue(device, 'a');
    await queue(device, 'b');
    subscribe(sender, device);
    await sender.settled();
    devices.listening.delete(device);
    devices.told[0]!.done('gone');
    await sender.settled();
    t.same(await states(), ['a sent at', 'b queued'], 'it may have arrived, so it stays sent');
    subscribe(sender, device);
    await sender.settled();
    t.same(devices.payloads, ['a', 'a']);

    const restarted = make();
    subscribe(restarted, device);
    await restarted.settled();
    t.same(devices.payloads, ['a', 'a', 'a']);
    devices.told[2]!.done('delivered');
    await restarted.settled();
    t.same(devices.payloads, ['a', 'a', 'a', 'b']);
  },
);

t.test('a connection is taken over: told on the new one once the old one is gone', async (t) => {
  const { make, devices, deviceIds, queue, subscribe } = await openHouse(t);
  const sender = make();
  const device = deviceIds[0]!;
  await queue(device, 'a');
  subscribe(sender, device);
  await sender.settled();
  subscribe(sender, device);
  await sender.settled();
  t.equal(devices.told.length, 1, 'one at a time');
  devices.told[0]!.done('gone');
  await sender.settled();
  t.same(devices.payloads, ['a', 'a']);
});

t.test('who subscribes while its command is being looked up is told once', async (t) => {
  const { make, devices, deviceIds, queue, subscribe, queries } = await openHouse(t);
  const sender = make();
  const device = deviceIds[0]!;
  await queue(device, 'a');
  queries.after = () => {
    queries.after = () => Promise.resolve();
    subscribe(sender, device);
    return Promise.resolve();
  };
  subscribe(sender, device);
  await sender.settled();
  t.same(devices.payloads, ['a']);
});

t.test('an answer that comes while others are written is not overlooked', async (t) => {
  const { make, devices, deviceIds, queue, subscribe, queries, states } = await openHouse(t);
  const sender = make();
  const [first, second] = deviceIds as [number, number];
  await queue(first, 'a');
  await queue(second, 'b');
  subscribe(sender, first, second);
  await sender.settled();
  queries.after = () => {
    queries.after = () => Promise.resolve();
    devices.told[1]!.done('delivered');
    return Promise.resolve();
  };
  devices.told[0]!.done('delivered');
  await sender.settled();
  t.equal(devices.told.length, 2, 'nothing is told again');
  t.same(await states(), ['a delivered at done', 'b delivered at done']);
});

t.test(
  'what a device cannot take is not tried in a loop, and holds up the others until it expires',
  async (t) => {
    const { make, devices, deviceIds, queue, subscribe, owner, states } = await openHouse(t);
    const sender = make();
    const device = deviceIds[0]!;
    await queue(device, 'too large');
    await queue(device, 'b');
    devices.answer = 'gone';
    subscribe(sender, device);
    await sender.settled();
    t.same(devices.payloads, ['too large']);
    subscribe(sender, device);
    await sender.settled();
    t.same(devices.payloads, ['too large', 'too large']);
    devices.answer = null;
    await owner.query(`update iot_device_command set expires_at = now() where payload <> 'b'`);
    await sender.upkeep();
    await sender.settled();
    t.same(devices.payloads.slice(2), ['b']);
    t.same(await states(), ['too large expired at', 'b sent at']);
  },
);

t.test('a device that went away unnoticed: its command is queued as before', async (t) => {
  const { make, devices, deviceIds, queue, changed, subscribe, states, queries } =
    await openHouse(t);
  const sender = make();
  const device = deviceIds[0]!;
  subscribe(sender, device);
  await sender.settled();
  devices.listening.clear();
  changed(sender, await queue(device, 'a'));
  await sender.settled();
  t.same(devices.payloads, []);
  t.same(await states(), ['a queued']);
  const before = queries.count;
  changed(sender, await queue(device, 'b'));
  await sender.settled();
  t.equal(queries.count, before, 'nobody listens, nothing is asked');
  subscribe(sender, device);
  await sender.settled();
  t.same(devices.payloads, ['a']);
});

t.test('cancelled in time is never sent, whatever was read before', async (t) => {
  const { make, devices, deviceIds, queue, changed, subscribe, owner, queries, states } =
    await openHouse(t);
  const sender = make();
  subscribe(sender, deviceIds[0]!);
  await sender.settled();
  const id = await queue(deviceIds[0]!, 'a');
  queries.after = async () => {
    queries.after = () => Promise.resolve();
    await owner.query(`update iot_device_command set status = 'cancelled' where status = 'queued'`);
  };
  changed(sender, id);
  await sender.settled();
  t.same(devices.payloads, []);
  t.same(await states(), ['a cancelled']);
});

t.test('cancelled while it is being claimed is never sent', async (t) => {
  const { make, devices, deviceIds, queue, subscribe, owner, states } = await openHouse(t);
  const sender = make();
  await queue(deviceIds[0]!, 'a');
  const canceller = await owner.connect();
  await canceller.query(`begin; update iot_device_command set status = 'cancelled'`);
  subscribe(sender, deviceIds[0]!);
  const isBlocked = async () => {
    const { rowCount } = await owner.query(
      `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%iot_device_command c%'
       and datname = current_database() and pid <> pg_backend_pid()`,
    );
    return rowCount === 1;
  };
  while (!(await isBlocked()));
  await canceller.query('commit');
  canceller.release();
  await sender.settled();
  t.same(devices.payloads, []);
  t.same(await states(), ['a cancelled']);
});

t.test('what has expired is not sent, and told late it is delivered all the same', async (t) => {
  const { make, devices, deviceIds, queue, subscribe, owner, states } = await openHouse(t);
  const sender = make();
  const device = deviceIds[0]!;
  await queue(device, 'old', '-1 second');
  await queue(device, 'a');
  subscribe(sender, device);
  await sender.settled();
  t.same(devices.payloads, ['a']);
  await owner.query(`update iot_device_command set expires_at = now() where payload = 'a'`);
  await sender.upkeep();
  t.same(await states(), ['old expired', 'a expired at']);
  devices.told[0]!.done('delivered');
  await sender.settled();
  t.same(await states(), ['old expired', 'a delivered at done']);
});

t.test('the database fails at any step, and nothing is lost or skipped', async (t) => {
  const { make, devices, deviceIds, queue, changed, subscribe, queries, states } =
    await openHouse(t);
  const sender = make();
  const device = deviceIds[0]!;
  const id = await queue(device, 'a');
  await queue(device, 'b');
  queries.failing = 1;
  subscribe(sender, device);
  await devices.toldTimes(1);
  queries.failing = 2;
  devices.told[0]!.done('delivered');
  await devices.toldTimes(2);
  t.same(devices.payloads, ['a', 'b'], 'the outcome is written before the next is looked up');
  queries.failing = 1;
  changed(sender, id);
  devices.told[1]!.done('delivered');
  await sender.settled();
  t.same(await states(), ['a delivered at done', 'b delivered at done']);

  const heard = await queue(device, 'heard of');
  queries.failing = 1;
  changed(sender, heard);
  await devices.toldTimes(3);
  devices.told[2]!.done('delivered');
  await sender.settled();

  // Claimed, but the answer is lost.
  queries.after = () => {
    queries.after = () => Promise.resolve();
    return Promise.reject(new Error('cut'));
  };
  await queue(device, 'c');
  sender.onReset();
  await devices.toldTimes(4);
  t.same(devices.payloads, ['a', 'b', 'heard of', 'c']);
  devices.told[3]!.done('delivered');
  await sender.stop();
  t.equal((await states())[3], 'c delivered at done', 'written at the end');
});

t.test('many devices take few queries', async (t) => {
  const count = COMMAND_ROUND_DEVICES_MAX + 44;
  const { make, devices, deviceIds, owner, subscribe, queries, states } = await openHouse(t, count);
  const sender = make();
  await owner.query(
    `insert into iot_device_command (customer_id, iot_device_id, payload, expires_at)
     select customer_id, iot_device_id, n::text, now() + interval '1 hour'
     from iot_device, generate_series(1, 2) n order by n`,
  );
  subscribe(sender, ...deviceIds);
  await sender.settled();
  t.equal(devices.told.length, count);
  t.equal(queries.count, 2);
  devices.answer = 'delivered';
  for (const { done } of [...devices.told]) done('delivered');
  await sender.settled();
  t.equal(devices.told.length, 2 * count);
  t.ok(queries.count <= 12, `${queries.count} queries`);
  t.ok((await states()).every((state) => /delivered/.test(state)));
});

t.test('so many bytes are in flight, and slow devices hold up nobody for long', async (t) => {
  const bytes = 65_536;
  const fit = COMMAND_BYTES_IN_FLIGHT_MAX / bytes;
  const count = fit + 2 * COMMAND_ROUND_DEVICES_MAX;
  const { make, devices, deviceIds, owner, subscribe, clock } = await openHouse(t, count);
  const sender = make();
  await owner.query(
    `insert into iot_device_command (customer_id, iot_device_id, payload, expires_at)
     select customer_id, iot_device_id, repeat('x', $1), now() + interval '1 hour' from iot_device`,
    [bytes],
  );
  subscribe(sender, ...deviceIds);
  await sender.settled();
  t.equal(devices.told.length, fit);
  devices.told[0]!.done('delivered');
  await sender.settled();
  const before = devices.told.length;
  t.ok(before > fit && before < count, 'room is used when there is some');
  devices.told[1]!.done('delivered');
  await sender.settled();
  t.equal(devices.told.length, before, 'and not when there is none yet');
  clock.nowMs += COMMAND_ACK_MS_MAX;
  await sender.upkeep();
  await sender.settled();
  t.equal(devices.told.length, count);
  for (const { done } of devices.told) done('delivered');
  await sender.settled();
});

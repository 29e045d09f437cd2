// One contract, both transports, real sockets. Time is held still and moved by hand; everything else is awaited.
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import type { LiveIdentity, LiveSocket } from './connection.ts';
import { createHub, type AuthResult } from './hub.ts';
import type { LiveLimits } from './limits.ts';
import { startLive } from './start.ts';
import { manualClock, TestClient, TEST_PATH } from './test-client.ts';
import type { FeedEvent, LiveEvent, LivePosition } from './wire.ts';

const START_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;
const silent = { info() {}, warn() {}, error() {} };

const all = { expiresAtMs: START_MS + HOUR_MS, canReadPositions: true, canReadEvents: true };
const people: Record<string, LiveIdentity> = {
  ann: { userId: 1, customerId: 1, accountIds: null, ...all },
  bob: { userId: 2, customerId: 1, accountIds: [10], ...all },
  eve: { userId: 3, customerId: 2, accountIds: null, ...all },
  old: { userId: 4, customerId: 1, accountIds: null, ...all, expiresAtMs: START_MS - 1 },
  tim: { userId: 5, customerId: 1, accountIds: null, ...all, canReadEvents: false },
  zoe: { userId: 6, customerId: 1, accountIds: null, ...all, canReadPositions: false },
};

function authenticate(token: string): Promise<AuthResult> {
  if (token === 'broken') return Promise.reject(new Error('the issuer is away'));
  return Promise.resolve(lookUp(token));
}

function lookUp(token: string): AuthResult {
  const identity = people[token];
  return identity === undefined
    ? { ok: false, detail: 'The token is not valid.' }
    : { ok: true, identity };
}

function position(equipmentId: number, more: Partial<LivePosition> = {}): LivePosition {
  return {
    customer_id: 1,
    equipment_id: equipmentId,
    unit_number: `U-${equipmentId}`,
    account_id: null,
    latitude: 0,
    longitude: 0,
    speed: 1,
    heading_deg: 90,
    motion_status: 'moving',
    ignition: true,
    temperature: null,
    recorded_at: '2026-01-01T00:00:00.000Z',
    ...more,
  };
}

function event(id: number, more: Partial<LiveEvent> = {}): LiveEvent {
  return {
    customer_id: 1,
    activity_feed_id: id,
    equipment_id: 1,
    account_id: null,
    event_type: 'geofence_enter',
    event_time: '2026-01-01T00:00:00.000Z',
    latitude: 0,
    longitude: 0,
    geofence_id: 5,
    telematic_alert_id: null,
    subject_name: 'Yard',
    metric_code: null,
    metric_value: null,
    severity: 'info',
    initial: false,
    ...more,
  };
}

async function start(t: Test, transport: 'ws' | 'uws', limits: Partial<LiveLimits> = {}) {
  const time = manualClock(START_MS);
  const stored: LiveEvent[] = [];
  const closings: string[] = [];
  const sockets: LiveSocket[] = [];
  let onClosing: () => void = () => {};
  const loads = { count: 0, fail: false };
  const hub = createHub({
    authenticate,
    loadEvents: (identity, sinceId, rowsMax): Promise<FeedEvent[]> => {
      loads.count += 1;
      if (loads.fail) return Promise.reject(new Error('the database is away'));
      const rows = stored
        .filter((row) => row.customer_id === identity.customerId && row.activity_feed_id > sinceId)
        .sort((a, b) => a.activity_feed_id - b.activity_feed_id)

        .slice(0, rowsMax);
      return Promise.resolve(rows);
    },
    log: silent,
    clock: time.clock,
    limits: { closeGraceMs: 200, ...limits },
    metrics: {
      count(name, reason) {
        if (name === 'socket_closed') closings.push(reason);
        onClosing();
      },
    },
  });
  const open = hub.open.bind(hub);
  hub.open = (socket) => {
    sockets.push(socket);
    return open(socket);
  };
  const live = await startLive({
    hub,
    host: '127.0.0.1',
    port: 0,
    path: TEST_PATH,
    allowedOrigins: ['https://map.example'],
    transport,
    log: silent,
  });
  const clients: TestClient[] = [];
  t.teardown(async () => {
    await live.close();
    for (const { socket } of clients) socket.terminate();
  });
  const connect = async (headers?: Record<string, string>) => {
    const client = new TestClient(live.port, headers);
    clients.push(client);
    await once(client.socket, 'open');
    return client;
  };
  return {
    hub,
    live,
    time,
    stored,
    closings,
    sockets,
    loads,
    connect,
    signIn: async (token: string, subscription?: object) => {
      const client = await connect();
      client.send({ type: 'auth', token });
      await client.next('ready');
      if (subscription !== undefined) {
        client.send({ type: 'subscribe', ...subscription });
        await client.next('snapshot');
      }
      return client;
    },
    /** Stores and publishes, as the process does after COMMIT. */
    commit: (...events: LiveEvent[]) => {
      stored.push(...events);
      hub.publish({ positions: [], events });
    },
    closing: async (reason: string) => {
      while (!closings.includes(reason)) {
        await new Promise<void>((resolve) => {
          onClosing = resolve;
        });
      }
    },
  };
}

for (const transport of ['ws', 'uws'] as const) {
  t.test(transport, (t) => {
    t.test('nothing but auth is answered before auth', async (t) => {
      const { connect } = await start(t, transport);
      const client = await connect();
      client.send({ type: 'subscribe', events: true });
      t.equal((await client.next('error')).code, 'auth_required');
      t.equal(await client.closed, 4401);
    });

    t.test('a wrong, an expired and an uncheckable token are refused', async (t) => {
      const { connect } = await start(t, transport);
      for (const [token, code, close] of [
        ['mallory', 'auth_refused', 4401],
        ['old', 'auth_expired', 4401],
        ['broken', 'auth_unavailable', 1013],
      ] as const) {
        const client = await connect();
        client.send({ type: 'auth', token });
        t.equal((await client.next('error')).code, code);
        t.equal(await client.closed, close);
      }
    });

    t.test('who does not sign in is closed in time', async (t) => {
      const { connect, time, signIn } = await start(t, transport);
      const client = await connect();
      const signedIn = await signIn('ann');
      time.tick(4_999);
      await signedIn.settled();
      t.equal(client.seen.length, 0);
      time.tick(1);
      t.equal((await client.next('error')).code, 'auth_timeout');
      t.equal(await client.closed, 4401);
      await signedIn.settled();
    });

    t.test('a token that runs out closes the connection, unless it is renewed', async (t) => {
      const { signIn, time } = await start(t, transport, { silenceMsMax: 10 * HOUR_MS });
      const lazy = await signIn('ann');
      const keen = await signIn('ann');
      t.equal(
        lazy.seen[0]?.type === 'ready' && lazy.seen[0].expires_at,
        '2026-01-01T01:00:00.000Z',
      );
      time.tick(HOUR_MS - 1);
      people['ann'] = { ...people['ann']!, expiresAtMs: START_MS + 2 * HOUR_MS };
      keen.send({ type: 'auth', token: 'ann' });
      await keen.next('ready');
      people['ann'] = { ...people['ann'], expiresAtMs: START_MS + HOUR_MS };
      time.tick(1);
      t.equal(await lazy.closed, 4401);
      await keen.settled();
      const bob = people['bob']!;
      people['bob'] = { ...bob, expiresAtMs: START_MS + 2 * HOUR_MS };
      keen.send({ type: 'auth', token: 'bob' });
      t.equal((await keen.next('error')).code, 'auth_user_changed');
      t.equal(await keen.closed, 4401);
      people['bob'] = bob;
    });

    t.test('a snapshot, then what changed, the latest only', async (t) => {
      const { hub, signIn, time } = await start(t, transport);
      hub.seed([position(1), position(2)], null);
      const client = await signIn('ann');
      client.send({ type: 'subscribe' });
      const snapshot = await client.next('snapshot');
      t.same(
        snapshot.positions.map(({ equipment_id: id }) => id),
        [1, 2],
      );
      t.equal(snapshot.remaining, 0);
      t.notOk('customer_id' in snapshot.positions[0]!, 'the tenant stays on the server');
      for (const [second, speed] of [
        [1, 10],
        [3, 30],
        [2, 20],
      ] as const) {
        const recorded_at = `2026-01-01T00:00:0${second}.000Z`;
        hub.publish({ positions: [position(1, { speed, recorded_at })], events: [] });
      }
      time.tick();
      const delta = await client.next('positions');
      t.same(
        delta.positions.map(({ equipment_id: id, speed }) => [id, speed]),
        [[1, 30]],
        'one position of three, and not the late one',
      );
      time.tick();
      await client.settled();
      t.same(client.ids('positions'), [1], 'nothing new, nothing sent');
    });

    t.test('a large snapshot comes in several messages', async (t) => {
      const { hub, signIn, time } = await start(t, transport, { frameBytesMax: 4_096 });
      const units = Array.from({ length: 200 }, (_, index) => position(index + 1));
      hub.seed(units, null);
      const client = await signIn('ann', {});
      while (client.ids('snapshot').length < 200) {
        time.tick();
        await client.settled();
      }
      const snapshots = client.seen.filter((message) => message.type === 'snapshot');
      t.ok(snapshots.length > 5);
      t.equal(snapshots.at(-1)!.remaining, 0);
      t.equal(new Set(client.ids('snapshot')).size, 200);
      hub.publish({ positions: units, events: [] });
      time.tick();
      await client.settled();
      t.equal(new Set(client.ids('positions')).size, 200);
    });

    t.test('a tenant sees nothing of another', async (t) => {
      const { hub, signIn, time, commit, stored } = await start(t, transport);
      hub.seed([position(1), position(9, { customer_id: 2, unit_number: 'CANARY' })], 0);
      stored.push(event(1, { customer_id: 2, subject_name: 'CANARY' }));
      const client = await signIn('ann', { equipment_ids: [1, 9], events_since: 0 });
      const other = await signIn('eve', { events_since: 0 });
      await client.next('caught_up');
      hub.publish({
        positions: [position(1), position(9, { customer_id: 2, unit_number: 'CANARY' })],
        events: [],
      });
      commit(event(2, { customer_id: 2, subject_name: 'CANARY' }), event(3));
      hub.removeUnits(2, [9]);
      time.tick();
      await client.settled();
      await other.settled();
      t.notMatch(JSON.stringify(client.seen), 'CANARY');
      t.same(client.ids('positions'), [1]);
      t.same(client.eventIds(), [3]);
      t.same(new Set(other.eventIds()), new Set([1, 2]));
      t.same(other.seen.filter(({ type }) => type === 'removed').length, 1);
    });

    t.test('a user of some accounts sees those, and what belongs to none', async (t) => {
      const { hub, signIn, time, commit } = await start(t, transport);
      const units = [position(1, { account_id: 10 }), position(2, { account_id: 11 }), position(3)];
      hub.seed(units, 0);
      const bob = await signIn('bob', { events: true });
      hub.publish({ positions: units, events: [] });
      commit(event(1, { account_id: 10 }), event(2, { account_id: 11 }), event(3));
      time.tick();
      await bob.settled();
      t.same(bob.ids('snapshot'), [1, 3]);
      t.same(bob.ids('positions'), [1, 3]);
      t.same(bob.eventIds(), [1, 3]);
      t.match(bob.seen[0], { type: 'ready', unit_count: 2 });
      hub.publish({ positions: [position(1, { account_id: 11 })], events: [] });
      t.same((await bob.next('removed')).equipment_ids, [1], 'a unit that moved away');
      time.tick();
      await bob.settled();
      t.same(bob.ids('positions'), [1, 3]);
    });

    t.test('each right shows its own part', async (t) => {
      const { hub, signIn, time, commit } = await start(t, transport);
      hub.seed([position(1)], 0);
      const tim = await signIn('tim', { events: true });
      t.equal((await tim.next('error')).code, 'events_forbidden');
      const zoe = await signIn('zoe', { events_since: 0 });
      hub.publish({ positions: [position(1)], events: [] });
      commit(event(1));
      hub.removeUnits(1, [1]);
      time.tick();
      await tim.settled();
      await zoe.settled();
      t.same([tim.ids('snapshot'), tim.eventIds()], [[1], []]);
      t.same([zoe.ids('snapshot'), zoe.ids('positions'), zoe.eventIds()], [[], [], [1]]);
      t.same(
        zoe.seen.filter(({ type }) => type === 'removed'),
        [],
      );
    });

    t.test('a viewport narrows, and a unit that leaves it comes once more', async (t) => {
      const { hub, signIn, time } = await start(t, transport);
      const at = (longitude: number) => ({ latitude: 10, longitude });
      hub.seed([position(1, at(178)), position(2, at(-178)), position(3, at(0))], null);
      const viewport = { west: 170, south: 0, east: -170, north: 20 };
      const client = await signIn('ann', { viewport });
      t.same(client.ids('snapshot'), [1, 2]);
      const move = async (id: number, longitude: number) => {
        hub.publish({ positions: [position(id, at(longitude))], events: [] });
        time.tick();
        await client.settled();
        return client.ids('positions');
      };
      t.same(await move(3, 1), []);
      t.same(await move(1, 160), [1], 'left');
      t.same(await move(1, 159), [1], 'and is out');
      t.same(await move(3, -175), [1, 3], 'came in');
      client.send({ type: 'subscribe', viewport: { west: -1, south: 0, east: 1, north: 20 } });
      await client.next('snapshot');
      t.same(await move(3, -174), [1, 3], 'the old viewport is forgotten');
    });

    t.test('a set of units narrows positions and events', async (t) => {
      const { hub, signIn, time, commit } = await start(t, transport);
      hub.seed([position(1), position(2)], 0);
      const client = await signIn('ann', { equipment_ids: [2, 77], events: true });
      hub.publish({ positions: [position(1), position(2), position(77)], events: [] });
      commit(event(1, { equipment_id: 1 }), event(2, { equipment_id: 2 }));
      time.tick();
      await client.settled();
      t.same(client.ids('snapshot'), [2]);
      t.same(client.ids('positions'), [2, 77]);
      t.same(client.eventIds(), [2]);
    });

    t.test('a unit that is removed leaves the map', async (t) => {
      const { hub, signIn, time } = await start(t, transport);
      hub.seed([position(1), position(2)], null);
      const client = await signIn('ann', {});
      hub.publish({ positions: [position(1)], events: [] });
      hub.removeUnits(1, [1, 5]);
      time.tick();
      t.same((await client.next('removed')).equipment_ids, [1]);
      await client.settled();
      t.same(client.ids('positions'), []);
      t.equal(hub.stats().units, 1);
    });

    t.test('resuming loses nothing, even what committed out of order', async (t) => {
      const { hub, signIn, time, commit, stored } = await start(t, transport, {
        eventSettleMs: 60_000,
      });
      hub.seed([], 0);
      const first = await signIn('ann', { events: true });
      commit(event(1));
      time.tick(60_000);
      commit(event(3), event(4));
      await first.settled();
      const cursor = (await first.next('event'), await first.next('event')).cursor;
      t.equal(cursor, 1, 'events 3 and 4 are too young to resume from');
      first.socket.close();
      await first.closed;
      // Drawn before 3 and 4, committed after them, while nobody listens.
      commit(event(2));
      commit(event(5, { account_id: 11 }));
      const second = await signIn('ann', { events_since: cursor });
      await second.next('caught_up');
      t.same(second.eventIds(), [2, 3, 4, 5]);
      t.same(Object.keys(second.seen.find(({ type }) => type === 'event')!), [
        'type',
        'event',
        'cursor',
      ]);
      t.notMatch(JSON.stringify(second.seen), /customer_id":1,"activity/);
      commit(event(6));
      await second.settled();
      t.equal(second.eventIds().at(-1), 6, 'live from there');
      t.equal(stored.length, 6);
      const bob = await signIn('bob', { events_since: 0 });
      await bob.next('caught_up');
      t.same(bob.eventIds(), [1, 2, 3, 4, 6], 'replay holds to accounts too');
    });

    t.test(
      'a replay goes by pages, survives the database, and ends in resync when long',
      async (t) => {
        const { hub, signIn, time, commit, stored, loads } = await start(t, transport, {
          replayPageRowsMax: 10,
          replayEventsMax: 40,
        });
        hub.seed([], 0);
        for (let id = 1; id <= 35; id += 1) stored.push(event(id));
        loads.fail = true;
        const client = await signIn('ann', { events_since: 0 });
        t.equal((await client.next('error')).code, 'events_unavailable');
        loads.fail = false;
        commit(event(36));
        time.tick(1_999);
        await client.settled();
        t.same(client.eventIds(), [36], 'live goes on, the replay waits');
        time.tick(1);
        await client.next('caught_up');
        t.same(
          new Set(client.eventIds()),
          new Set(Array.from({ length: 36 }, (_, index) => index + 1)),
        );
        for (let id = 37; id <= 80; id += 1) stored.push(event(id));
        const late = await signIn('ann', { events_since: 0 });
        t.equal((await late.next('resync')).cursor, 0);
        commit(event(81));
        await late.settled();
        t.equal(late.eventIds().at(-1), 81, 'live again');
        client.send({ type: 'subscribe' });
        await client.settled();
        const had = client.eventIds().length;
        commit(event(82));
        await client.settled();
        t.equal(client.eventIds().length, had, 'no events asked, none sent');
      },
    );

    t.test(
      'a slow client is skipped, then closed; a fast one goes on; memory is bounded',
      async (t) => {
        const { hub, live, signIn, time, sockets, closing, commit } = await start(t, transport);
        const units = Array.from({ length: 1_000 }, (_, index) => position(index + 1));
        hub.seed(units, 0);
        const slow = await signIn('ann', { events: true });
        const fast = await signIn('ann', { events: true });
        await slow.settled();
        slow.socket.pause();
        const [slowSocket] = sockets;
        let peakBytes = 0;
        let isFull = false;
        let eventId = 0;
        for (let round = 0; round < 400 && !isFull; round += 1) {
          hub.publish({ positions: units, events: [] });
          commit(event((eventId += 1)));
          time.tick();
          await fast.settled();
          const buffered = slowSocket!.bufferedBytes();
          peakBytes = Math.max(peakBytes, buffered);
          isFull = buffered >= hub.limits.bufferedSkipBytes;
        }
        t.ok(isFull, 'the kernel takes no more');
        const before = slowSocket!.bufferedBytes();
        for (let round = 0; round < 20; round += 1) {
          hub.publish({ positions: units, events: [] });
          commit(event((eventId += 1)));
          time.tick();
          await fast.settled();
          peakBytes = Math.max(peakBytes, slowSocket!.bufferedBytes());
        }
        t.ok(slowSocket!.bufferedBytes() <= before, 'nothing is added while it is full');
        t.ok(peakBytes < hub.limits.bufferedBytesMax, `${peakBytes} bytes at most`);
        t.equal(fast.eventIds().length, eventId);

        // It reads again: positions as they are now, and every event it missed.
        const frames = slow.seen.length;
        slow.socket.resume();
        while (!new Set(slow.eventIds()).has(eventId)) {
          await slow.settled();
          time.tick();
        }
        t.equal(new Set(slow.eventIds()).size, eventId, 'no event was lost');
        t.ok(slow.seen.length > frames);

        slow.socket.pause();
        for (let round = 0; round < 400 && slowSocket!.bufferedBytes() < 256 * 1024; round += 1) {
          hub.publish({ positions: units, events: [] });
          time.tick();
          await fast.settled();
        }
        time.tick();
        time.tick(9_999);
        t.equal(hub.stats().sockets, 2, 'still there');
        time.tick(1);
        await closing('too_slow');
        t.equal(hub.stats().sockets, 1);
        await fast.settled();
        t.ok(live.port > 0);
      },
    );

    t.test('a message that is too long, binary or one too many ends the connection', async (t) => {
      const { signIn, connect, closing } = await start(t, transport);
      const long = await signIn('ann');
      long.socket.send(`"${'x'.repeat(16 * 1024)}"`);
      t.ok([1006, 1009].includes(await long.closed));
      const stranger = await connect();
      stranger.socket.send('x'.repeat(1_000_000));
      t.ok([1006, 1009].includes(await stranger.closed), 'before auth too');
      const binary = await signIn('ann');
      binary.socket.send(Buffer.from('{}'));
      t.equal(await binary.closed, 1003);
      const chatty = await signIn('ann');
      for (let count = 0; count < 25; count += 1) chatty.send({ type: 'ping' });
      t.equal(await chatty.closed, 4429);
      await closing('message_rate');
      const clumsy = await signIn('ann');
      clumsy.socket.send('{');
      t.equal((await clumsy.next('error')).code, 'message_malformed');
      clumsy.send({ type: 'nonsense' });
      t.equal((await clumsy.next('error')).code, 'message_invalid');
      await clumsy.settled();
    });

    t.test('a foreign origin, a foreign path and one socket too many are refused', async (t) => {
      const { live, hub, connect } = await start(t, transport, { socketsMax: 2 });
      const refused = async (path: string, headers: Record<string, string>) => {
        const socket = new WebSocket(`ws://127.0.0.1:${live.port}${path}`, { headers });
        const [error] = (await once(socket, 'error')) as [Error];
        return error.message;
      };
      t.match(await refused(TEST_PATH, { origin: 'https://evil.example' }), '403');
      t.match(await refused(TEST_PATH, { origin: 'null' }), '403');
      t.match(await refused('/v1/other', {}), '404');
      await connect({ origin: 'https://map.example' });
      await connect();
      t.match(await refused(TEST_PATH, {}), '503');
      t.equal(hub.stats().sockets, 2);
    });

    t.test('a user and a tenant have only so many sockets', async (t) => {
      const { connect, signIn, hub } = await start(t, transport, {
        socketsPerUserMax: 2,
        socketsPerTenantMax: 3,
      });
      const refused = async (token: string) => {
        const client = await connect();
        client.send({ type: 'auth', token });
        t.equal(await client.closed, 4429);
        return (await client.next('error')).code;
      };
      await signIn('ann');
      await signIn('ann');
      t.equal(await refused('ann'), 'sockets_of_user');
      await signIn('bob');
      t.equal(await refused('bob'), 'sockets_of_tenant');
      await signIn('eve');
      t.equal(hub.stats().strangers, 0);
    });

    t.test('a silent client is pinged, and closed when it does not answer', async (t) => {
      const { signIn, time, closing, hub } = await start(t, transport);
      const deaf = await signIn('ann');
      const well = await signIn('bob');
      deaf.socket.pause();
      for (const ms of [30_000, 30_000]) {
        time.tick(ms);
        await once(well.socket, 'ping');
        await well.settled();
      }
      t.equal(hub.stats().sockets, 2);
      time.tick(15_000);
      await closing('no_answer');
      await well.settled();
    });

    t.test('a revoked user is closed, also one that is just signing in', async (t) => {
      const { hub, signIn, connect } = await start(t, transport);
      const ann = await signIn('ann');
      const bob = await signIn('bob');
      const eve = await signIn('eve');
      hub.revokeUser(1);
      t.equal(await ann.closed, 4403);
      await bob.settled();
      hub.revokeCustomer(1);
      t.equal(await bob.closed, 4403);
      await eve.settled();
      hub.revokeAll();
      t.equal(await eve.closed, 4403);

      // The question is out when the access changes: it is asked again.
      const late = await connect();
      const identity = people['bob']!;
      let asked = 0;
      Object.defineProperty(people, 'bob', {
        configurable: true,
        get() {
          asked += 1;
          if (asked === 1) hub.revokeUser(2);
          return asked === 1 ? identity : undefined;
        },
      });
      t.teardown(() => Object.defineProperty(people, 'bob', { value: identity, writable: true }));
      late.send({ type: 'auth', token: 'bob' });
      t.equal((await late.next('error')).code, 'auth_refused');
      t.equal(asked, 2);
    });

    t.test('a subscription sent along with auth is answered after it', async (t) => {
      const { connect, hub } = await start(t, transport);
      hub.seed([position(1)], null);
      const client = await connect();
      client.send({ type: 'auth', token: 'ann' });
      client.send({ type: 'subscribe' });
      await client.next('snapshot');
      t.same(
        client.seen.map(({ type }) => type),
        ['ready', 'snapshot'],
      );
    });

    t.test('at shutdown every client is told 1012, and the port is free again', async (t) => {
      const { live, signIn, connect, hub } = await start(t, transport);
      const clients = [await signIn('ann', {}), await signIn('eve', {}), await connect()];
      await live.close();
      for (const client of clients) t.equal(await client.closed, 1012);
      t.equal(hub.admits(), false);
      t.equal(hub.stats().sockets, 0);
      const hubAfter = createHub({
        authenticate,
        loadEvents: () => Promise.resolve([]),
        log: silent,
      });
      const again = await startLive({
        hub: hubAfter,
        host: '127.0.0.1',
        port: live.port,
        path: TEST_PATH,
        allowedOrigins: [],
        transport,
        log: silent,
      });
      t.equal(again.port, live.port);
      await again.close();
    });

    t.test('a port that is taken is an error with its code', async (t) => {
      const { live } = await start(t, transport);
      const again = (port: number) => {
        const hub = createHub({ authenticate, loadEvents: () => Promise.resolve([]), log: silent });
        t.teardown(() => hub.shutdown());
        const host = '127.0.0.1';
        return startLive({
          hub,
          host,
          port,
          path: TEST_PATH,
          allowedOrigins: [],
          transport,
          log: silent,
        });
      };
      await t.rejects(again(live.port), { code: 'EADDRINUSE' }, 'by another of its kind');
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      t.teardown(() => other.close());
      await t.rejects(again((other.address() as AddressInfo).port), { code: 'EADDRINUSE' });
    });
    t.end();
  });
}

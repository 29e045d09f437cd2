import t from 'tap';
import type { Will } from '../connect-reader.ts';
import type { Fault } from '../faults.ts';
import { MQTT_LIMITS_DEFAULT, type MqttLimits } from '../limits.ts';
import type { MqttWill } from '../sink.ts';
import type { Session } from './session.ts';
import { Sessions } from './sessions.ts';

const DEVICE = 1;
const WILL: Will = { topic: 'bye', payload: Buffer.from('x'), delayS: 0 };

/** A table, what it told, and clients that can come and go. */
function openTable(limits: Partial<MqttLimits> = {}) {
  const wills: MqttWill[] = [];
  const sessions = new Sessions(
    { ...MQTT_LIMITS_DEFAULT, ...limits },
    { willDue: (will) => wills.push(will), subscribed: () => undefined },
  );
  const come = (
    clientId: string,
    changes: {
      device?: number;
      tenant?: number;
      name?: string;
      cleanStart?: boolean;
      expiryS?: number;
      will?: Will;
    } = {},
  ) => {
    const { device = DEVICE, tenant = 1, cleanStart = true, expiryS = 0, will = null } = changes;
    const client = {
      closedFor: null as string | null,
      session: null as Session | null,
      isPresent: false,
    };
    const holder = {
      close(fault: Fault) {
        client.closedFor = fault.reason;
        sessions.leave(client.session!, fault.reason);
      },
    };
    const identity = {
      deviceName: changes.name ?? `dev-${device}`,
      iotDeviceId: device,
      tenantId: tenant,
    };
    const entered = sessions.enter({ identity, clientId, cleanStart, expiryS, will }, holder);
    if ('code' in entered) return { ...client, closedFor: entered.reason };
    client.session = entered.session;
    client.isPresent = entered.isPresent;
    return client;
  };
  return { sessions, wills, come };
}

t.test('the same client id of the same device takes over; of another device it does not', (t) => {
  const { come } = openTable();
  const first = come('c');
  const other = come('c', { device: 2 });
  const second = come('c');
  t.equal(first.closedFor, 'taken_over');
  t.equal(other.closedFor, null);
  t.equal(second.closedFor, null);
  const third = come('c');
  t.equal(second.closedFor, 'taken_over', 'the one that took over is the one in the table');
  t.equal(third.closedFor, null);
  t.end();
});

t.test('one connection too many closes the oldest', (t) => {
  const { come } = openTable({ connectionsPerDeviceMax: 2 });
  const [a, b, c] = ['a', 'b', 'c'].map((id) => come(id));
  t.equal(a!.closedFor, 'connections_per_device');
  const again = come('b');
  t.equal(b!.closedFor, 'taken_over');
  come('d');
  t.equal(c!.closedFor, 'connections_per_device', 'a takeover makes its session the newest');
  t.equal(again.closedFor, null);
  t.end();
});

t.test(
  'the bound of a tenant: refused before anything changes, but not who replaces himself',
  (t) => {
    const { come } = openTable({ tenantConnectionsMax: 2, connectionsPerDeviceMax: 1 });
    const first = come('a');
    come('b', { device: 2 });
    t.equal(come('c', { device: 3 }).closedFor, 'connections_per_tenant');
    t.equal(first.closedFor, null);
    t.equal(come('d', { device: 4, tenant: 2 }).closedFor, null, 'another tenant');
    t.equal(come('a').closedFor, null, 'a takeover');
    t.equal(come('z').closedFor, null, 'the oldest of the same device makes room');
    t.end();
  },
);

t.test('a session is there again if it was kept and is wanted', (t) => {
  const { sessions, come } = openTable();
  const rows = [
    { expiryS: 0, cleanStart: false, isPresent: false },
    { expiryS: 60, cleanStart: true, isPresent: false },
    { expiryS: 60, cleanStart: false, isPresent: true },
  ];
  for (const { expiryS, cleanStart, isPresent } of rows) {
    const clientId = `${expiryS} ${cleanStart}`;
    const first = come(clientId, { expiryS });
    t.equal(first.isPresent, false);
    sessions.leave(first.session!, null);
    t.equal(sessions.awayCount, expiryS === 0 ? 0 : 1);
    const second = come(clientId, { cleanStart, expiryS: 0 });
    t.equal(second.isPresent, isPresent, clientId);
    t.equal(second.session === first.session, isPresent);
    t.equal(sessions.awayCount, 0);
  }
  t.end();
});

t.test('a takeover goes on with the session, unless it ends with its connection', (t) => {
  const { come } = openTable();
  come('kept', { expiryS: 60 });
  t.equal(come('kept', { cleanStart: false }).isPresent, true);
  t.equal(come('kept', { cleanStart: false }).isPresent, false, 'its expiry was 0 by then');
  t.end();
});

t.test('a session that has expired is gone, whether it was swept or not', (t) => {
  const { sessions, come } = openTable();
  const first = come('c', { expiryS: 60 });
  sessions.leave(first.session!, null);
  first.session!.endsMs = performance.now() - 1;
  t.equal(come('c', { cleanStart: false }).isPresent, false);
  t.end();
});

t.test('bounds on sessions whose clients are away: the one longest away ends', (t) => {
  const { sessions, come } = openTable({ awaySessionsPerDeviceMax: 2, awaySessionsMax: 3 });
  const leave = (clientId: string, device = DEVICE): void =>
    sessions.leave(come(clientId, { device, expiryS: 60 }).session!, null);
  for (const clientId of ['a', 'b', 'c']) leave(clientId);
  t.equal(sessions.awayCount, 2);
  t.equal(come('a', { cleanStart: false }).isPresent, false);
  leave('d', 2);
  t.equal(sessions.awayCount, 3);
  leave('e', 3);
  t.equal(sessions.awayCount, 3);
  t.equal(come('b', { cleanStart: false }).isPresent, false, 'of all, the one longest away');
  t.equal(come('c', { cleanStart: false }).isPresent, true);
  t.end();
});

t.test('the expiry is capped', (t) => {
  const { sessions, come } = openTable({ sessionExpirySMax: 100 });
  const { session } = come('c', { expiryS: 0xffff_ffff });
  t.equal(session!.expiryS, 100);
  t.equal(sessions.setExpiry(session!, 5), 5);
  t.end();
});

t.test('a will: at once, later, or never', async (t) => {
  const { sessions, wills, come } = openTable();
  const leave = (cause: string | null, will: Will, expiryS: number): void =>
    sessions.leave(come('c', { expiryS, will }).session!, cause);
  leave(null, WILL, 60);
  t.equal(wills.length, 0, 'the client took leave');
  leave('broke', WILL, 60);
  t.match(wills, [
    { clientId: 'c', topic: 'bye', cause: 'broke', identity: { deviceName: 'dev-1' } },
  ]);
  leave('broke', { ...WILL, delayS: 60 }, 0);
  t.equal(wills.length, 2, 'the session ended before the delay had passed');
  leave('broke', { ...WILL, delayS: 60 }, 120);
  t.equal(wills.length, 2);
  const { session, isPresent } = come('c', { cleanStart: false });
  t.equal(isPresent, true);
  t.equal(session!.pendingWill, null, 'it came back');
  sessions.leave(session!, 'broke');
  t.equal(wills.length, 2, 'and had no will this time');
  leave('broke', { ...WILL, delayS: 60 }, 120);
  come('c');
  t.equal(wills.length, 3, 'a clean start ended the session');
  const bothTold = new Promise<void>((resolve) => {
    wills.push = (will) => {
      if (wills.length === 4) resolve();
      return Array.prototype.push.call(wills, will);
    };
  });
  const leftMs = Date.now();
  leave('broke', { ...WILL, delayS: 1 }, 60);
  const short = come('short', { expiryS: 1, will: { ...WILL, delayS: 60 } });
  sessions.leave(short.session!, 'broke');
  await bothTold;
  t.same(
    wills.slice(3).map(({ clientId }) => clientId),
    ['c', 'short'],
  );
  t.ok(wills[3]!.atMs <= leftMs + 500, 'its time is that of the loss');
  t.equal(come('c', { cleanStart: false }).isPresent, true, 'the session goes on');
  t.equal(come('short', { cleanStart: false }).isPresent, false, 'this one ended before its delay');
});

t.test('a device that is revoked, renamed or moved has no session left', (t) => {
  const { sessions, wills, come } = openTable();
  const here = come('here', { expiryS: 60, will: WILL });
  sessions.leave(come('away', { expiryS: 60, will: { ...WILL, delayS: 60 } }).session!, 'broke');
  sessions.revoke(DEVICE);
  t.equal(here.closedFor, 'revoked');
  t.equal(wills.length, 2);
  t.equal(sessions.awayCount, 0);
  for (const changes of [{ tenant: 2 }, { name: 'other' }]) {
    sessions.leave(come('c', { expiryS: 60 }).session!, null);
    t.equal(come('c', { ...changes, cleanStart: false }).isPresent, false);
    sessions.revoke(DEVICE);
  }
  t.end();
});

t.test('when the server stops, no will is published', (t) => {
  const { sessions, wills, come } = openTable();
  const here = come('here', { will: WILL });
  sessions.leave(come('away', { expiryS: 60, will: { ...WILL, delayS: 60 } }).session!, 'broke');
  sessions.close();
  sessions.leave(here.session!, 'stopping');
  t.equal(wills.length, 0);
  t.equal(sessions.awayCount, 0);
  t.end();
});

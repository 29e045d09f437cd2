/** Rows for sessions, takeover, keep-alive, wills and DISCONNECT. */
import {
  ack,
  COMMANDS,
  connect,
  disconnect,
  expectEnd,
  hex,
  packet,
  PINGREQ,
  publish,
  subscribe,
  type ConnectChanges,
  type Row,
  type Scene,
  type Wire,
} from './test-wire.ts';

const MINUTE = '11 00 00 00 3c';

/** What makes a session outlive its connection. */
function kept(scene: Scene, changes: ConnectChanges = {}): ConnectChanges {
  return scene.version === 4 ? { clean: false, ...changes } : { properties: MINUTE, ...changes };
}

/** Connects and tells Session Present, or null where it was refused. */
async function present(scene: Scene, changes: ConnectChanges): Promise<[Wire, number | null]> {
  const wire = await scene.raw();
  const connack = await wire.send(connect(scene.version, changes)).next();
  return [wire, connack?.body[1] === 0 ? connack.body[0]! : null];
}

/** Ends a connection as a network does. */
async function lose(scene: Scene, wire: Wire): Promise<void> {
  const count = scene.metrics.connectionCount;
  wire.socket.resetAndDestroy();
  await scene.metrics.untilConnections(count - 1);
}

async function leave(scene: Scene, wire: Wire, body = ''): Promise<void> {
  wire.send(disconnect(scene.version, body));
  scene.t.equal(await wire.next(), null, 'the server closes after DISCONNECT');
}

export const SESSION_ROWS: readonly Row[] = [
  {
    in311: '3.1.2-4 3.1.2-6 3.1.3-2 3.1.4-3 3.2.2-1 3.2.2-2 3.2.2-3 4.1.0-1 4.1.0-2',
    in5: '3.1.2-4 3.1.2-5 3.1.2-6 3.1.2-23 3.1.3-2 3.1.4-4 3.2.2-2 3.2.2-3 4.1.0-1',
    says: 'a session outlives its connection when asked to, belongs to its client id, and a clean one begins anew',
    run: async (scene) => {
      const { t, version } = scene;
      const again: ConnectChanges = { ...kept(scene), clean: false };
      const [first, before] = await present(scene, again);
      t.equal(before, 0, 'there was none');
      await first.send(subscribe(version, [[COMMANDS, 1]])).next();
      await lose(scene, first);
      const [other, ofOther] = await present(scene, { ...again, clientId: 'other' });
      t.equal(ofOther, 0, 'another client id');
      await lose(scene, other);
      const [second, resumed] = await present(scene, again);
      t.equal(resumed, 1);
      t.ok(
        scene.listener.sendCommand(1, Buffer.from('x'), () => {}),
        'and its subscription',
      );
      t.equal((await second.next())?.type, 3);
      await leave(scene, second);
      const [third, cleaned] = await present(scene, { ...kept(scene), clean: true });
      t.equal(cleaned, 0);
      t.notOk(scene.listener.sendCommand(1, Buffer.from('x'), () => {}));
      await leave(scene, third);
      const [, afterClean] = await present(scene, again);
      // Clean Session of 3.1.1 also ends with its connection; Clean Start of 5.0 only begins anew.
      t.equal(afterClean, version === 4 ? 0 : 1);
    },
  },
  {
    in5: '4.1.0-2',
    says: 'a session ends when its expiry has passed, and with its connection when there is none',
    run: async (scene) => {
      const { t } = scene;
      const short: ConnectChanges = { clean: false, properties: '11 00 00 00 01', clientId: 's' };
      const [first] = await present(scene, short);
      const [none] = await present(scene, { clean: false, clientId: 'none' });
      await Promise.all([leave(scene, first), leave(scene, none)]);
      t.equal((await present(scene, { clean: false, clientId: 'none' }))[1], 0);
      t.equal(scene.listener.awaySessionCount, 1);
      await new Promise((resolve) => setTimeout(resolve, 1_050));
      t.equal((await present(scene, short))[1], 0);
    },
  },
  {
    in5: '3.1.2-23 3.14.2-1 3.14.2-2',
    says: 'DISCONNECT may change the expiry, but not from 0; a server never sends one',
    run: async (scene) => {
      const { t } = scene;
      const again: ConnectChanges = { clean: false, properties: MINUTE };
      const [first] = await present(scene, again);
      await leave(scene, first, '00 05 11 00 00 00 00');
      const [second, ended] = await present(scene, again);
      t.equal(ended, 0, 'it was set to 0');
      await leave(scene, second, '00 05 11 ff ff ff ff');
      const [third, resumed] = await present(scene, { clean: false });
      t.equal(resumed, 1);
      third.send(disconnect(5, '00 05 11 00 00 00 05'));
      const seen = await third.next();
      t.same([seen?.type, seen?.body[0]], [14, 0x82], 'from 0 it is a protocol error');
      t.equal(seen!.body[2], 0x1f, 'it holds a reason string, and no expiry');
    },
  },
  {
    in5: '3.1.2-23',
    says: 'a longer expiry than the server keeps is told in CONNACK',
    limits: { sessionExpirySMax: 30 },
    run: async (scene) => {
      for (const [text, isTold] of [
        [MINUTE, true],
        ['11 00 00 00 1e', false],
        ['', false],
      ] as const) {
        const wire = await scene.raw();
        const connack = await wire.send(connect(5, { properties: text })).next();
        scene.t.equal(connack!.body.includes(hex('11 00 00 00 1e')), isTold, text);
      }
    },
  },
  {
    in311: '3.1.4-2',
    in5: '3.1.4-3',
    says: 'a client that comes again takes over from its old connection',
    run: async (scene) => {
      const old = await scene.open();
      const stranger = await scene.open({ username: 'dev-2' });
      const wire = await scene.open();
      await expectEnd(scene, old, 0x8e);
      scene.t.equal((await wire.send(PINGREQ).next())?.type, 13);
      scene.t.equal((await stranger.send(PINGREQ).next())?.type, 13, 'of another device it is not');
    },
  },
  {
    in311: '3.1.2-24',
    in5: '3.1.2-22',
    says: 'one and a half times the keep-alive without a packet ends the connection like a lost network',
    run: async (scene) => {
      const wire = await scene.open({ keepAliveS: 1, will: {} });
      const endless = await scene.open({ keepAliveS: 0, clientId: 'endless' });
      await expectEnd(scene, wire, 0x8d);
      const [will] = await scene.wills.first(1);
      scene.t.match(will, { cause: /keep-alive/ });
      if (scene.version === 4) scene.t.equal((await endless.send(PINGREQ).next())?.type, 13);
    },
  },
  {
    in311: '3.1.2-24',
    in5: '3.1.2-22',
    says: 'a few bytes now and then are no packet; a large one may take its time',
    run: async (scene) => {
      const { version } = scene;
      const slow = await scene.open({ keepAliveS: 1 });
      const large = await scene.open({ keepAliveS: 1, clientId: 'large' });
      const bytes = publish(version, { payload: 'x'.repeat(5_000) });
      let count = 0;
      const timer = setInterval(() => {
        slow.send(bytes.subarray(count, count + 1));
        large.send(bytes.subarray(300 * count, 300 * (count + 1)));
        count++;
      }, 200);
      scene.t.teardown(() => clearInterval(timer));
      await expectEnd(scene, slow, 0x8d);
      scene.t.equal((await large.next())?.type, 4);
    },
  },
  {
    in311: '3.1.2-8 3.1.2-10 3.1.2-16',
    in5: '3.1.2-7 3.1.2-8 3.1.2-10 3.1.2-14',
    says: 'a will is published once when its client goes without DISCONNECT, whatever ended the connection',
    run: async (scene) => {
      const { t, version } = scene;
      const ends: readonly [string, (wire: Wire) => unknown][] = [
        ['reset', (wire) => wire.socket.resetAndDestroy()],
        ['closed', (wire) => wire.socket.end()],
        ['malformed', (wire) => wire.send(hex('00 00'))],
        ['protocol error', (wire) => wire.send(connect(version))],
        ['takeover', () => scene.open()],
        ['revoked', () => scene.listener.disconnectDevice(1)],
      ];
      for (const [name, end] of ends) {
        const count = scene.wills.all.length;
        const wire = await scene.open({ will: { topic: `bye/${name}` } });
        await end(wire);
        const all = await scene.wills.first(count + 1);
        t.match(all.at(-1), { topic: `bye/${name}`, clientId: 'tracker' });
        t.equal(all.at(-1)!.payload.toString(), 'gone');
        t.ok(all.at(-1)!.cause.length > 10, all.at(-1)!.cause);
        await scene.open();
        t.equal(scene.wills.all.length, count + 1, 'once');
        scene.listener.disconnectDevice(1);
      }
    },
  },
  {
    in311: '3.1.2-12',
    in5: '3.1.2-8',
    says: 'no will flag, no will',
    run: async (scene) => {
      await lose(scene, await scene.open());
      scene.t.equal(scene.wills.all.length, 0);
    },
  },
  {
    in311: '3.14.4-3 3.1.2-10',
    in5: '3.14.4-3 3.1.2-8 3.1.2-10 3.14.2-1',
    says: 'DISCONNECT forgets the will; in 5.0 with reason code 0 alone',
    run: async (scene) => {
      const { t, version } = scene;
      for (const body of version === 4 ? [''] : ['', '00', '00 00']) {
        await leave(scene, await scene.open({ will: {} }), body);
      }
      t.equal(scene.wills.all.length, 0);
      if (version === 4) return;
      for (const body of ['04', '80', '97 00']) {
        await leave(scene, await scene.open({ will: { topic: body } }), body);
      }
      const wills = await scene.wills.first(3);
      t.same(
        wills.map(({ topic }) => topic),
        ['04', '80', '97 00'],
      );
    },
  },
  {
    in5: '3.1.3-9 3.1.2-8',
    says: 'a will with a delay waits, and is not sent to a session that was resumed; it does not outlive its session',
    run: async (scene) => {
      const { t } = scene;
      const delayed = { will: { properties: '18 00 00 00 3c' }, properties: MINUTE };
      await lose(scene, await scene.open(delayed));
      t.equal(scene.wills.all.length, 0, 'it waits');
      const [wire, resumed] = await present(scene, { ...delayed, clean: false });
      t.equal(resumed, 1);
      await leave(scene, wire, '04 05 11 00 00 00 00');
      await scene.wills.first(1);
      t.equal(
        scene.wills.all.length,
        1,
        'the session ended; of the first connection there is none',
      );
      await lose(scene, await scene.open(delayed));
      await scene.open({ clean: true });
      await scene.wills.first(2);
      t.equal(scene.wills.all.length, 2, 'a clean start ended the session');
    },
  },
  {
    in311: '3.14.1-1 3.14.4-1 3.14.4-2',
    in5: '3.14.1-1 3.14.4-1 3.14.4-2',
    says: 'DISCONNECT has no reserved bit set; behind it nothing is taken',
    run: async (scene) => {
      const bad = await scene.open({ will: {} });
      await expectEnd(scene, bad.send(hex('e1 00')), 0x81);
      await scene.wills.first(1);
      const wire = await scene.open();
      wire.send(disconnect(scene.version), publish(scene.version));
      scene.t.equal(await wire.next(), null);
      scene.t.equal(scene.sink.taken.length, 0);
    },
  },
  {
    in5: '3.14.2-1',
    says: 'a DISCONNECT that says what a client may not say is a protocol error',
    run: async (scene) => {
      const rows: readonly [string, number][] = [
        ['01', 0x82],
        ['8b', 0x82],
        ["00 04 1c 00 01 'x'", 0x82],
        ['00 05 11 00 00 00 05 11 00 00 00 05', 0x81],
        ['00 01 ff', 0x81],
      ];
      for (const [body, code] of rows) {
        const wire = await scene.open();
        await expectEnd(scene, wire.send(packet(0xe0, hex(body))), code, body);
      }
    },
  },
  {
    in311: '3.12.4-1',
    in5: '3.12.4-1',
    says: 'PINGREQ is answered with PINGRESP',
    run: async (scene) => {
      const wire = await scene.open();
      scene.t.equal((await wire.send(PINGREQ).next())?.hex, 'd000');
      await expectEnd(scene, wire.send(hex('c0 01 00')), 0x81, 'with a body it is malformed');
    },
  },
  {
    in5: '4.12.0-7',
    says: 'AUTH without a method that was agreed to is a protocol error',
    run: async (scene) => {
      await expectEnd(scene, (await scene.open()).send(hex('f0 00')), 0x82);
    },
  },
  {
    in311: '4.3.3-2 4.4.0-1',
    in5: '4.3.3-10 4.4.0-1',
    says: 'an exchange of quality 2 goes on over connections',
    run: async (scene) => {
      const { t, version } = scene;
      const again: ConnectChanges = { ...kept(scene), clean: false };
      const [first] = await present(scene, again);
      const publish7 = { qos: 2, id: 7 } as const;
      t.equal((await first.send(publish(version, publish7)).next())?.hex, '50020007');
      await lose(scene, first);
      const [second] = await present(scene, again);
      second.send(publish(version, { ...publish7, flags: 8 }));
      t.equal((await second.next())?.hex, '50020007', 'PUBREC again');
      t.equal(scene.sink.taken.length, 1, 'and not handed over again');
      await lose(scene, second);
      const [third] = await present(scene, again);
      t.equal((await third.send(ack(0x62, 7)).next())?.hex, '70020007');
      t.equal((await third.send(publish(version, publish7)).next())?.hex, '50020007');
      t.equal(scene.sink.taken.length, 2, 'behind PUBCOMP it is a new one');
    },
  },
];

/** Rows for SUBSCRIBE, UNSUBSCRIBE, and the commands that follow from them. */
import { command } from '../test-listener.ts';
import {
  ack,
  COMMANDS,
  expectEnd,
  hex,
  PINGREQ,
  publish,
  subscribe,
  unsubscribe,
  type Row,
  type Scene,
  type Seen,
  type Wire,
} from './test-wire.ts';

/** A client that is subscribed with this quality. */
async function subscriber(scene: Scene, qos: number, properties = ''): Promise<Wire> {
  const isKept = scene.version === 4 ? { clean: false } : {};
  const text = scene.version === 5 ? `11 00 00 00 3c ${properties}` : '';
  const wire = await scene.open({ ...isKept, properties: text });
  await wire.send(subscribe(scene.version, [[COMMANDS, qos]])).next();
  return wire;
}

/** A PUBLISH of the server, taken apart. */
function parts(seen: Seen | null): { topic: string; id: number; payload: string; flags: number } {
  const body = seen!.body;
  const topicEnd = 2 + body.readUInt16BE(0);
  const id = (seen!.flags & 6) === 0 ? 0 : body.readUInt16BE(topicEnd);
  return {
    topic: body.toString('utf8', 2, topicEnd),
    id,
    payload: body.subarray(topicEnd + (id === 0 ? 0 : 2)).toString('latin1'),
    flags: seen!.flags,
  };
}

/** Loses the connection and comes back to the session. */
async function comeBack(scene: Scene, wire: Wire, properties = ''): Promise<Wire> {
  const count = scene.metrics.connectionCount;
  wire.socket.resetAndDestroy();
  await scene.metrics.untilConnections(count - 1);
  const text = scene.version === 5 ? `11 00 00 00 3c ${properties}` : '';
  return scene.open({ clean: false, properties: text });
}

export const SUBSCRIBE_ROWS: readonly Row[] = [
  {
    in311: '3.8.3-2 3.8.4-1 3.8.4-4 3.8.4-5 3.9.3-1 3.9.3-2',
    in5: '3.2.2-10 3.8.4-1 3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2',
    says: 'SUBACK has a code for each filter in their order: the quality as asked, or why not',
    run: async (scene) => {
      const { t, version } = scene;
      const filters = [
        [COMMANDS, 2, 2, 2],
        ['#', 0, 0x80, 0xa2],
        [COMMANDS, 0, 0, 0],
        ['v1/devices/+/commands', 1, 0x80, 0xa2],
        ['v1/devices/dev-2/commands', 1, 0x80, 0x87],
        ['$share/g/v1/devices/dev-1/commands', 1, 0x80, 0x9e],
        [COMMANDS, 1, 1, 1],
      ] as const;
      const wire = await scene.open();
      const bytes = subscribe(
        version,
        filters.map(([filter, qos]) => [filter, qos] as const),
      );
      const seen = await wire.send(bytes, PINGREQ).next();
      t.same(
        [...seen!.body.subarray(-filters.length)],
        filters.map((one) => one[version === 4 ? 2 : 3]),
      );
      t.equal((await wire.next())?.type, 13, 'and the connection goes on');
      t.equal(scene.metrics.reasons.get('subscribe'), 1);
    },
  },
  {
    in311: '3.8.3-3 3.10.3-2',
    in5: '3.8.3-2 3.10.3-2',
    says: 'SUBSCRIBE and UNSUBSCRIBE have at least one filter',
    run: async (scene) => {
      for (const bytes of [subscribe(scene.version, []), unsubscribe(scene.version, [])]) {
        await expectEnd(scene, (await scene.open()).send(bytes), 0x82);
      }
    },
  },
  {
    in311: '3.8.3-4',
    in5: '3.8.3-5',
    says: 'reserved bits of the options are 0, and so is a quality of 3',
    run: async (scene) => {
      const rows = [
        [0x40, 0x81],
        [0x80, 0x81],
        [0x03, 0x82],
        [0x30, 0x82],
        ...(scene.version === 4 ? [[0x04], [0x08], [0x10]] : []),
      ];
      for (const [option, code] of rows) {
        const wire = await scene.open();
        wire.send(subscribe(scene.version, [[COMMANDS, option!]]));
        await expectEnd(scene, wire, code!, option!.toString(16));
      }
    },
  },
  {
    in5: '3.3.1-9 3.3.1-10 3.3.1-11',
    says: 'every other option is taken, and nothing retained is sent',
    run: async (scene) => {
      const wire = await scene.open();
      for (const option of [0x04, 0x08, 0x10, 0x20, 0x2d]) {
        const seen = await wire.send(subscribe(5, [[COMMANDS, option]])).next();
        scene.t.equal(seen?.body.at(-1), option & 3);
      }
      scene.t.equal((await wire.send(PINGREQ).next())?.type, 13);
    },
  },
  {
    in5: '3.8.3-4 4.8.2-1 4.8.2-2',
    says: 'a shared subscription has a name, a filter, and no No Local',
    run: async (scene) => {
      const wire = await scene.open();
      await expectEnd(scene, wire.send(subscribe(5, [['$share/g/a', 0x04]])), 0x82);
      for (const filter of ['$share/g', '$share//a', '$share/g/', '$share/+/a', '$share/g/a#']) {
        const bad = await scene.open();
        await expectEnd(scene, bad.send(subscribe(5, [[filter, 0]])), 0x8f, filter);
      }
    },
  },
  {
    in5: '3.9.2-1',
    says: 'SUBACK says what may be subscribed to, unless that does not fit',
    run: async (scene) => {
      for (const [text, isTold] of [
        ['', true],
        ['27 00 00 00 28', false],
      ] as const) {
        const wire = await scene.open({ properties: text });
        const seen = await wire.send(subscribe(5, [['a', 0]])).next();
        scene.t.equal(seen?.body.includes(COMMANDS), isTold);
        scene.t.equal(seen?.body.at(-1), 0x87);
      }
    },
  },
  {
    in311: '3.10.4-1 3.10.4-2 3.10.4-5 3.10.4-6',
    in5: '3.10.4-1 3.10.4-2 3.10.4-5 3.10.4-6 3.11.3-1 3.11.3-2 3.11.2-1',
    says: 'UNSUBSCRIBE ends what is equal byte for byte, and is answered once, also when nothing was',
    run: async (scene) => {
      const { t, version } = scene;
      const wire = await subscriber(scene, 1);
      t.equal((await wire.send(unsubscribe(version, ['a', '#'], 6)).next())?.type, 11);
      t.ok(scene.listener.sendCommand(1, Buffer.from('x'), () => {}));
      await wire.next();
      const seen = await wire.send(unsubscribe(version, ['a', COMMANDS, COMMANDS], 7)).next();
      t.equal(seen?.hex, version === 4 ? 'b0020007' : 'b006000700110011');
      t.notOk(scene.listener.sendCommand(1, Buffer.from('x'), () => {}));
    },
  },
  {
    in311: '3.10.4-3',
    in5: '3.10.4-3',
    says: 'what is under way when a client unsubscribes is brought to its end',
    run: async (scene) => {
      const { t, version } = scene;
      const wire = await subscriber(scene, 2);
      const outcome = command(scene.listener, 'x');
      const { id } = parts(await wire.next());
      wire.send(unsubscribe(version, [COMMANDS]), ack(0x50, id));
      t.equal((await wire.next())?.type, 11);
      t.equal((await wire.next())?.type, 6);
      wire.send(ack(0x70, id));
      t.equal(await outcome, 'delivered');
    },
  },
  {
    in311: '3.8.4-3',
    in5: '3.8.4-3 3.8.4-4',
    says: 'the same filter again replaces the subscription, and the flow goes on',
    run: async (scene) => {
      const { t, version } = scene;
      const wire = await subscriber(scene, 2);
      const flags: number[] = [];
      for (const qos of [1, 0, 2]) {
        await wire.send(subscribe(version, [[COMMANDS, qos]])).next();
        t.ok(scene.listener.sendCommand(1, Buffer.from('x'), () => {}));
        flags.push((await wire.next())!.flags);
      }
      t.same(flags, [2, 0, 4]);
      scene.listener.sendCommand(1, Buffer.from('y'), () => {});
      t.equal((await wire.next())?.type, 3, 'one copy each');
      t.equal((await wire.send(PINGREQ).next())?.type, 13);
    },
  },
  {
    in311: '3.3.1-3 3.3.1-9 3.3.2-3 3.8.4-6 4.3.1-1 4.5.0-1',
    in5: '3.3.1-3 3.3.2-3 3.8.4-8 4.3.1-1',
    says: 'quality 0: to the topic of the filter, no DUP, no RETAIN, no identifier',
    run: async (scene) => {
      const { t, version } = scene;
      const wire = await subscriber(scene, 0);
      t.equal(await command(scene.listener, 'go'), 'delivered');
      const found = parts(await wire.next());
      t.same([found.flags, found.topic], [0, COMMANDS]);
      t.equal(found.payload, version === 4 ? 'go' : '\0go');
    },
  },
  {
    in311: '2.3.1-4 3.8.4-6 4.3.2-1',
    in5: '2.2.1-4 3.8.4-8 4.3.2-1 4.3.2-2 4.3.2-3',
    says: 'quality 1: an identifier of its own, no DUP, under way until PUBACK',
    run: async (scene) => {
      const { t } = scene;
      const wire = await subscriber(scene, 1);
      const outcomes = [command(scene.listener, 'a'), command(scene.listener, 'b')];
      const first = parts(await wire.next());
      const second = parts(await wire.next());
      t.same([first.flags, second.flags], [2, 2]);
      t.ok(first.id > 0 && second.id > 0 && first.id !== second.id);
      const isOpen = await Promise.race([outcomes[0], wire.send(PINGREQ).next()]);
      t.not(isOpen, 'delivered');
      wire.send(ack(0x40, second.id), ack(0x40, first.id));
      t.same(await Promise.all(outcomes), ['delivered', 'delivered']);
    },
  },
  {
    in311: '4.3.3-1 4.6.0-4',
    in5: '3.6.2-1 4.3.3-1 4.3.3-2 4.3.3-3 4.3.3-4 4.3.3-5 4.6.0-4',
    says: 'quality 2: PUBREC is answered with PUBREL, in order, and PUBCOMP ends it',
    run: async (scene) => {
      const { t } = scene;
      const wire = await subscriber(scene, 2);
      const outcomes = [command(scene.listener, 'a'), command(scene.listener, 'b')];
      const ids = [parts(await wire.next()).id, parts(await wire.next()).id];
      wire.send(...ids.map((id) => ack(0x50, id)));
      const rel = ids.map((id) => hex('62 02').toString('hex') + id.toString(16).padStart(4, '0'));
      t.same(await wire.hexes(2), rel);
      wire.send(ack(0x50, ids[0]!));
      t.same(await wire.hexes(1), [rel[0]], 'PUBREC again, PUBREL again');
      wire.send(...ids.map((id) => ack(0x70, id)));
      t.same(await Promise.all(outcomes), ['delivered', 'delivered']);
    },
  },
  {
    in311: '3.3.1-1 4.4.0-1 4.6.0-1 4.6.0-6',
    in5: '3.3.1-1 4.3.3-6 4.4.0-1 4.6.0-1 4.6.0-5',
    says: 'a session that resumes is sent what is unacknowledged, with DUP, its identifiers, in its order, and PUBREL for what had PUBREC',
    run: async (scene) => {
      const { t } = scene;
      const first = await subscriber(scene, 2);
      const outcomes = ['a', 'b', 'c'].map((payload) => command(scene.listener, payload));
      const ids: number[] = [];
      for (let i = 0; i < 3; i++) ids.push(parts(await first.next()).id);
      t.equal((await first.send(ack(0x50, ids[1]!)).next())?.type, 6);
      const second = await comeBack(scene, first);
      const again = [await second.next(), await second.next(), await second.next()];
      t.same(
        again.map((seen) => seen!.type),
        [3, 6, 3],
      );
      t.same(
        [again[0]!, again[2]!].map((seen) => [parts(seen).id, seen.flags]),
        [
          [ids[0], 0x0c],
          [ids[2], 0x0c],
        ],
      );
      t.equal((await second.send(PINGREQ).next())?.type, 13, 'and at no other time');
      for (const id of ids) second.send(ack(0x50, id), ack(0x70, id));
      t.same(await Promise.all(outcomes), ['delivered', 'delivered', 'delivered']);
      t.same(scene.subscribed.all, [1, 1], 'subscribed, and resumed with a subscription');
    },
  },
  {
    in5: '4.4.0-2 4.3.3-4',
    says: 'a PUBACK or PUBREC that refuses ends the delivery: nothing is sent again',
    run: async (scene) => {
      const { t } = scene;
      const first = await subscriber(scene, 2);
      const outcome = command(scene.listener, 'a');
      first.send(ack(0x50, parts(await first.next()).id, 0x83));
      t.equal(await outcome, 'delivered', 'it has arrived');
      const second = await comeBack(scene, first);
      t.equal((await second.send(PINGREQ).next())?.type, 13);
    },
  },
  {
    in5: '3.3.4-3',
    says: 'the identifier of a subscription goes with what it brings; 0 and two of them are protocol errors',
    run: async (scene) => {
      const wire = await scene.open();
      await wire.send(subscribe(5, [[COMMANDS, 0]], { properties: '0b ff 7f' })).next();
      scene.listener.sendCommand(1, Buffer.from('x'), () => {});
      scene.t.equal(parts(await wire.next()).payload, '\x03\x0b\xff\x7fx');
      for (const text of ['0b 00', '0b 01 0b 02']) {
        const bad = await scene.open({ clientId: 'bad' });
        bad.send(subscribe(5, [[COMMANDS, 0]], { properties: text }));
        await expectEnd(scene, bad, 0x82, text);
      }
    },
  },
  {
    in5: '3.1.2-26 3.1.2-27 3.3.2-11',
    says: 'the server sends no alias, whether it might or not',
    run: async (scene) => {
      for (const text of ['', '22 00 05']) {
        const wire = await subscriber(scene, 0, text);
        for (let i = 0; i < 2; i++) {
          scene.listener.sendCommand(1, Buffer.from('x'), () => {});
          const found = parts(await wire.next());
          scene.t.same([found.topic, found.payload], [COMMANDS, '\0x']);
        }
      }
    },
  },
  {
    in5: '3.3.4-9 3.3.4-10 4.9.0-1 4.9.0-2',
    says: "no more is unacknowledged than the client's Receive Maximum, and nothing else waits for it",
    run: async (scene) => {
      const { t } = scene;
      const wire = await subscriber(scene, 1, '21 00 02');
      const outcomes = ['a', 'b', 'c'].map((payload) => command(scene.listener, payload));
      const ids = [parts(await wire.next()).id, parts(await wire.next()).id];
      wire.send(PINGREQ, publish(5, { id: 8 }));
      t.equal((await wire.next())?.type, 13);
      t.equal((await wire.next())?.type, 4);
      wire.send(ack(0x40, ids[0]!));
      const third = parts(await wire.next());
      t.match(third.payload, /c$/);
      wire.send(ack(0x40, ids[1]!), ack(0x40, third.id));
      t.same(await Promise.all(outcomes), ['delivered', 'delivered', 'delivered']);
    },
  },
  {
    in5: '3.1.2-24 3.1.2-25',
    says: 'a command larger than the client takes is dropped, and its place is free',
    run: async (scene) => {
      const { t } = scene;
      const wire = await subscriber(scene, 1, '21 00 01 27 00 00 00 50');
      t.equal(await command(scene.listener, 'x'.repeat(100)), 'gone');
      const outcome = command(scene.listener, 'small');
      const found = parts(await wire.next());
      t.match(found.payload, /small$/);
      wire.send(ack(0x40, found.id));
      t.equal(await outcome, 'delivered');
    },
  },
  {
    in311: '4.3.3-1',
    in5: '3.6.2-1 3.6.2-2',
    says: 'PUBREC for what is not under way is answered with PUBREL, in 5.0 with 0x92; PUBACK and PUBCOMP change nothing',
    run: async (scene) => {
      const { t, version } = scene;
      const wire = await scene.open();
      for (const name of ['not subscribed', 'subscribed']) {
        const seen = await wire.send(ack(0x50, 77)).next();
        t.same([seen?.type, seen?.flags], [6, 2], name);
        t.equal(seen?.body.toString('hex', 0, 3), version === 4 ? '004d' : '004d92');
        if (version === 5) wire.send(ack(0x50, 77, 0x91));
        wire.send(ack(0x40, 77), ack(0x70, 77), PINGREQ);
        t.equal((await wire.next())?.type, 13);
        await wire.send(subscribe(version, [[COMMANDS, 2]])).next();
      }
    },
  },
  {
    in311: '4.8.0-1',
    in5: '4.13.1-1',
    says: 'an ack that does not belong to its exchange is a protocol error',
    run: async (scene) => {
      for (const [qos, first] of [
        [1, 0x50],
        [2, 0x40],
        [2, 0x70],
      ] as const) {
        const wire = await subscriber(scene, qos);
        void command(scene.listener, 'x');
        await expectEnd(scene, wire.send(ack(first, parts(await wire.next()).id)), 0x82);
        scene.listener.disconnectDevice(1);
      }
    },
  },
];

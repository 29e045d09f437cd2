/** Rows for CONNECT and CONNACK. */
import {
  connect,
  expectEnd,
  expectRefusal,
  field,
  hex,
  packet,
  PINGREQ,
  properties,
  publish,
  subscribe,
  COMMANDS,
  u16,
  type Row,
} from './test-wire.ts';

/** A CONNECT by hand: flags, and the fields of its payload. */
function payload(version: 4 | 5, flags: number, ...fields: readonly Buffer[]): Buffer {
  const head = [field('MQTT'), Buffer.from([version, flags]), u16(0), properties(version)];
  return packet(0x10, ...head, ...fields);
}

const USER = field('dev-1');
const SECRET = field('correct horse');

export const CONNECT_ROWS: readonly Row[] = [
  {
    in311: '3.1.0-1 3.2.0-1',
    in5: '3.1.0-1 3.2.0-1 3.14.0-1',
    says: 'what comes before CONNECT closes the connection, and is not answered',
    run: async (scene) => {
      const { version } = scene;
      const first = [publish(version), PINGREQ, hex('e0 00'), hex('f0 00'), hex('d0 00')];
      for (const bytes of [...first, subscribe(version, [[COMMANDS, 0]])]) {
        const wire = (await scene.raw()).send(bytes, connect(version));
        scene.t.equal(await wire.next(), null);
      }
    },
  },
  {
    in311: '3.1.0-2',
    in5: '3.1.0-2 3.2.0-2',
    says: 'a second CONNECT is a protocol error, not a second CONNACK',
    run: async (scene) => {
      const wire = await scene.open();
      await expectEnd(scene, wire.send(connect(scene.version)), 0x82);
    },
  },
  {
    in311: '3.1.2-1 3.1.2-2 3.2.2-5',
    in5: '3.1.2-1 3.1.2-2',
    says: 'another protocol name or level is not served',
    run: async (scene) => {
      const { version } = scene;
      const body = [u16(0), properties(version), field('c')];
      const named = (name: string, level: number): Buffer =>
        packet(0x10, field(name), Buffer.from([level, 0x02]), ...body);
      await expectRefusal(scene, named('AMQP', scene.version), null, 'name');
      await expectRefusal(scene, named('mqtt', scene.version), null, 'case');
      await expectRefusal(scene, named('MQIsdp', 3), 1, '3.1');
      // In the version whose form the rest of the packet has.
      for (const level of [0, 3, 6, 0x7f, 0x84, 0xff]) {
        const code = version === 4 ? 1 : 0x84;
        await expectRefusal(scene, named('MQTT', level), code, `level ${level}`);
      }
    },
  },
  {
    in311:
      '3.1.2-3 3.1.2-9 3.1.2-11 3.1.2-13 3.1.2-14 3.1.2-15 3.1.2-18 3.1.2-19 3.1.2-20 3.1.2-21 3.1.2-22 3.1.3-1 3.1.3-3 3.1.4-1 3.2.2-6',
    in5: '3.1.2-3 3.1.2-9 3.1.2-11 3.1.2-12 3.1.2-13 3.1.2-16 3.1.2-17 3.1.2-18 3.1.2-19 3.1.3-1 3.1.3-3 3.1.4-1 3.2.2-7 3.2.2-8',
    says: 'flags and payload fit each other, in the one order there is; 3.1.1 closes without CONNACK',
    run: async (scene) => {
      const { version } = scene;
      const id = field('c');
      const will = [properties(version), field('t'), field('p')];
      const rows: readonly [string, Buffer][] = [
        ['reserved flag', payload(version, 0xc3, id, USER, SECRET)],
        ['will without its fields', payload(version, 0xc6, id, USER, SECRET)],
        ['will fields without the flag', payload(version, 0xc2, id, ...will, USER, SECRET)],
        ['will quality without the flag', payload(version, 0xca, id, USER, SECRET)],
        ['will quality 3', payload(version, 0xde, id, ...will, USER, SECRET)],
        ['will retain without the flag', payload(version, 0xe2, id, USER, SECRET)],
        ['user name without the flag', payload(version, 0x02, id, USER)],
        ['user name missing', payload(version, 0x82, id)],
        ['password without the flag', payload(version, 0x82, id, USER, SECRET)],
        ['password missing', payload(version, 0xc2, id, USER)],
        ['client id missing', payload(version, 0x02)],
        ['cut short', payload(version, 0xc2, id, USER, hex('00 09'))],
      ];
      for (const [name, bytes] of rows) {
        await expectRefusal(scene, bytes, version === 5 ? 0x81 : null, name);
      }
      const alone = payload(version, 0x42, id, SECRET);
      // A password alone is credentials that do not hold in 5.0, and no CONNECT in 3.1.1.
      await expectRefusal(scene, alone, version === 5 ? 0x86 : null, 'password alone');
      const wire = (await scene.raw()).send(payload(version, 0xc6, id, ...will, USER, SECRET));
      scene.t.equal((await wire.next())?.body[1], 0, 'and all of them together are accepted');
    },
  },
  {
    in5: '3.1.2-12 3.2.2-12 3.2.2-13 4.12.0-1',
    says: 'what is announced as missing, or is not offered, refuses the CONNECT with its code',
    run: async (scene) => {
      const will = [properties(5), field('t'), field('p')];
      const retained = payload(5, 0xe6, field('c'), ...will, USER, SECRET);
      await expectRefusal(scene, retained, 0x9a, 'will retain');
      const method = connect(5, { properties: "15 00 05 'SCRAM'" });
      await expectRefusal(scene, method, 0x8c, 'authentication method');
      for (const qos of [0, 1, 2]) await scene.open({ will: { qos }, clientId: `q${qos}` });
      scene.t.pass('wills of every quality are taken');
    },
  },
  {
    in311: '3.1.3-5',
    in5: '3.1.3-5',
    says: 'client ids of 1 to 23 letters and digits, and longer ones',
    run: async (scene) => {
      const letters = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
      for (const clientId of ['a', letters.slice(0, 23), letters.slice(39), letters]) {
        await scene.open({ clientId });
      }
      scene.t.equal(scene.metrics.reasons.size, 0);
    },
  },
  {
    in311: '3.1.3-6 3.1.3-7',
    says: 'a clean client without an id is given one of its own',
    run: async (scene) => {
      await scene.open({ clientId: '' });
      await scene.open({ clientId: '' });
      scene.t.equal(scene.metrics.connectionCount, 2, 'neither took over the other');
    },
  },
  {
    in5: '3.1.3-6 3.1.3-7 3.2.2-16',
    says: 'a client without an id is told the one it was given, and can come back with it',
    run: async (scene) => {
      const given: string[] = [];
      for (let i = 0; i < 2; i++) {
        const wire = await scene.raw();
        wire.send(connect(5, { clientId: '', clean: false, properties: '11 00 00 00 3c' }));
        const { body } = (await wire.next())!;
        const at = body.indexOf(0x12);
        given.push(body.toString('utf8', at + 3, at + 3 + body.readUInt16BE(at + 1)));
      }
      scene.t.not(given[0], given[1]);
      const back = connect(5, { clientId: given[0]!, clean: false });
      const connack = await (await scene.raw()).send(back).next();
      scene.t.same([connack?.body[0], connack?.body[1]], [1, 0], 'session present');
    },
  },
  {
    in311: '3.1.3-8 3.1.3-9 3.2.2-4',
    says: 'no id and no clean session is refused with 2; so is an id over the bound',
    run: async (scene) => {
      await expectRefusal(scene, connect(4, { clientId: '', clean: false }), 2);
      await expectRefusal(scene, connect(4, { clientId: 'x'.repeat(1_025) }), 2);
    },
  },
  {
    in5: '3.1.3-8 3.2.2-6',
    says: 'an id over the bound is refused with 0x85, and Session Present is 0',
    run: (scene) => expectRefusal(scene, connect(5, { clientId: 'x'.repeat(1_025) }), 0x85),
  },
  {
    in5: '3.1.4-2 3.2.2-6',
    says: 'credentials that do not hold are refused, unknown devices like wrong passwords',
    run: async (scene) => {
      await expectRefusal(scene, connect(5, { username: 'nobody' }), 0x86);
      const wrong = payload(5, 0xc2, field('c'), USER, field('wrong'));
      await expectRefusal(scene, wrong, 0x86);
    },
  },
  {
    in311: '3.1.4-5 3.2.2-4 3.2.2-5',
    in5: '3.1.4-6',
    says: 'nothing behind a CONNECT that is refused is taken',
    run: async (scene) => {
      const { version } = scene;
      const bytes = [connect(version, { username: 'nobody' }), publish(version), PINGREQ];
      await expectRefusal(scene, Buffer.concat(bytes), version === 5 ? 0x86 : 5);
      scene.t.equal(scene.sink.taken.length, 0);
    },
  },
  {
    in311: '3.1.4-4 3.2.2-1 3.2.2-3',
    in5: '3.1.4-5 3.2.2-1 3.2.2-2',
    says: 'a CONNECT that is accepted is answered first, with 0, no session and no other flag',
    run: async (scene) => {
      const { t, version } = scene;
      const wire = await scene.raw();
      wire.send(connect(version), PINGREQ);
      const connack = await wire.next();
      t.same([connack?.type, connack?.flags], [2, 0]);
      t.same([connack?.body[0], connack?.body[1]], [0, 0]);
      if (version === 4) t.equal(connack?.hex, '20020000');
      t.equal((await wire.next())?.type, 13);
    },
  },
  {
    in5: '3.1.2-28 4.12.0-6',
    says: 'CONNACK holds what the server announces, and neither response information nor a method',
    run: async (scene) => {
      const wire = await scene.raw();
      const asked = connect(5, { keepAliveS: 60, properties: '19 00 22 00 05' });
      const { body } = (await wire.send(asked).next())!;
      const told = [
        '21 03e8', // Receive Maximum
        '25 00', // Retain Available
        '27 00040000', // Maximum Packet Size
        '22 0008', // Topic Alias Maximum
        '28 00', // Wildcard Subscription Available
        '2a 00', // Shared Subscription Available
      ];
      const found = body.toString('hex', 3);
      const wanted = told.map((one) => one.replace(' ', ''));
      scene.t.same(
        wanted.filter((one) => !found.includes(one)),
        [],
      );
      scene.t.equal(body[2], wanted.join('').length / 2, 'and nothing else');
    },
  },
  {
    in5: '3.2.2-22',
    says: 'a keep-alive of the server is told to whom it holds for, and to nobody else',
    limits: { keepAliveSMax: 100 },
    run: async (scene) => {
      for (const [keepAliveS, isTold] of [
        [0, true],
        [100, false],
        [101, true],
      ] as const) {
        const wire = await scene.raw();
        const { body } = (await wire.send(connect(5, { keepAliveS })).next())!;
        scene.t.equal(body.includes(hex('13 00 64')), isTold, `${keepAliveS}`);
      }
    },
  },
  {
    in5: '3.1.2-24 3.2.2-19',
    says: 'a client that takes no packet as large as CONNACK is refused in a small one',
    run: async (scene) => {
      const wire = await scene.raw();
      const connack = await wire.send(connect(5, { properties: '27 00 00 00 0a' })).next();
      scene.t.equal(connack?.hex, '2003009500');
      scene.t.equal(await wire.next(), null);
    },
  },
  {
    in5: '3.1.2-29',
    says: 'Request Problem Information 0 keeps reason strings off acks',
    run: async (scene) => {
      scene.sink.answer = () => ({ kind: 'rejected', reason: 'no_such_thing' });
      const said: boolean[] = [];
      for (const [clientId, text] of [
        ['talks', ''],
        ['silent', '17 00'],
      ] as const) {
        const wire = await scene.open({ clientId, properties: text });
        wire.send(publish(5), publish(5, { qos: 2, id: 2 }), subscribe(5, [['#', 0]]));
        wire.send(packet(0x62, u16(9)));
        for (let i = 0; i < 4; i++) {
          // The identifier of a reason string; nothing else here has this byte.
          said.push((await wire.next())!.body.includes(0x1f));
        }
      }
      scene.t.same(said.slice(0, 4), [true, true, true, true]);
      scene.t.same(said.slice(4), [false, false, false, false]);
    },
  },
  {
    in5: '3.1.4-1',
    says: 'properties that may not be there, not be so, or not be twice refuse the CONNECT',
    run: async (scene) => {
      const rows: readonly [string, number][] = [
        ['21 00 00', 0x82], // Receive Maximum 0
        ['27 00 00 00 00', 0x82], // Maximum Packet Size 0
        ['17 02', 0x82],
        ['19 02', 0x82],
        ['21 00 05 21 00 05', 0x82],
        ["16 00 01 'x'", 0x82], // data without a method
        ['23 00 01', 0x81], // a property of PUBLISH
        ['11 00', 0x81],
        ['ff', 0x81],
      ];
      for (const [text, code] of rows) {
        await expectRefusal(scene, connect(5, { properties: text }), code, text);
      }
    },
  },
];

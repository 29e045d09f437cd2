/** Rows for the form of packets: strings, lengths, reserved bits, identifiers, topic names and filters, errors. */
import {
  ack,
  COMMANDS,
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
  u16,
  unsubscribe,
  type Row,
  type Scene,
} from './test-wire.ts';

const BAD_STRINGS: readonly [string, string][] = [
  ['broken UTF-8', 'c3 28'],
  ['a surrogate', 'ed a0 80'],
  ['NUL', "'a' 00"],
];

/** Each of these packets ends a connection of its own. */
async function eachEnds(
  scene: Scene,
  reasonCode: number,
  packets: readonly (readonly [string, Buffer])[],
): Promise<void> {
  for (const [name, bytes] of packets) {
    const wire = await scene.open();
    wire.send(bytes, PINGREQ);
    await expectEnd(scene, wire, reasonCode, name);
  }
}

export const FORMAT_ROWS: readonly Row[] = [
  {
    in311: '1.5.3-1 1.5.3-2 3.1.3-4 3.1.3-10 3.1.3-11 3.3.2-1 3.8.3-1 3.10.3-1 4.7.3-2',
    in5: '1.5.4-1 1.5.4-2 3.1.3-4 3.1.3-11 3.1.3-12 3.3.2-1 3.8.3-1 3.10.3-1 4.7.3-2',
    says: 'text that is not UTF-8, or holds a surrogate or NUL, closes the connection, wherever it stands',
    run: async (scene) => {
      const { version } = scene;
      for (const [name, text] of BAD_STRINGS) {
        const bad = field(hex(text));
        await eachEnds(scene, 0x81, [
          [`topic: ${name}`, packet(0x30, bad, properties(version))],
          [`filter: ${name}`, packet(0x82, u16(1), properties(version), bad, hex('00'))],
          [`unsubscribed filter: ${name}`, packet(0xa2, u16(1), properties(version), bad)],
        ]);
        const head = [field('MQTT'), Buffer.from([version, 0xc6]), u16(0), properties(version)];
        const fields = [field('c'), properties(version), field('t'), field('p'), field('dev-1')];
        // Client id, will topic, user name.
        for (const place of [0, 2, 4]) {
          const body = fields.map((one, i) => (i === place ? bad : one));
          const bytes = packet(0x10, ...head, ...body, field('pw'));
          await expectRefusal(scene, bytes, version === 5 ? 0x81 : null, `${name} at ${place}`);
        }
      }
    },
  },
  {
    in5: '1.5.7-1 3.3.2-13 3.3.2-19',
    says: 'so does text in properties: both halves of a pair, response topic, content type',
    run: (scene) =>
      eachEnds(scene, 0x81, [
        ['pair, name', publish(5, { properties: "26 00 01 ff 00 01 'v'" })],
        ['pair, value', publish(5, { properties: "26 00 01 'n' 00 01 00" })],
        ['response topic', publish(5, { properties: '08 00 01 ff' })],
        ['content type', publish(5, { properties: '03 00 02 c3 28' })],
      ]),
  },
  {
    in311: '1.5.3-3',
    in5: '1.5.4-3',
    says: 'a zero width no-break space is a character like any other',
    run: async (scene) => {
      const topic = '\ufeffa';
      const wire = await scene.open();
      await wire.send(publish(scene.version, { topic })).next();
      scene.t.equal(scene.sink.taken[0]!.message.topic, topic);
    },
  },
  {
    in5: '1.5.5-1',
    says: 'a variable byte integer longer than it need be, or than four bytes, is malformed',
    run: async (scene) => {
      await eachEnds(scene, 0x81, [
        ['property length', packet(0x30, field('a'), hex('80 00'))],
        ['remaining length of five bytes', hex('30 80 80 80 80 01')],
        ['remaining length of two bytes for 0', hex('c0 80 00')],
        ['remaining length of two bytes for 8', hex("30 88 00 00 01 'a' 00 'text'")],
      ]);
      const [first, length, ...body] = connect(5);
      const long = Buffer.from([first!, length! | 0x80, 0, ...body]);
      await expectRefusal(scene, long, 0x81, 'of CONNECT');
    },
  },
  {
    in311: '2.2.2-1',
    says: 'in 3.1.1 a remaining length may take up to four bytes, however small it is',
    run: async (scene) => {
      const wire = await scene.open();
      scene.t.equal((await wire.send(hex('c0 80 80 00')).next())?.type, 13);
      await expectEnd(scene, wire.send(hex('c0 80 80 80 80 00')), 0x81);
    },
  },
  {
    in311: '2.2.2-1 2.2.2-2 3.6.1-1 3.8.1-1 3.10.1-1',
    in5: '2.1.3-1 3.6.1-1 3.8.1-1 3.10.1-1 3.15.1-1',
    says: 'reserved bits of the fixed header have one value; any other closes the connection',
    run: (scene) => {
      const { version } = scene;
      const withFlags = (bytes: Buffer, flags: number): Buffer => {
        const copy = Buffer.from(bytes);
        copy[0] = (copy[0]! & 0xf0) | flags;
        return copy;
      };
      return eachEnds(scene, 0x81, [
        ['PUBACK', ack(0x41, 1)],
        ['PUBREC', ack(0x52, 1)],
        ['PUBREL', ack(0x60, 1)],
        ['PUBREL', ack(0x63, 1)],
        ['PUBCOMP', ack(0x78, 1)],
        ['SUBSCRIBE', withFlags(subscribe(version, [[COMMANDS, 0]]), 0)],
        ['SUBSCRIBE', withFlags(subscribe(version, [[COMMANDS, 0]]), 3)],
        ['UNSUBSCRIBE', withFlags(unsubscribe(version, [COMMANDS]), 0)],
        ['PINGREQ', hex('c1 00')],
        ['AUTH', hex('f1 00')],
        ['type 0', hex('00 00')],
      ]);
    },
  },
  {
    in311: '2.3.1-1',
    in5: '2.2.1-3',
    says: 'a packet identifier of 0 is none',
    run: (scene) => {
      const { version } = scene;
      return eachEnds(scene, 0x82, [
        ['QoS 1', publish(version, { qos: 1, id: 0 })],
        ['QoS 2', publish(version, { qos: 2, id: 0 })],
        ['SUBSCRIBE', subscribe(version, [[COMMANDS, 0]], { id: 0 })],
        ['UNSUBSCRIBE', unsubscribe(version, [COMMANDS], 0)],
        ['PUBREL', ack(0x62, 0)],
      ]);
    },
  },
  {
    in311: '2.3.1-5',
    in5: '2.2.1-2',
    says: 'a PUBLISH of quality 0 has no identifier: its payload begins behind the topic',
    run: async (scene) => {
      const wire = await scene.open();
      const bytes = publish(scene.version, { qos: 0, payload: '{"a":1}' });
      await wire.send(bytes, PINGREQ).next();
      scene.t.equal(scene.sink.taken[0]!.message.payload.toString(), '{"a":1}');
    },
  },
  {
    in311: '2.3.1-6 2.3.1-7 3.8.4-2 3.10.4-4',
    in5: '2.2.1-5 2.2.1-6 3.8.4-2 3.10.4-4',
    says: 'answers carry the identifier of what they answer',
    run: async (scene) => {
      const { t, version } = scene;
      const wire = await scene.open();
      wire.send(
        publish(version, { qos: 1, id: 0x1234 }),
        publish(version, { qos: 2, id: 0xffff }),
        subscribe(version, [[COMMANDS, 0]], { id: 0x0102 }),
        unsubscribe(version, [COMMANDS], 0x0304),
      );
      const ids: [number, string][] = [];
      for (let i = 0; i < 4; i++) {
        const seen = await wire.next();
        ids.push([seen!.type, seen!.body.toString('hex', 0, 2)]);
      }
      t.same(ids.sort(), [
        [11, '0304'],
        [4, '1234'],
        [5, 'ffff'],
        [9, '0102'],
      ]);
      t.equal((await wire.send(ack(0x62, 0xffff)).next())?.hex.slice(0, 8), '7002ffff');
    },
  },
  {
    in5: '2.2.2-1',
    says: 'a packet without properties says so with a length of 0',
    run: async (scene) => {
      const wire = await scene.open();
      const suback = await wire.send(subscribe(5, [[COMMANDS, 1]])).next();
      scene.t.equal(suback?.hex, '900400010001');
      scene.t.equal((await wire.send(unsubscribe(5, [COMMANDS])).next())?.hex, 'b00400010000');
    },
  },
  {
    in311: '3.3.2-2 4.7.1-1',
    in5: '3.3.2-2 4.7.0-1',
    says: 'a topic name holds no wildcard',
    run: (scene) =>
      eachEnds(scene, 0x90, [
        ['#', publish(scene.version, { topic: 'a/#' })],
        ['+', publish(scene.version, { topic: '+' })],
        ['+ inside', publish(scene.version, { topic: 'a+b' })],
      ]),
  },
  {
    in311: '4.7.1-2 4.7.1-3 4.8.0-1',
    in5: '4.7.1-1 4.7.1-2',
    says: 'a wildcard in a filter is a whole level, and # the last one',
    run: (scene) =>
      eachEnds(
        scene,
        0x8f,
        ['a#', 'a/#/b', '#/', 'a+', '+a/b', 'a/b+'].map(
          (filter) => [filter, subscribe(scene.version, [[filter, 0]])] as const,
        ),
      ),
  },
  {
    in311: '4.7.3-1',
    in5: '4.7.3-1',
    says: 'a topic name or filter has at least one character',
    run: async (scene) => {
      const { version } = scene;
      await eachEnds(scene, 0x8f, [
        ['SUBSCRIBE', subscribe(version, [['', 0]])],
        ['UNSUBSCRIBE', unsubscribe(version, [''])],
      ]);
      await eachEnds(scene, 0x82, [['PUBLISH', publish(version, { topic: '' })]]);
    },
  },
  {
    in311: '4.7.3-3',
    in5: '4.7.3-3',
    says: 'a topic name may have 65,535 bytes, and has no room for more',
    run: async (scene) => {
      const topic = 'a'.repeat(65_535);
      const wire = await scene.open();
      const seen = await wire.send(publish(scene.version, { topic })).next();
      scene.t.equal(seen?.type, 4);
      scene.t.equal(scene.sink.taken[0]!.message.topic, topic);
    },
  },
  {
    in311: '4.7.3-4',
    in5: '4.7.3-4',
    says: 'filters are compared byte for byte, not in some normal form',
    run: async (scene) => {
      const { t, version } = scene;
      const wire = await scene.open();
      const near = ['v1/devices/DEV-1/commands', '/v1/devices/dev-1/commands', `${COMMANDS}/`];
      const filters = [...near, 'v1/devices/dev\u20101/commands'].map(
        (filter) => [filter, 0] as const,
      );
      const seen = await wire.send(subscribe(version, filters)).next();
      const codes = [...seen!.body.subarray(-4)];
      t.same(codes, Array(4).fill(version === 5 ? 0x87 : 0x80));
    },
  },
  {
    in311: '4.8.0-2',
    says: 'a publish that cannot be stored closes the connection without an ack',
    run: async (scene) => {
      scene.sink.answer = () => ({ kind: 'unavailable' });
      const wire = await scene.open();
      scene.t.equal(await wire.send(publish(4)).next(), null);
    },
  },
  {
    in5: '4.13.1-1 4.13.2-1',
    says: 'an error closes that connection and no other, after its reason code, and nothing behind it is taken',
    run: async (scene) => {
      const { t } = scene;
      const other = await scene.open({ clientId: 'other' });
      const wire = await scene.open();
      wire.send(publish(5), hex('30 05 00 09'), hex("'abc'"), publish(5, { id: 2 }));
      t.equal((await wire.next())?.type, 4);
      await expectEnd(scene, wire, 0x81);
      t.equal(scene.sink.taken.length, 1);
      t.equal((await other.send(PINGREQ).next())?.type, 13);
    },
  },
  {
    in311: '7.0.0-2 7.1.1-1',
    in5: '4.2.0-1',
    says: 'bytes over TCP are enough, however they are cut',
    run: async (scene) => {
      const wire = await scene.raw();
      for (const byte of Buffer.concat([connect(scene.version), publish(scene.version)])) {
        wire.send(Buffer.from([byte]));
      }
      scene.t.equal((await wire.next())?.type, 2);
      scene.t.equal((await wire.next())?.type, 4);
    },
  },
];

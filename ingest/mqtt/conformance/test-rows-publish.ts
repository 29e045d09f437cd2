/** Rows for PUBLISH from a client and the acks it gets. */
import { ack, expectEnd, FIXES, hex, packet, PINGREQ, publish, type Row } from './test-wire.ts';

export const PUBLISH_ROWS: readonly Row[] = [
  {
    in311: '3.3.4-1 4.3.2-2 3.3.5-2',
    in5: '3.3.4-1 3.4.2-1 4.3.2-4',
    says: 'quality 1 is acknowledged when it is stored, and not before; a refusal is told in 5.0 alone',
    run: async (scene) => {
      const { t, version } = scene;
      scene.sink.answer = null;
      const wire = await scene.open();
      wire.send(publish(version, { id: 10 }), publish(version, { id: 11, topic: 'x/y' }), PINGREQ);
      t.equal((await wire.next())?.type, 13, 'nothing is acknowledged yet');
      scene.sink.taken[0]!.done({ kind: 'stored' });
      t.equal((await wire.next())?.hex, '4002000a');
      scene.sink.taken[1]!.done({ kind: 'rejected', reason: 'foreign_topic' });
      const seen = await wire.next();
      if (version === 4) t.equal(seen?.hex, '4002000b');
      else t.same([seen?.type, seen?.body[2]], [4, 0x87]);
    },
  },
  {
    in311: '4.3.2-2',
    in5: '4.3.2-5',
    says: 'behind its PUBACK an identifier is free, whatever DUP says',
    run: async (scene) => {
      const wire = await scene.open();
      for (const flags of [0, 8, 0]) {
        const seen = await wire.send(publish(scene.version, { id: 5, flags })).next();
        scene.t.equal(seen?.hex, '40020005');
      }
      scene.t.equal(scene.sink.taken.length, 3);
    },
  },
  {
    in311: '3.3.4-1 4.3.3-2',
    in5: '3.3.4-1 3.5.2-1 3.7.2-1 4.3.3-8 4.3.3-10 4.3.3-11 4.3.3-12',
    says: 'quality 2: PUBREC when it is stored, no second hand-over before PUBREL, PUBCOMP, and then anew',
    run: async (scene) => {
      const { t, version } = scene;
      scene.sink.answer = null;
      const wire = await scene.open();
      const message = { qos: 2, id: 3 } as const;
      wire.send(publish(version, message), PINGREQ);
      t.equal((await wire.next())?.type, 13, 'no PUBREC yet');
      scene.sink.taken[0]!.done({ kind: 'stored' });
      t.equal((await wire.next())?.hex, '50020003');
      t.equal(
        (await wire.send(publish(version, { ...message, flags: 8 })).next())?.hex,
        '50020003',
      );
      t.equal(scene.sink.taken.length, 1);
      t.equal((await wire.send(ack(0x62, 3)).next())?.hex, '70020003');
      wire.send(publish(version, message));
      await scene.sink.arrived(2);
      const early = await scene.open({ clientId: 'early' });
      await early.send(PINGREQ).next();
      t.equal(scene.sink.taken.length, 2, 'a new publication');
    },
  },
  {
    in5: '4.3.3-9 4.4.0-2',
    says: 'a PUBREC that refuses ends the exchange: the identifier is free and unknown',
    run: async (scene) => {
      const { t } = scene;
      scene.sink.answer = () => ({ kind: 'rejected', reason: 'json' });
      const wire = await scene.open();
      const message = publish(5, { qos: 2, id: 4 });
      const refused = await wire.send(message).next();
      t.same([refused?.type, refused?.body[2]], [5, 0x99]);
      scene.sink.answer = () => ({ kind: 'stored' });
      t.equal((await wire.send(message).next())?.hex, '50020004');
      t.equal(scene.sink.taken.length, 2);
    },
  },
  {
    in311: '4.3.3-2',
    in5: '3.7.2-1',
    says: 'PUBREL for an identifier that is not held is answered with PUBCOMP, in 5.0 with 0x92',
    run: async (scene) => {
      const wire = await scene.open();
      const seen = await wire.send(ack(0x62, 99)).next();
      scene.t.equal(seen?.hex.slice(4, 8) ?? '', scene.version === 4 ? '0063' : '0063');
      if (scene.version === 5) scene.t.equal(seen?.body[2], 0x92);
      scene.t.equal((await wire.send(PINGREQ).next())?.type, 13);
    },
  },
  {
    in311: '3.3.1-2 3.3.1-4',
    in5: '3.3.1-2 3.3.1-4',
    says: 'there is no quality 3, and no DUP with quality 0',
    run: async (scene) => {
      const both = await scene.open();
      await expectEnd(scene, both.send(publish(scene.version, { flags: 6 })), 0x81, 'quality 3');
      const dup = await scene.open();
      await expectEnd(scene, dup.send(publish(scene.version, { qos: 0, flags: 8 })), 0x82, 'DUP');
    },
  },
  {
    in5: '3.2.2-14',
    says: 'a retained publish is refused where it was announced that nothing is retained',
    run: async (scene) => {
      await expectEnd(scene, (await scene.open()).send(publish(5, { flags: 1 })), 0x9a);
    },
  },
  {
    in311: '3.3.1-12',
    in5: '3.3.1-8',
    says: 'nothing is kept of a publish without RETAIN: who subscribes later is sent nothing',
    run: async (scene) => {
      const topic = 'v1/devices/dev-1/commands';
      const wire = await scene.open();
      await wire.send(publish(scene.version, { topic })).next();
      const filter = packet(0x82, hex('00 01'), scene.version === 5 ? hex('00') : hex(''));
      const body = Buffer.concat([filter.subarray(2), hex(`00 19 '${topic}' 00`)]);
      wire.send(packet(0x82, body), PINGREQ);
      scene.t.equal((await wire.next())?.type, 9);
      scene.t.equal((await wire.next())?.type, 13);
    },
  },
  {
    in5: '3.2.2-15',
    says: 'a packet over the announced size is refused by its header',
    limits: { packetBytesMax: 100 },
    run: async (scene) => {
      const exact = publish(5, { payload: 'x'.repeat(100 - publish(5, { payload: '' }).length) });
      const wire = await scene.open();
      scene.t.equal((await wire.send(exact).next())?.type, 4, 'exactly the bound');
      await expectEnd(scene, wire.send(hex('32 63')), 0x95);
    },
  },
  {
    in5: '3.3.4-7',
    says: 'one publish of quality 1 or 2 more than Receive Maximum is refused; PUBCOMP and refusals make room',
    limits: { inFlightMax: 2 },
    run: async (scene) => {
      const { t } = scene;
      const wire = await scene.open();
      await wire.send(publish(5, { qos: 2, id: 1 })).next();
      await wire.send(publish(5, { qos: 2, id: 2 })).next();
      await wire.send(ack(0x62, 1)).next();
      t.equal((await wire.send(publish(5, { id: 3 })).next())?.type, 4, 'one place was free');
      await wire.send(publish(5, { qos: 2, id: 4 })).next();
      t.equal((await wire.send(publish(5, { qos: 0 }), PINGREQ).next())?.type, 13, 'quality 0');
      await expectEnd(scene, wire.send(publish(5, { id: 5 })), 0x93);
    },
  },
  {
    in5: '3.2.2-17 3.3.2-8 3.3.2-9',
    says: 'an alias of 0 or above the announced maximum is refused, and so is one that says nothing',
    run: async (scene) => {
      const alias = (value: string, topic = FIXES): Buffer =>
        publish(5, { topic, properties: `23 00 ${value}` });
      await expectEnd(scene, (await scene.open()).send(alias('00')), 0x94, '0');
      await expectEnd(scene, (await scene.open()).send(alias('09')), 0x94, '9');
      await expectEnd(scene, (await scene.open()).send(alias('01', '')), 0x82, 'not set');
    },
  },
  {
    in5: '3.3.2-12 3.3.2-7',
    says: 'every alias up to the maximum stands for the topic it was given last, on its connection alone',
    run: async (scene) => {
      const wire = await scene.open();
      const alias = (value: number, topic: string): Buffer =>
        publish(5, { topic, properties: `23 00 0${value}` });
      for (let value = 1; value <= 8; value++) await wire.send(alias(value, `t/${value}`)).next();
      for (let value = 8; value >= 1; value--) await wire.send(alias(value, '')).next();
      await wire.send(alias(3, 't/new')).next();
      await wire.send(alias(3, '')).next();
      const topics = scene.sink.taken.slice(8).map(({ message }) => message.topic);
      scene.t.same(topics, [8, 7, 6, 5, 4, 3, 2, 1].map((n) => `t/${n}`).concat('t/new', 't/new'));
      await expectEnd(scene, (await scene.open({ clientId: 'b' })).send(alias(3, '')), 0x82);
    },
  },
  {
    in5: '3.3.2-14 3.3.4-6',
    says: 'a response topic is a topic name, and a subscription identifier comes from a server alone',
    run: async (scene) => {
      for (const text of ["08 00 01 '#'", "08 00 03 'a/+'", '08 00 00', '0b 01']) {
        const wire = await scene.open();
        await expectEnd(scene, wire.send(publish(5, { properties: text })), 0x82, text);
      }
    },
  },
  {
    in5: '3.3.4-1',
    says: 'a payload that says it is UTF-8 and is not is refused with 0x99, and the connection goes on',
    run: async (scene) => {
      const { t } = scene;
      const wire = await scene.open();
      const broken = (qos: 0 | 1 | 2): Buffer =>
        packet(
          0x30 | (qos << 1),
          hex("00 01 'a'"),
          qos > 0 ? hex('00 07') : hex(''),
          hex('02 01 01 ff'),
        );
      for (const [qos, type] of [
        [1, 4],
        [2, 5],
      ] as const) {
        const seen = await wire.send(broken(qos)).next();
        t.same([seen?.type, seen?.body[2]], [type, 0x99]);
      }
      t.equal((await wire.send(broken(0), PINGREQ).next())?.type, 13);
      t.equal(scene.sink.taken.length, 0);
      t.equal(scene.metrics.reasons.get('payload_format'), 3);
    },
  },
  {
    in5: '4.3.3-13',
    says: 'a message expiry changes nothing of an exchange; user properties and content types are taken',
    run: async (scene) => {
      const wire = await scene.open();
      const text =
        "02 00 00 00 00 03 00 04 'json' 09 00 01 ff 26 00 01 'k' 00 01 'v' 26 00 01 'k' 00 01 'w'";
      const message = publish(5, { qos: 2, id: 1, properties: text });
      scene.t.equal((await wire.send(message).next())?.hex, '50020001');
      scene.t.equal((await wire.send(ack(0x62, 1)).next())?.hex, '70020001');
      scene.t.equal(scene.sink.taken[0]!.message.payload.toString(), '{}');
    },
  },
  {
    in5: '3.4.2-2 3.5.2-2 3.7.2-2',
    says: 'a reason string that would not fit is left out',
    run: async (scene) => {
      scene.sink.answer = () => ({ kind: 'rejected', reason: 'r'.repeat(200) });
      const wire = await scene.open({ properties: '27 00 00 00 64' });
      wire.send(publish(5), publish(5, { qos: 2, id: 2 }));
      for (const type of [4, 5]) {
        const seen = await wire.next();
        scene.t.same([seen?.type, seen?.body[2], seen?.body.includes(0x1f)], [type, 0x99, false]);
      }
    },
  },
  {
    in311: '4.6.0-2 4.6.0-3',
    in5: '4.6.0-2 4.6.0-3',
    says: 'PUBACKs and PUBRECs leave in the order in which the publishes came',
    run: async (scene) => {
      scene.sink.answer = null;
      const { version } = scene;
      const wire = await scene.open();
      wire.send(...[1, 2, 3, 4].map((id) => publish(version, { id, qos: id % 2 === 0 ? 2 : 1 })));
      await scene.sink.arrived(4);
      for (const index of [3, 1, 2, 0]) scene.sink.taken[index]!.done({ kind: 'stored' });
      scene.t.same(await wire.hexes(4), ['40020001', '50020002', '40020003', '50020004']);
    },
  },
  {
    in5: '4.9.0-3',
    says: 'a full window of the client holds up nothing but publishes',
    limits: { inFlightMax: 1 },
    run: async (scene) => {
      scene.sink.answer = null;
      const wire = await scene.open();
      wire.send(publish(5), PINGREQ);
      scene.t.equal((await wire.next())?.type, 13);
    },
  },
];

import { generate } from 'mqtt-packet';
import t from 'tap';
import type { ConnectReading } from './connect-reader.ts';
import { NEVER_EXPIRES, readConnect } from './connect-reader.ts';
import type { Fault } from './faults.ts';
import { FieldCursor } from './field-cursor.ts';
import { PublishReader } from './publish-reader.ts';
import { readSubscribe, readUnsubscribe } from './subscribe-reader.ts';
import { PUBACK, PUBCOMP, PUBREC, PUBREL, readAck, readDisconnect } from './short-readers.ts';
import { connectPacket, PASSWORD } from './test-listener.ts';

/** Bytes from hex with spaces, and text in single quotes. */
function bytes(text: string): Buffer {
  const parts = text.match(/'[^']*'|[0-9a-f]{2}/g) ?? [];
  return Buffer.concat(
    parts.map((part) =>
      part.startsWith("'") ? Buffer.from(part.slice(1, -1)) : Buffer.from(part, 'hex'),
    ),
  );
}

const TOPIC_ALIAS_MAX = 2;

function readPublish(version5: boolean, first: number, body: Buffer): Fault | PublishReader {
  const reader = new PublishReader(version5, TOPIC_ALIAS_MAX);
  const packet = Buffer.concat([Buffer.from([first, body.length]), body]);
  return reader.read(packet, 0, 2, packet.length) ?? reader;
}

// version, first byte, body, what is found: a reason, or topic|identifier|payload
const PUBLISHES: readonly [4 | 5, number, string, string][] = [
  [4, 0x32, "00 03 'a/b' 00 07 'xy'", 'a/b|7|xy'],
  [4, 0x30, "00 03 'a/b' 'xy'", 'a/b|0|xy'],
  [4, 0x3a, "00 03 'a/b' 00 07", 'a/b|7|'],
  [4, 0x33, "00 03 'a/b' 00 07 'xy'", 'a/b|7|xy'],
  [5, 0x32, "00 03 'a/b' 00 07 00 'xy'", 'a/b|7|xy'],
  [5, 0x32, "00 03 'a/b' 00 07 02 01 01 'xy'", 'a/b|7|xy'],
  [5, 0x30, "00 03 'a/b' 07 26 00 01 'k' 00 01 'v' 'xy'", 'a/b|0|xy'],
  [5, 0x33, "00 03 'a/b' 00 07 00 'xy'", 'retain'],
  [4, 0x34, "00 03 'a/b' 00 07 'xy'", 'a/b|7|xy'],
  [5, 0x3c, "00 03 'a/b' 00 07 00 'xy'", 'a/b|7|xy'],
  [4, 0x34, "00 03 'a/b' 00 00 'xy'", 'protocol_error'],
  [4, 0x36, "00 03 'a/b' 00 07 'xy'", 'malformed'],
  [4, 0x38, "00 03 'a/b' 'xy'", 'protocol_error'],
  [4, 0x32, "00 03 'a/b' 00 00 'xy'", 'protocol_error'],
  [4, 0x32, "00 03 'a/b' 00", 'malformed'],
  [4, 0x32, '', 'malformed'],
  [4, 0x30, "00 09 'a/b'", 'malformed'],
  [4, 0x30, "00 00 'xy'", 'topic_invalid'],
  [4, 0x30, "00 03 'a/+' 'xy'", 'topic_invalid'],
  [4, 0x30, "00 03 'a/#' 'xy'", 'topic_invalid'],
  [4, 0x30, "00 03 'a' 00 'b' 'xy'", 'malformed'],
  [4, 0x30, "00 03 'a' c3 28 'xy'", 'malformed'],
  [4, 0x30, "00 03 ed a0 80 'xy'", 'malformed'],
  [5, 0x30, "00 00 00 'xy'", 'protocol_error'],
  [5, 0x30, "00 00 03 23 00 01 'xy'", 'protocol_error'],
  [5, 0x30, "00 00 03 23 00 03 'xy'", 'topic_alias'],
  [5, 0x30, "00 03 'a/b' 03 23 00 02 'xy'", 'a/b|0|xy'],
  [5, 0x30, "00 03 'a/b' 03 23 00 03 'xy'", 'topic_alias'],
  [5, 0x30, "00 03 'a/b' 03 23 00 00 'xy'", 'topic_alias'],
  [5, 0x30, "00 03 'a/b' 05 08 00 02 'r' 't' 'xy'", 'a/b|0|xy'],
  [5, 0x30, "00 03 'a/b' 05 08 00 02 'r#' 'xy'", 'protocol_error'],
  [5, 0x30, "00 03 'a/b' 03 08 00 00 'xy'", 'protocol_error'],
  [5, 0x30, "00 03 'a/b' 02 26 00", 'malformed'],
  [5, 0x30, "00 03 'a/b' 08 03 00 01 'x' 03 00 01 'y' 'xy'", 'protocol_error'],
  [5, 0x30, "00 03 'a/b' 02 0b 01 'xy'", 'protocol_error'],
  [5, 0x30, "00 03 'a/b' 02 01 02 'xy'", 'protocol_error'],
  [5, 0x30, "00 03 'a/b' 04 01 00 01 00 'xy'", 'protocol_error'],
  [5, 0x30, "00 03 'a/b' 02 11 00 'xy'", 'malformed'],
  [5, 0x30, "00 03 'a/b' 02 7f 00 'xy'", 'malformed'],
  [5, 0x30, "00 03 'a/b' 01 01 00 'xy'", 'malformed'],
  [5, 0x30, "00 03 'a/b' 7f 01", 'malformed'],
  [5, 0x30, "00 03 'a/b'", 'malformed'],
  [5, 0x30, "00 03 'a/b' 80 00 'xy'", 'malformed'],
  [5, 0x30, "00 03 'a/b' 04 03 00 05 'x' 'y'", 'malformed'],
];

t.test('PUBLISH, row by row', (t) => {
  for (const [version, first, body, expected] of PUBLISHES) {
    const found = readPublish(version === 5, first, bytes(body));
    const text =
      found instanceof PublishReader
        ? `${found.topic}|${found.packetId}|${found.payload.toString()}`
        : found.reason;
    t.equal(text, expected, `${version} ${first.toString(16)} ${body}`);
  }
  t.end();
});

t.test('a topic that follows another one of the same length is read anew', (t) => {
  const reader = new PublishReader(false, TOPIC_ALIAS_MAX);
  const topics = ['aa', 'ab', 'bb', 'ab', 'abc'].map((topic) => {
    const packet = bytes(`30 00 00 ${topic.length.toString(16).padStart(2, '0')} '${topic}'`);
    return reader.read(packet, 0, 2, packet.length) ?? reader.topic;
  });
  t.same(topics, ['aa', 'ab', 'bb', 'ab', 'abc']);
  t.end();
});

function connectFrom(packet: Buffer): ConnectReading {
  const bodyStart = packet[1]! < 0x80 ? 2 : 3;
  return readConnect(packet, { start: 0, bodyStart, end: packet.length }, 23);
}

function verdict(packet: Buffer): string {
  const reading = connectFrom(packet);
  return reading.ok
    ? `ok ${reading.connect.version}`
    : `${reading.fault.reason} ${reading.version}`;
}

/** A CONNECT body by hand: name, level, flags, keep-alive 60, then the rest. */
function connectBytes(level: number, flags: number, rest: string, name = 'MQTT'): Buffer {
  const body = Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([level, flags, 0, 60]),
    bytes(rest),
  ]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

t.test('CONNECT, row by row', (t) => {
  const rows: readonly [string, Buffer, string][] = [
    ['3.1.1', connectBytes(4, 0x02, "00 01 'c'"), 'ok 4'],
    ['5.0', connectBytes(5, 0x02, "00 00 01 'c'"), 'ok 5'],
    ['3.1', connectBytes(3, 0x02, "00 01 'c'", 'MQIsdp'), 'unsupported_version 4'],
    ['level 3 as MQTT', connectBytes(3, 0x02, "00 01 'c'"), 'unsupported_version 4'],
    ['a bridge', connectBytes(0x84, 0x02, "00 01 'c'"), 'unsupported_version 4'],
    ['level 6, the form of 3.1.1', connectBytes(6, 0x02, "00 01 'c'"), 'unsupported_version 4'],
    ['level 6, the form of 5.0', connectBytes(6, 0x02, "00 00 01 'c'"), 'unsupported_version 5'],
    ['another name', connectBytes(4, 0x02, "00 01 'c'", 'AMQP'), 'malformed null'],
    ['reserved flag', connectBytes(4, 0x03, "00 01 'c'"), 'malformed 4'],
    ['will bits without a will', connectBytes(4, 0x0a, "00 01 'c'"), 'malformed 4'],
    ['will retain without a will', connectBytes(4, 0x22, "00 01 'c'"), 'malformed 4'],
    ['will qos 3', connectBytes(4, 0x1e, "00 01 'c' 00 01 't' 00 00"), 'malformed 4'],
    ['password alone, 3.1.1', connectBytes(4, 0x42, "00 01 'c' 00 01 'p'"), 'malformed 4'],
    ['password alone, 5.0', connectBytes(5, 0x42, "00 00 01 'c' 00 01 'p'"), 'ok 5'],
    ['empty id, clean', connectBytes(4, 0x02, '00 00'), 'ok 4'],
    ['empty id, not clean', connectBytes(4, 0x00, '00 00'), 'client_id 4'],
    ['empty id, not clean, 5.0', connectBytes(5, 0x00, '00 00 00'), 'ok 5'],
    ['id with NUL', connectBytes(4, 0x02, '00 01 00'), 'malformed 4'],
    ['bytes left over', connectBytes(4, 0x02, "00 01 'c' 00"), 'malformed 4'],
    ['cut off', connectBytes(4, 0x02, "00 09 'c'"), 'malformed 4'],
    ['no client id', connectBytes(4, 0x02, ''), 'malformed 4'],
    ['will', connectBytes(4, 0x06, "00 01 'c' 00 01 't' 00 02 'xy'"), 'ok 4'],
    ['will topic wildcard', connectBytes(4, 0x06, "00 01 'c' 00 01 '#' 00 00"), 'topic_invalid 4'],
    ['will topic empty', connectBytes(4, 0x06, "00 01 'c' 00 00 00 00"), 'topic_invalid 4'],
    ['will qos 2, 3.1.1', connectBytes(4, 0x16, "00 01 'c' 00 01 't' 00 00"), 'ok 4'],
    ['will qos 2, 5.0', connectBytes(5, 0x16, "00 00 01 'c' 00 00 01 't' 00 00"), 'ok 5'],
    [
      'will of broken text',
      connectBytes(5, 0x06, "00 00 01 'c' 02 01 01 00 01 't' 00 01 ff"),
      'payload_format 5',
    ],
    [
      'will response topic',
      connectBytes(5, 0x06, "00 00 01 'c' 04 08 00 01 '#' 00 01 't' 00 00"),
      'protocol_error 5',
    ],
    ['id of 23 bytes', connectBytes(4, 0x02, "00 17 'abcdefghijklmnopqrstuvw'"), 'ok 4'],
    ['id over the bound', connectBytes(4, 0x02, "00 18 'abcdefghijklmnopqrstuvwx'"), 'client_id 4'],
    ['will retain, 5.0', connectBytes(5, 0x26, "00 00 01 'c' 00 00 01 't' 00 00"), 'retain 5'],
    ['will delay', connectBytes(5, 0x06, "00 00 01 'c' 05 18 00 00 00 09 00 01 't' 00 00"), 'ok 5'],
    ['receive max 0', connectBytes(5, 0x02, "03 21 00 00 00 01 'c'"), 'protocol_error 5'],
    ['packet max 0', connectBytes(5, 0x02, "05 27 00 00 00 00 00 01 'c'"), 'protocol_error 5'],
    ['problem info 2', connectBytes(5, 0x02, "02 17 02 00 01 'c'"), 'protocol_error 5'],
    ['method', connectBytes(5, 0x02, "04 15 00 01 'm' 00 01 'c'"), 'authentication_method 5'],
    ['data, no method', connectBytes(5, 0x02, "04 16 00 01 'm' 00 01 'c'"), 'protocol_error 5'],
    ['property of PUBLISH', connectBytes(5, 0x02, "03 23 00 01 00 01 'c'"), 'malformed 5'],
  ];
  for (const [name, packet, expected] of rows) t.equal(verdict(packet), expected, name);
  t.end();
});

t.test('CONNECT flags in the fixed header are malformed', (t) => {
  const packet = connectPacket(4);
  packet[0] = 0x12;
  t.equal(verdict(packet), 'malformed 4');
  t.end();
});

t.test('what CONNECT says', (t) => {
  const will = {
    topic: 'bye',
    payload: Buffer.from('x'),
    qos: 1 as const,
    retain: false,
    properties: { willDelayInterval: 7 },
  };
  const reading = connectFrom(
    connectPacket(5, {
      will,
      keepalive: 33,
      clean: false,
      properties: {
        maximumPacketSize: 500,
        receiveMaximum: 9,
        sessionExpiryInterval: 60,
        requestProblemInformation: false,
      },
    }),
  );
  t.same(reading, {
    ok: true,
    connect: {
      version: 5,
      cleanStart: false,
      keepAliveS: 33,
      clientId: 'tracker',
      username: 'dev-1',
      password: Buffer.from(PASSWORD),
      will: { topic: 'bye', payload: Buffer.from('x'), delayS: 7 },
      sessionExpiryS: 60,
      receiveMax: 9,
      packetBytesMax: 500,
      wantsReasons: false,
    },
  });
  t.end();
});

t.test('what CONNECT leaves out', (t) => {
  const rows = [
    [connectBytes(5, 0x02, "00 00 01 'c'"), 0],
    [connectBytes(4, 0x02, "00 01 'c'"), 0],
    [connectBytes(4, 0x00, "00 01 'c'"), NEVER_EXPIRES],
  ] as const;
  for (const [packet, sessionExpiryS] of rows) {
    t.match(connectFrom(packet), {
      connect: {
        sessionExpiryS,
        username: undefined,
        will: null,
        receiveMax: 65_535,
        packetBytesMax: Infinity,
        wantsReasons: true,
      },
    });
  }
  t.end();
});

t.test('a refusal knows how large its answer may be', (t) => {
  const packet = connectBytes(5, 0x26, "05 27 00 00 00 63 00 01 'c' 00 00 01 't' 00 00");
  t.match(connectFrom(packet), { ok: false, fault: { reason: 'retain' }, packetBytesMax: 99 });
  t.end();
});

t.test('what a connection keeps of its CONNECT keeps no more than that', (t) => {
  const packet = connectPacket(4, {
    will: { topic: 't', payload: Buffer.from('x'), qos: 0, retain: false },
  });
  const reading = connectFrom(packet);
  if (!reading.ok) throw new Error('refused');
  packet.fill(0);
  t.equal(reading.connect.will?.payload.toString(), 'x');
  t.equal(reading.connect.password?.toString(), PASSWORD);
  t.end();
});

t.test('topic aliases', (t) => {
  const reader = new PublishReader(true, TOPIC_ALIAS_MAX);
  const rows: readonly [string, string][] = [
    ["00 02 'aa' 03 23 00 01", 'aa'],
    ["00 02 'bb' 03 23 00 02", 'bb'],
    ['00 00 03 23 00 01', 'aa'],
    ["00 02 'bb' 00", 'bb'],
    ["00 02 'cc' 03 23 00 01", 'cc'],
    ['00 00 03 23 00 01', 'cc'],
    ["00 02 'aa' 00", 'aa'],
    ['00 00 03 23 00 02', 'bb'],
  ];
  for (const [body, expected] of rows) {
    const packet = Buffer.concat([Buffer.from([0x30, 0]), bytes(body)]);
    t.equal(reader.read(packet, 0, 2, packet.length), null, body);
    t.equal(reader.topic, expected, body);
  }
  t.end();
});

t.test('a payload that says it is text', (t) => {
  const rows: readonly [string, boolean][] = [
    ["00 01 'a' 02 01 01 'x'", false],
    ["00 01 'a' 02 01 01 ff", true],
    ["00 01 'a' 02 01 00 ff", false],
    ["00 01 'a' 00 ff", false],
  ];
  for (const [body, isBroken] of rows) {
    const found = readPublish(true, 0x30, bytes(body));
    t.match(found, { isPayloadBroken: isBroken }, body);
  }
  t.end();
});

t.test('SUBSCRIBE and UNSUBSCRIBE, row by row', (t) => {
  const rows: readonly ['s' | 'u', 4 | 5, string, string][] = [
    ['s', 4, "00 05 00 01 'a' 01", '5 a/1'],
    ['s', 4, "00 05 00 01 'a' 01 00 01 'b' 02", '5 a/1 b/2'],
    ['s', 5, "00 05 00 00 01 'a' 2d", '5 a/1'],
    ['s', 5, "00 05 02 0b 07 00 01 'a' 00", '5 a/0 id 7'],
    ['s', 5, "00 05 02 0b 00 00 01 'a' 00", 'protocol_error'],
    ['s', 5, "00 05 04 0b 07 0b 08 00 01 'a' 00", 'protocol_error'],
    ['s', 4, '00 05', 'protocol_error'],
    ['s', 4, "00 00 00 01 'a' 01", 'protocol_error'],
    ['s', 4, "00 05 00 01 'a' 03", 'malformed'],
    ['s', 4, "00 05 00 01 'a' 04", 'malformed'],
    ['s', 5, "00 05 00 00 01 'a' 03", 'protocol_error'],
    ['s', 5, "00 05 00 00 01 'a' 40", 'malformed'],
    ['s', 5, "00 05 00 00 01 'a' 30", 'protocol_error'],
    ['s', 4, "00 05 00 01 'a'", 'malformed'],
    ['s', 4, '00 05 00 00 01', 'filter_invalid'],
    ['s', 4, "00 05 00 02 'a' 00 01", 'malformed'],
    ['s', 4, "00 05 00 02 '#a' 01", 'filter_invalid'],
    ['s', 4, "00 05 00 01 '#' 01", '5 #/1'],
    ['s', 5, "00 05 00 00 0a '$share/g/a' 05", 'protocol_error'],
    ['s', 5, "00 05 00 00 0a '$share/g/a' 01", '5 $share/g/a/1'],
    ['s', 4, "00 05 00 01 'a' 01 00 01 'b' 01 00 01 'c' 01 00 01 'd' 01", 'filters_max'],
    ['u', 4, "00 05 00 01 'a'", '5 a'],
    ['u', 5, "00 05 00 00 01 'a' 00 01 'b'", '5 a b'],
    ['u', 5, "00 05 02 0b 01 00 01 'a'", 'malformed'],
    ['u', 4, "00 05 00 02 'a+'", 'filter_invalid'],
    ['u', 4, '00 05', 'protocol_error'],
    ['u', 4, '00', 'malformed'],
  ];
  for (const [kind, version, body, expected] of rows) {
    const buffer = bytes(body);
    const cursor = new FieldCursor(buffer, 0, buffer.length);
    t.equal(subscriptionText(kind, cursor, version), expected, `${kind} ${version} ${body}`);
  }
  t.end();
});

function subscriptionText(kind: 's' | 'u', cursor: FieldCursor, version: 4 | 5): string {
  if (kind === 'u') {
    const { fault, packetId, filters } = readUnsubscribe(cursor, version, 3);
    return fault?.reason ?? [packetId, ...filters].join(' ');
  }
  const { fault, packetId, filters, identifier } = readSubscribe(cursor, version, 3);
  const texts = filters.map(({ filter, qos }) => `${filter}/${qos}`);
  return (
    fault?.reason ??
    [packetId, ...texts, ...(identifier === null ? [] : ['id', identifier])].join(' ')
  );
}

t.test('acks and DISCONNECT, row by row', (t) => {
  const rows: readonly [number, 4 | 5, string, string][] = [
    [PUBACK, 4, '00 07', '7 0'],
    [PUBACK, 4, '00 07 00', 'malformed'],
    [PUBACK, 4, '00', 'malformed'],
    [PUBACK, 4, '00 00', 'protocol_error'],
    [PUBACK, 5, '00 07 10', '7 16'],
    [PUBREC, 5, '00 07 97 00', '7 151'],
    [PUBREC, 5, '00 07 92', 'protocol_error'],
    [PUBREL, 5, '00 07 92', '7 146'],
    [PUBREL, 5, '00 07 10', 'protocol_error'],
    [PUBCOMP, 5, "00 07 00 04 1f 00 01 'x'", '7 0'],
    [PUBCOMP, 5, "00 07 00 08 1f 00 01 'x' 1f 00 01 'y'", 'protocol_error'],
    [PUBCOMP, 5, '00 07 00 02 01 01', 'malformed'],
    [PUBCOMP, 5, '00 07 00 00 00', 'malformed'],
    [14, 4, '', 'leave 0 null'],
    [14, 4, '00', 'malformed'],
    [14, 5, '', 'leave 0 null'],
    [14, 5, '04', 'leave 4 null'],
    [14, 5, '00 05 11 00 00 00 09', 'leave 0 9'],
    [14, 5, '8b', 'protocol_error'],
    [14, 5, '01', 'protocol_error'],
    [14, 5, "00 04 1c 00 01 'x'", 'protocol_error'],
    [14, 5, '00 02 21 00', 'malformed'],
  ];
  for (const [type, version, body, expected] of rows) {
    const buffer = bytes(body);
    const cursor = new FieldCursor(buffer, 0, buffer.length);
    t.equal(shortText(type, cursor, version), expected, `${type} ${version} ${body}`);
  }
  t.end();
});

function shortText(type: number, cursor: FieldCursor, version: 4 | 5): string {
  if (type === 14) {
    const { fault, reasonCode, sessionExpiryS } = readDisconnect(cursor, version);
    return fault?.reason ?? `leave ${reasonCode} ${sessionExpiryS}`;
  }
  const { fault, packetId, reasonCode } = readAck(cursor, type, version);
  return fault?.reason ?? `${packetId} ${reasonCode}`;
}

t.test('what the codec writes is read', (t) => {
  const packet = generate(
    {
      cmd: 'publish',
      topic: 'a/ü/€',
      payload: 'x',
      qos: 1,
      messageId: 65_535,
      dup: true,
      retain: false,
      properties: {
        messageExpiryInterval: 10,
        contentType: 'application/json',
        userProperties: { a: ['1', '2'], b: '3' },
      },
    },
    { protocolVersion: 5 },
  );
  const reader = new PublishReader(true, TOPIC_ALIAS_MAX);
  t.equal(reader.read(packet, 0, 2, packet.length), null);
  t.equal(reader.topic, 'a/ü/€');
  t.equal(reader.packetId, 65_535);
  t.equal(reader.payload.toString(), 'x');
  t.end();
});

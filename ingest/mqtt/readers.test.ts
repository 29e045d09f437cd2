import type { IConnectPacket } from 'mqtt-packet';
import { generate } from 'mqtt-packet';
import t from 'tap';
import type { ConnectReading } from './connect-reader.ts';
import { readConnect } from './connect-reader.ts';
import type { Fault } from './faults.ts';
import { FieldCursor } from './field-cursor.ts';
import { PublishReader } from './publish-reader.ts';
import { readSubscribe, readUnsubscribe } from './subscribe-reader.ts';
import { connectPacket } from './test-listener.ts';

/** Bytes from hex with spaces, and text in single quotes. */
function bytes(text: string): Buffer {
  const parts = text.match(/'[^']*'|[0-9a-f]{2}/g) ?? [];
  return Buffer.concat(
    parts.map((part) =>
      part.startsWith("'") ? Buffer.from(part.slice(1, -1)) : Buffer.from(part, 'hex'),
    ),
  );
}

function readPublish(version5: boolean, first: number, body: Buffer): Fault | PublishReader {
  const reader = new PublishReader(version5);
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
  [4, 0x34, "00 03 'a/b' 00 07 'xy'", 'qos'],
  [5, 0x34, "00 03 'a/b' 00 07 00 'xy'", 'qos'],
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
  [5, 0x30, "00 00 03 23 00 01 'xy'", 'topic_alias'],
  [5, 0x30, "00 03 'a/b' 03 23 00 01 'xy'", 'topic_alias'],
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
  const reader = new PublishReader(false);
  const topics = ['aa', 'ab', 'bb', 'ab', 'abc'].map((topic) => {
    const packet = bytes(`30 00 00 ${topic.length.toString(16).padStart(2, '0')} '${topic}'`);
    return reader.read(packet, 0, 2, packet.length) ?? reader.topic;
  });
  t.same(topics, ['aa', 'ab', 'bb', 'ab', 'abc']);
  t.end();
});

function connectFrom(packet: Buffer): ConnectReading {
  return readConnect(packet, 0, packet[1]! < 0x80 ? 2 : 3, packet.length);
}

function verdict(packet: Buffer): string {
  const reading = connectFrom(packet);
  return reading.ok ? `ok ${reading.version}` : `${reading.fault.reason} ${reading.version}`;
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
    ['level 6', connectBytes(6, 0x02, "00 01 'c'"), 'unsupported_version 5'],
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
    ['will qos 2, 5.0', connectBytes(5, 0x16, "00 00 01 'c' 00 00 01 't' 00 00"), 'qos 5'],
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

t.test('CONNECT is decoded by the codec', (t) => {
  const will = { topic: 'bye', payload: Buffer.from('x'), qos: 1 as const, retain: false };
  const reading = connectFrom(
    connectPacket(5, { will, keepalive: 33, properties: { maximumPacketSize: 500 } }),
  );
  const connect: Partial<IConnectPacket> = reading.ok ? reading.connect : {};
  t.equal(connect.clientId, 'tracker');
  t.equal(connect.keepalive, 33);
  t.equal(connect.will?.topic, 'bye');
  t.equal(connect.properties?.maximumPacketSize, 500);
  t.end();
});

t.test('SUBSCRIBE and UNSUBSCRIBE, row by row', (t) => {
  const rows: readonly ['s' | 'u', 4 | 5, string, string][] = [
    ['s', 4, "00 05 00 01 'a' 01", '5 1'],
    ['s', 4, "00 05 00 01 'a' 01 00 01 'b' 02", '5 2'],
    ['s', 5, "00 05 00 00 01 'a' 2d", '5 1'],
    ['s', 4, '00 05', 'protocol_error'],
    ['s', 4, "00 00 00 01 'a' 01", 'protocol_error'],
    ['s', 4, "00 05 00 01 'a' 03", 'malformed'],
    ['s', 4, "00 05 00 01 'a' 04", 'malformed'],
    ['s', 5, "00 05 00 00 01 'a' 30", 'protocol_error'],
    ['s', 4, "00 05 00 01 'a'", 'malformed'],
    ['s', 4, '00 05 00 00 01', 'malformed'],
    ['s', 4, "00 05 00 01 'a' 01 00 01 'b' 01 00 01 'c' 01 00 01 'd' 01", 'filters_max'],
    ['u', 4, "00 05 00 01 'a'", '5 1'],
    ['u', 5, "00 05 00 00 01 'a' 00 01 'b'", '5 2'],
    ['u', 5, "00 05 02 0b 01 00 01 'a'", 'malformed'],
    ['u', 4, '00', 'malformed'],
  ];
  for (const [kind, version, body, expected] of rows) {
    const buffer = bytes(body);
    const read = kind === 's' ? readSubscribe : readUnsubscribe;
    const list = read(new FieldCursor(buffer, 0, buffer.length), version, 3);
    const text = list.fault?.reason ?? `${list.packetId} ${list.filterCount}`;
    t.equal(text, expected, `${kind} ${version} ${body}`);
  }
  t.end();
});

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
  const reader = new PublishReader(true);
  t.equal(reader.read(packet, 0, 2, packet.length), null);
  t.equal(reader.topic, 'a/ü/€');
  t.equal(reader.packetId, 65_535);
  t.equal(reader.payload.toString(), 'x');
  t.end();
});

/**
 * What MQTT clients send, whole and in order, and packets whose lengths are made right again after they were changed:
 * without that, most changes end at the first header. Knows packets; refuses to know who reads them.
 */
import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import { connectPacket } from '../mqtt/test-listener.ts';
import { INPUT_BYTES_MAX, mutated, type Seed } from './test-mutations.ts';

const FIX = '{"time":1781524770000,"lat":51.92,"lon":4.47}';
const TOPIC = 'v1/devices/dev-1/fixes';
const COMMANDS = 'v1/devices/dev-1/commands';

/** A session of each version: a CONNECT, and everything that a client may send behind it. */
export const SESSIONS: readonly (readonly Buffer[])[] = [session(4), session(5)];

/** Whole sessions as seeds, and sessions without their CONNECT. */
export const STREAM_SEEDS: readonly Seed[] = SESSIONS.flatMap((packets) => [
  seedOf(...packets),
  seedOf(packets[0]!, ...packets.slice(3)),
  seedOf(packets[0]!, packets[1]!, packets[1]!),
  ...packets.slice(1).map((packet) => seedOf(packets[0]!, packet)),
]);

function seedOf(...packets: readonly Buffer[]): Seed {
  return { bytes: Buffer.concat(packets), nowMs: 0 };
}

function session(version: 4 | 5): Buffer[] {
  const packet = (one: Packet): Buffer => generate(one, { protocolVersion: version });
  const publish = {
    cmd: 'publish',
    topic: TOPIC,
    payload: FIX,
    dup: false,
    retain: false,
  } as const;
  const isFive = version === 5;
  return [
    connectPacket(version, {
      keepalive: 60,
      will: { topic: 'gone', payload: Buffer.from('lost'), qos: 1, retain: false },
      ...(isFive && {
        properties: {
          sessionExpiryInterval: 30,
          receiveMaximum: 3,
          maximumPacketSize: 1_000,
          requestProblemInformation: true,
          userProperties: { a: 'b' },
        },
      }),
    }),
    packet({ ...publish, qos: 1, messageId: 1 }),
    packet({ ...publish, qos: 0 }),
    packet({ ...publish, qos: 2, messageId: 2 }),
    packet({ cmd: 'pubrel', messageId: 2 }),
    packet({
      ...publish,
      qos: 1,
      messageId: 3,
      ...(isFive && {
        properties: {
          topicAlias: 1,
          payloadFormatIndicator: true,
          contentType: 'application/json',
          responseTopic: 'r',
          correlationData: Buffer.from('c'),
          userProperties: { a: ['b', 'c'] },
        },
      }),
    }),
    ...(isFive ? [packet({ ...publish, topic: '', qos: 0, properties: { topicAlias: 1 } })] : []),
    packet({
      cmd: 'subscribe',
      messageId: 4,
      subscriptions: [
        { topic: COMMANDS, qos: 1 },
        { topic: isFive ? '$share/g/a/+/#' : 'a/+/#', qos: 2 },
      ],
      ...(isFive && { properties: { subscriptionIdentifier: 7 } }),
    }),
    packet({ cmd: 'unsubscribe', messageId: 5, unsubscriptions: [COMMANDS, 'x'] }),
    packet({ cmd: 'puback', messageId: 1 }),
    packet({ cmd: 'pubrec', messageId: 1 }),
    packet({ cmd: 'pubcomp', messageId: 1 }),
    packet({ cmd: 'pingreq' }),
    packet({ cmd: 'disconnect', ...(isFive && { reasonCode: 4 }) }),
  ];
}

/** A packet of one version whose body is changed and whose length is right; now and then of another type, or flags. */
function changedPacket(version: 4 | 5): fc.Arbitrary<Buffer> {
  const all = SESSIONS[version - 4]!;
  return fc.nat(all.length - 1).chain((index) => {
    const [first] = all[index]!;
    const head = fc.oneof(
      { weight: 9, arbitrary: fc.constant(first!) },
      { weight: 1, arbitrary: fc.nat(255) },
    );
    const body = mutated([{ bytes: bodyOf(all[index]!), nowMs: 0 }]);
    return fc.tuple(head, body).map(([type, { bytes }]) => packetOf(type, bytes));
  });
}

const VERSIONS = fc.constantFrom<4 | 5>(4, 5);

/** One changed packet. */
export function packets(): fc.Arbitrary<{ readonly version: 4 | 5; readonly bytes: Buffer }> {
  return VERSIONS.chain((version) =>
    fc.record({ version: fc.constant(version), bytes: changedPacket(version) }),
  );
}

/** Streams: a session with some packets changed, each within a length that is right, or the bytes of one changed anyhow. */
export function streams(): fc.Arbitrary<Buffer> {
  const session = VERSIONS.chain((version) => {
    const [connect, ...others] = SESSIONS[version - 4]!;
    // Mostly as it should be: a session ends at its first fault.
    const packet = fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...others) },
      { weight: 1, arbitrary: changedPacket(version) },
    );
    return fc.array(packet, { maxLength: 8 }).map((rest) => Buffer.concat([connect!, ...rest]));
  });
  const bytes = mutated(STREAM_SEEDS).map((seed) => seed.bytes);
  return fc.oneof({ weight: 2, arbitrary: session }, { weight: 1, arbitrary: bytes });
}

function packetOf(head: number, body: Buffer): Buffer {
  const bytes = body.subarray(0, INPUT_BYTES_MAX);
  const length: number[] = [];
  for (let left = bytes.length; ; left >>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left);
    if (left < 128) break;
  }
  return Buffer.concat([Buffer.from([head, ...length]), bytes]);
}

function bodyOf(packet: Buffer): Buffer {
  let at = 1;
  while (packet[at]! > 127) at++;
  return packet.subarray(at + 1);
}

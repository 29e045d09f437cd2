/** The MQTT listener's insides as targets: the gate, the readers of packets, and whole connections over a fake socket. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PacketCutter, readPublish } from '../broker/packets.ts';
import { readConnect } from '../mqtt/connect-reader.ts';
import type { Fault } from '../mqtt/faults.ts';
import { FieldCursor } from '../mqtt/field-cursor.ts';
import { MQTT_LIMITS_DEFAULT } from '../mqtt/limits.ts';
import { createMqttListener } from '../mqtt/listener.ts';
import { PacketGate } from '../mqtt/packet-gate.ts';
import { PublishReader } from '../mqtt/publish-reader.ts';
import { readAck, readDisconnect } from '../mqtt/short-readers.ts';
import type { MqttPublish, MqttSink, PublishOutcome, Receipt } from '../mqtt/sink.ts';
import { readSubscribe, readUnsubscribe } from '../mqtt/subscribe-reader.ts';
import { knownDevices } from '../mqtt/test-listener.ts';
import { packets, streams } from './test-mqtt-seeds.ts';
import { inPieces, piecesOf, type Pieces } from './test-mutations.ts';
import { FakeSocket, sendAndLeave, turn } from './test-sockets.ts';
import { target, type FuzzTarget } from './test-target.ts';

/** Smaller than the defaults where inputs of a few hundred bytes should reach them, larger where time is the measure. */
const LIMITS = {
  ...MQTT_LIMITS_DEFAULT,
  connectBytesMax: 512,
  packetBytesMax: 2_048,
  inFlightMax: 3,
  heldIdsMax: 3,
  filtersMax: 4,
  clientIdBytesMax: 64,
  deviceMessagesPerSMax: 1_000_000,
  tenantMessagesPerSMax: 1_000_000,
  guessesMax: 1_000_000,
};
/** What the gate takes at once, so that many small pieces do not mean many small copies. */
const GATHER_BYTES_MIN = 512;
/** Cuts most of what is repeated. */
const BROKER_PACKET_BYTES_MAX = 64;
/** Bytes that are written for one that is read: a CONNACK for the least CONNECT, a reason for the least PUBLISH. */
const WRITTEN_A_BYTE_MAX = 16;
const WRITTEN_MIN = 512;

export function mqttTargets(): FuzzTarget[] {
  const connection = fc.record({
    first: inPieces(streams()),
    second: fc.option(inPieces(streams())),
    together: fc.boolean(),
  });
  return [
    target({ name: 'MQTT, packet gate', input: inPieces(streams()), check: checkGate }),
    target({ name: 'MQTT, broker packets', input: inPieces(streams()), check: checkCutter }),
    target({ name: 'MQTT, readers', input: packets(), check: checkReaders }),
    target({ name: 'MQTT, connections', input: connection, check: checkConnections }),
  ];
}

/** However the bytes are cut, the same packets come out, and no more is held than a packet may have. */
function checkGate(input: Pieces): boolean {
  const whole = cutByGate([Buffer.from(input.bytes)], input.bytes.length);
  assert.deepEqual(cutByGate(piecesOf(input), input.bytes.length), whole);
  return whole.length > 2;
}

function cutByGate(pieces: readonly Buffer[], byteCount: number): string[] {
  const gate = new PacketGate(LIMITS.packetBytesMax);
  const found: string[] = [];
  for (const piece of pieces) {
    gate.push(piece);
    for (;;) {
      const result = gate.next();
      if (result === 'more') break;
      // A length that is too large already may turn out to be none, when its last byte comes.
      if (result !== 'packet') return [...found, 'refused'];
      const { buffer, start, bodyStart, end } = gate;
      assert.ok(start < bodyStart && bodyStart <= end && end <= buffer.length);
      found.push(buffer.toString('hex', start, end));
      assert.ok(found.length * 2 <= byteCount, 'more packets than bytes');
    }
    assert.ok(gate.heldBytes <= Math.max(LIMITS.packetBytesMax, GATHER_BYTES_MIN));
  }
  return found;
}

/** The same of what comes from a broker, where a packet over the limit is cut and not refused. */
function checkCutter(input: Pieces): boolean {
  const whole = cutByCutter([Buffer.from(input.bytes)], input.bytes.length);
  assert.deepEqual(cutByCutter(piecesOf(input), input.bytes.length), whole);
  return whole.some((packet) => packet.startsWith('"'));
}

/** A packet as hexadecimal, or of a PUBLISH its topic in quotes and the rest. */
function cutByCutter(pieces: readonly Buffer[], byteCount: number): string[] {
  const cutter = new PacketCutter(BROKER_PACKET_BYTES_MAX);
  const found: string[] = [];
  for (const piece of pieces) {
    cutter.push(piece);
    for (;;) {
      const result = cutter.next();
      if (result === 'more') break;
      if (result === 'malformed') return [...found, result];
      const { packet, bodyStart, isCut, lengthBytes } = cutter;
      assert.ok(packet.length <= BROKER_PACKET_BYTES_MAX && bodyStart <= packet.length);
      assert.ok(isCut ? cutter.type === 3 : packet.length === lengthBytes);
      const publish = cutter.type === 3 ? readPublish(cutter, byteCount % 2 === 0) : null;
      if (publish === null) found.push(packet.toString('hex'));
      else {
        assert.ok(publish.topic !== '' && publish.payload.length <= packet.length - bodyStart);
        assert.ok(publish.qos === 0 ? publish.packetId === 0 : publish.packetId > 0);
        found.push(`${JSON.stringify(publish.topic)} ${publish.payload.toString('hex')} ${isCut}`);
      }
      assert.ok(found.length * 2 <= byteCount, 'more packets than bytes');
    }
  }
  return found;
}

/** A reader says what is wrong, or gives fields that lie within the packet and are what the standard lets them be. */
function checkReaders({ version, bytes }: { version: 4 | 5; bytes: Buffer }): boolean {
  const gate = new PacketGate(Infinity);
  // Between two others, so that a reader which runs over the end finds something there.
  gate.push(Buffer.concat([Buffer.from([0xc0, 0]), bytes, Buffer.alloc(64, 0x41)]));
  gate.next();
  if (gate.next() !== 'packet') return false;
  const { buffer, start, bodyStart, end } = gate;
  const type = buffer[start]! >> 4;
  if (type === 1) return checkConnect(buffer, { start, bodyStart, end });
  if (type === 3) return checkPublish(buffer, version, { start, bodyStart, end });
  const cursor = new FieldCursor(buffer, bodyStart, end);
  const reading = readShort(cursor, type, version);
  assert.ok(cursor.offset >= bodyStart && cursor.offset <= end);
  if (reading === null) return false;
  checkFault(reading);
  return reading === 'fine';
}

type Verdict = Fault | 'fine';

function readShort(cursor: FieldCursor, type: number, version: 4 | 5): Verdict | null {
  if (type === 8) {
    const { fault, packetId, filters } = readSubscribe(cursor, version, LIMITS.filtersMax);
    if (fault !== null) return fault;
    assert.ok(packetId > 0 && filters.length > 0 && filters.length <= LIMITS.filtersMax);
    for (const { filter, qos } of filters) assert.ok(isText(filter) && qos <= 2);
  } else if (type === 10) {
    const { fault, packetId, filters } = readUnsubscribe(cursor, version, LIMITS.filtersMax);
    if (fault !== null) return fault;
    assert.ok(packetId > 0 && filters.length > 0 && filters.every(isText));
  } else if (type >= 4 && type <= 7) {
    const { fault, packetId, reasonCode } = readAck(cursor, type, version);
    if (fault !== null) return fault;
    assert.ok(packetId > 0 && reasonCode < 256 && cursor.atEnd);
  } else if (type === 14) {
    const { fault, sessionExpiryS } = readDisconnect(cursor, version);
    if (fault !== null) return fault;
    assert.ok(sessionExpiryS === null || sessionExpiryS <= 0xffff_ffff);
  } else return null;
  return 'fine';
}

interface Range {
  readonly start: number;
  readonly bodyStart: number;
  readonly end: number;
}

function checkConnect(buffer: Buffer, range: Range): boolean {
  const reading = readConnect(buffer, range, LIMITS.clientIdBytesMax);
  if (!reading.ok) {
    checkFault(reading.fault);
    return false;
  }
  const { clientId, username, password, will, ...numbers } = reading.connect;
  const packetBytes = range.end - range.start;
  assert.ok(Buffer.byteLength(clientId) <= LIMITS.clientIdBytesMax && !clientId.includes('\0'));
  assert.ok((username ?? '').length <= packetBytes && (password?.length ?? 0) <= packetBytes);
  if (will !== null) {
    assert.ok(isName(will.topic) && will.payload.length <= packetBytes);
    const payload = Buffer.from(will.payload);
    buffer.fill(0);
    assert.deepEqual(will.payload, payload, 'what is kept of a CONNECT is a copy');
  }
  assert.ok(numbers.receiveMax >= 1 && numbers.receiveMax <= 0xffff);
  assert.ok(numbers.packetBytesMax >= 1 && numbers.keepAliveS <= 0xffff);
  assert.ok(numbers.sessionExpiryS <= 0xffff_ffff);
  return true;
}

function checkPublish(buffer: Buffer, version: 4 | 5, { start, bodyStart, end }: Range): boolean {
  const reader = new PublishReader(version === 5, LIMITS.topicAliasMax);
  const fault = reader.read(buffer, start, bodyStart, end);
  if (fault !== null) {
    checkFault(fault);
    return false;
  }
  const { topic, qos, packetId, payload } = reader;
  assert.ok(isName(topic), 'a topic');
  assert.ok(qos === 0 ? packetId === 0 : packetId > 0 && packetId <= 0xffff);
  assert.ok(payload.length <= end - bodyStart);
  assert.equal(payload.byteOffset + payload.length, buffer.byteOffset + end, 'to its end');
  return true;
}

function checkFault(verdict: Verdict): void {
  if (verdict === 'fine') return;
  assert.match(verdict.reason, /^[a-z_]{2,32}$/);
  assert.ok(verdict.code >= 0x80 && verdict.code <= 0xff);
}

function isText(text: string): boolean {
  return text.length > 0 && !text.includes('\0');
}

function isName(topic: string): boolean {
  return isText(topic) && !/[+#]/.test(topic);
}

/** Answers by the message, so that a run can be repeated: now or a turn later, stored, rejected or not stored. */
class RandomSink implements MqttSink {
  readonly taken: MqttPublish[] = [];
  answeredCount = 0;
  private full = false;
  private waiting: (() => void)[] = [];

  publish(message: MqttPublish, receipt: Receipt): boolean {
    const { identity, topic, payload, qos, receivedMs, buffer, payloadStart, payloadEnd } = message;
    this.taken.push({
      identity,
      topic,
      payload,
      qos,
      receivedMs,
      buffer,
      payloadStart,
      payloadEnd,
    });
    const mood = (message.payload.length + message.topic.length) % 11;
    const outcome: PublishOutcome =
      mood === 1
        ? { kind: 'unavailable' }
        : mood === 2
          ? { kind: 'rejected', reason: 'lat_range' }
          : { kind: 'stored' };
    const answer = (): void => {
      this.answeredCount++;
      receipt.settled(outcome);
    };
    if (mood < 6) answer();
    else setImmediate(answer);
    if (mood === 4) this.fill();
    return !this.full;
  }

  onceDrained(resume: () => void): void {
    if (this.full) this.waiting.push(resume);
    else resume();
  }

  private fill(): void {
    this.full = true;
    setImmediate(() => {
      this.full = false;
      const waiting = this.waiting;
      this.waiting = [];
      for (const resume of waiting) resume();
    });
  }
}

interface Connections {
  readonly first: Pieces;
  readonly second: Pieces | null;
  readonly together: boolean;
}

/** One or two connections of one listener, one after the other or at once. Nothing escapes, nothing stays behind. */
async function checkConnections({ first, second, together }: Connections): Promise<boolean> {
  const sink = new RandomSink();
  let wills = 0;
  let commands = 0;
  let outcomes = 0;
  const listener = createMqttListener({
    host: '127.0.0.1',
    port: 0,
    limits: LIMITS,
    authenticate: knownDevices,
    sink,
    metrics: { connections: () => undefined, received: () => undefined, refused: () => undefined },
    log: { debug: () => undefined, error: () => assert.fail('an error was logged') },
    onWill: () => wills++,
    onSubscribed: (id) => {
      // Taking one makes room for the next: a device that answers at once would be told for ever.
      if (commands++ < 3) listener.sendCommand(id, Buffer.from('restart'), () => outcomes++);
    },
  });
  const both = second === null ? [first] : [first, second];
  const sockets = both.map(() => new FakeSocket());
  const runs = both.map((one, i) => async (): Promise<void> => {
    listener.accept(sockets[i]!, { remoteAddress: '192.0.2.1', certificateNames: null });
    await sendAndLeave(sockets[i]!, piecesOf(one));
  });
  if (together) await Promise.all(runs.map((run) => run()));
  else for (const run of runs) await run();
  while (sink.answeredCount < sink.taken.length) await turn();
  assert.equal(listener.connectionCount, 0);
  assert.ok(listener.awaySessionCount <= both.length, 'one session a client');
  await listener.close();
  assert.equal(listener.awaySessionCount, 0);
  assert.ok(wills <= both.length && outcomes <= commands, `${wills} wills, ${outcomes} outcomes`);
  const readBytes = both.reduce((sum, one) => sum + one.bytes.length, 0);
  assert.ok(sink.taken.length * 5 <= readBytes, 'more publishes than bytes');
  for (const { topic, identity, payload, qos } of sink.taken) {
    assert.ok(isName(topic) && qos <= 2 && payload.length <= LIMITS.packetBytesMax);
    assert.match(identity.deviceName, /^dev-\d+$/);
  }
  const writtenBytes = sockets.reduce((sum, socket) => sum + socket.writtenBytes, 0);
  assert.ok(writtenBytes <= WRITTEN_MIN + WRITTEN_A_BYTE_MAX * readBytes, `${writtenBytes} bytes`);
  return sink.taken.length > 0;
}

/**
 * One accepted client's publishes: from its PUBLISH packets to the sink, and from outcomes back to acks. Knows the
 * window of publishes in flight and the exchanges of quality of service 2; refuses to know how packets are cut from the
 * socket and when it is paused.
 *
 * The window: a 5.0 client may have Receive Maximum publishes of quality of service 1 and 2 without PUBACK or PUBCOMP,
 * and one more is a protocol error, so that half needs no brake and its PINGREQs are always read. Quality of service 0,
 * and all of 3.1.1, have no such rule: there the listener stops reading when the window is full, and goes on when half
 * of it is free.
 *
 * Quality of service 2: PUBREC says that the publish is committed. A repeat of one that is held is answered and not
 * handed over again.
 */
import type { Fault } from '../faults.ts';
import {
  NOT_AUTHORIZED,
  PACKET_ID_NOT_FOUND,
  PAYLOAD_FORMAT,
  PAYLOAD_FORMAT_INVALID,
  PROTOCOL_ERROR,
  RECEIVE_MAX_EXCEEDED,
  SINK_UNAVAILABLE,
} from '../faults.ts';
import type { MqttLimits } from '../limits.ts';
import type { PacketGate } from '../packet-gate.ts';
import { PublishReader } from '../publish-reader.ts';
import { ackWithReason, type Recipient } from '../replies.ts';
import type {
  MqttIdentity,
  MqttMetrics,
  MqttPublish,
  MqttSink,
  PublishOutcome,
  Receipt,
} from '../sink.ts';
import { Acks, PendingAck, type AckOwner } from './acks.ts';
import { digestOf, HeldIds } from './held-ids.ts';
import { PUBACK_BYTE, PUBCOMP_BYTE, PUBREC_BYTE, type Outbox } from './outbox.ts';
import type { Session } from './session.ts';

/** What an intake needs of its connection. */
export interface IntakeOwner {
  readonly outbox: Outbox;
  /** A publish will not be stored: the connection must close without acking it. */
  sinkUnavailable(fault: Fault): void;
  /** The window has room again after `isFull`. */
  windowHasRoom(): void;
  /** Something was refused without closing the connection; to be counted. */
  refused(reason: string): void;
}

const NOBODY: MqttIdentity = { deviceName: '', iotDeviceId: 0, tenantId: 0 };

/** The publish in the reader as the sink is given it; one for all of them, so that none makes an object. */
class Message implements MqttPublish {
  identity = NOBODY;
  receivedMs = 0;
  readonly #reader: PublishReader;

  constructor(reader: PublishReader) {
    this.#reader = reader;
  }

  get topic(): string {
    return this.#reader.topic;
  }

  get qos(): 0 | 1 | 2 {
    return this.#reader.qos;
  }

  get payload(): Buffer {
    return this.#reader.payload;
  }

  get buffer(): Buffer {
    return this.#reader.buffer;
  }

  get payloadStart(): number {
    return this.#reader.payloadStart;
  }

  get payloadEnd(): number {
    return this.#reader.payloadEnd;
  }
}

/** Of all publishes of quality of service 0; forgets its connection when that is gone. */
class LooseReceipt implements Receipt {
  onSettled: ((outcome: PublishOutcome) => void) | null;

  constructor(onSettled: (outcome: PublishOutcome) => void) {
    this.onSettled = onSettled;
  }

  settled(outcome: PublishOutcome): void {
    this.onSettled?.(outcome);
  }
}

const STORED: PublishOutcome = { kind: 'stored' };
const PAYLOAD_REFUSED: PublishOutcome = { kind: 'rejected', reason: PAYLOAD_FORMAT.reason };

export class Intake implements AckOwner {
  /** False after a `publish` that found the sink full. */
  sinkHasRoom = true;

  readonly #owner: IntakeOwner;
  readonly #session: Session;
  readonly #sink: MqttSink;
  readonly #limits: MqttLimits;
  readonly #to: Recipient;
  readonly #isV5: boolean;
  readonly #reader: PublishReader;
  readonly #message: Message;
  readonly #acks: Acks;
  /** Identifiers of quality of service 2 that have their PUBREC from this connection, and no PUBCOMP. */
  #recorded: Set<number> | null = null;
  #looseCount = 0;
  #full = false;
  #closed = false;
  /** Publishes and bytes since the last `takeCounts`. */
  #publishCount = 0;
  #byteCount = 0;

  constructor(
    owner: IntakeOwner,
    session: Session,
    context: { readonly sink: MqttSink; readonly limits: MqttLimits },
    to: Recipient,
  ) {
    this.#owner = owner;
    this.#session = session;
    this.#sink = context.sink;
    this.#limits = context.limits;
    this.#to = to;
    this.#isV5 = to.version === 5;
    this.#reader = new PublishReader(this.#isV5, context.limits.topicAliasMax);
    this.#message = new Message(this.#reader);
    this.#acks = new Acks(this.#acknowledge);
  }

  /** True from the publish that filled the window until half of it is free again. */
  get isFull(): boolean {
    return this.#full;
  }

  /** Hands the PUBLISH in the gate to the sink, and sets `sinkHasRoom`; or says what is wrong with the packet. */
  publish(gate: PacketGate, receivedMs: number): Fault | null {
    const reader = this.#reader;
    const fault = reader.read(gate.buffer, gate.start, gate.bodyStart, gate.end);
    if (fault !== null) return fault;
    const { qos, packetId } = reader;
    if (qos > 0 && this.#isV5 && this.#quotaUsed() >= this.#limits.inFlightMax) {
      return RECEIVE_MAX_EXCEEDED;
    }
    this.sinkHasRoom = true;
    this.#publishCount++;
    this.#byteCount += gate.end - gate.start;
    if (reader.isPayloadBroken) this.#refusePayload(qos, packetId);
    else if (qos === 1) this.#submit(receivedMs, this.#await(packetId, 1));
    else if (qos === 0) {
      this.#looseCount++;
      this.#submit(receivedMs, this.#loose);
    } else if (!this.#exchange(packetId, receivedMs)) return RECEIVE_MAX_EXCEEDED;
    reader.clear();
    if (this.#windowCount() >= this.#limits.inFlightMax) this.#full = true;
    return null;
  }

  /** Answers a PUBREL. */
  release(packetId: number): Fault | null {
    const found = this.#session.heldIds?.release(packetId) ?? 'unknown';
    // Its PUBREC was not sent, so the client cannot have had it.
    if (found === 'committing') return PROTOCOL_ERROR;
    this.#recorded?.delete(packetId);
    if (found === 'released' || !this.#isV5) this.#owner.outbox.ack(PUBCOMP_BYTE, packetId);
    else {
      const answer = {
        packetId,
        reasonCode: PACKET_ID_NOT_FOUND,
        says: 'unknown packet identifier',
      };
      this.#owner.outbox.packet(ackWithReason('pubcomp', answer, this.#to));
    }
    return null;
  }

  /** Tells the metrics of the publishes since the last call; returns how many they were. */
  takeCounts(metrics: MqttMetrics): number {
    const count = this.#publishCount;
    if (count > 0) metrics.received(count, this.#byteCount);
    this.#publishCount = this.#byteCount = 0;
    return count;
  }

  /** From here on outcomes lead to nothing, and those that are outstanding hold nothing of this connection. */
  close(): void {
    this.#closed = true;
    this.#acks.abandon();
    this.#loose.onSettled = null;
  }

  /** An ack's publish has its outcome. */
  settled(ack: PendingAck, outcome: PublishOutcome): void {
    this.#note(outcome);
    this.#acks.settle(ack, outcome);
    this.#makeRoom();
  }

  #submit(receivedMs: number, receipt: Receipt): void {
    const message = this.#message;
    message.identity = this.#session.identity;
    message.receivedMs = receivedMs;
    this.sinkHasRoom = this.#sink.publish(message, receipt);
  }

  #await(packetId: number, qos: 1 | 2): PendingAck {
    const ack = new PendingAck(packetId, qos, this);
    this.#acks.add(ack);
    return ack;
  }

  readonly #loose = new LooseReceipt((outcome) => {
    this.#looseCount--;
    this.#note(outcome);
    this.#makeRoom();
  });

  /** A PUBLISH of quality of service 2. False: the session holds as many identifiers as it may. */
  #exchange(packetId: number, receivedMs: number): boolean {
    this.#session.heldIds ??= new HeldIds();
    const { heldIds } = this.#session;
    const { topic, payload, isDup } = this.#reader;
    const digest = digestOf(topic, payload);
    const repeated = heldIds.repeated(packetId, isDup, digest);
    if (!heldIds.has(packetId) && heldIds.size >= this.#limits.heldIdsMax) return false;
    const ack = this.#await(packetId, 2);
    if (repeated === null) {
      const exchange = heldIds.hold(packetId, digest, ack, this.#isV5);
      this.#submit(receivedMs, {
        settled: (outcome) => heldIds.settle(packetId, exchange, outcome),
      });
    } else if (repeated.waiters === null) ack.settled(STORED);
    else heldIds.join(repeated, ack, this.#isV5);
    return true;
  }

  /** 5.0 only, as no property says so in 3.1.1. */
  #refusePayload(qos: number, packetId: number): void {
    this.#owner.refused(PAYLOAD_FORMAT.reason);
    if (qos > 0) this.#await(packetId, qos as 1 | 2).settled(PAYLOAD_REFUSED);
  }

  /** What counts against Receive Maximum: without PUBACK, without PUBREC, and without PUBCOMP. */
  #quotaUsed(): number {
    return this.#acks.count + (this.#recorded === null ? 0 : this.#recorded.size);
  }

  #windowCount(): number {
    return this.#looseCount + (this.#isV5 ? 0 : this.#acks.count);
  }

  #makeRoom(): void {
    if (!this.#full || this.#windowCount() > this.#limits.inFlightMax >> 1) return;
    this.#full = false;
    if (!this.#closed) this.#owner.windowHasRoom();
  }

  #note(outcome: PublishOutcome): void {
    if (outcome.kind !== 'unavailable' || this.#closed) return;
    this.#closed = true;
    this.#owner.sinkUnavailable(SINK_UNAVAILABLE);
  }

  readonly #acknowledge = ({ packetId, qos }: PendingAck, outcome: PublishOutcome): void => {
    if (this.#closed) return;
    const { outbox } = this.#owner;
    if (outcome.kind === 'rejected' && this.#isV5) {
      const reasonCode =
        outcome.reason === 'foreign_topic' ? NOT_AUTHORIZED : PAYLOAD_FORMAT_INVALID;
      const answer = { packetId, reasonCode, says: outcome.reason };
      outbox.packet(ackWithReason(qos === 1 ? 'puback' : 'pubrec', answer, this.#to));
      return;
    }
    outbox.ack(qos === 1 ? PUBACK_BYTE : PUBREC_BYTE, packetId);
    if (qos === 2 && this.#isV5) (this.#recorded ??= new Set()).add(packetId);
  };
}

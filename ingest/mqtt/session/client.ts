/**
 * An accepted client: what its packets mean after CONNECT, and what it is answered. Knows its session, its subscription
 * and what a packet of each type may say; refuses to know sockets, holds and how credentials are checked.
 */
import type { Connect } from '../connect-reader.ts';
import type { Fault } from '../faults.ts';
import {
  MALFORMED,
  NO_SUBSCRIPTION_EXISTED,
  NOT_AUTHORIZED,
  PROTOCOL_ERROR,
  SECOND_CONNECT,
  SHARED_UNSUPPORTED,
  SUBSCRIBE_DENIED,
  SUCCESS,
  WILDCARD_UNSUPPORTED,
} from '../faults.ts';
import { FieldCursor } from '../field-cursor.ts';
import type { MqttLimits } from '../limits.ts';
import type { PacketGate } from '../packet-gate.ts';
import { PINGRESP, suback, unsuback, type Recipient } from '../replies.ts';
import { PUBACK, PUBCOMP, PUBREC, PUBREL, readAck, readDisconnect } from '../short-readers.ts';
import type { MqttMetrics, MqttSink } from '../sink.ts';
import { readSubscribe, readUnsubscribe, type FilterRequest } from '../subscribe-reader.ts';
import { commandTopic } from '../topics.ts';
import { causeOfDisconnect } from './causes.ts';
import { answerUnknown } from './deliveries.ts';
import { Intake, type IntakeOwner } from './intake.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';

/** What a client needs of its listener. */
export interface ClientContext {
  readonly sink: MqttSink;
  readonly limits: MqttLimits;
  readonly sessions: Sessions;
}

/** What a client needs of its connection. */
export interface ClientOwner extends IntakeOwner {
  /** The client said DISCONNECT: the connection ends without a fault. `cause` as in `Sessions.leave`. */
  clientLeft(cause: string | null): void;
}

const CONNECT = 1;
const SUBSCRIBE = 8;
const UNSUBSCRIBE = 10;
const PINGREQ = 12;
const DISCONNECT = 14;
const AUTH = 15;

export class Client {
  readonly session: Session;
  readonly #owner: ClientOwner;
  readonly #context: ClientContext;
  readonly #to: Recipient;
  readonly #receiveMax: number;
  /** Seconds, as the client asked in CONNECT. */
  readonly #askedExpiryS: number;
  #intake: Intake | null = null;

  constructor(owner: ClientOwner, context: ClientContext, session: Session, connect: Connect) {
    const { version, packetBytesMax, wantsReasons } = connect;
    this.session = session;
    this.#owner = owner;
    this.#context = context;
    this.#to = { version, packetBytesMax, wantsReasons };
    this.#receiveMax = connect.receiveMax;
    this.#askedExpiryS = connect.sessionExpiryS;
  }

  get version(): 4 | 5 {
    return this.#to.version;
  }

  /** Its publishes. Made with the first one: most connections are idle most of the time. */
  get intake(): Intake {
    this.#intake ??= new Intake(this.#owner, this.session, this.#context, this.#to);
    return this.#intake;
  }

  /** After CONNACK: goes on with what the session kept for the client. */
  begin(): void {
    const { session } = this;
    if (session.deliveries === null) return;
    this.#attach();
    if (session.isSubscribed) this.#context.sessions.announce(session);
  }

  /** Tells the metrics of the publishes since the last call; returns how many they were. */
  takeCounts(metrics: MqttMetrics): number {
    return this.#intake === null ? 0 : this.#intake.takeCounts(metrics);
  }

  /** Outcomes lead to no more acks. */
  close(): void {
    this.#intake?.close();
  }

  /** Handles the packet in the gate, which is no PUBLISH; or says what is wrong with it. */
  control(gate: PacketGate): Fault | null {
    const first = gate.buffer[gate.start]!;
    const type = first >> 4;
    const needsFlag = type === PUBREL || type === SUBSCRIBE || type === UNSUBSCRIBE;
    // Only these of the packets a client may send have bits set here [MQTT-2.1.3-1].
    if ((first & 0x0f) !== (needsFlag ? 2 : 0)) return MALFORMED;
    const body = new FieldCursor(gate.buffer, gate.bodyStart, gate.end);
    switch (type) {
      case CONNECT:
        return SECOND_CONNECT;
      case PUBACK:
      case PUBREC:
      case PUBREL:
      case PUBCOMP:
        return this.#ack(type, body);
      case SUBSCRIBE:
        return this.#subscribe(body);
      case UNSUBSCRIBE:
        return this.#unsubscribe(body);
      case PINGREQ:
        if (!body.atEnd) return MALFORMED;
        this.#owner.outbox.packet(PINGRESP);
        return null;
      case DISCONNECT:
        return this.#disconnect(body);
      default:
        // What only a server sends, and AUTH without a method that was agreed to. 3.1.1 knows no type 15.
        return type === 0 || (type === AUTH && this.version === 4) ? MALFORMED : PROTOCOL_ERROR;
    }
  }

  #ack(type: number, body: FieldCursor): Fault | null {
    const { fault, packetId, reasonCode } = readAck(body, type, this.version);
    if (fault !== null) return fault;
    if (type === PUBREL) return this.intake.release(packetId);
    const { deliveries } = this.session;
    // The session that these answer has ended; a client may find that out later than its acks leave.
    if (deliveries === null) {
      const { outbox } = this.#owner;
      if (type === PUBREC) answerUnknown(packetId, reasonCode, { outbox, to: this.#to });
      return null;
    }
    if (type === PUBACK) return deliveries.puback(packetId);
    return type === PUBREC ? deliveries.pubrec(packetId, reasonCode) : deliveries.pubcomp(packetId);
  }

  #subscribe(body: FieldCursor): Fault | null {
    const { limits, sessions } = this.#context;
    const request = readSubscribe(body, this.version, limits.filtersMax);
    if (request.fault !== null) return request.fault;
    const codes = request.filters.map((one) => this.#grant(one, request.identifier));
    const isDenied = codes.some((code) => code > 2);
    if (isDenied) this.#owner.refused(SUBSCRIBE_DENIED.reason);
    const reason = isDenied ? `a device may subscribe to ${this.#topic()} only` : null;
    this.#owner.outbox.packet(suback(request.packetId, codes, reason, this.#to));
    if (codes.some((code) => code <= 2)) sessions.announce(this.session);
    return null;
  }

  /**
   * The reason code of one filter: the quality of service as it was asked for, or why not. Only one filter is ever
   * granted, so a session has one subscription at most, and needs no other bound.
   */
  #grant({ filter, kind, qos }: FilterRequest, identifier: number | null): number {
    if (kind === 'shared') return SHARED_UNSUPPORTED;
    if (kind === 'wildcard') return WILDCARD_UNSUPPORTED;
    if (filter !== this.#topic()) return NOT_AUTHORIZED;
    const isNew = this.session.deliveries === null;
    this.#context.sessions.deliveriesOf(this.session).subscription = { qos, identifier };
    if (isNew) this.#attach();
    return qos;
  }

  #unsubscribe(body: FieldCursor): Fault | null {
    const { version } = this;
    const request = readUnsubscribe(body, version, this.#context.limits.filtersMax);
    if (request.fault !== null) return request.fault;
    const codes = request.filters.map((filter) => {
      if (!this.session.isSubscribed || filter !== this.#topic()) return NO_SUBSCRIPTION_EXISTED;
      this.session.deliveries!.unsubscribe();
      return SUCCESS;
    });
    this.#owner.outbox.packet(unsuback(version, request.packetId, codes));
    return null;
  }

  #disconnect(body: FieldCursor): Fault | null {
    const { fault, reasonCode, sessionExpiryS } = readDisconnect(body, this.version);
    if (fault !== null) return fault;
    if (sessionExpiryS !== null) {
      if (this.#askedExpiryS === 0 && sessionExpiryS > 0) return PROTOCOL_ERROR;
      this.#context.sessions.setExpiry(this.session, sessionExpiryS);
    }
    this.#owner.clientLeft(causeOfDisconnect(reasonCode));
    return null;
  }

  #attach(): void {
    const { outbox } = this.#owner;
    this.session.deliveries!.attach({ outbox, to: this.#to, receiveMax: this.#receiveMax });
  }

  #topic(): string {
    return commandTopic(this.session.identity.deviceName);
  }
}

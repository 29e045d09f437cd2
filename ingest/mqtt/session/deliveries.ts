/**
 * The sending half of a session: the commands of one subscription on their way to the client, with quality of service 0,
 * 1 or 2 (section 4.3), over connections. Knows packet identifiers, the client's Receive Maximum, and that a packet is
 * sent again only when a session resumes [MQTT-4.4.0-1]; refuses to know what a command says and who sent it.
 *
 * States of a delivery: `waiting` (for a free place in the window, or for a connection) → `sent` → (PUBREC) `released`
 * → (PUBACK; PUBCOMP; a refusal) delivered. From every state → gone: the session ends, or the packet is too large for
 * the client; and from `waiting` alone when the client unsubscribes.
 */
import { PACKET_ID_NOT_FOUND, PROTOCOL_ERROR, type Fault } from '../faults.ts';
import { ackWithReason, publish, type Recipient } from '../replies.ts';
import type { DeliveryOutcome } from '../sink.ts';
import { PUBREL_BYTE, type Outbox } from './outbox.ts';

/** What the client asked for and was granted. */
export interface Subscription {
  readonly qos: 0 | 1 | 2;
  /** The Subscription Identifier of 5.0. */
  readonly identifier: number | null;
}

/** The connection that a session has now. */
export interface Link {
  readonly outbox: Outbox;
  readonly to: Recipient;
  /** Packets with a quality of service above 0 that the client takes unacknowledged. */
  readonly receiveMax: number;
}

interface Delivery {
  readonly packetId: number;
  readonly qos: 1 | 2;
  readonly payload: Buffer;
  readonly identifier: number | null;
  done: (outcome: DeliveryOutcome) => void;
  state: 'waiting' | 'sent' | 'released';
  /** It takes a place in the window of the connection of now. */
  isInFlight: boolean;
}

/** The first reason code that refuses. */
const FAILURE_MIN = 0x80;
const PACKET_ID_MAX = 0xffff;

export class Deliveries {
  /** `null`: the client is not subscribed; what was sent is still brought to its end [MQTT-3.10.4-3]. */
  subscription: Subscription | null = null;

  readonly #topic: string;
  readonly #deliveriesMax: number;
  readonly #onRoom: () => void;
  #isAwaited = false;
  /** In the order in which they were first sent; what waits stands behind. */
  #deliveries: Delivery[] = [];
  #link: Link | null = null;
  #inFlightCount = 0;
  #lastId = 0;

  /**
   * Commands go to `topic`; of those with a quality of service above 0 `deliveriesMax` may be under way. `onRoom` is
   * called when one more may, after `send` has refused one.
   */
  constructor(topic: string, deliveriesMax: number, onRoom: () => void) {
    this.#topic = topic;
    this.#deliveriesMax = deliveriesMax;
    this.#onRoom = onRoom;
  }

  /** Sends a command, now or as soon as the window allows. False: nobody is there who subscribed, or there is no room. */
  send(payload: Buffer, done: (outcome: DeliveryOutcome) => void): boolean {
    const { subscription } = this;
    if (this.#link === null || subscription === null) return false;
    const { qos, identifier } = subscription;
    if (qos === 0) {
      done(this.#writeUnacknowledged(payload, identifier) ? 'delivered' : 'gone');
      return true;
    }
    if (this.#deliveries.length >= this.#deliveriesMax) {
      this.#isAwaited = true;
      return false;
    }
    const packetId = this.#nextId();
    const delivery: Delivery = {
      packetId,
      qos,
      payload,
      identifier,
      done,
      state: 'waiting',
      isInFlight: false,
    };
    this.#deliveries.push(delivery);
    this.#fill();
    return true;
  }

  /** The session has a connection: sends again what is unacknowledged, in its order, and then what waits. */
  attach(link: Link): void {
    this.#link = link;
    this.#inFlightCount = 0;
    for (const delivery of this.#deliveries) delivery.isInFlight = false;
    this.#fill();
  }

  /** The session has no connection any more. */
  detach(): void {
    this.#link = null;
  }

  /** The client unsubscribes: what was not sent yet will not be. */
  unsubscribe(): void {
    this.subscription = null;
    const dropped = this.#deliveries.filter(({ state }) => state === 'waiting');
    this.#deliveries = this.#deliveries.filter(({ state }) => state !== 'waiting');
    for (const { done } of dropped) done('gone');
  }

  /** Tells of what is under way that it is gone, though it goes again should the client come back. */
  giveUp(): void {
    for (const delivery of this.#deliveries) {
      const { done } = delivery;
      delivery.done = () => undefined;
      done('gone');
    }
  }

  /** The session is over. */
  end(): void {
    const dropped = this.#deliveries;
    this.#deliveries = [];
    this.subscription = null;
    this.#link = null;
    for (const { done } of dropped) done('gone');
  }

  /** A PUBACK. One for nothing that is under way changes nothing: the session may have begun anew. */
  puback(packetId: number): Fault | null {
    const delivery = this.#find(packetId);
    if (delivery === undefined) return null;
    if (delivery.qos !== 1 || delivery.state !== 'sent') return PROTOCOL_ERROR;
    this.#finish(delivery, 'delivered');
    return null;
  }

  /** A PUBREC: the PUBLISH has arrived and is never sent again. One that refuses ends the delivery. */
  pubrec(packetId: number, reasonCode: number): Fault | null {
    const delivery = this.#find(packetId);
    if (delivery === undefined) {
      if (this.#link !== null) answerUnknown(packetId, reasonCode, this.#link);
      return null;
    }
    if (delivery.qos !== 2 || delivery.state === 'waiting') return PROTOCOL_ERROR;
    if (reasonCode >= FAILURE_MIN) {
      this.#finish(delivery, 'delivered');
      return null;
    }
    delivery.state = 'released';
    this.#link?.outbox.ack(PUBREL_BYTE, packetId);
    return null;
  }

  /** A PUBCOMP. */
  pubcomp(packetId: number): Fault | null {
    const delivery = this.#find(packetId);
    if (delivery === undefined) return null;
    if (delivery.state !== 'released') return PROTOCOL_ERROR;
    this.#finish(delivery, 'delivered');
    return null;
  }

  /** Transmits whatever may be: what is released at any time, publishes as far as the window reaches. */
  #fill(): void {
    for (let link = this.#link; link !== null; link = this.#link) {
      const hasRoom = this.#inFlightCount < link.receiveMax;
      const next = this.#deliveries.find(
        ({ isInFlight, state }) => !isInFlight && (hasRoom || state === 'released'),
      );
      if (next === undefined) return;
      this.#transmit(next, link);
    }
  }

  #transmit(delivery: Delivery, link: Link): void {
    const { packetId, qos, payload, identifier, state } = delivery;
    delivery.isInFlight = true;
    this.#inFlightCount++;
    if (state === 'released') {
      link.outbox.ack(PUBREL_BYTE, packetId);
      return;
    }
    delivery.state = 'sent';
    const bytes = publish(link.to.version, {
      topic: this.#topic,
      payload,
      qos,
      packetId,
      isRepeat: state === 'sent',
      subscriptionIdentifier: identifier,
    });
    if (!link.outbox.packet(bytes)) this.#finish(delivery, 'gone');
  }

  #writeUnacknowledged(payload: Buffer, subscriptionIdentifier: number | null): boolean {
    const { outbox, to } = this.#link!;
    const message = {
      topic: this.#topic,
      payload,
      qos: 0,
      packetId: 0,
      isRepeat: false,
      subscriptionIdentifier,
    } as const;
    return outbox.packet(publish(to.version, message));
  }

  #finish(delivery: Delivery, outcome: DeliveryOutcome): void {
    this.#deliveries.splice(this.#deliveries.indexOf(delivery), 1);
    if (delivery.isInFlight) this.#inFlightCount--;
    delivery.done(outcome);
    this.#fill();
    if (!this.#isAwaited) return;
    this.#isAwaited = false;
    this.#onRoom();
  }

  #find(packetId: number): Delivery | undefined {
    return this.#deliveries.find((delivery) => delivery.packetId === packetId);
  }

  /** An identifier that nothing under way has [MQTT-2.2.1-4]. */
  #nextId(): number {
    do this.#lastId = this.#lastId === PACKET_ID_MAX ? 1 : this.#lastId + 1;
    while (this.#find(this.#lastId) !== undefined);
    return this.#lastId;
  }
}

/**
 * Answers a PUBREC for what is not under way: the client believes in an exchange that the session knows nothing of, and
 * this lets it end. One that refuses has ended it itself.
 */
export function answerUnknown(
  packetId: number,
  reasonCode: number,
  { outbox, to }: Pick<Link, 'outbox' | 'to'>,
): void {
  if (reasonCode >= FAILURE_MIN) return;
  if (to.version === 4) {
    outbox.ack(PUBREL_BYTE, packetId);
    return;
  }
  const answer = { packetId, reasonCode: PACKET_ID_NOT_FOUND, says: 'unknown packet identifier' };
  outbox.packet(ackWithReason('pubrel', answer, to));
}

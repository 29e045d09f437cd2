/**
 * One accepted client's publishes: from its PUBLISH packets to the sink, and from outcomes back to acks. Knows the
 * window of publishes in flight; refuses to know how packets are cut from the socket and when it is paused.
 *
 * The window: a 5.0 client may have Receive Maximum publishes of quality of service 1 unacknowledged, and one more is a
 * protocol error, so that half needs no brake and its PINGREQs are always read. Quality of service 0, and all of 3.1.1,
 * have no such rule: there the listener stops reading when the window is full, and goes on when half of it is free.
 */
import type { Version } from '../connect-reader.ts';
import type { Fault } from '../faults.ts';
import {
  NOT_AUTHORIZED,
  PAYLOAD_FORMAT_INVALID,
  RECEIVE_MAX_EXCEEDED,
  SINK_UNAVAILABLE,
} from '../faults.ts';
import type { PacketGate } from '../packet-gate.ts';
import { PublishReader } from '../publish-reader.ts';
import { pubackRefused } from '../replies.ts';
import type { MqttIdentity, MqttSink, PublishOutcome } from '../sink.ts';
import { Acks } from './acks.ts';
import type { Outbox } from './outbox.ts';

/** What an intake needs of its connection. */
export interface IntakeOptions {
  readonly identity: MqttIdentity;
  readonly version: Version;
  /** False when the client asked for no reason strings (Request Problem Information 0). */
  readonly tellReasons: boolean;
  readonly inFlightMax: number;
  readonly sink: MqttSink;
  readonly outbox: Outbox;
  /** A publish will not be stored: the connection must close without acking it. */
  readonly onUnavailable: (fault: Fault) => void;
  /** The window has room again after `isFull`. */
  readonly onRoom: () => void;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #reader: PublishReader;
  readonly #acks: Acks;
  #looseCount = 0;
  #full = false;
  #closed = false;
  /** Publishes and bytes since the last `takeCounts`. */
  #publishCount = 0;
  #byteCount = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#reader = new PublishReader(options.version === 5);
    this.#acks = new Acks(this.#acknowledge);
  }

  /** True from the publish that filled the window until half of it is free again. */
  get isFull(): boolean {
    return this.#full;
  }

  /** Hands the PUBLISH in the gate to the sink. `null` and `sinkHasRoom`, or what is wrong with the packet. */
  publish(gate: PacketGate, receivedMs: number): { sinkHasRoom: boolean } | Fault {
    const { identity, inFlightMax, sink, version } = this.#options;
    const reader = this.#reader;
    const fault = reader.read(gate.buffer, gate.start, gate.bodyStart, gate.end);
    if (fault !== null) return fault;
    const { topic, payload, qos } = reader;
    if (qos === 1 && version === 5 && this.#acks.count >= inFlightMax) return RECEIVE_MAX_EXCEEDED;
    const entry = qos === 1 ? this.#acks.add(reader.packetId) : null;
    if (entry === null) this.#looseCount++;
    this.#publishCount++;
    this.#byteCount += gate.end - gate.start;
    const message = { identity, topic, payload, qos, receivedMs };
    const done =
      entry === null
        ? this.#settleLoose
        : (outcome: PublishOutcome): void => {
            this.#note(outcome);
            this.#acks.settle(entry, outcome);
            this.#makeRoom();
          };
    const sinkHasRoom = sink.publish(message, done);
    if (this.#windowCount() >= inFlightMax) this.#full = true;
    return sinkHasRoom ? HAS_ROOM : HAS_NO_ROOM;
  }

  /** The counts since the last call, for the metrics. */
  takeCounts(report: (publishCount: number, byteCount: number) => void): void {
    if (this.#publishCount === 0) return;
    report(this.#publishCount, this.#byteCount);
    this.#publishCount = this.#byteCount = 0;
  }

  /** From here on outcomes are noted and lead to nothing. */
  close(): void {
    this.#closed = true;
  }

  readonly #settleLoose = (outcome: PublishOutcome): void => {
    this.#looseCount--;
    this.#note(outcome);
    this.#makeRoom();
  };

  #windowCount(): number {
    return this.#looseCount + (this.#options.version === 5 ? 0 : this.#acks.count);
  }

  #makeRoom(): void {
    if (!this.#full || this.#windowCount() > this.#options.inFlightMax >> 1) return;
    this.#full = false;
    if (!this.#closed) this.#options.onRoom();
  }

  #note(outcome: PublishOutcome): void {
    if (outcome.kind !== 'unavailable' || this.#closed) return;
    this.#closed = true;
    this.#options.onUnavailable(SINK_UNAVAILABLE);
  }

  readonly #acknowledge = (packetId: number, outcome: PublishOutcome): void => {
    const { outbox, tellReasons, version } = this.#options;
    if (this.#closed) return;
    if (outcome.kind !== 'rejected' || version === 4) {
      outbox.puback(packetId);
      return;
    }
    const code = outcome.reason === 'foreign_topic' ? NOT_AUTHORIZED : PAYLOAD_FORMAT_INVALID;
    const reason = tellReasons ? outcome.reason : null;
    outbox.packet(pubackRefused(packetId, code, reason, outbox.packetBytesMax));
  };
}

const HAS_ROOM = { sinkHasRoom: true } as const;
const HAS_NO_ROOM = { sinkHasRoom: false } as const;

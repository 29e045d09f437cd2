/**
 * One socket, from accept to close. Knows which packet may come when and what is answered; refuses to know what a
 * publish contains, how credentials are checked and how packets are cut from bytes.
 *
 * States and the ways out:
 * - `waiting`: for CONNECT. → `authenticating` (a CONNECT that can be served) · `closing` (any other packet, time out).
 * - `authenticating`: nothing is read; what came behind CONNECT waits in the gate (one chunk) and in the kernel.
 *   → `open` (CONNACK 0) · `closing` (refused, unavailable, time out).
 * - `open`: publishes are taken. → `closing` (DISCONNECT, a fault, takeover, keep-alive, shutdown).
 * - `closing`: last words are on their way; what still comes is read and thrown away, because a socket that is closed
 *   with unread bytes sends a reset, and the reset overtakes the words. → `closed` (the peer closes, or closeMsMax).
 * - `closed`: the socket is gone. From every state by a socket error or the peer's reset.
 *
 * In `authenticating` and `open` the socket is read only while no hold is on it; every hold has its own release.
 */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { ConnectReading, Version } from '../connect-reader.ts';
import { readConnect } from '../connect-reader.ts';
import type { Fault } from '../faults.ts';
import {
  AUTHENTICATE_UNAVAILABLE,
  BAD_CREDENTIALS,
  CLIENT_PACKET_MAX,
  CONNECT_TIMEOUT,
  CONNECT_TOO_LARGE,
  KEEP_ALIVE,
  MALFORMED,
  NOT_ACCEPTING,
  NOT_CONNECT_FIRST,
  PACKET_TOO_LARGE,
  PROTOCOL_ERROR,
  SECOND_CONNECT,
  SHUTTING_DOWN,
  SLOW_READER,
  SOCKET_ERROR,
  SUBSCRIBE_DENIED,
} from '../faults.ts';
import { FieldCursor } from '../field-cursor.ts';
import type { MqttLimits } from '../limits.ts';
import { PacketGate } from '../packet-gate.ts';
import { connackAccepted, connackRefused, disconnect } from '../replies.ts';
import { PINGRESP, subackDenied, unsuback } from '../replies.ts';
import type { Logger, MqttAuthenticate, MqttIdentity, MqttMetrics, MqttSink } from '../sink.ts';
import type { FilterList } from '../subscribe-reader.ts';
import { readSubscribe, readUnsubscribe } from '../subscribe-reader.ts';
import { Intake } from './intake.ts';
import { KeepAlive } from './keep-alive.ts';
import { Outbox } from './outbox.ts';
import type { Sessions } from './sessions.ts';
import type { SinkHolds } from './sink-holds.ts';

/** What all connections of a listener share. */
export interface ConnectionContext {
  readonly limits: MqttLimits;
  readonly authenticate: MqttAuthenticate;
  readonly sink: MqttSink;
  readonly metrics: MqttMetrics;
  readonly log: Logger;
  readonly sessions: Sessions;
  readonly sinkHolds: SinkHolds;
  readonly isAccepting: () => boolean;
}

type State = 'waiting' | 'authenticating' | 'open' | 'closing' | 'closed';
type Connect = Extract<ConnectReading, { ok: true }>;

const HOLD_AUTHENTICATING = 1;
const HOLD_SINK = 2;
const HOLD_WINDOW = 4;
const HOLD_STOPPING = 8;

export class Connection {
  /** The client's own identifier, or the one it was given. Empty before CONNECT. */
  clientId = '';

  readonly #context: ConnectionContext;
  readonly #socket: Socket;
  readonly #gate: PacketGate;
  readonly #outbox: Outbox;
  readonly #keepAlive: KeepAlive;
  #state: State = 'waiting';
  #version: Version = 4;
  #identity: MqttIdentity | null = null;
  #intake: Intake | null = null;
  #timer: NodeJS.Timeout | null;
  #holds = 0;
  #paused = false;
  #reading = false;

  /** Starts to read the socket. `onClosed` is called once, when it is gone. */
  constructor(socket: Socket, context: ConnectionContext, onClosed: () => void) {
    const { limits } = context;
    this.#context = context;
    this.#socket = socket;
    this.#gate = new PacketGate(limits.connectBytesMax);
    this.#outbox = new Outbox(socket, limits.writeBufferBytesMax, () => this.#drop(SLOW_READER));
    this.#keepAlive = new KeepAlive(
      () => this.#holds === 0,
      () => this.close(KEEP_ALIVE),
    );
    this.#timer = setTimeout(() => this.#drop(CONNECT_TIMEOUT), limits.connectMsMax);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#failed(error));
    socket.on('close', () => {
      this.#leave('closed');
      onClosed();
    });
  }

  /** Closes with the fault's code where the version has a way to say it, and without a word otherwise. */
  close(fault: Fault): void {
    if (!this.#isLive()) return;
    this.#count(fault.reason);
    this.#endOpen(fault);
  }

  /** Reads no more, for good. Outcomes still become acks. */
  stopReading(): void {
    this.#hold(HOLD_STOPPING);
    this.#syncPause();
  }

  /** Closes because the server stops. */
  shutDown(): void {
    if (this.#isLive()) this.#endOpen(SHUTTING_DOWN);
  }

  /** The sink has room again for this device. */
  sinkDrained(): void {
    this.#release(HOLD_SINK);
  }

  #take(chunk: Buffer): void {
    if (!this.#isLive()) return;
    this.#keepAlive.heard();
    this.#gate.push(chunk);
    this.#read();
  }

  /** Handles what the gate holds until a hold, the end or a fault. A release from within does not nest. */
  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    const receivedMs = Date.now();
    while (this.#holds === 0 && this.#isLive()) {
      const result = this.#gate.next();
      if (result === 'more') break;
      if (result === 'packet') this.#handle(receivedMs);
      else if (result === 'malformed') this.close(MALFORMED);
      else this.close(this.#state === 'waiting' ? CONNECT_TOO_LARGE : PACKET_TOO_LARGE);
    }
    this.#reading = false;
    this.#intake?.takeCounts((publishes, bytes) =>
      this.#context.metrics.received(publishes, bytes),
    );
    this.#syncPause();
  }

  #isLive(): boolean {
    return this.#state !== 'closing' && this.#state !== 'closed';
  }

  #handle(receivedMs: number): void {
    const { buffer, start, bodyStart, end } = this.#gate;
    const type = buffer[start]! >> 4;
    if (this.#state === 'waiting') {
      if (type !== 1) this.close(NOT_CONNECT_FIRST);
      else this.#connect(readConnect(buffer, start, bodyStart, end));
      return;
    }
    if (type === 3) {
      this.#publish(receivedMs);
      return;
    }
    const flags = buffer[start]! & 0x0f;
    // Only these two of the packets a client may send have bits set here [MQTT-2.2.2-1].
    if (flags !== (type === 8 || type === 10 ? 2 : 0)) {
      this.close(MALFORMED);
      return;
    }
    this.#control(type, new FieldCursor(buffer, bodyStart, end));
  }

  #control(type: number, body: FieldCursor): void {
    const { filtersMax } = this.#context.limits;
    switch (type) {
      case 1:
        this.close(SECOND_CONNECT);
        break;
      case 8:
        this.#count(SUBSCRIBE_DENIED.reason);
        this.#answerFilters(readSubscribe(body, this.#version, filtersMax), subackDenied);
        break;
      case 10:
        this.#answerFilters(readUnsubscribe(body, this.#version, filtersMax), unsuback);
        break;
      case 12:
        if (!body.atEnd) this.close(MALFORMED);
        else this.#outbox.packet(PINGRESP);
        break;
      case 14:
        // Whatever it says: the client goes, and a will is not kept, so there is none to drop.
        this.#end(null);
        break;
      default:
        // Acks answer publishes the listener never sends, and AUTH a method it never agreed to.
        this.close(type === 0 ? MALFORMED : PROTOCOL_ERROR);
    }
  }

  #answerFilters(
    list: FilterList,
    reply: (version: Version, packetId: number, filterCount: number) => Buffer,
  ): void {
    if (list.fault !== null) this.close(list.fault);
    else this.#outbox.packet(reply(this.#version, list.packetId, list.filterCount));
  }

  #publish(receivedMs: number): void {
    const intake = this.#intake!;
    const result = intake.publish(this.#gate, receivedMs);
    if ('code' in result) {
      this.close(result);
      return;
    }
    if (!this.#isLive()) return;
    if (!result.sinkHasRoom) this.#holdForSink();
    if (intake.isFull) this.#hold(HOLD_WINDOW);
  }

  #holdForSink(): void {
    this.#hold(HOLD_SINK);
    this.#context.sinkHolds.hold(this.#identity!.iotDeviceId, this);
  }

  #connect(reading: ConnectReading): void {
    if (!reading.ok) {
      this.#refuse(reading.version, reading.fault, reading.fault.reason);
      return;
    }
    if (!this.#context.isAccepting()) {
      this.#refuse(reading.version, NOT_ACCEPTING, NOT_ACCEPTING.reason);
      return;
    }
    this.#version = reading.version;
    this.#state = 'authenticating';
    this.#hold(HOLD_AUTHENTICATING);
    this.#clearTimer();
    const { authenticateMsMax } = this.#context.limits;
    this.#timer = setTimeout(() => {
      this.#refuse(reading.version, AUTHENTICATE_UNAVAILABLE, 'authenticate_timeout');
    }, authenticateMsMax);
    void this.#authenticate(reading);
  }

  async #authenticate(reading: Connect): Promise<void> {
    const { version, connect } = reading;
    try {
      const answer = await this.#context.authenticate(connect.username, connect.password);
      if (this.#state !== 'authenticating') return;
      if ('refused' in answer) this.#refuse(version, BAD_CREDENTIALS, answer.refused);
      else this.#welcome(reading, answer);
    } catch (error) {
      this.#context.log.error({ err: error }, 'MQTT credentials could not be checked');
      if (this.#state !== 'authenticating') return;
      this.#refuse(version, AUTHENTICATE_UNAVAILABLE, AUTHENTICATE_UNAVAILABLE.reason);
    }
  }

  #welcome({ version, connect }: Connect, identity: MqttIdentity): void {
    const { limits, sessions, sinkHolds } = this.#context;
    this.clientId = connect.clientId === '' ? `milepost-${randomUUID()}` : connect.clientId;
    const asked = connect.keepalive ?? 0;
    const capped = version === 5 && (asked === 0 || asked > limits.keepAliveSMax);
    const welcome = {
      assignedClientId: connect.clientId === '' ? this.clientId : null,
      serverKeepAliveS: capped ? limits.keepAliveSMax : null,
    };
    const connack = connackAccepted(version, welcome, limits);
    this.#outbox.packetBytesMax = connect.properties?.maximumPacketSize ?? Infinity;
    if (connack.length > this.#outbox.packetBytesMax) {
      this.#refuse(version, CLIENT_PACKET_MAX, CLIENT_PACKET_MAX.reason);
      return;
    }
    this.#clearTimer();
    this.#state = 'open';
    this.#identity = identity;
    this.#gate.packetBytesMax = limits.packetBytesMax;
    this.#intake = this.#createIntake(version, identity, connect);
    sessions.enter(identity.iotDeviceId, this);
    this.#outbox.packet(connack);
    this.#keepAlive.start(capped ? limits.keepAliveSMax : asked);
    if (sinkHolds.isHeld(identity.iotDeviceId)) this.#holdForSink();
    this.#release(HOLD_AUTHENTICATING);
  }

  #createIntake(version: Version, identity: MqttIdentity, connect: Connect['connect']): Intake {
    return new Intake({
      identity,
      version,
      tellReasons: connect.properties?.requestProblemInformation !== false,
      inFlightMax: this.#context.limits.inFlightMax,
      sink: this.#context.sink,
      outbox: this.#outbox,
      onUnavailable: (fault) => this.close(fault),
      onRoom: () => this.#release(HOLD_WINDOW),
    });
  }

  /** Refuses a CONNECT; `reason` is what is counted, and the client is told no more than the fault's code. */
  #refuse(version: Version | null, fault: Fault, reason: string): void {
    this.#count(reason);
    if (version === null) this.#destroy();
    else this.#end(connackRefused(version, fault));
  }

  #hold(hold: number): void {
    this.#holds |= hold;
  }

  #release(hold: number): void {
    if ((this.#holds & hold) === 0) return;
    this.#holds &= ~hold;
    if (this.#holds !== 0 || !this.#isLive()) return;
    this.#keepAlive.heard();
    this.#read();
  }

  #syncPause(): void {
    const shouldPause = this.#holds !== 0 && this.#isLive();
    if (shouldPause === this.#paused) return;
    this.#paused = shouldPause;
    if (shouldPause) this.#socket.pause();
    else this.#socket.resume();
  }

  #count(reason: string): void {
    this.#context.metrics.refused(reason);
    const { clientId } = this;
    const { remoteAddress } = this.#socket;
    this.#context.log.debug({ reason, clientId, remoteAddress }, 'MQTT refused');
  }

  #failed(error: Error): void {
    if (this.#isLive()) this.#count(SOCKET_ERROR.reason);
    this.#context.log.debug({ err: error, clientId: this.clientId }, 'MQTT socket failed');
  }

  #drop(fault: Fault): void {
    if (this.#isLive()) this.#count(fault.reason);
    this.#destroy();
  }

  /** An accepted client gets the acks that are due and, in 5.0, the fault's code; any other socket is destroyed. */
  #endOpen(fault: Fault): void {
    if (this.#state !== 'open') this.#destroy();
    else this.#end(this.#version === 5 ? disconnect(fault, this.#outbox.packetBytesMax) : null);
  }

  /** Ends with the acks that wait and these words; the socket lives on until they are taken, for a bounded time. */
  #end(words: Buffer | null): void {
    this.#outbox.flush();
    if (words !== null) this.#outbox.packet(words);
    if (!this.#isLive()) return;
    this.#leave('closing');
    this.#timer = setTimeout(() => this.#socket.destroy(), this.#context.limits.closeMsMax);
    this.#socket.end();
    this.#syncPause();
  }

  #destroy(): void {
    this.#leave('closing');
    this.#socket.destroy();
  }

  #leave(state: 'closing' | 'closed'): void {
    this.#state = state;
    this.#clearTimer();
    this.#keepAlive.stop();
    this.#intake?.close();
    if (this.#identity === null) return;
    this.#context.sessions.leave(this.#identity.iotDeviceId, this);
    this.#context.sinkHolds.forget(this.#identity.iotDeviceId, this);
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

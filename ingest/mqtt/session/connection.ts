/**
 * One connection, from accept to close. Knows which packet may come when, and when the stream is read; refuses to know
 * what packets mean after CONNECT (client.ts), how credentials are checked and how packets are cut from bytes.
 *
 * States and the ways out:
 * - `waiting`: for CONNECT. → `authenticating` (a CONNECT that can be served) · `closing` (any other packet, time out).
 * - `authenticating`: nothing is read; what came behind CONNECT waits in the gate (one chunk) and in the kernel.
 *   → `open` (CONNACK 0) · `closing` (refused, unavailable, time out).
 * - `open`: packets are handled. → `closing` (DISCONNECT, a fault, takeover, keep-alive, shutdown).
 * - `closing`: last words are on their way; what still comes is read and thrown away, because a socket that is closed
 *   with unread bytes sends a reset, and the reset overtakes the words. → `closed` (the peer closes, or closeMsMax).
 * - `closed`: the stream is gone. From every state by an error or the peer's reset.
 *
 * In `authenticating` and `open` the stream is read only while no hold is on it; every hold has its own release.
 */
import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Connect, ConnectReading } from '../connect-reader.ts';
import { readConnect } from '../connect-reader.ts';
import type { Fault } from '../faults.ts';
import {
  CLIENT_PACKET_MAX,
  CONNECT_TIMEOUT,
  CONNECT_TOO_LARGE,
  KEEP_ALIVE,
  MALFORMED,
  NOT_ACCEPTING,
  NOT_CONNECT_FIRST,
  PACKET_TOO_LARGE,
  SHUTTING_DOWN,
  SLOW_READER,
  SOCKET_ERROR,
} from '../faults.ts';
import { hasLongLength, PacketGate } from '../packet-gate.ts';
import { connackAccepted, connackRefused, disconnect } from '../replies.ts';
import type { MqttIdentity, MqttMetrics, MqttPeer } from '../sink.ts';
import { causeOf, CLOSED_BY_CLIENT, CONNECTION_BROKE } from './causes.ts';
import { Client, type ClientContext, type ClientOwner } from './client.ts';
import type { Device } from './devices.ts';
import type { KeepAliveWheel, Watched } from './keep-alive.ts';
import { Outbox, type Flusher } from './outbox.ts';
import type { Rate, Throttled } from './rate.ts';
import type { Holder, Session } from './session.ts';
import { SignIn, type SignInContext, type SignInOutcome } from './sign-in.ts';
import type { Held, SinkHolds } from './sink-holds.ts';

/** What all connections of a listener share. */
export interface ConnectionContext extends ClientContext, SignInContext {
  readonly metrics: MqttMetrics;
  readonly sinkHolds: SinkHolds;
  readonly flusher: Flusher;
  readonly keepAlive: KeepAliveWheel;
  readonly isAccepting: () => boolean;
}

type State = 'waiting' | 'authenticating' | 'open' | 'closing' | 'closed';

const HOLD_AUTHENTICATING = 1;
const HOLD_SINK = 2;
const HOLD_WINDOW = 4;
const HOLD_RATE = 8;
const HOLD_STOPPING = 16;

/**
 * Bytes at once by which a client is heard that is still sending a packet: a large one takes its time over a slow network.
 * Fewer are no sign of life before their packet is whole [MQTT-3.1.2-24].
 */
const HEARD_BYTES_MIN = 256;

const PACKET_CONNECT = 1;
const PACKET_PUBLISH = 3;

function budgetOf({ rate, tenant }: Device, nowMs: number): number {
  return Math.min(rate.available(nowMs), tenant.rate.available(nowMs));
}

export class Connection implements ClientOwner, Holder, Held, Throttled, Watched {
  readonly outbox: Outbox;
  heardTick = 0;
  allowedTicks = 0;
  slotTick = 0;

  readonly #context: ConnectionContext;
  readonly #stream: Duplex;
  readonly #peer: MqttPeer;
  readonly #gate: PacketGate;
  #state: State = 'waiting';
  #client: Client | null = null;
  #signIn: SignIn | null = null;
  /** The rate that this connection waits for. */
  #rate: Rate | null = null;
  /** Messages that the rates allow in the read that runs. */
  #budget = 0;
  /** Packets of the read that runs which are no publishes and count like them. */
  #answeredCount = 0;
  #timer: NodeJS.Timeout | null;
  #holds = 0;
  #isPaused = false;
  #isReading = false;
  #hasFailed = false;

  /** Starts to read the stream. `onClosed` is called once, when it is gone. */
  constructor(stream: Duplex, peer: MqttPeer, context: ConnectionContext, onClosed: () => void) {
    const { limits } = context;
    this.#context = context;
    this.#stream = stream;
    this.#peer = peer;
    this.#gate = new PacketGate(limits.connectBytesMax);
    this.outbox = new Outbox(stream, context.flusher, limits.writeBufferBytesMax, this);
    this.#timer = setTimeout(() => this.#drop(CONNECT_TIMEOUT), limits.connectMsMax);
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('error', (error: Error) => this.#failed(error));
    // A transport that is not TCP may leave its own half open.
    stream.on('end', () => stream.end());
    stream.on('close', () => {
      this.#leave('closed', this.#hasFailed ? CONNECTION_BROKE : CLOSED_BY_CLIENT);
      onClosed();
    });
  }

  /** Closes with the fault's code where the version has a way to say it, and without a word otherwise. */
  close(fault: Fault): void {
    if (!this.#isLive()) return;
    this.refused(fault.reason);
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

  windowHasRoom(): void {
    this.#release(HOLD_WINDOW);
  }

  rateAllows(): void {
    this.#rate = null;
    this.#release(HOLD_RATE);
  }

  sinkUnavailable(fault: Fault): void {
    this.close(fault);
  }

  outboxOverflowed(): void {
    this.#drop(SLOW_READER);
  }

  isRead(): boolean {
    return this.#holds === 0;
  }

  silent(): void {
    this.close(KEEP_ALIVE);
  }

  clientLeft(cause: string | null): void {
    this.#end(null, cause);
  }

  /** Counts and logs a refusal. */
  refused(reason: string): void {
    this.#context.metrics.refused(reason);
    const clientId = this.#client?.session.clientId ?? null;
    const { remoteAddress } = this.#peer;
    this.#context.log.debug({ reason, clientId, remoteAddress }, 'MQTT refused');
  }

  #take(chunk: Buffer): void {
    if (!this.#isLive()) return;
    if (chunk.length >= HEARD_BYTES_MIN) this.heardTick = this.#context.keepAlive.tick;
    this.#gate.push(chunk);
    this.#read();
  }

  /** Handles what the gate holds until a hold, the end or a fault. A release from within does not nest. */
  #read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    const receivedMs = Date.now();
    const gate = this.#gate;
    this.#budget = this.#client === null ? 0 : budgetOf(this.#client.session.device, receivedMs);
    while (this.#holds === 0 && this.#isLive()) {
      const result = gate.next();
      if (result === 'more') break;
      if (result === 'packet') {
        this.heardTick = this.#context.keepAlive.tick;
        this.#handle(receivedMs);
      } else if (result === 'malformed') this.close(MALFORMED);
      else this.close(this.#state === 'waiting' ? CONNECT_TOO_LARGE : PACKET_TOO_LARGE);
    }
    this.#isReading = false;
    if (this.#client !== null) this.#spend(this.#client);
    this.#syncPause();
  }

  #isLive(): boolean {
    return this.#state !== 'closing' && this.#state !== 'closed';
  }

  #handle(receivedMs: number): void {
    const gate = this.#gate;
    const client = this.#client;
    const type = gate.buffer[gate.start]! >> 4;
    if (client === null) {
      if (type !== PACKET_CONNECT) this.close(NOT_CONNECT_FIRST);
      else this.#connect(readConnect(gate.buffer, gate, this.#context.limits.clientIdBytesMax));
      return;
    }
    if (client.version === 5 && hasLongLength(gate.buffer, gate)) {
      this.close(MALFORMED);
      return;
    }
    if (type === PACKET_PUBLISH) {
      this.#publish(client, receivedMs);
      return;
    }
    const { packetCount } = this.outbox;
    const fault = client.control(gate);
    if (fault !== null) this.close(fault);
    else if (this.outbox.packetCount > packetCount) {
      // To be answered with a packet of its own costs the server as much as a publish does.
      this.#answeredCount++;
      if (--this.#budget < 0) this.#hold(HOLD_RATE);
    }
  }

  #publish(client: Client, receivedMs: number): void {
    const { intake, session } = client;
    const fault = intake.publish(this.#gate, receivedMs);
    if (fault !== null) {
      this.close(fault);
      return;
    }
    if (!this.#isLive()) return;
    if (!intake.sinkHasRoom) this.#holdForSink(session);
    if (intake.isFull) this.#hold(HOLD_WINDOW);
    if (--this.#budget < 0) this.#hold(HOLD_RATE);
  }

  /** Counts what was read against the rates, and waits for the one that is spent. */
  #spend(client: Client): void {
    const count = client.takeCounts(this.#context.metrics) + this.#answeredCount;
    this.#answeredCount = 0;
    if (count === 0) return;
    const { rate, tenant } = client.session.device;
    rate.spend(count);
    tenant.rate.spend(count);
    if ((this.#holds & HOLD_RATE) === 0 || !this.#isLive()) return;
    this.#rate = rate.isSpent ? rate : tenant.rate;
    this.#rate.wait(this);
  }

  #holdForSink(session: Session): void {
    this.#hold(HOLD_SINK);
    this.#context.sinkHolds.hold(session.device.iotDeviceId, this);
  }

  #connect(reading: ConnectReading): void {
    if (!reading.ok) {
      this.refused(reading.fault.reason);
      if (reading.version === null) this.#destroy(null);
      else this.#end(connackRefused(reading.version, reading.fault, reading.packetBytesMax), null);
      return;
    }
    const { connect } = reading;
    if (!this.#context.isAccepting()) {
      this.#refuse(connect, NOT_ACCEPTING, NOT_ACCEPTING.reason);
      return;
    }
    this.#state = 'authenticating';
    this.#hold(HOLD_AUTHENTICATING);
    this.#clearTimer();
    this.#signIn = new SignIn(this.#context, connect, this.#peer, (outcome) => {
      this.#signedIn(connect, outcome);
    });
    this.#signIn.start();
  }

  #signedIn(connect: Connect, outcome: SignInOutcome): void {
    this.#signIn = null;
    if (this.#state !== 'authenticating') return;
    if (outcome.ok) this.#welcome(connect, outcome.identity);
    else this.#refuse(connect, outcome.fault, outcome.reason);
  }

  #welcome(connect: Connect, identity: MqttIdentity): void {
    const { limits, sessions, sinkHolds, keepAlive } = this.#context;
    const { version, keepAliveS, sessionExpiryS, packetBytesMax, cleanStart, will } = connect;
    const isCapped = version === 5 && (keepAliveS === 0 || keepAliveS > limits.keepAliveSMax);
    const isGiven = connect.clientId === '';
    const clientId = isGiven ? `milepost-${randomUUID()}` : connect.clientId;
    const welcome = {
      sessionPresent: false,
      assignedClientId: isGiven ? clientId : null,
      serverKeepAliveS: isCapped ? limits.keepAliveSMax : null,
      sessionExpiryS: sessionExpiryS > limits.sessionExpirySMax ? limits.sessionExpirySMax : null,
    };
    const isBounded = packetBytesMax !== Infinity;
    // Session Present does not change its length. Judged first, as one that is refused may take over nothing.
    if (isBounded && connackAccepted(version, welcome, limits).length > packetBytesMax) {
      this.#refuse(connect, CLIENT_PACKET_MAX, CLIENT_PACKET_MAX.reason);
      return;
    }
    const arrival = { identity, clientId, cleanStart, expiryS: sessionExpiryS, will };
    const entered = sessions.enter(arrival, this);
    if ('code' in entered) {
      this.#refuse(connect, entered, entered.reason);
      return;
    }
    const { session, isPresent } = entered;
    this.#state = 'open';
    this.#client = new Client(this, this.#context, session, connect);
    this.#gate.packetBytesMax = limits.packetBytesMax;
    this.outbox.packetBytesMax = packetBytesMax;
    this.outbox.packet(connackAccepted(version, { ...welcome, sessionPresent: isPresent }, limits));
    keepAlive.watch(this, isCapped ? limits.keepAliveSMax : keepAliveS);
    this.#client.begin();
    if (sinkHolds.isHeld(identity.iotDeviceId)) this.#holdForSink(session);
    this.#release(HOLD_AUTHENTICATING);
  }

  /** Refuses a CONNECT; `reason` is what is counted, and the client is told no more than the fault. */
  #refuse({ version, packetBytesMax }: Connect, fault: Fault, reason: string): void {
    this.refused(reason);
    this.#end(connackRefused(version, fault, packetBytesMax), null);
  }

  #hold(hold: number): void {
    this.#holds |= hold;
  }

  #release(hold: number): void {
    if ((this.#holds & hold) === 0) return;
    this.#holds &= ~hold;
    if (this.#holds !== 0 || !this.#isLive()) return;
    this.heardTick = this.#context.keepAlive.tick;
    this.#read();
  }

  #syncPause(): void {
    const shouldPause = this.#holds !== 0 && this.#isLive();
    if (shouldPause === this.#isPaused) return;
    this.#isPaused = shouldPause;
    if (shouldPause) this.#stream.pause();
    else this.#stream.resume();
  }

  #failed(error: Error): void {
    this.#hasFailed = true;
    if (this.#isLive()) this.refused(SOCKET_ERROR.reason);
    this.#context.log.debug({ err: error }, 'MQTT socket failed');
  }

  #drop(fault: Fault): void {
    if (this.#isLive()) this.refused(fault.reason);
    this.#destroy(fault);
  }

  /** An accepted client gets the acks that are due and, in 5.0, the fault's code; any other stream is destroyed. */
  #endOpen(fault: Fault): void {
    if (this.#state !== 'open') this.#destroy(fault);
    else {
      const words =
        this.#client!.version === 5 ? disconnect(fault, this.outbox.packetBytesMax) : null;
      this.#end(words, causeOf(fault));
    }
  }

  /** Ends with the acks that wait and these words; the stream lives on until they are taken, for a bounded time. */
  #end(words: Buffer | null, cause: string | null): void {
    this.outbox.flush();
    if (words !== null) this.outbox.packet(words);
    if (!this.#isLive()) return;
    this.#leave('closing', cause);
    this.#timer = setTimeout(() => this.#stream.destroy(), this.#context.limits.closeMsMax);
    this.#stream.end();
    this.#syncPause();
  }

  #destroy(fault: Fault | null): void {
    this.#leave('closing', fault === null ? null : causeOf(fault));
    this.#stream.destroy();
  }

  #leave(state: 'closing' | 'closed', cause: string | null): void {
    const wasLive = this.#isLive();
    this.#state = state;
    this.#clearTimer();
    if (!wasLive) return;
    const { keepAlive, sessions, sinkHolds } = this.#context;
    this.#signIn?.cancel();
    keepAlive.forget(this);
    this.#rate?.forget(this);
    this.#gate.clear();
    if (this.#client === null) return;
    const { session } = this.#client;
    this.#client.close();
    sinkHolds.forget(session.device.iotDeviceId, this);
    // Before a device that has no other session is looked at.
    this.#spend(this.#client);
    sessions.leave(session, cause);
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

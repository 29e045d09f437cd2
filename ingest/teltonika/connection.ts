/**
 * One tracker's socket, from accept to close. Knows when a frame may be read, and that it is acknowledged in its turn and
 * after its commit; refuses to know what a frame holds, how it is cut from bytes and where it is stored.
 *
 * States and the ways out:
 * - `login`: for the IMEI. → `open` (known: 01) · `closing` (unknown: 00; malformed; time out).
 * - `open`: frames are taken, at most `framesInFlightMax` of them unanswered. → `ending` (a frame that cannot be read) ·
 *   `closing` (a frame that was not stored, silence, takeover, revocation, shutdown).
 * - `ending`: reads no more; what came before the bad frame is still acknowledged. → `closing` (all is answered).
 * - `closing`: the last words are on their way; what still comes is read and thrown away, because a socket that is closed
 *   with unread bytes sends a reset, and the reset overtakes the words. → `closed` (the peer closes, or closeMsMax).
 * - `closed`: the socket is gone. From every state by a socket error or the peer's reset.
 *
 * In `login` and `open` the socket is read only while no hold is on it; every hold has its own release.
 */
import type { Socket } from 'node:net';
import { decodeTeltonika } from '../decode/teltonika.ts';
import { emptyDecoded, type Decoded } from '../decode/decoded.ts';
import type { MessageOutcome } from '../intake.ts';
import type { RegisteredDevice, Registry } from '../registry.ts';
import type { BadFrames } from './bad-frames.ts';
import { FrameGate, type GateFault } from './frame-gate.ts';
import type { IntakeHolds } from './intake-holds.ts';
import type { TeltonikaLimits } from './limits.ts';
import type { IntakePort, TeltonikaListenerOptions } from './listener.ts';

/** What all connections of a listener share. */
export interface ConnectionContext {
  readonly limits: TeltonikaLimits;
  readonly registry: Registry;
  readonly intake: IntakePort;
  readonly knock: TeltonikaListenerOptions['knock'];
  readonly metrics: TeltonikaListenerOptions['metrics'];
  readonly log: TeltonikaListenerOptions['log'];
  readonly holds: IntakeHolds;
  readonly badFrames: BadFrames;
  /** The one connection of each device, by `iotDeviceId`. */
  readonly byDevice: Map<number, Connection>;
  readonly isAccepting: () => boolean;
}

type State = 'login' | 'open' | 'ending' | 'closing' | 'closed';

/** A frame that waits for its turn to be answered. */
interface Pending {
  /** What is written once it is stored, or `null`: nothing. */
  readonly ack: Buffer | null;
  /** Nothing of the connection comes after it. */
  readonly isLast: boolean;
  stored: boolean | null;
}

const HOLD_INTAKE = 1;
const HOLD_WINDOW = 2;
const HOLD_STOPPING = 4;

const KNOWN = Buffer.from([1]);
const UNKNOWN = Buffer.from([0]);
/** Bytes of what cannot be cut into a frame that are kept. */
const UNCUT_BYTES_MAX = 4096;

export class Connection {
  readonly #context: ConnectionContext;
  readonly #socket: Socket;
  readonly #gate: FrameGate;
  readonly #pending: Pending[] = [];
  #state: State = 'login';
  #imei = '';
  #iotDeviceId = NaN;
  #timer: NodeJS.Timeout;
  /** What the timer waits for the end of. */
  #waitsFor: 'login' | 'frame' | 'silence' = 'login';
  #holds = 0;
  #paused = false;
  #reading = false;

  /** Starts to read the socket. `onClosed` is called once, when it is gone. */
  constructor(socket: Socket, context: ConnectionContext, onClosed: () => void) {
    this.#context = context;
    this.#socket = socket;
    this.#gate = new FrameGate(context.limits);
    this.#timer = this.#startTimer(context.limits.loginMsMax);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => {
      if (this.#isLive()) this.#count('socket_error');
    });
    socket.on('close', () => {
      this.#leave('closed');
      onClosed();
    });
  }

  /** Closes without acknowledging what waits: the device sends it again. `reason` is what is counted. */
  close({ reason }: { readonly reason: string }): void {
    if (!this.#isLive()) return;
    this.#count(reason);
    this.#end();
  }

  /** Reads no more, for good. What is stored is still acknowledged. */
  stopReading(): void {
    this.#holds |= HOLD_STOPPING;
    this.#syncPause();
  }

  /** Closes because the server stops. */
  shutDown(): void {
    if (this.#isLive()) this.#end();
  }

  /** The intake had room a moment ago. */
  intakeDrained(): void {
    this.#release(HOLD_INTAKE);
  }

  #take(chunk: Buffer): void {
    if (this.#state !== 'login' && this.#state !== 'open') return;
    this.#gate.push(chunk);
    this.#read();
  }

  /** Handles what the gate holds until a hold, the end or a fault. A release from within does not nest. */
  #read(isReleased = false): void {
    if (this.#reading) return;
    this.#reading = true;
    let isNewFrame = isReleased;
    while (this.#mayRead()) {
      const found = this.#gate.next();
      if (found === 'more') break;
      isNewFrame = true;
      if (found === 'login') this.#login();
      else if (found === 'frame') this.#frame();
      else this.#uncut(found);
    }
    this.#reading = false;
    if (this.#state === 'open') this.#rearm(isNewFrame);
    this.#syncPause();
  }

  #mayRead(): boolean {
    if (this.#holds !== 0) return false;
    if (this.#state === 'login') return true;
    if (this.#state !== 'open') return false;
    // Before each frame and not after it: a device that comes again and again puts nothing into a full intake.
    if (!this.#context.intake.isFull) return true;
    this.#holds |= HOLD_INTAKE;
    this.#context.holds.wait(this);
    return this.#holds === 0;
  }

  #login(): void {
    const { registry, byDevice, isAccepting } = this.#context;
    const imei = this.#gate.bytes.toString('latin1');
    if (!isAccepting()) {
      this.close({ reason: 'not_accepting' });
      return;
    }
    const checked = registry.checkName(imei);
    if (!checked.ok) {
      this.#refuse(imei, checked.reason);
      return;
    }
    this.#imei = imei;
    this.#iotDeviceId = checked.device.iotDeviceId;
    this.#state = 'open';
    const older = byDevice.get(this.#iotDeviceId);
    byDevice.set(this.#iotDeviceId, this);
    older?.close({ reason: 'taken_over' });
    this.#write(KNOWN);
  }

  /** Tells an unknown device so. Others are as good as unknown: those that must show a secret, which this wire has not. */
  #refuse(imei: string, reason: string): void {
    const { knock } = this.#context;
    this.#count(reason);
    if (reason === 'unknown_device') {
      knock({
        protocol: 'teltonika',
        deviceName: imei,
        tenantId: null,
        payload: this.#gate.bytes,
        remoteAddress: this.#socket.remoteAddress ?? null,
      });
    }
    this.#write(UNKNOWN);
    this.#end();
  }

  #frame(): void {
    const device = this.#device();
    if (device === null) {
      this.close({ reason: 'revoked' });
      return;
    }
    const frame = this.#gate.bytes;
    const receivedMs = Date.now();
    const { kind, recordCount, decoded } = decodeTeltonika(frame, receivedMs);
    if (kind === 'refused') {
      this.#bad(device, frame, decoded);
      return;
    }
    const ack = kind === 'records' ? u32(recordCount) : null;
    this.#submit(device, { frame, decoded, receivedMs }, { ack, isLast: false, stored: null });
    if (this.#pending.length >= this.#context.limits.framesInFlightMax) this.#holds |= HOLD_WINDOW;
  }

  /** The device as it is known now; `null` when it is no longer the one that signed in. */
  #device(): RegisteredDevice | null {
    const checked = this.#context.registry.checkName(this.#imei);
    if (!checked.ok || checked.device.iotDeviceId !== this.#iotDeviceId) return null;
    return checked.device;
  }

  #uncut(fault: GateFault): void {
    if (this.#state === 'login') {
      this.close(fault);
      return;
    }
    const device = this.#device();
    if (device === null) {
      this.close({ reason: 'revoked' });
      return;
    }
    const decoded = emptyDecoded();
    decoded.refusals.push({ index: -1, device: null, payload: null, ...fault });
    this.#bad(device, this.#gate.held(UNCUT_BYTES_MAX), decoded);
  }

  /**
   * A frame that is refused as a whole: kept once, never acknowledged, and the end of the connection, as nobody knows
   * where the next frame begins. What came before it is acknowledged first.
   */
  #bad(device: RegisteredDevice, frame: Buffer, decoded: Decoded): void {
    const { badFrames, log } = this.#context;
    const { reason, detail } = decoded.refusals[0]!;
    this.#state = 'ending';
    this.#count(reason);
    const last: Pending = { ack: null, isLast: true, stored: null };
    if (badFrames.isNew(device.iotDeviceId, frame)) {
      log.warn({ imei: this.#imei, reason, detail }, 'a Teltonika frame is refused');
      this.#submit(device, { frame, decoded, receivedMs: Date.now() }, last);
    } else {
      this.#pending.push(last);
      this.#settle(last, true);
    }
  }

  #submit(
    device: RegisteredDevice,
    { frame, decoded, receivedMs }: { frame: Buffer; decoded: Decoded; receivedMs: number },
    pending: Pending,
  ): void {
    this.#pending.push(pending);
    const sender = { kind: 'device' as const, device };
    const message = { source: 'teltonika' as const, topic: null, sender, payload: frame };
    this.#context.intake.submit({ ...message, decoded, receivedMs }, (outcome: MessageOutcome) => {
      if (pending.isLast && !outcome.stored) this.#context.badFrames.forget(device.iotDeviceId);
      this.#settle(pending, outcome.stored);
    });
  }

  /** Notes what became of a frame, and answers every frame that none stands before which is still open. */
  #settle(settled: Pending, stored: boolean): void {
    settled.stored = stored;
    while (this.#pending[0] !== undefined && this.#pending[0].stored !== null) {
      this.#answer(this.#pending.shift()!);
    }
    if (this.#pending.length < this.#context.limits.framesInFlightMax) this.#release(HOLD_WINDOW);
  }

  #answer({ ack, isLast, stored }: Pending): void {
    if (!this.#isLive()) return;
    if (stored !== true) {
      // A count further on would be taken for this frame's.
      this.close({ reason: 'sink_unavailable' });
    } else if (isLast) {
      this.#end();
    } else if (ack !== null) {
      this.#write(ack);
    }
  }

  #write(bytes: Buffer): void {
    if (!this.#socket.writable) return;
    this.#socket.write(bytes);
    if (this.#socket.writableLength <= this.#context.limits.writeBufferBytesMax) return;
    this.#count('slow_reader');
    this.#leave('closing');
    this.#socket.destroy();
  }

  #release(hold: number): void {
    if ((this.#holds & hold) === 0) return;
    this.#holds &= ~hold;
    if (this.#holds === 0 && this.#isLive()) this.#read(true);
  }

  #syncPause(): void {
    const shouldPause = this.#holds !== 0 && this.#isLive();
    if (shouldPause === this.#paused) return;
    this.#paused = shouldPause;
    if (shouldPause) this.#socket.pause();
    else this.#socket.resume();
  }

  #startTimer(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#timedOut(), ms);
  }

  /** Silence is counted from the last byte; a frame that has begun, from its first. */
  #rearm(isNewFrame: boolean): void {
    const waitsFor = this.#gate.heldBytes > 0 ? 'frame' : 'silence';
    if (waitsFor === 'frame' && this.#waitsFor === 'frame' && !isNewFrame) return;
    const { frameMsMax, idleMsMax } = this.#context.limits;
    this.#waitsFor = waitsFor;
    clearTimeout(this.#timer);
    this.#timer = this.#startTimer(waitsFor === 'frame' ? frameMsMax : idleMsMax);
  }

  #timedOut(): void {
    if (this.#waitsFor === 'login') {
      this.close({ reason: 'login_timeout' });
    } else if (this.#holds !== 0 || this.#pending.length > 0) {
      // It is not the device that is slow.
      this.#timer.refresh();
    } else {
      this.close({ reason: this.#waitsFor === 'frame' ? 'frame_timeout' : 'idle_timeout' });
    }
  }

  #isLive(): boolean {
    return this.#state !== 'closing' && this.#state !== 'closed';
  }

  #count(reason: string): void {
    this.#context.metrics.refused(reason);
  }

  #end(): void {
    this.#leave('closing');
    this.#timer = setTimeout(() => this.#socket.destroy(), this.#context.limits.closeMsMax);
    this.#socket.end();
    this.#syncPause();
  }

  #leave(state: 'closing' | 'closed'): void {
    const { byDevice, holds } = this.#context;
    this.#state = state;
    clearTimeout(this.#timer);
    holds.forget(this);
    if (byDevice.get(this.#iotDeviceId) === this) byDevice.delete(this.#iotDeviceId);
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

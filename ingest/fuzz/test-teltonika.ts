/** The Teltonika listener's insides as targets: what cuts frames from a stream, and the whole connection. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import type { IntakeMessage, MessageOutcome } from '../intake.ts';
import { BadFrames } from '../teltonika/bad-frames.ts';
import { Connection, type ConnectionContext } from '../teltonika/connection.ts';
import { FrameGate } from '../teltonika/frame-gate.ts';
import { IntakeHolds } from '../teltonika/intake-holds.ts';
import { TELTONIKA_LIMITS_DEFAULT } from '../teltonika/limits.ts';
import type { IntakePort } from '../teltonika/listener.ts';
import { imeiOf, testRegistry } from '../teltonika/test-listener.ts';
import { checkDecoded } from './test-decoded.ts';
import { inPieces, mutated, piecesOf, type Pieces } from './test-mutations.ts';
import { teltonikaStreams } from './test-seeds.ts';
import { FakeSocket, sendAndLeave } from './test-sockets.ts';
import { target, type FuzzTarget } from './test-target.ts';

/** Smaller than the defaults, so that inputs of a few hundred bytes reach them. */
const LIMITS = { ...TELTONIKA_LIMITS_DEFAULT, frameBytesMax: 2_048, framesInFlightMax: 2 };
const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };
const CHUNK_BYTES_MIN = 256;

export function teltonikaTargets(): FuzzTarget[] {
  const input = inPieces(mutated(teltonikaStreams(imeiOf(1))).map(({ bytes }) => bytes));
  return [
    target({ name: 'teltonika, frame gate', input, check: checkGate }),
    target({ name: 'teltonika, connection', input, check: checkConnection }),
  ];
}

/** However the bytes are cut, the same comes out; what is held is bounded by the limits and never by a promise. */
function checkGate(input: Pieces): boolean {
  const whole = cutByGate([Buffer.from(input.bytes)], input.bytes.length);
  assert.deepEqual(cutByGate(piecesOf(input), input.bytes.length), whole);
  return whole.length > 1;
}

function cutByGate(pieces: readonly Buffer[], byteCount: number): string[] {
  const gate = new FrameGate(LIMITS);
  const found: string[] = [];
  for (const piece of pieces) {
    gate.push(piece);
    for (;;) {
      const result = gate.next();
      if (result === 'more') break;
      if (typeof result !== 'string') return [...found, result.reason];
      found.push(`${result} ${gate.bytes.toString('hex')}`);
      assert.ok(found.length * 3 <= byteCount, 'more frames than bytes');
    }
    assert.ok(gate.heldBytes <= Math.max(LIMITS.frameBytesMax, CHUNK_BYTES_MIN));
  }
  return found;
}

/** Answers by the message, so that a run can be repeated: now, a turn later, or as not stored. */
class RandomIntake implements IntakePort {
  readonly taken: IntakeMessage[] = [];
  answeredCount = 0;
  isFull = false;
  private waiting: (() => void)[] = [];

  submit(message: IntakeMessage, done: (outcome: MessageOutcome) => void): void {
    this.taken.push(message);
    const mood = message.payload[message.payload.length - 1]! % 8;
    const { fixes, refusals } = message.decoded;
    const outcome = { accepted: fixes.length, duplicates: 0, refused: refusals };
    const answer = (): void => {
      this.answeredCount++;
      done({ stored: mood !== 1, ...outcome });
    };
    if (mood < 4) answer();
    else setImmediate(answer);
    if (mood !== 2) return;
    this.isFull = true;
    setImmediate(() => {
      this.isFull = false;
      const waiting = this.waiting;
      this.waiting = [];
      for (const resume of waiting) resume();
    });
  }

  onceDrained(resume: () => void): void {
    if (this.isFull) this.waiting.push(resume);
    else resume();
  }
}

/** Nothing escapes, nothing stays behind, and nothing is written but a login's answer and a count for each frame. */
async function checkConnection(input: Pieces): Promise<boolean> {
  const socket = new FakeSocket();
  const intake = new RandomIntake();
  let refusals = 0;
  let knocks = 0;
  let closes = 0;
  const context: ConnectionContext = {
    limits: LIMITS,
    registry: testRegistry(),
    intake,
    knock: () => knocks++,
    metrics: { refused: () => refusals++ },
    log: SILENT,
    holds: new IntakeHolds(intake),
    badFrames: new BadFrames(4),
    byDevice: new Map(),
    isAccepting: () => true,
  };
  new Connection(socket as unknown as Socket, context, () => closes++);
  await sendAndLeave(socket, piecesOf(input));
  assert.equal(closes, 1);
  assert.equal(context.byDevice.size, 0, 'the device is forgotten');
  assert.ok(refusals <= 2 && knocks <= 1, `${refusals} refusals, ${knocks} knocks`);
  assert.ok(intake.taken.length * 3 <= input.bytes.length, 'more frames than bytes');
  assert.ok(socket.writtenBytes <= 1 + 4 * intake.taken.length, `${socket.writtenBytes} bytes`);
  for (const { decoded, payload, receivedMs } of intake.taken) {
    checkDecoded(decoded, { bytes: payload, nowMs: receivedMs });
  }
  return intake.taken.length > 0;
}

/**
 * For the tests of this folder: a listener on a port the kernel chose, an intake whose outcomes the test decides, and a
 * tracker that sends raw bytes. Everything can be awaited, so no test waits for a time.
 */
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import type { Test } from 'tap';
import type { IntakeMessage, MessageOutcome } from '../intake.ts';
import type { Knock } from '../knocking.ts';
import { Registry } from '../registry.ts';
import { TELTONIKA_LIMITS_DEFAULT, type TeltonikaLimits } from './limits.ts';
import { createTeltonikaListener, type IntakePort, type TeltonikaListener } from './listener.ts';
import { encodeLogin } from './test-frames.ts';

const HOST = '127.0.0.1';
export const STORED: MessageOutcome = { stored: true, accepted: 1, duplicates: 0, refused: [] };
export const NOT_STORED: MessageOutcome = {
  stored: false,
  accepted: 0,
  duplicates: 0,
  refused: [],
};

/** The IMEI of the n-th device of {@link testRegistry}, n < 10. */
export function imeiOf(n: number): string {
  return `35209308640365${n}`;
}

/** Devices 1 to 5, of which the fifth must show a secret; each is known by {@link imeiOf}. */
export function testRegistry(): Registry {
  const registry = new Registry();
  for (let n = 1; n <= 5; n++) {
    registry.put({
      iotDeviceId: n,
      deviceName: imeiOf(n),
      tenantId: 1,
      tokenHash: null,
      previousToken: null,
      signInByName: n < 5,
      link: null,
    });
  }
  return registry;
}

/** Checks a condition whenever something has happened, and resolves those that wait for it. */
class Watch {
  #waiting: { isMet: () => boolean; resolve: () => void }[] = [];

  changed(): void {
    const met = this.#waiting.filter((one) => one.isMet());
    this.#waiting = this.#waiting.filter((one) => !met.includes(one));
    for (const one of met) one.resolve();
  }

  until(isMet: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ isMet, resolve });
      this.changed();
    });
  }
}

/** Keeps messages until the test settles them, or answers at once when `answer` is set. */
export class FakeIntake implements IntakePort {
  readonly taken: { message: IntakeMessage; done: (outcome: MessageOutcome) => void }[] = [];
  answer: MessageOutcome | null = null;
  isFull = false;
  /** How often somebody asked to be called when there is room. */
  askedCount = 0;
  #resumes: (() => void)[] = [];
  readonly #watch = new Watch();

  submit(message: IntakeMessage, done: (outcome: MessageOutcome) => void): void {
    this.taken.push({ message, done });
    if (this.answer !== null) done(this.answer);
    this.#watch.changed();
  }

  onceDrained(resume: () => void): void {
    this.askedCount++;
    this.#resumes.push(resume);
    this.#watch.changed();
  }

  drain(): void {
    this.isFull = false;
    const resumes = this.#resumes;
    this.#resumes = [];
    for (const resume of resumes) resume();
  }

  settle(index: number, outcome = STORED): void {
    this.taken[index]!.done(outcome);
  }

  arrived(count: number): Promise<void> {
    return this.#watch.until(() => this.taken.length >= count);
  }

  asked(count: number): Promise<void> {
    return this.#watch.until(() => this.askedCount >= count);
  }
}

/** Counts refusals by their reason. */
export class FakeMetrics {
  readonly reasons = new Map<string, number>();
  readonly #watch = new Watch();

  refused(reason: string): void {
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1);
    this.#watch.changed();
  }

  refusal(reason: string, count = 1): Promise<void> {
    return this.#watch.until(() => (this.reasons.get(reason) ?? 0) >= count);
  }
}

export interface Started {
  readonly listener: TeltonikaListener;
  readonly port: number;
  readonly registry: Registry;
  readonly intake: FakeIntake;
  readonly metrics: FakeMetrics;
  readonly knocks: Knock[];
}

/** Starts a listener and closes it when the test ends. */
export async function startListener(
  t: Test,
  limits: Partial<TeltonikaLimits> = {},
): Promise<Started> {
  const registry = testRegistry();
  const intake = new FakeIntake();
  const metrics = new FakeMetrics();
  const knocks: Knock[] = [];
  const silent = (): void => undefined;
  const listener = createTeltonikaListener({
    host: HOST,
    port: 0,
    limits: { ...TELTONIKA_LIMITS_DEFAULT, closeMsMax: 200, ...limits },
    registry,
    intake,
    knock: (knock) =>
      knocks.push({ ...knock, payload: knock.payload && Buffer.from(knock.payload) }),
    metrics,
    log: { info: silent, warn: silent, error: silent },
  });
  const { port } = await listener.start();
  t.teardown(() => listener.close());
  return { listener, port, registry, intake, metrics, knocks };
}

/** A tracker that sends whatever it is told, and collects the bytes it is answered. */
export class Tracker {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  isClosed = false;
  #answered = Buffer.alloc(0);
  readonly #watch = new Watch();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#answered = Buffer.concat([this.#answered, chunk]);
      this.#watch.changed();
    });
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.isClosed = true;
        this.#watch.changed();
        resolve();
      });
    });
  }

  send(...parts: Buffer[]): this {
    this.socket.write(Buffer.concat(parts));
    return this;
  }

  /** The next so many bytes of the answer as hexadecimal; fewer when the connection closed before. */
  async answer(byteCount: number): Promise<string> {
    await this.#watch.until(() => this.#answered.length >= byteCount || this.isClosed);
    const bytes = this.#answered.subarray(0, byteCount);
    this.#answered = this.#answered.subarray(bytes.length);
    return bytes.toString('hex');
  }

  /** All that came until the connection closed and was not asked for. */
  async rest(): Promise<string> {
    await this.closed;
    return this.#answered.toString('hex');
  }
}

/** Opens a socket to the listener, and closes it when the test ends. */
export async function openTracker(t: Test, port: number): Promise<Tracker> {
  const socket = connectTcp({ host: HOST, port, noDelay: true });
  const tracker = new Tracker(socket);
  t.teardown(() => {
    socket.destroy();
    return tracker.closed;
  });
  await once(socket, 'connect');
  return tracker;
}

/** A tracker that has signed in as device `n`. */
export async function signedIn(t: Test, port: number, n = 1): Promise<Tracker> {
  const tracker = await openTracker(t, port);
  tracker.send(encodeLogin(imeiOf(n)));
  const answer = await tracker.answer(1);
  if (answer !== '01') throw new Error(`the login was answered with ${answer}`);
  return tracker;
}

/**
 * From a CONNECT to the word on its credentials. Knows how long that may take, and that addresses which guess are
 * answered late; refuses to know sockets and sessions.
 *
 * States: (`late`, for `guessDelayMs`) → `checking`, for at most `authenticateMsMax` → done. From every state by `cancel`.
 * `done` is called once, or never after `cancel`.
 */
import type { Connect } from '../connect-reader.ts';
import type { Fault } from '../faults.ts';
import { AUTHENTICATE_UNAVAILABLE, BAD_CREDENTIALS, CONNECT_RATE } from '../faults.ts';
import type { MqttLimits } from '../limits.ts';
import type { Logger, MqttAuthenticate, MqttIdentity, MqttPeer } from '../sink.ts';
import type { Guesses } from './guesses.ts';

/** What signing in needs of its listener. */
export interface SignInContext {
  readonly limits: MqttLimits;
  readonly authenticate: MqttAuthenticate;
  readonly log: Logger;
  readonly guesses: Guesses;
}

/** An identity, or the fault that the client is told and the reason that is counted. */
export type SignInOutcome =
  | { readonly ok: true; readonly identity: MqttIdentity }
  | { readonly ok: false; readonly fault: Fault; readonly reason: string };

export class SignIn {
  readonly #context: SignInContext;
  readonly #connect: Connect;
  readonly #peer: MqttPeer;
  readonly #done: (outcome: SignInOutcome) => void;
  #timer: NodeJS.Timeout | null = null;
  #isLate = false;
  #isOver = false;

  constructor(
    context: SignInContext,
    connect: Connect,
    peer: MqttPeer,
    done: (outcome: SignInOutcome) => void,
  ) {
    this.#context = context;
    this.#connect = connect;
    this.#peer = peer;
    this.#done = done;
  }

  /** Begins; `done` may be called before this returns. */
  start(): void {
    const { guesses, limits } = this.#context;
    const verdict = guesses.judge(this.#peer.remoteAddress);
    if (verdict === 'now') void this.#check();
    else if (verdict === 'refuse') this.#refuse(CONNECT_RATE);
    else {
      this.#isLate = true;
      this.#timer = setTimeout(() => void this.#check(), limits.guessDelayMs);
    }
  }

  /** Ends without a word. */
  cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#isOver = true;
    if (this.#isLate) this.#context.guesses.waited(this.#peer.remoteAddress);
    this.#isLate = false;
  }

  async #check(): Promise<void> {
    const { authenticate, limits, log } = this.#context;
    const { username, password } = this.#connect;
    this.#timer = setTimeout(() => {
      const reason = 'authenticate_timeout';
      this.#end({ ok: false, fault: AUTHENTICATE_UNAVAILABLE, reason });
    }, limits.authenticateMsMax);
    try {
      const answer = await authenticate(username, password, this.#peer);
      if (this.#isOver) return;
      if ('refused' in answer) this.#refuseCredentials(answer.refused);
      else this.#end({ ok: true, identity: answer });
    } catch (error) {
      log.error({ err: error }, 'MQTT credentials could not be checked');
      this.#refuse(AUTHENTICATE_UNAVAILABLE);
    }
  }

  /** Without a password and a certificate nothing was guessed. */
  #refuseCredentials(reason: string): void {
    const { remoteAddress, certificateNames } = this.#peer;
    const isGuess = this.#connect.password !== undefined || certificateNames !== null;
    if (isGuess) this.#context.guesses.failed(remoteAddress);
    this.#end({ ok: false, fault: BAD_CREDENTIALS, reason });
  }

  #refuse(fault: Fault): void {
    this.#end({ ok: false, fault, reason: fault.reason });
  }

  #end(outcome: SignInOutcome): void {
    if (this.#isOver) return;
    this.cancel();
    this.#done(outcome);
  }
}

/**
 * Which addresses have sent wrong credentials lately. Knows counts by address; refuses to know names and passwords.
 *
 * Tokens are long and random, so guessing one is hopeless; what this bounds is the work and the noise. Devices behind one
 * carrier share an address, and one of them with an old token must not shut the others out: so CONNECTs from there are
 * answered late, and only when very many wait at once is one more turned away.
 *
 * States of an address: absent → (failed) counted until its window ends → (`guessesMax` failures) slow until then.
 */
import type { MqttLimits } from '../limits.ts';

interface Guesser {
  failureCount: number;
  windowEndsMs: number;
  waitingCount: number;
}

/** What to do with a CONNECT: check it now, check it after `guessDelayMs`, or turn it away. */
export type GuessVerdict = 'now' | 'late' | 'refuse';

export class Guesses {
  readonly #limits: MqttLimits;
  readonly #nowMs: () => number;
  readonly #byAddress = new Map<string, Guesser>();

  constructor(limits: MqttLimits, nowMs: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** Says what to do with a CONNECT from there. After `late`, `waited` is to be called once. */
  judge(remoteAddress: string): GuessVerdict {
    if (this.#byAddress.size === 0) return 'now';
    const guesser = this.#byAddress.get(networkOf(remoteAddress));
    if (guesser === undefined || guesser.failureCount < this.#limits.guessesMax) return 'now';
    if (guesser.waitingCount === 0 && this.#nowMs() > guesser.windowEndsMs) return 'now';
    if (guesser.waitingCount >= this.#limits.guessWaitingMax) return 'refuse';
    guesser.waitingCount++;
    return 'late';
  }

  /** A CONNECT that was answered late waits no more. */
  waited(remoteAddress: string): void {
    const guesser = this.#byAddress.get(networkOf(remoteAddress));
    if (guesser !== undefined && guesser.waitingCount > 0) guesser.waitingCount--;
  }

  /** Counts refused credentials. */
  failed(remoteAddress: string): void {
    const network = networkOf(remoteAddress);
    const nowMs = this.#nowMs();
    const guesser = this.#byAddress.get(network);
    if (guesser === undefined) this.#add(network, nowMs);
    else if (nowMs > guesser.windowEndsMs) {
      guesser.failureCount = 1;
      guesser.windowEndsMs = nowMs + this.#limits.guessWindowMs;
    } else guesser.failureCount++;
  }

  #add(network: string, nowMs: number): void {
    if (this.#byAddress.size >= this.#limits.guessAddressesMax) {
      const [oldest] = this.#byAddress.keys();
      this.#byAddress.delete(oldest!);
    }
    const windowEndsMs = nowMs + this.#limits.guessWindowMs;
    this.#byAddress.set(network, { failureCount: 1, windowEndsMs, waitingCount: 0 });
  }
}

/** The address, or the first 64 bits of one of IPv6: whoever has one such address has all that begin with them. */
export function networkOf(remoteAddress: string): string {
  const isIpv6 = remoteAddress.includes(':');
  const isMapped = remoteAddress.includes('.');
  if (!isIpv6 || isMapped) return remoteAddress;
  const [head = '', tail] = remoteAddress.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const tailCount = tail === '' ? 0 : tail.split(':').length;
    while (groups.length + tailCount < 8) groups.push('0');
  }
  return groups.slice(0, 4).join(':');
}

/**
 * The issuer's public keys, fetched over HTTP and kept. It knows how old they may grow and how often the issuer may be
 * asked; it does not know tokens.
 *
 * States: empty (nothing fetched yet, every use tries to fetch) → fresh → aging (used as they are, refreshed in the
 * background) → spent (older than `staleMsMax`: unusable until a fetch succeeds). A successful fetch leads from every
 * state to fresh; a failed one changes nothing, so an outage of the issuer is survived for `staleMsMax`.
 */
import { createLocalJWKSet, errors, type JWSHeaderParameters } from 'jose';

/** How long keys are used, and how often the issuer is asked; milliseconds, and bytes for the answer. */
export interface KeySetLimits {
  /** Older keys are refreshed in the background. */
  readonly freshMsMax: number;
  /** Older keys are not used any more. */
  readonly staleMsMax: number;
  /** Least time between two fetches while usable keys are held, whatever key ids are asked for. */
  readonly cooldownMsMin: number;
  /** Least time between two fetches while no usable keys are held. */
  readonly retryMsMin: number;
  readonly fetchMsMax: number;
  readonly answerBytesMax: number;
}

export const KEY_SET_LIMITS: KeySetLimits = {
  freshMsMax: 10 * 60_000,
  staleMsMax: 24 * 3_600_000,
  cooldownMsMin: 30_000,
  retryMsMin: 1_000,
  fetchMsMax: 5_000,
  answerBytesMax: 65_536,
};

export interface KeySetOptions {
  readonly url: URL;
  readonly limits: KeySetLimits;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Told of every failed fetch. */
  readonly onError: (error: unknown) => void;
}

export type PublicKey = Awaited<ReturnType<ReturnType<typeof createLocalJWKSet>>>;

export interface KeySet {
  /**
   * The key that a token's header names. Throws `IssuerUnavailable` when no usable keys are held and none could be
   * had, and jose's `JWKSNoMatchingKey` when the issuer has no such key, or had none when last asked.
   */
  find(header: JWSHeaderParameters): Promise<PublicKey>;
  /**
   * Counts the fetches that succeeded: what was found in one generation holds no longer than it. Null while no usable keys are
   * held. Refreshes aging keys as `find` does.
   */
  generation(): number | null;
  /** Fetches now, unless that was tried just before. True when usable keys are held afterwards. */
  warm(): Promise<boolean>;
}

/** The issuer's keys are not at hand: the token may be good, it cannot be told. */
export class IssuerUnavailable extends Error {
  readonly code = 'AUTH_ISSUER_UNAVAILABLE';
}

/** Makes an empty key set; nothing is fetched before the first use. */
export function createKeySet(options: KeySetOptions): KeySet {
  const { url, limits, now, onError } = options;
  let keys: ReturnType<typeof createLocalJWKSet> | null = null;
  let fetches = 0;
  let fetchedMs = -Infinity;
  let triedMs = -Infinity;
  let pending: Promise<void> | null = null;

  const usable = () => keys !== null && now() - fetchedMs <= limits.staleMsMax;
  const mayTry = () => now() - triedMs >= (usable() ? limits.cooldownMsMin : limits.retryMsMin);

  function fetchOnce(): Promise<void> {
    if (pending) return pending;
    if (!mayTry()) return Promise.resolve();
    triedMs = now();
    pending = fetchKeys(url, limits)
      .then((document) => {
        keys = createLocalJWKSet(document);
        fetchedMs = now();
        fetches += 1;
      })
      .catch(onError)
      .finally(() => {
        pending = null;
      });
    return pending;
  }

  function refreshAging(): void {
    if (now() - fetchedMs > limits.freshMsMax) void fetchOnce();
  }

  return {
    async warm() {
      await fetchOnce();
      return usable();
    },
    generation() {
      if (!usable()) return null;
      refreshAging();
      return fetches;
    },
    async find(header) {
      if (!usable()) await fetchOnce();
      else refreshAging();
      if (!usable()) throw new IssuerUnavailable('no usable key set of the issuer');
      try {
        return await keys!(header);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        await fetchOnce();
        return keys!(header);
      }
    },
  };
}

type KeyDocument = Parameters<typeof createLocalJWKSet>[0];

async function fetchKeys(url: URL, limits: KeySetLimits): Promise<KeyDocument> {
  const answer = await fetch(url, {
    headers: { accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(limits.fetchMsMax),
  });
  if (answer.status !== 200 || !answer.body) {
    await answer.body?.cancel();
    throw new Error(`the issuer's key set was answered with status ${answer.status}`);
  }
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of answer.body as AsyncIterable<Uint8Array>) {
    bytes += part.byteLength;
    if (bytes > limits.answerBytesMax) throw new Error("the issuer's key set is too large");
    parts.push(part);
  }
  // createLocalJWKSet checks the form and throws on anything that is no key set.
  return JSON.parse(Buffer.concat(parts).toString('utf8')) as KeyDocument;
}

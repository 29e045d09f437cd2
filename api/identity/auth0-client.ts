/**
 * Requests to Auth0's Management API: the token, time and size limits, and how often something is tried. It knows what an
 * answer's status means and not what is asked. Secrets go out in two places, the request for a token and the
 * Authorization header, and into no message.
 *
 * States of the token: none → being fetched (all who need it wait for the same answer) → held until shortly before it
 * expires, or until Auth0 refuses it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { IdentityError } from './provider.ts';

/** Milliseconds, bytes and tries. */
export interface Auth0Limits {
  /** Of one request with its answer. */
  readonly requestMsMax: number;
  readonly answerBytesMax: number;
  /** Of one call, the first included. */
  readonly triesMax: number;
  /** Before the second try; doubled before each further one, and up to half as much again by chance. */
  readonly pauseMsMin: number;
  /** A wait that Auth0 asks for and that is longer than this is left to the caller. */
  readonly waitMsMax: number;
  /** So long before it expires a token is used no more. */
  readonly tokenMarginMs: number;
}

export const AUTH0_LIMITS: Auth0Limits = {
  requestMsMax: 10_000,
  answerBytesMax: 1_048_576,
  triesMax: 3,
  pauseMsMin: 250,
  waitMsMax: 5_000,
  tokenMarginMs: 60_000,
};

export interface Auth0Credentials {
  /** `https://TENANT.auth0.com/`, the domain that Auth0 has given and not one of your own. */
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface Auth0ClientOptions extends Auth0Credentials {
  readonly limits?: Partial<Auth0Limits>;
  /** Epoch milliseconds; the machine's clock when left out. */
  readonly now?: () => number;
}

export interface Auth0Request {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Below `/api/v2/`, encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** False: after a request without an answer it cannot be told whether it was done, and it is not sent again. */
  readonly isRepeatable: boolean;
}

export interface Auth0Client {
  /** The JSON of the answer, undefined for an empty one. Rejects with an `IdentityError` for any status but 2xx. */
  send(request: Auth0Request, signal: AbortSignal): Promise<unknown>;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

interface Token {
  readonly text: string;
  readonly expiresMs: number;
}

/** Makes a client that has asked for nothing yet. */
export function createAuth0Client(options: Auth0ClientOptions): Auth0Client {
  const limits = { ...AUTH0_LIMITS, ...options.limits };
  const now = options.now ?? Date.now;
  const base = new URL(options.url);
  const audience = new URL('/api/v2/', base).href;
  let token: Token | null = null;
  let fetching: Promise<Token> | null = null;

  async function fetchToken(): Promise<Token> {
    const body = {
      grant_type: 'client_credentials',
      client_id: options.clientId,
      client_secret: options.clientSecret,
      audience,
    };
    const init = { method: 'POST', body };
    // Of whoever needs it first, but for all: it does not end with that one's signal.
    const answer = await exchange(new URL('/oauth/token', base), init, limits);
    if (answer.status !== 200) throw refusal(answer, 'the request for a token', now());
    const { access_token: text, expires_in: lifetimeS } = membersOf(answer.body);
    if (typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text) || typeof lifetimeS !== 'number') {
      throw new IdentityError(
        'passing',
        'Auth0 answered the request for a token with something else',
      );
    }
    const lifetimeMs = lifetimeS * 1_000;
    return { text, expiresMs: now() + lifetimeMs - Math.min(limits.tokenMarginMs, lifetimeMs / 2) };
  }

  async function getToken(): Promise<Token> {
    if (token !== null && token.expiresMs > now()) return token;
    fetching ??= fetchToken().finally(() => (fetching = null));
    token = await fetching;
    return token;
  }

  async function once(request: Auth0Request, signal: AbortSignal): Promise<Answer> {
    const url = new URL(`/api/v2/${request.path}`, base);
    for (const [name, value] of Object.entries(request.query ?? {})) {
      url.searchParams.set(name, value);
    }
    for (let isSecond = false; ; isSecond = true) {
      const held = await getToken();
      signal.throwIfAborted();
      const init = { method: request.method, body: request.body, token: held.text, signal };
      const answer = await exchange(url, init, limits);
      if (answer.status !== 401 || isSecond) return answer;
      // Keys may have been rotated, or the clocks differ: once with a fresh one.
      if (token === held) token = null;
    }
  }

  return {
    async send(request, signal) {
      for (let tries = 1; ; tries++) {
        const { answer, error } = await attempt(() => once(request, signal));
        signal.throwIfAborted();
        if (answer && answer.status >= 200 && answer.status < 300) return answer.body;
        const failure = error ?? refusal(answer!, `${request.method} ${request.path}`, now());
        const waitMs = waitBefore(tries, failure, request, limits);
        if (waitMs === null) throw failure;
        await delay(waitMs, undefined, { signal });
      }
    },
  };
}

async function attempt(
  act: () => Promise<Answer>,
): Promise<{ answer?: Answer; error?: IdentityError }> {
  try {
    return { answer: await act() };
  } catch (error) {
    if (error instanceof IdentityError) return { error };
    throw error;
  }
}

/** Milliseconds until the next try; null: there is none. */
function waitBefore(
  tries: number,
  { fault, status, retryAfterMs }: IdentityError,
  { isRepeatable }: Auth0Request,
  limits: Auth0Limits,
): number | null {
  if (fault === 'permanent' || tries >= limits.triesMax) return null;
  if (status === 401 || status === 403) return null;
  if (status === 429) {
    const waitMs = Math.max(retryAfterMs, limits.pauseMsMin);
    return waitMs <= limits.waitMsMax ? waitMs : null;
  }
  if (!isRepeatable) return null;
  const pauseMs = limits.pauseMsMin * 2 ** (tries - 1);
  return pauseMs + Math.random() * (pauseMs / 2);
}

interface Exchange {
  readonly method: string;
  readonly body?: object | undefined;
  readonly token?: string;
  readonly signal?: AbortSignal;
}

/** One request and its answer, whatever it says. Rejects with a passing `IdentityError` when none came. */
async function exchange(url: URL, init: Exchange, limits: Auth0Limits): Promise<Answer> {
  const timeout = AbortSignal.timeout(limits.requestMsMax);
  const { method, body, token } = init;
  try {
    const answer = await fetch(url, {
      method,
      headers: {
        accept: 'application/json',
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      // A redirect would take the token along.
      redirect: 'error',
      signal: init.signal ? AbortSignal.any([init.signal, timeout]) : timeout,
    });
    const text = await readText(answer, limits.answerBytesMax);
    return { status: answer.status, headers: answer.headers, body: parsed(text, answer.status) };
  } catch (error) {
    if (error instanceof IdentityError) throw error;
    init.signal?.throwIfAborted();
    const why = timeout.aborted ? `no answer within ${limits.requestMsMax} ms` : causeOf(error);
    throw new IdentityError('passing', `Auth0 could not be reached: ${why}`, { cause: error });
  }
}

async function readText(answer: Response, bytesMax: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.byteLength;
    if (bytes > bytesMax) throw new IdentityError('passing', 'an answer of Auth0 is too large');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** A proxy in between answers errors in HTML: those say nothing, and are told by their status. */
function parsed(text: string, status: number): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    if (status >= 300) return undefined;
    throw new IdentityError('passing', `Auth0 answered ${status} with something that is no JSON`);
  }
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause ? error.cause : error;
  const code = (cause as { code?: unknown } | null)?.code;
  if (typeof code === 'string') return code;
  return cause instanceof Error ? cause.message.slice(0, WORDS_LENGTH_MAX) : 'unknown';
}

/** Characters of Auth0's own words that are passed on. */
const WORDS_LENGTH_MAX = 200;

function refusal({ status, headers, body }: Answer, what: string, nowMs: number): IdentityError {
  const { errorCode, error, message, error_description } = membersOf(body);
  const words = [errorCode ?? error, message ?? error_description].filter(
    (word) => typeof word === 'string',
  );
  const said = words.length === 0 ? '' : `: ${words.join(', ').slice(0, WORDS_LENGTH_MAX)}`;
  const fault = [401, 403, 408, 425, 429].includes(status) || status >= 500 || status < 400;
  return new IdentityError(
    fault ? 'passing' : 'permanent',
    `Auth0 answered ${status} to ${what}${said}`,
    { status, retryAfterMs: status === 429 ? retryAfterMs(headers, nowMs) : 0 },
  );
}

/** Longest wait that is believed. */
const RETRY_AFTER_MS_MAX = 3_600_000;

/** `x-ratelimit-reset` is an instant in epoch seconds, `retry-after` a number of seconds. */
function retryAfterMs(headers: Headers, nowMs: number): number {
  const resetS = Number(headers.get('x-ratelimit-reset') ?? NaN);
  const afterS = Number(headers.get('retry-after') ?? NaN);
  const waitMs = Number.isFinite(resetS) ? resetS * 1_000 - nowMs : afterS * 1_000;
  if (!Number.isFinite(waitMs)) return 0;
  return Math.min(Math.max(waitMs, 0), RETRY_AFTER_MS_MAX);
}

/** The members of an object, none of anything else. */
export function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? (value as Record<string, unknown>) : {};
}

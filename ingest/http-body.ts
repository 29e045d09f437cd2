/**
 * Bodies of requests as bytes: read, bounded, unpacked. Knows content encodings; refuses to know what a body holds and
 * who sent it.
 *
 * States of a packed body: waiting (packed) → in a place (being unpacked, or unpacked) → released by its reader, who has
 * handed it over to where it is counted, or done without it.
 */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const unzip = promisify(gunzip);

/**
 * Bodies that are unpacked at once, or were and are not released yet; others wait, packed. A few kilobytes can unfold to
 * megabytes, and so a few hundred requests to all of the memory.
 */
export const UNPACKED_MAX = 8;

/** A body, or why it is none. A refused one comes with what there was of it. */
export type BodyResult =
  | { readonly ok: true; readonly body: Buffer }
  | {
      readonly ok: false;
      readonly body: Buffer;
      readonly reason: string;
      readonly detail: string;
    };

/**
 * Makes every body of this scope arrive as bytes, whole, of at most `bytesMax`, chunked or not; for these content types,
 * `*` being any and none. A longer one is answered 413 without a handler.
 */
export function takeBodiesAsBytes(
  app: FastifyInstance,
  contentTypes: readonly string[],
  bytesMax: number,
): void {
  app.removeAllContentTypeParsers();
  for (const contentType of contentTypes) {
    app.addContentTypeParser(
      contentType,
      { parseAs: 'buffer', bodyLimit: bytesMax },
      (_request, body, done) => done(null, body),
    );
  }
}

/** Counts what the HTTP server itself refuses of this scope's requests, under its code in lower case. */
export function countErrors(
  app: FastifyInstance,
  metrics: { refused(source: string, reason: string): void },
  source: string,
): void {
  app.addHook('onError', (_request, _reply, error, done) => {
    const tooLarge = error.code === 'FST_ERR_CTP_BODY_TOO_LARGE';
    // What is thrown need not be an error of the HTTP server with a code.
    const code = String(error.code ?? 'internal').toLowerCase();
    metrics.refused(source, tooLarge ? 'body_too_large' : code);
    done();
  });
}

/**
 * The request's body, unpacked to at most `unzippedBytesMax` bytes; empty where there is none. Never rejects. Whoever reads
 * it calls `release` once, as soon as the body is handed over or no longer needed: others may wait for that.
 */
export async function readBody(
  request: Pick<FastifyRequest, 'body' | 'headers'>,
  unzippedBytesMax: number,
): Promise<BodyResult & { readonly release: () => void }> {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  // RFC 9110, 8.4.1: in whatever case, and by its old name too.
  const encoding = (request.headers['content-encoding'] ?? 'identity').toLowerCase();
  if (encoding === 'identity') return { ok: true, body, release: NOTHING };
  if (encoding !== 'gzip' && encoding !== 'x-gzip') {
    const detail = 'content-encoding must be gzip or absent';
    return { ok: false, body, reason: 'encoding_unknown', detail, release: NOTHING };
  }
  await takePlace();
  return { ...(await unpacked(body, unzippedBytesMax)), release: leavePlace };
}

async function unpacked(body: Buffer, unzippedBytesMax: number): Promise<BodyResult> {
  try {
    return { ok: true, body: await unzip(body, { maxOutputLength: unzippedBytesMax }) };
  } catch (error) {
    const tooLarge = (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE';
    if (tooLarge) {
      const detail = 'the unzipped body is too large';
      return { ok: false, body, reason: 'body_too_large', detail };
    }
    return { ok: false, body, reason: 'gzip_malformed', detail: 'the body is not gzip' };
  }
}

const NOTHING = (): void => undefined;
let takenCount = 0;
const waiting: (() => void)[] = [];

async function takePlace(): Promise<void> {
  if (takenCount < UNPACKED_MAX) takenCount++;
  else await new Promise<void>((resolve) => waiting.push(resolve));
}

/** Gives the place to who has waited longest. */
function leavePlace(): void {
  const next = waiting.shift();
  if (next === undefined) takenCount--;
  else next();
}

/**
 * Bodies of requests as bytes: read, bounded, unpacked. Knows content encodings; refuses to know what a body holds and
 * who sent it.
 */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const unzip = promisify(gunzip);

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

/** The request's body, unpacked to at most `unzippedBytesMax` bytes; empty where there is none. Never rejects. */
export async function readBody(
  request: FastifyRequest,
  unzippedBytesMax: number,
): Promise<BodyResult> {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return { ok: true, body };
  if (encoding !== 'gzip') {
    const detail = 'content-encoding must be gzip or absent';
    return { ok: false, body, reason: 'encoding_unknown', detail };
  }
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

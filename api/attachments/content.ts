/** The bytes of an attachment over HTTP: conditions and ranges of RFC 9110, and headers that let no browser run them. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isTagKnown } from '../entity-tag.ts';
import { Problem } from '../problem.ts';
import { downloadName } from './kinds.ts';
import { contentDisposition } from './names.ts';
import type { AttachmentStore, ByteRange } from './store.ts';

export interface Content {
  readonly attachment_id: number;
  readonly name: string;
  readonly mime_type: string;
  readonly size_bytes: number;
  readonly sha256: string;
  readonly storage_key: string;
}

/** Nothing of it may run or load anything, and it may not speak for this site. */
const CONTENT_POLICY = "default-src 'none'; sandbox";

/** Answers with the file, a part of it, 304 or 416. A file that ought to be there and is not is a failure of the server. */
export async function sendContent(
  request: FastifyRequest,
  reply: FastifyReply,
  store: AttachmentStore,
  content: Content,
): Promise<FastifyReply> {
  const tag = `"${content.sha256}"`;
  const size = content.size_bytes;
  reply.headers({
    etag: tag,
    'cache-control': 'private, no-store',
    'content-security-policy': CONTENT_POLICY,
    'x-content-type-options': 'nosniff',
    'accept-ranges': 'bytes',
  });
  const { 'if-none-match': known, 'if-range': ifRange, range: asked } = request.headers;
  if (isTagKnown(known, tag)) return reply.code(304).send();
  const isSame = ifRange === undefined || ifRange === tag;
  const range = isSame && request.method === 'GET' ? readRange(asked, size) : null;
  if (range === 'beyond') {
    const headers = { 'content-range': `bytes */${size}` };
    throw new Problem('range_not_satisfiable', `the file has ${size} bytes`, { headers });
  }
  const isHead = request.method === 'HEAD';
  const stream = isHead ? null : await store.open(content.storage_key, range ?? undefined);
  if (stream === null && !isHead) {
    throw new Error(`the bytes of attachment ${content.attachment_id} are missing`);
  }
  reply.headers({
    'content-type': content.mime_type.startsWith('text/')
      ? `${content.mime_type}; charset=utf-8`
      : content.mime_type,
    'content-disposition': contentDisposition(downloadName(content.name, content.mime_type)),
    'content-length': range ? range.lastByte - range.firstByte + 1 : size,
  });
  // Not without a stream: the framework would say that its length is 0.
  if (stream === null) return reply.send(Readable.from([]));
  if (range === null) return reply.send(stream);
  const { firstByte, lastByte } = range;
  reply.code(206).header('content-range', `bytes ${firstByte}-${lastByte}/${size}`);
  return reply.send(stream);
}

const RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/;

/**
 * One range of a file of `sizeBytes`. Null where there is none, or none of a form that is served: then the whole file is
 * the right answer. `beyond` where it holds no byte of the file.
 */
export function readRange(
  header: string | undefined,
  sizeBytes: number,
): ByteRange | 'beyond' | null {
  const [, first = '', last = ''] = RANGE.exec(header ?? '') ?? [];
  if (first === '' && last === '') return null;
  if (first === '') {
    const suffixBytes = Number(last);
    if (suffixBytes === 0) return 'beyond';
    return { firstByte: Math.max(0, sizeBytes - suffixBytes), lastByte: sizeBytes - 1 };
  }
  const firstByte = Number(first);
  const lastByte = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (last !== '' && Number(last) < firstByte) return null;
  return firstByte < sizeBytes ? { firstByte, lastByte } : 'beyond';
}

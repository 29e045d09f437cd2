/**
 * Takes in an upload: streams each file into the store while looking at it, and collects the fields. Nothing of it is in
 * the database but the keys, noted before their bytes are stored. No transaction is open while a client sends.
 */
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { fieldProblem, Problem, RETRY_AFTER_S } from '../problem.ts';
import { toFieldError } from '../problem-mapping.ts';
import {
  createTextCheck,
  HEAD_BYTES,
  notTaken,
  ofFile,
  requireAgreement,
  sniff,
  type Claim,
  type FileKind,
  type Sniffed,
  type TextCheck,
} from './kinds.ts';
import type { AttachmentLimits } from './limits.ts';
import { cleanName, formName } from './names.ts';
import { officeKind } from './office.ts';
import type { StoredFile } from './records.ts';
import { UploadFields, type UploadFieldValues } from './schemas.ts';
import { StoreError, type AttachmentStore } from './store.ts';

export interface Receiving {
  readonly store: AttachmentStore;
  readonly limits: AttachmentLimits;
  readonly customerId: number;
  /** Notes a key before anything is stored under it. */
  readonly note: (key: string) => Promise<void>;
}

export interface Received {
  readonly fields: UploadFieldValues;
  readonly files: readonly StoredFile[];
}

/**
 * Reads the whole request. `keys` is filled with every key that was noted, also where it throws: 400 for a form that is
 * none or ended early, 408, 413, 415, 422 for what it holds, 503 when the store cannot.
 */
export async function receiveUpload(
  request: FastifyRequest,
  receiving: Receiving,
  keys: string[],
): Promise<Received> {
  const { limits } = receiving;
  const fields: Record<string, unknown> = {};
  const files: StoredFile[] = [];
  const deadline = createDeadline(limits.uploadMsMax);
  try {
    const parts = request.parts(busboyOptions(limits));
    for (;;) {
      const step = await Promise.race([parts.next(), deadline.passed]);
      if (step.done === true) break;
      const part = step.value;
      if (part.type === 'field') addField(fields, part);
      else files.push(await deadline.over(part.file, storeFile(part, receiving, keys)));
    }
  } catch (error) {
    throw toUploadProblem(error, limits, request);
  } finally {
    deadline.end();
  }
  if (files.length === 0) throw ofFile('invalid_request', 'is required');
  return { fields: checkedFields(request, fields, files.length), files };
}

function busboyOptions(limits: AttachmentLimits) {
  return {
    throwFileSizeLimit: false,
    limits: {
      files: limits.filesMax,
      // One more than the store takes, so that it is the store that refuses.
      fileSize: limits.fileBytesMax + 1,
      fields: limits.fieldsMax,
      fieldSize: limits.fieldBytesMax,
      fieldNameSize: 100,
      parts: limits.filesMax + limits.fieldsMax,
      headerPairs: 20,
      headerSize: 4_096,
    },
  };
}

function addField(fields: Record<string, unknown>, part: Multipart & { type: 'field' }): void {
  const { fieldname, value, valueTruncated } = part;
  if (fieldname === 'file') throw ofFile('invalid_request', 'must be a file, with a filename');
  const pointer = `/${String(fieldname).slice(0, 100)}`;
  if (Object.hasOwn(fields, fieldname))
    throw fieldProblem('invalid_request', 'body', pointer, 'is there twice');
  if (valueTruncated) throw fieldProblem('invalid_request', 'body', pointer, 'is too long');
  fields[fieldname] = value;
}

function checkedFields(
  request: FastifyRequest,
  fields: Record<string, unknown>,
  fileCount: number,
): UploadFieldValues {
  const validate = request.compileValidationSchema(UploadFields);
  if (!validate(fields)) {
    const errors = (validate.errors ?? []).map((one) => toFieldError(one, 'body'));
    const detail = errors.map((one) => `${one.pointer || one.in}: ${one.detail}`).join('; ');
    throw new Problem('invalid_request', detail, { errors });
  }
  const values = fields as UploadFieldValues;
  if (values.name === undefined) return values;
  if (fileCount > 1) {
    const detail = 'is the name of one file; send one, or leave it out';
    throw fieldProblem('unprocessable', 'body', '/name', detail);
  }
  return { ...values, name: cleanName(values.name) };
}

async function storeFile(
  part: MultipartFile,
  { store, limits, customerId, note }: Receiving,
  keys: string[],
): Promise<StoredFile> {
  if (part.fieldname !== 'file') {
    const pointer = `/${String(part.fieldname).slice(0, 100)}`;
    throw fieldProblem('invalid_request', 'body', pointer, 'is not a field that is known here');
  }
  const name = cleanName(formName(part.filename ?? ''));
  const claim: Claim = { filename: name, mimeType: part.mimetype };
  const key = newKey(customerId);
  await note(key);
  keys.push(key);
  let sniffed: Sniffed | null = null;
  const looked = lookThrough(part.file, claim, (found) => (sniffed = found));
  const stored = await store.put(key, looked, { sizeMax: limits.fileBytesMax });
  const kind = await kindOf(sniffed!, store, key, stored.sizeBytes);
  requireAgreement(kind, claim);
  return { key, name, kind, ...stored };
}

/** Random, and spread over folders by its first characters. */
function newKey(customerId: number): string {
  const word = randomBytes(16).toString('hex');
  return `${customerId}/${word.slice(0, 2)}/${word}`;
}

/** The stream as it is; throws as soon as it turns out to be nothing that is taken. */
async function* lookThrough(
  stream: Readable,
  claim: Claim,
  tell: (found: Sniffed) => void,
): AsyncGenerator<Buffer> {
  const pending: Buffer[] = [];
  let pendingBytes = 0;
  let check: TextCheck | null | undefined;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (check !== undefined) {
      check?.(chunk);
      yield chunk;
      continue;
    }
    pending.push(chunk);
    pendingBytes += chunk.length;
    if (pendingBytes < HEAD_BYTES) continue;
    const head = Buffer.concat(pending);
    check = await lookAt(head, claim, tell);
    yield head;
  }
  if (pendingBytes === 0) throw ofFile('unprocessable', 'is empty');
  if (check === undefined) {
    const whole = Buffer.concat(pending);
    check = await lookAt(whole, claim, tell);
    yield whole;
  }
  check?.(null);
}

/** Tells the kind, and gives what the rest of a text must pass; null for other kinds. */
async function lookAt(
  head: Buffer,
  claim: Claim,
  tell: (found: Sniffed) => void,
): Promise<TextCheck | null> {
  const found = await sniff(head.subarray(0, HEAD_BYTES), claim);
  tell(found);
  if (found === 'office' || !found.isText) return null;
  const check = createTextCheck();
  check(head);
  return check;
}

async function kindOf(
  sniffed: Sniffed,
  store: AttachmentStore,
  key: string,
  sizeBytes: number,
): Promise<FileKind> {
  if (sniffed !== 'office') return sniffed.kind;
  return officeKind(async (firstByte, lastByte) => {
    const stream = await store.open(key, { firstByte, lastByte });
    if (stream === null) throw notTaken();
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks);
  }, sizeBytes);
}

interface Deadline {
  /** Rejects when the time is over. */
  readonly passed: Promise<never>;
  /** The work's own end; the stream that it reads breaks off when the time is over. */
  over<T>(stream: Readable, work: Promise<T>): Promise<T>;
  end(): void;
}

function createDeadline(msMax: number): Deadline {
  let reading: Readable | null = null;
  let timer: NodeJS.Timeout;
  const passed = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const late = new Problem('request_timeout', `send it within ${Math.ceil(msMax / 1_000)} s`);
      reading?.destroy(late);
      reject(late);
    }, msMax);
  });
  // Heard by whoever races against it.
  passed.catch(() => undefined);
  return {
    passed,
    async over(stream, work) {
      reading = stream;
      try {
        return await work;
      } finally {
        reading = null;
        // What was refused is not read to its end by anybody else.
        stream.destroy();
      }
    },
    end: () => clearTimeout(timer),
  };
}

function toUploadProblem(
  error: unknown,
  limits: AttachmentLimits,
  { raw }: FastifyRequest,
): unknown {
  if (error instanceof StoreError) {
    if (error.reason === 'too_large')
      return ofFile('payload_too_large', `has more than ${limits.fileBytesMax} bytes`);
    const headers = { 'retry-after': String(RETRY_AFTER_S) };
    return new Problem('unavailable', 'try again in a few seconds', {
      headers,
      cause: error.cause,
    });
  }
  if (error instanceof Problem || !(error instanceof Error)) return error;
  const { code } = error as { code?: unknown };
  const isCutOff = raw.destroyed && !raw.complete;
  switch (code) {
    case 'FST_FILES_LIMIT':
      return ofFile('payload_too_large', `is there more than ${limits.filesMax} times`);
    case 'FST_FIELDS_LIMIT':
    case 'FST_PARTS_LIMIT':
      return new Problem('payload_too_large', `send at most ${limits.fieldsMax} fields`);
    case 'FST_PROTO_VIOLATION':
      return new Problem('invalid_request', 'a field has a name that is not known here');
    case 'FST_INVALID_JSON_FIELD_ERROR':
      return new Problem('invalid_request', 'fields are plain text');
  }
  if (
    isCutOff ||
    code === 'FST_MP_PREMATURE_CLOSE' ||
    (code === undefined && BROKEN.test(error.message))
  ) {
    return new Problem('malformed_request', 'the form is broken, or ended early');
  }
  return error;
}

/** What the parser says of broken forms; these errors bear no codes. */
const BROKEN = /multipart|part terminated|boundary|malformed|content-type|unexpected end/i;

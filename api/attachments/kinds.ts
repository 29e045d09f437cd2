/**
 * Which files are taken, and how they are known: by their first bytes, and never by what their sender calls them. A kind
 * that is not in the table is refused, and so is a name or a claimed type that contradicts the bytes.
 */
import { fileTypeFromBuffer } from 'file-type';
import { fieldProblem, type Problem } from '../problem.ts';
import { extensionOf } from './names.ts';

/** First bytes of a file that are looked at. */
export const HEAD_BYTES = 4_100;

export interface FileKind {
  readonly mimeType: string;
  /** The first is added to a download whose name has none of them. */
  readonly extensions: readonly string[];
  /** Further names by which clients call it. */
  readonly aliases: readonly string[];
}

const OPEN_XML = 'application/vnd.openxmlformats-officedocument';

function kind(mimeType: string, extensions: string[], aliases: string[] = []): FileKind {
  return { mimeType, extensions, aliases };
}

const PDF = kind('application/pdf', ['pdf'], ['application/x-pdf']);
const CSV = kind(
  'text/csv',
  ['csv'],
  // Windows calls it so where Excel is installed.
  ['text/plain', 'application/csv', 'application/vnd.ms-excel'],
);
const TEXT = kind('text/plain', ['txt', 'text']);
const DOCX = kind(`${OPEN_XML}.wordprocessingml.document`, ['docx']);
const XLSX = kind(`${OPEN_XML}.spreadsheetml.sheet`, ['xlsx']);
const PPTX = kind(`${OPEN_XML}.presentationml.presentation`, ['pptx']);

/** Known by their magic bytes. */
const MAGIC: readonly FileKind[] = [
  PDF,
  kind('image/jpeg', ['jpg', 'jpeg'], ['image/jpg', 'image/pjpeg']),
  kind('image/png', ['png'], ['image/x-png']),
  kind('image/webp', ['webp']),
  kind('image/heic', ['heic', 'heif'], ['image/heif']),
  kind('image/heif', ['heif', 'heic'], ['image/heic']),
  kind('image/tiff', ['tif', 'tiff']),
];
/** Known by the parts that the archive holds. */
export const OFFICE = { docx: DOCX, xlsx: XLSX, pptx: PPTX } as const;

/** Every kind that is taken. */
export const KINDS: readonly FileKind[] = [...MAGIC, DOCX, XLSX, PPTX, CSV, TEXT];

/** `office`: which of the three is told by the whole file alone. `text`: the rest must be text as well. */
export type Sniffed = { readonly kind: FileKind; readonly isText: boolean } | 'office';

/** What the sender says of a file. */
export interface Claim {
  readonly filename: string;
  readonly mimeType: string;
}

const ZIP = Buffer.from('PK\x03\x04', 'latin1');
/** Browsers take what begins like this for a page or a picture that runs scripts, and systems for a program. */
const MARKUP = /<(!doctype|html|head|body|script|svg|iframe|\?php)/i;
const PROGRAM = /^(\ufeff|\s)*(<|#!)/;
/** Where browsers look for markup. */
const MARKUP_BYTES = 1_445;

/** Tells the kind by the first `HEAD_BYTES` of the file. Throws 415 for what is not taken, 422 for what the claim contradicts. */
export async function sniff(head: Buffer, claim: Claim): Promise<Sniffed> {
  if (head.subarray(0, ZIP.length).equals(ZIP)) {
    const extension = extensionOf(claim.filename);
    if (extension !== '' && !Object.hasOwn(OFFICE, extension)) throw notTaken();
    return 'office';
  }
  const isMarked = MARKUP.test(head.toString('latin1', 0, MARKUP_BYTES));
  const found = await fileTypeFromBuffer(head);
  if (found === undefined) {
    if (isMarked || PROGRAM.test(head.toString('utf8'))) throw notTaken();
    const kind = isCsv(claim) ? CSV : TEXT;
    // Bytes of no known kind: better to say that than to call them bad text.
    if (head.includes(0)) throw notTaken();
    requireAgreement(kind, claim);
    return { kind, isText: true };
  }
  const known = MAGIC.find(({ mimeType }) => mimeType === found.mime);
  if (known === undefined || (known === PDF && isMarked)) throw notTaken();
  requireAgreement(known, claim);
  return { kind: known, isText: false };
}

function isCsv({ filename, mimeType }: Claim): boolean {
  const extension = extensionOf(filename);
  return extension === 'csv' || (extension === '' && mimeType === 'text/csv');
}

/** Throws 422 when the name's ending or the claimed type means another kind. Nothing claimed contradicts nothing. */
export function requireAgreement(found: FileKind, { filename, mimeType }: Claim): void {
  const { mimeType: actual, extensions, aliases } = found;
  const extension = extensionOf(filename);
  if (extension !== '' && !extensions.includes(extension)) {
    throw ofFile('unprocessable', `is ${actual}, and its name says .${extension.slice(0, 20)}`);
  }
  if (['', 'application/octet-stream', actual, ...aliases].includes(mimeType)) return;
  throw ofFile('unprocessable', `is ${actual}, and was sent as another type`);
}

/** A name that bears the right ending for its kind. */
export function downloadName(name: string, mimeType: string): string {
  const extensions = KINDS.find((one) => one.mimeType === mimeType)?.extensions ?? ['bin'];
  return extensions.includes(extensionOf(name)) ? name : `${name}.${extensions[0]}`;
}

/** 415 for a file whose kind is not taken. */
export function notTaken(): Problem {
  const all = [...new Set(KINDS.map(({ extensions }) => extensions[0]))].join(', ');
  return ofFile('unsupported_media_type', `is of no kind that is taken here (${all})`);
}

/** A problem of the uploaded file. */
export function ofFile(
  code: 'unprocessable' | 'unsupported_media_type' | 'payload_too_large' | 'invalid_request',
  detail: string,
): Problem {
  return fieldProblem(code, 'body', '/file', detail);
}

// Everything that is a control character but tab, line feed and carriage return.
const CONTROL = /[^\P{Cc}\t\n\r]/u;

/** Takes every chunk, then null. Throws 422. */
export type TextCheck = (chunk: Uint8Array | null) => void;

/** Holds that a stream of bytes is UTF-8 without control characters. */
export function createTextCheck(): TextCheck {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  return (chunk) => {
    let text: string;
    try {
      text = decoder.decode(chunk ?? undefined, { stream: chunk !== null });
    } catch {
      throw ofFile('unprocessable', 'is not UTF-8: save it in that encoding');
    }
    if (CONTROL.test(text)) throw ofFile('unprocessable', 'is text with control characters in it');
  };
}

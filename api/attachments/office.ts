/**
 * Tells Word, Excel and PowerPoint files from other ZIP archives by the list of parts at their end (APPNOTE.TXT 4.3.12,
 * 4.3.16). Nothing is unpacked, so an archive that would swell is no danger here.
 */
import { OFFICE, notTaken, type FileKind } from './kinds.ts';

/** Bytes of the list, and parts in it. */
const DIRECTORY_BYTES_MAX = 1_048_576;
const PARTS_MAX = 10_000;
const END_BYTES = 22;
const END_SIGNATURE = 0x06054b50;
const ENTRY_BYTES = 46;
const ENTRY_SIGNATURE = 0x02014b50;
const COMMENT_BYTES_MAX = 0xffff;

const MAIN_PARTS: Readonly<Record<keyof typeof OFFICE, RegExp>> = {
  docx: /^word\/document\d*\.xml$/,
  xlsx: /^xl\/workbook\d*\.xml$/,
  pptx: /^ppt\/presentation\d*\.xml$/,
};
/** Macros, and programs that are embedded. */
const REFUSED_PART = /vbaproject|\.(bin|exe|dll|js|vbs|class|jar|bat|cmd|ps1|sh)$/i;
/** Printer settings are no programs. */
const HARMLESS_BIN = /^(word|xl|ppt)\/printersettings\/[^/]+\.bin$/i;

/** Gives the bytes from `firstByte` to `lastByte`, both included. */
export type ReadBytes = (firstByte: number, lastByte: number) => Promise<Buffer>;

/** The kind of the archive. Throws 415 when it is none of the three, or holds macros or programs. */
export async function officeKind(read: ReadBytes, sizeBytes: number): Promise<FileKind> {
  const names = await partNames(read, sizeBytes);
  if (!names?.includes('[Content_Types].xml')) throw notTaken();
  if (names.some((name) => REFUSED_PART.test(name) && !HARMLESS_BIN.test(name))) throw notTaken();
  const kinds = (['docx', 'xlsx', 'pptx'] as const).filter((kind) =>
    names.some((name) => MAIN_PARTS[kind].test(name)),
  );
  if (kinds.length !== 1) throw notTaken();
  return OFFICE[kinds[0]!];
}

/** Names of the parts; null for what is no plain archive from its first byte to its last. */
async function partNames(read: ReadBytes, sizeBytes: number): Promise<string[] | null> {
  if (sizeBytes < END_BYTES) return null;
  const tailBytes = Math.min(sizeBytes, END_BYTES + COMMENT_BYTES_MAX);
  const tail = await read(sizeBytes - tailBytes, sizeBytes - 1);
  const end = endOf(tail);
  if (end === null) return null;
  const { count, directoryBytes, directoryAt } = end;
  const endAt = sizeBytes - tailBytes + end.at;
  const isBounded = count <= PARTS_MAX && directoryBytes <= DIRECTORY_BYTES_MAX;
  // What lies before or between would be another file within this one.
  if (!isBounded || count === 0 || directoryAt + directoryBytes !== endAt) return null;
  return namesIn(await read(directoryAt, endAt - 1), count);
}

function endOf(
  tail: Buffer,
): { at: number; count: number; directoryBytes: number; directoryAt: number } | null {
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== END_SIGNATURE) continue;
    if (at + END_BYTES + tail.readUInt16LE(at + 20) !== tail.length) continue;
    return {
      at,
      count: tail.readUInt16LE(at + 10),
      directoryBytes: tail.readUInt32LE(at + 12),
      directoryAt: tail.readUInt32LE(at + 16),
    };
  }
  return null;
}

function namesIn(directory: Buffer, count: number): string[] | null {
  const names: string[] = [];
  let at = 0;
  let isFirstAtStart = false;
  while (at + ENTRY_BYTES <= directory.length) {
    if (directory.readUInt32LE(at) !== ENTRY_SIGNATURE) return null;
    const nameBytes = directory.readUInt16LE(at + 28);
    const extraBytes = directory.readUInt16LE(at + 30);
    const commentBytes = directory.readUInt16LE(at + 32);
    isFirstAtStart ||= directory.readUInt32LE(at + 42) === 0;
    names.push(directory.toString('utf8', at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes));
    at += ENTRY_BYTES + nameBytes + extraBytes + commentBytes;
  }
  return at === directory.length && names.length === count && isFirstAtStart ? names : null;
}

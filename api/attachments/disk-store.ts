/**
 * Attachments as files of one directory: `objects/` by key, `arriving/` under made-up names until they are whole. A file
 * gets its key by a rename, after its bytes are on the disk, and so is there whole or not at all, whatever crashes.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { requireKey, StoreError, type AttachmentStore, type StoredBytes } from './store.ts';

const FILE_MODE = 0o600;
const DIR_MODE = 0o700;

/**
 * Opens the directory, making it where it is missing, and removes what was arriving when the last process ended. One
 * process uses a directory at a time: another's half-received files would be removed too. Rejects when the directory
 * cannot be written to.
 */
export async function openDiskStore(dir: string): Promise<AttachmentStore> {
  const root = resolve(dir);
  const objects = join(root, 'objects');
  const arriving = join(root, 'arriving');
  await mkdir(dirname(root), { recursive: true });
  await rm(arriving, { recursive: true, force: true });
  for (const one of [root, objects, arriving]) {
    await mkdir(one, { recursive: true, mode: DIR_MODE });
  }
  await syncDir(root);
  const pathOf = (key: string): string => {
    requireKey(key);
    return join(objects, key);
  };

  return {
    async put(key, stream, { sizeMax }) {
      const path = pathOf(key);
      const temporary = join(arriving, randomUUID());
      const file = await onDisk(open(temporary, 'wx', FILE_MODE));
      try {
        const stored = await writeAll(file, stream, sizeMax);
        await onDisk(moveInto(objects, temporary, path));
        return stored;
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    async open(key, range) {
      const file = await open(pathOf(key), 'r').catch(nullWhenMissing);
      if (file === null) return null;
      return file.createReadStream(
        range ? { start: range.firstByte, end: range.lastByte } : undefined,
      );
    },
    async remove(key) {
      const path = pathOf(key);
      await onDisk(rm(path, { force: true }));
      // A file that comes back with a power cut would be nobody's.
      await syncDir(dirname(path)).catch(nullWhenMissing);
    },
  };
}

async function writeAll(
  file: FileHandle,
  stream: AsyncIterable<Uint8Array>,
  sizeMax: number,
): Promise<StoredBytes> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  try {
    for await (const chunk of stream) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > sizeMax) throw new StoreError('too_large');
      hash.update(chunk);
      await onDisk(file.writeFile(chunk));
    }
    await onDisk(file.sync());
  } finally {
    await file.close();
  }
  return { sizeBytes, sha256: hash.digest() };
}

async function moveInto(objects: string, temporary: string, path: string): Promise<void> {
  const made = await mkdir(dirname(path), { recursive: true, mode: DIR_MODE });
  await rename(temporary, path);
  try {
    // New folders are names in those above them, up to the first that was there before.
    const top = made === undefined ? dirname(path) : dirname(made);
    for (let at = dirname(path); at.length >= top.length; at = dirname(at)) {
      await syncDir(at);
      if (at === objects) break;
    }
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function onDisk<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new StoreError('failed', error);
  }
}

function nullWhenMissing(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
  throw new StoreError('failed', error);
}

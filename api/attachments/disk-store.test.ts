import { createHash } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { openDiskStore } from './disk-store.ts';
import { StoreError } from './store.ts';

async function* chunksOf(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) {
    await turn();
    yield Buffer.from(text);
  }
}

async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

async function read(stream: AsyncIterable<unknown> | null): Promise<string | null> {
  if (stream === null) return null;
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

t.test('bytes are kept, given out and removed', async (t) => {
  const dir = join(t.testdir(), 'deep', 'store');
  const store = await openDiskStore(dir);
  const stored = await store.put('7/ab/abcd', chunksOf('hello ', 'world'), { sizeMax: 11 });
  t.equal(stored.sizeBytes, 11);
  t.same(stored.sha256, createHash('sha256').update('hello world').digest());
  t.equal(await readFile(join(dir, 'objects/7/ab/abcd'), 'utf8'), 'hello world');
  t.equal((await stat(join(dir, 'objects/7/ab/abcd'))).mode & 0o777, 0o600);
  t.equal((await stat(dir)).mode & 0o777, 0o700);
  t.equal(await read(await store.open('7/ab/abcd')), 'hello world');
  t.equal(await read(await store.open('7/ab/abcd', { firstByte: 4, lastByte: 6 })), 'o w');
  t.equal(await store.open('7/ab/none'), null);
  t.equal(await store.open('8/ab/none'), null);
  await store.remove('7/ab/abcd');
  await store.remove('7/ab/abcd');
  await store.remove('9/zz/none');
  t.equal(await store.open('7/ab/abcd'), null);
  t.same(await filesIn(dir), []);
});

t.test('nothing is left of what does not come whole', async (t) => {
  const dir = t.testdir();
  const store = await openDiskStore(dir);
  await t.rejects(store.put('a/b', chunksOf('12345', '6'), { sizeMax: 5 }), {
    name: 'StoreError',
    reason: 'too_large',
  });
  async function* broken(): AsyncGenerator<Buffer> {
    yield* chunksOf('half');
    throw new Error('cut off');
  }
  await t.rejects(store.put('a/b', broken(), { sizeMax: 100 }), { message: 'cut off' });
  t.same(await filesIn(dir), []);
});

t.test('what was arriving when the process ended is removed at the next start', async (t) => {
  const dir = t.testdir({ arriving: { half: 'x' }, objects: { a: { whole: 'y' } } });
  const store = await openDiskStore(dir);
  t.same(await filesIn(dir), ['whole']);
  t.equal(await read(await store.open('a/whole')), 'y');
});

t.test('keys name files of the store, and nothing else', async (t) => {
  const store = await openDiskStore(t.testdir());
  const keys = ['', '/', '../a', 'a/../b', 'a//b', '/a', 'a/', 'A', 'a.b', 'a\\b', 'a\0', 'a%2f'];
  for (const key of [...keys, 'a'.repeat(201)]) {
    await t.rejects(store.put(key, chunksOf('x'), { sizeMax: 9 }), { code: 'ERR_ASSERTION' });
    await t.rejects(store.open(key), { code: 'ERR_ASSERTION' });
    await t.rejects(store.remove(key), { code: 'ERR_ASSERTION' });
  }
});

t.test('a disk that fails is told apart from a stream that fails', async (t) => {
  const dir = t.testdir();
  const store = await openDiskStore(dir);
  // A file where a folder is needed: refused to root as well, as a lack of rights would not be.
  await writeFile(join(dir, 'objects', 'a'), '');
  const put = store.put('a/b', chunksOf('x'), { sizeMax: 9 });
  await t.rejects(put, { name: 'StoreError', reason: 'failed' });
  t.same(await filesIn(dir), ['a']);
  await t.rejects(store.open('a/b'), StoreError);
  const file = join(t.testdir(), 'file');
  await writeFile(file, '');
  await t.rejects(openDiskStore(file));
});

/** How many bodies are unpacked at once. */
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { readBody, UNPACKED_MAX } from './http-body.ts';

const BYTES_MAX = 1_000;
const packed = (text: string | Buffer) => ({
  body: gzipSync(text),
  headers: { 'content-encoding': 'gzip' },
});

t.test('a packed body waits while too many others are unpacked and not released', async (t) => {
  const read = await Promise.all(
    Array.from({ length: UNPACKED_MAX }, (_, i) => readBody(packed(`body ${i}`), BYTES_MAX)),
  );
  t.same(
    read.map(({ body }) => body.toString()),
    read.map((_, i) => `body ${i}`),
  );
  const come: string[] = [];
  const late = ['first', 'second'].map((name) =>
    readBody(packed(name), BYTES_MAX).then((one) => {
      come.push(one.body.toString());
      return one;
    }),
  );
  const plain = await readBody({ body: Buffer.from('plain'), headers: {} }, BYTES_MAX);
  t.equal(plain.body.toString(), 'plain', 'what is not packed waits for nobody');
  plain.release();
  t.same(come, []);
  read[3]!.release();
  (await late[0])!.release();
  const last = await late[1];
  t.same(come, ['first', 'second'], 'in the order of coming');
  for (const one of [last!, ...read.filter((_, i) => i !== 3)]) one.release();
});

t.test('a body that cannot be unpacked holds a place until it is released, too', async (t) => {
  for (let i = 0; i < 2 * UNPACKED_MAX; i++) {
    const broken = await readBody({ ...packed(''), body: Buffer.from('x') }, BYTES_MAX);
    t.match(broken, { ok: false, reason: 'gzip_malformed' });
    broken.release();
    const large = await readBody(packed(Buffer.alloc(BYTES_MAX + 1)), BYTES_MAX);
    t.match(large, { ok: false, reason: 'body_too_large' });
    large.release();
    (await readBody({ ...packed('x'), headers: { 'content-encoding': 'br' } }, 1)).release();
  }
});

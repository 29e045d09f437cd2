import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import t, { type Test } from 'tap';
import { Certificates } from './certificates.ts';
import { createTestAuthority } from './test-certificates.ts';

const authority = createTestAuthority();
const first = authority.issue({ commonName: 'first' });
const second = authority.issue({ commonName: 'second' });

async function newFiles(t: Test) {
  const dir = await mkdtemp(join(tmpdir(), 'milepost-certificates-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const path = (name: string): string => join(dir, name);
  const put = async (name: string, text: string): Promise<void> => {
    await writeFile(path(`${name}.new`), text);
    await rename(path(`${name}.new`), path(name));
  };
  await put('cert', first.cert);
  await put('key', first.key);
  await put('ca', authority.cert);
  const files = { certFile: path('cert'), keyFile: path('key'), clientCaFile: path('ca') };
  return { files, put };
}

/** What is logged and what is renewed, in order, and a wait for the next of it. */
function newJournal() {
  const entries: string[] = [];
  const waiting: ((entry: string) => void)[] = [];
  const add = (entry: string): void => {
    const next = waiting.shift();
    if (next === undefined) entries.push(entry);
    else next(entry);
  };
  return {
    log: {
      info: (fields: object) => add(`info ${(fields as { subject: string }).subject}`),
      error: (fields: object) => add(`error ${(fields as { err: Error }).err.message}`),
    },
    renewed: ({ cert }: SecureContextOptions) => add(cert === second.cert ? 'second' : 'first'),
    next: (): Promise<string> => {
      const entry = entries.shift();
      return entry === undefined
        ? new Promise((resolve) => waiting.push(resolve))
        : Promise.resolve(entry);
    },
    get rest() {
      return entries;
    },
  };
}

t.test('renewed files are taken up; broken ones are said, and change nothing', async (t) => {
  const { files, put } = await newFiles(t);
  const { log, renewed, next, rest } = newJournal();
  const certificates = new Certificates(files, log, 1);
  t.teardown(() => certificates.stop());
  t.match(await certificates.load(), { cert: first.cert, key: first.key, ca: authority.cert });
  certificates.watch(renewed);
  await put('cert', second.cert);
  t.match(
    await next(),
    /^error .*cert, .*key, .*ca cannot be used together: .*key values mismatch/,
  );
  await put('key', second.key);
  t.same([await next(), await next()], ['second', 'info CN=second']);
  await put('cert', 'no certificate');
  t.match(await next(), /^error .*cannot be used together/);
  await rm(files.certFile);
  t.match(await next(), /^error ENOENT/);
  await put('cert', 'x'.repeat(1024 * 1024 + 1));
  t.match(await next(), /^error .*too large/);
  await put('cert', second.cert);
  await put('key', first.key);
  t.match(await next(), /^error .*mismatch/);
  await put('cert', first.cert);
  t.same([await next(), await next()], ['first', 'info CN=first']);
  t.same(rest, [], 'each complaint once');
});

t.test('what cannot be loaded is said by name', async (t) => {
  const { files, put } = await newFiles(t);
  const { log } = newJournal();
  await put('key', second.key);
  await t.rejects(new Certificates(files, log).load(), /key cannot be used together|mismatch/);
  await put('key', first.key);
  await put('ca', 'no authority');
  await t.rejects(new Certificates(files, log).load(), /ca cannot be used together/);
  const absent = { ...files, certFile: '/nowhere/cert.pem' };
  await t.rejects(new Certificates(absent, log).load(), /\/nowhere\/cert\.pem/);
  const noClients = new Certificates({ ...files, clientCaFile: null }, log);
  t.notOk(noClients.asksClients);
  t.equal((await noClients.load()).ca, undefined);
});

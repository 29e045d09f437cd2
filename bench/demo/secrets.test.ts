import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { deviceToken, loadSecrets, SECRETS_FILE, tokenHash } from './secrets.ts';

t.test('secrets are made once, for their owner alone', async (t) => {
  const dir = t.testdir();
  const first = await loadSecrets(dir);
  t.same(await loadSecrets(dir), first);
  t.equal((await stat(join(dir, SECRETS_FILE))).mode & 0o777, 0o600);
  t.match(first.password, /^[a-z2-9]{4}(-[a-z2-9]{4}){3}$/);
  t.equal(Buffer.from(first.deviceKey, 'base64url').length, 32);
  const other = await loadSecrets(t.testdir({ other: {} }) + '/other');
  t.not(other.password, first.password);
  t.not(other.deviceKey, first.deviceKey);
});

t.test('an unfinished file of an earlier start is no hindrance', async (t) => {
  const dir = t.testdir({ [`${SECRETS_FILE}.new`]: 'half a fi' });
  await loadSecrets(dir);
  t.ok(JSON.parse(await readFile(join(dir, SECRETS_FILE), 'utf8')));
});

t.test('a file that is not understood is left alone', async (t) => {
  const dir = t.testdir();
  for (const text of ['', '{', '[]', '{"password":"x"}', 'null']) {
    await writeFile(join(dir, SECRETS_FILE), text);
    await t.rejects(loadSecrets(dir), { code: 'DEMO_SECRETS_UNREADABLE' });
    t.equal(await readFile(join(dir, SECRETS_FILE), 'utf8'), text);
  }
});

t.test('each device has a token of its own', async (t) => {
  const secrets = await loadSecrets(t.testdir());
  const tokens = new Set(['a', 'b', 'c'].map((name) => deviceToken(secrets, name)));
  t.equal(tokens.size, 3);
  t.equal(deviceToken(secrets, 'a'), deviceToken(secrets, 'a'));
  t.equal(Buffer.from(deviceToken(secrets, 'a'), 'base64url').length, 32);
  t.equal(tokenHash('x').length, 32);
});

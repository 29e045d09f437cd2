/** How the program begins: what it refuses to start with, and what is there when it has started. */
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openIssuer } from './bench/proof/issuer.ts';
import { QUIET_SETTINGS, runProgram, startProgram } from './bench/proof/program.ts';
import { projectDir } from './db/project-dir.ts';
import { createTestDatabase } from './db/test-database.ts';

const { ownerUrl } = await createTestDatabase(t);
const issuer = await openIssuer(t);
const settings = { ...QUIET_SETTINGS, DATABASE_URL: ownerUrl, ...issuer.settings };

t.test('npm start without settings names every one that is missing', async (t) => {
  const { code, output } = await runProgram(t, {}, 'npm start');
  t.equal(code, 1);
  for (const name of ['DATABASE_URL', 'AUTH_ISSUER', 'AUTH_AUDIENCE', 'AUTH_JWKS_URL']) {
    t.match(output, `${name} is required`);
  }
});

t.test('settings that make no sense are all told at once, and secrets not repeated', async (t) => {
  const wrong = {
    ...settings,
    MQTT_PORT: 'many',
    LIVE_TRANSPORT: 'pigeon',
    CURSOR_SECRET: 'short',
  };
  const { code, output } = await runProgram(t, wrong);
  t.equal(code, 1);
  t.match(output, 'MQTT_PORT must be a whole number from 0 to 65535, not "many"');
  t.match(output, 'LIVE_TRANSPORT must be one of auto, uws, ws, not "pigeon"');
  t.match(output, 'CURSOR_SECRET must have at least 16 characters');
  t.notMatch(output, '"short"');
});

t.test('a port that is taken is named, with the setting that changes it', async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise((resolve) => other.close(resolve)));
  const { port } = other.address() as AddressInfo;
  for (const name of ['HTTP_PORT', 'MQTT_PORT', 'LIVE_PORT']) {
    const { code, output } = await runProgram(t, { ...settings, [name]: String(port) });
    t.equal(code, 1, 'it ends, whatever had started');
    t.match(output, `port ${port} is taken: choose another with ${name}`);
  }
});

t.test('started by a path with a symbolic link in it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'milepost-link-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await symlink(join(projectDir, 'dist'), join(folder, 'current'));
  const program = await startProgram(t, settings, `node ${folder}/current/main.js`);
  t.equal((await fetch(`${program.urls.http}/healthz`)).status, 200);
  program.signal('SIGTERM');
  t.equal((await program.exited).code, 0);
});

t.test('what the map in the browser loads is there', async (t) => {
  const program = await startProgram(t, settings);
  const page = await fetch(`${program.urls.http}/`);
  t.equal(page.status, 200);
  const html = await page.text();
  const links = [...html.matchAll(/(?:src|href)="([^"#:]+)"/g)].map((match) => match[1]!);
  t.ok(links.length > 0);
  for (const link of links) {
    const { status } = await fetch(new URL(link, `${program.urls.http}/`));
    t.equal(status, 200, link);
  }
});

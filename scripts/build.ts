/**
 * `npm run build`: compiles the server, its tests and benches into `dist/`, the browser's part into `dist/web/`, and copies
 * what the browser loads as it is. What has not changed is not written again, so that a build disturbs nobody who runs
 * from `dist/`. SQL files stay where they are: the migration runner finds them in the source tree.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectDir } from '../db/project-dir.ts';

const webDir = join(projectDir, 'web');

/** Copied as they are; everything else in `web/` is source. */
const ASSET = /\.(html|css|svg|png|ico|webmanifest|woff2)$/;

/** The compiler has said why. */
export class BuildFailed extends Error {}

/** Rejects with `BuildFailed` when it does not compile. */
export async function build(): Promise<void> {
  await compile(projectDir);
  await compile(join(webDir, 'tsconfig.build.json'));
  await copyAssets();
}

/** Compiles the tests of the browser's part, which the build leaves out. Rejects as `build` does. */
export function buildWebTests(): Promise<void> {
  return compile(join(webDir, 'tsconfig.test.json'));
}

async function compile(project: string): Promise<void> {
  const tsc = join(projectDir, 'node_modules/typescript/bin/tsc');
  const child = spawn(process.execPath, [tsc, '-p', project], {
    stdio: 'inherit',
    cwd: projectDir,
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new BuildFailed(`tsc -p ${basename(project)} failed`);
}

async function copyAssets(): Promise<void> {
  const names = (await readdir(webDir, { recursive: true })).filter((name) => ASSET.test(name));
  for (const name of names) {
    const [from, to] = [join(webDir, name), join(projectDir, 'dist/web', name)];
    const [source, copy] = await Promise.all([readFile(from), readFile(to).catch(() => null)]);
    if (copy?.equals(source) === true) continue;
    await mkdir(dirname(to), { recursive: true });
    await copyFile(from, to);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]!).href) {
  try {
    await build();
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}

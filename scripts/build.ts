/**
 * `npm run build`: compiles the server into `dist/`, the browser's part into `dist/web/` when it is there, and copies what
 * the browser loads as it is. SQL files stay where they are: the migration runner finds them in the source tree.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

const projectDir = resolve(import.meta.dirname, '..');
const webDir = join(projectDir, 'web');

/** Copied as they are; everything else in `web/` is source. */
const ASSET = /\.(html|css|svg|png|ico|webmanifest|woff2)$/;

async function compile(project: string): Promise<void> {
  const tsc = join(projectDir, 'node_modules/typescript/bin/tsc');
  const child = spawn(process.execPath, [tsc, '-p', project], {
    stdio: 'inherit',
    cwd: projectDir,
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`tsc -p ${basename(project)} failed`);
}

async function copyAssets(): Promise<void> {
  const names = await readdir(webDir, { recursive: true });
  const assets = names.filter((name) => ASSET.test(name) && !name.includes('node_modules'));
  await Promise.all(
    assets.map((name) => cp(join(webDir, name), join(projectDir, 'dist/web', name))),
  );
}

try {
  await compile(projectDir);
  const web: string[] = await readdir(webDir).catch(() => []);
  if (web.length > 0) await compile(join(webDir, 'tsconfig.build.json'));
  if (web.length > 0) await copyAssets();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

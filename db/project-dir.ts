import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where package.json lies, whether this file runs as it is or compiled, from `dist/`. */
export const projectDir = above(import.meta.dirname);

function above(start: string): string {
  let dir = start;
  while (!existsSync(join(dir, 'package.json'))) {
    if (dirname(dir) === dir) throw new Error(`no package.json above ${start}`);
    dir = dirname(dir);
  }
  return dir;
}

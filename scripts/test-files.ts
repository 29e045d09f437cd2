/** Which test files there are, and where the build puts what they are compiled to. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { projectDir } from '../db/project-dir.ts';

const NOT_OURS = /^(node_modules|dist|coverage)$|^\./;
/** The whole program's tests, which take longest. They begin first, so that none of them is waited for at the end. */
const LONG = /^(main\.|bench\/)/;

/** The paths of all test files, from the project's root, in the order in which to begin them. */
export async function findTestFiles(isDatabaseLane: boolean): Promise<string[]> {
  const suffix = isDatabaseLane ? '.db.test.ts' : '.test.ts';
  const top = await readdir(projectDir, { withFileTypes: true });
  const found = await Promise.all(
    top
      .filter(({ name }) => !NOT_OURS.test(name))
      .map(async (entry) => {
        if (!entry.isDirectory()) return [entry.name];
        const below = await readdir(join(projectDir, entry.name), { recursive: true });
        return below.map((name) => join(entry.name, name));
      }),
  );
  const files = found.flat().filter((name) => name.endsWith(suffix));
  return files.sort().sort((a, b) => Number(LONG.test(b)) - Number(LONG.test(a)));
}

/** What was to be run as a test is none. */
export class NoTestFile extends Error {}

/** A path as somebody types it at the project's root, made relative to it. Throws `NoTestFile`. */
export function testFileOf(path: string): string {
  const file = relative(projectDir, resolve(projectDir, path));
  if (file.endsWith('.test.ts') && existsSync(join(projectDir, file))) return file;
  throw new NoTestFile(
    `${path} is no test file: such a file is there, and its name ends in .test.ts`,
  );
}

/** The program that a test file is compiled to. */
export function compiledPath(file: string): string {
  return join(projectDir, 'dist', file.replace(/\.ts$/, '.js'));
}

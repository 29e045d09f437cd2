/**
 * Adds to package-lock.json the platform packages of uWebSockets.js that `npm install` leaves out where a registry does
 * not have them: `npm ci` of npm 11 refuses a lock without them, though they are optional and would be skipped. To be run
 * after every change of dependencies: `npm run lock`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';

interface LockedPackage {
  version?: string;
  cpu?: string[];
  os?: string[];
  license?: string;
  optional?: boolean;
  engines?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

const path = resolve(import.meta.dirname, '..', 'package-lock.json');
const lock = JSON.parse(await readFile(path, 'utf8')) as {
  packages: Record<string, LockedPackage>;
};
const { '': root, ...locked } = lock.packages;
const wanted = locked['node_modules/uWebSockets.js']?.optionalDependencies ?? {};
let added = 0;
for (const [name, version] of Object.entries(wanted)) {
  const [, os, cpu, node] = /^@uwsjs\/(\w+)-(\w+)-(\d+)$/.exec(name) ?? [];
  if (os === undefined || cpu === undefined || `node_modules/${name}` in locked) continue;
  const engines = { node: `>=${node}.0.0 <${Number(node) + 1}.0.0` };
  const license = 'Apache-2.0';
  locked[`node_modules/${name}`] = {
    version,
    cpu: [cpu],
    license,
    optional: true,
    os: [os],
    engines,
  };
  added++;
}
const sorted = Object.entries(locked).sort(([a], [b]) => a.localeCompare(b, 'en'));
lock.packages = { ...(root && { '': root }), ...Object.fromEntries(sorted) };
await writeFile(path, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} platform packages added to package-lock.json`);

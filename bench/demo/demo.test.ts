/** The demo as a person starts it: a process of its own, read by its output and driven by signals and HTTP. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { projectDir } from '../../db/project-dir.ts';
import { USERS } from './people.ts';
import { TRAILERS, VANS } from './stories/northline.ts';

const VEHICLES = 20;
/** Of the 20, the last one is the small customer's. */
const SMALL_CUSTOMER_VEHICLES = 1;

// Each start makes or recovers a database.
t.setTimeout(300_000);

/** Not `t.testdir()`: as root the database runs as another user, who must be able to go there. */
async function dataDir(t: { teardown(work: () => Promise<void>): unknown }): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'milepost-demo-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

class Demo {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  output = '';
  private waiting: { pattern: RegExp; resolve: (match: RegExpExecArray) => void }[] = [];
  private isOver = false;

  constructor(t: { teardown(work: () => unknown): unknown }, env: Record<string, string>) {
    this.child = spawn(process.execPath, ['dist/bench/demo/demo.js'], {
      cwd: projectDir,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        HTTP_PORT: '0',
        MQTT_PORT: '0',
        TELTONIKA_PORT: '0',
        LIVE_PORT: '0',
        ...env,
      },
    });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
        this.look();
      });
    }
    this.exited = once(this.child, 'close').then(([code]) => {
      this.isOver = true;
      this.look();
      return code as number | null;
    });
    t.teardown(() => {
      this.child.kill('SIGKILL');
    });
  }

  /** Resolves when the output has this; rejects with all of it when the demo ended without. */
  until(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ pattern, resolve });
      this.look();
      void this.exited.then(() => reject(new Error(`no ${pattern} in:\n${this.output}`)));
    });
  }

  private look(): void {
    this.waiting = this.waiting.filter(({ pattern, resolve }) => {
      const match = pattern.exec(this.output);
      if (match !== null) resolve(match);
      return match === null && !this.isOver;
    });
  }
}

/** What a person copies from the screen. */
async function readScreen(demo: Demo) {
  const [, url] = await demo.until(/map +(http:\S+)/);
  const [, password] = await demo.until(/with the password (\S+) as/);
  return { url: url!, password: password! };
}

interface Page {
  data: { activity_feed_id: number; event_type: string; equipment_id: number; initial: boolean }[];
  page: { next_cursor: string | null };
}

/** Signs in and gives a function that reads. */
async function signIn(url: string, email: string, password: string) {
  const answer = await fetch(new URL('/demo/sign-in', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
  if (answer.status !== 200) throw new Error(`sign-in: ${answer.status} ${await answer.text()}`);
  const { access_token } = (await answer.json()) as { access_token: string };
  return async (path: string): Promise<Page> => {
    const read = await fetch(new URL(path, url), {
      headers: { authorization: `Bearer ${access_token}` },
    });
    if (read.status !== 200) throw new Error(`${path}: ${read.status} ${await read.text()}`);
    return (await read.json()) as Page;
  };
}

/** The whole feed, newest first. */
async function readFeed(get: (path: string) => Promise<Page>): Promise<Page['data']> {
  const all: Page['data'] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const after: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const { data, page } = await get(`/v1/activity-feed?limit=100${after}`);
    all.push(...data);
    cursor = page.next_cursor;
  }
  return all;
}

/** Processes that have this directory among their arguments; null where that cannot be asked. */
async function serversOn(dir: string): Promise<string[] | null> {
  if (process.platform !== 'linux') return null;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes(join(dir, 'cluster')));
}

async function takenPort(t: { teardown(work: () => unknown): unknown }): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A first start takes longest: the tests that need a demo, though not a new one, go on with that of the first. */
const dir = await dataDir(t);

t.test('the demo comes up, shows events, stops at Ctrl-C, and goes on where it was', async (t) => {
  const env = { DATA_DIR: dir, DEMO_VEHICLES: String(VEHICLES), DEMO_FIX_INTERVAL_S: '1' };
  const broken = new Demo(t, env);
  await broken.until(/Telling what has happened/);
  broken.child.kill('SIGKILL');
  await broken.exited;

  const first = new Demo(t, env);
  const { url, password } = await readScreen(first);
  t.match(
    first.output,
    /Telling what has happened/,
    'a first start that was broken off begins anew',
  );
  const [, seconds] = await first.until(/First event in the feed ([\d.]+) s after/);
  t.comment(`first event ${seconds} s after the database was up`);
  for (const name of ['API', 'MQTT', 'live', 'database', 'log', 'curl'])
    t.match(first.output, name);

  const get = await signIn(url, USERS[0]!.email, password);
  const feed = await readFeed(get);
  t.ok(feed.some(({ event_type, initial }) => event_type === 'geofence_enter' && initial));
  const equipment = await get('/v1/equipment?limit=100');
  const moving = VEHICLES - SMALL_CUSTOMER_VEHICLES;
  t.equal(
    equipment.data.length,
    moving + 1 + TRAILERS + VANS,
    'the spare one, and those of stories',
  );
  const [, line] = await first.until(/(\d.* fixes\/s · committed .*)\n/);
  t.match(line, new RegExp(` · events \\d+ · queue \\d+ · p99 .* · devices \\d+/${VEHICLES}`));

  for (const user of USERS) {
    const own = await (await signIn(url, user.email, password))('/v1/equipment?limit=100');
    const all = user.customer === 'cascade' ? SMALL_CUSTOMER_VEHICLES : equipment.data.length;
    if (user.region === null) t.equal(own.data.length, all, user.email);
    else t.ok(own.data.length > 0 && own.data.length < all, user.email);
  }
  await t.rejects(signIn(url, USERS[0]!.email, 'wrong'), { message: /401/ });

  // One press, that the terminal and npm both tell.
  first.child.kill('SIGINT');
  first.child.kill('SIGINT');
  t.equal(await first.exited, 0);
  t.match(first.output, /Stopped\. The data is kept\.\n$/);
  t.same((await serversOn(dir)) ?? [], []);

  const second = new Demo(t, env);
  const again = await readScreen(second);
  t.equal(again.password, password);
  const getAgain = await signIn(again.url, USERS[0]!.email, password);
  const kept = new Set((await readFeed(getAgain)).map(({ activity_feed_id: id }) => id));
  t.equal(feed.filter(({ activity_feed_id: id }) => !kept.has(id)).length, 0, 'nothing is lost');
  const later = await getAgain('/v1/equipment?limit=100');
  t.same(
    later.data.map(({ equipment_id: id }) => id),
    equipment.data.map(({ equipment_id: id }) => id),
    'and nothing is there twice',
  );
  await second.until(/committed [1-9]/);
  t.notMatch(second.output, /rejected|dropped|not authorized/i, 'the devices know their tokens');
  second.child.kill('SIGTERM');
  t.equal(await second.exited, 0);
  t.same((await serversOn(dir)) ?? [], []);
});

t.test('wrong settings are all named, and nothing is started', async (t) => {
  const empty = await dataDir(t);
  const demo = new Demo(t, { DATA_DIR: empty, DEMO_VEHICLES: 'many', MQTT_PORT: '70000' });
  t.equal(await demo.exited, 1);
  t.match(demo.output, /DEMO_VEHICLES must/);
  t.match(demo.output, /MQTT_PORT must/);
  t.same(await readdir(empty), []);
});

t.test(
  'a port that is taken is named with its setting, and what had started is stopped',
  async (t) => {
    const port = String(await takenPort(t));
    for (const setting of ['DEMO_DATABASE_PORT', 'MQTT_PORT', 'HTTP_PORT']) {
      const demo = new Demo(t, { DATA_DIR: dir, DEMO_VEHICLES: '1', [setting]: port });
      t.equal(await demo.exited, 1, setting);
      t.match(demo.output, new RegExp(`port ${port} is taken: .*${setting}`));
      t.same((await serversOn(dir)) ?? [], []);
    }
  },
);

t.test('Ctrl-C while it starts stops what has started', async (t) => {
  const fresh = await dataDir(t);
  const demo = new Demo(t, { DATA_DIR: fresh, DEMO_VEHICLES: '1' });
  await demo.until(/Starting PostgreSQL/);
  demo.child.kill('SIGINT');
  t.equal(await demo.exited, 0);
  t.notMatch(demo.output, /Milepost runs/);
  t.same((await serversOn(fresh)) ?? [], []);
});

t.test('two demos do not share a database', async (t) => {
  const env = { DATA_DIR: dir, DEMO_VEHICLES: '1' };
  const first = new Demo(t, env);
  await first.until(/Milepost runs/);
  const second = new Demo(t, env);
  t.equal(await second.exited, 1);
  t.match(second.output, /another Milepost .* DATA_DIR/);
  first.child.kill('SIGINT');
  t.equal(await first.exited, 0, 'the first one was not disturbed');
});

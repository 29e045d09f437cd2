/**
 * A file for shells beside the demo's database: addresses, a user and the spare device, so that the README's lines can be
 * pasted as they stand. Holds secrets, hence readable by its owner alone. Written anew at every start.
 */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { USERS } from './people.ts';

/** In the demo's data directory. */
export const ENV_FILE = 'demo.env';

export interface DemoEnv {
  readonly http: string;
  readonly mqtt: string;
  readonly live: string;
  readonly device: string;
  readonly token: string;
  readonly password: string;
}

/** Writes `NAME='value'` lines that any POSIX shell can read. */
export async function writeDemoEnv(dir: string, env: DemoEnv): Promise<void> {
  const lines = Object.entries({
    HTTP: env.http,
    MQTT: env.mqtt,
    LIVE: env.live,
    EMAIL: USERS[0]!.email,
    PASSWORD: env.password,
    DEVICE: env.device,
    TOKEN: env.token,
  }).map(([name, value]) => `${name}='${value.replaceAll("'", "'\\''")}'\n`);
  const path = join(dir, ENV_FILE);
  const unfinished = `${path}.new`;
  await rm(unfinished, { force: true });
  await writeFile(unfinished, lines.join(''), { mode: 0o600, flag: 'wx' });
  await rename(unfinished, path);
}

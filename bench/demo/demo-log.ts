/**
 * The server's log in the demo: all of it in a file beside the database, and warnings on the screen as well, in words. The
 * file of the start before is kept under another name, and no older one.
 */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { pino, type Logger } from 'pino';

/** In the demo's data directory. */
export const LOG_FILE = 'milepost.log';

/** Opens the log in a directory. `say` is given one line for each warning and each error. */
export async function openDemoLog(
  dir: string,
  level: string,
  say: (line: string) => void,
): Promise<Logger> {
  const path = join(dir, LOG_FILE);
  await rename(path, `${path}.1`).catch(() => undefined);
  const file = pino.destination({ dest: path, mode: 0o600, sync: true });
  const screen = { write: (line: string) => say(inWords(line)) };
  return pino(
    { level },
    pino.multistream([
      { level: 'trace', stream: file },
      { level: 'warn', stream: screen },
    ]),
  );
}

/** A line of the log as a person reads it. */
export function inWords(line: string): string {
  const entry = JSON.parse(line) as { level: number; msg?: string; err?: { message?: string } };
  const name = pino.levels.labels[entry.level] ?? 'log';
  const why = entry.err?.message;
  return [`${name}: ${entry.msg ?? ''}`, ...(why === undefined ? [] : [why])].join(': ');
}

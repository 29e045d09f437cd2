/**
 * What is random in a demo installation and must survive a restart: the key of the devices' tokens, the password of the
 * demo users, the secret of cursors. One file, readable by its owner alone, beside the database. Knows no database.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One installation's. */
export interface DemoSecrets {
  /** 32 bytes, base64url. */
  readonly deviceKey: string;
  /** Of every demo user. */
  readonly password: string;
  readonly cursorSecret: string;
}

/** In the demo's data directory. */
export const SECRETS_FILE = 'demo-secrets.json';

/** No letters or digits that are taken for one another. */
const PASSWORD_ALPHABET = 'abcdefghjkmnpqrstuvwxyz23456789';
const PASSWORD_GROUPS = 4;
const PASSWORD_GROUP_CHARS = 4;

/**
 * Reads the secrets of an installation from its directory, which must be there, or makes new ones. Rejects with
 * `DEMO_SECRETS_UNREADABLE` rather than put new ones in the place of a file that it does not understand.
 */
export async function loadSecrets(dir: string): Promise<DemoSecrets> {
  const path = join(dir, SECRETS_FILE);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw unreadable(path, error);
  });
  if (text !== null) return parse(path, text);
  const made: DemoSecrets = {
    deviceKey: randomBytes(32).toString('base64url'),
    password: makePassword(),
    cursorSecret: randomBytes(32).toString('base64url'),
  };
  // Under another name until it is whole. What an interrupted start left under that name is removed, never followed.
  const unfinished = `${path}.new`;
  await rm(unfinished, { force: true });
  await writeFile(unfinished, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  await rename(unfinished, path);
  return made;
}

/** The token of a device: 256 bits that nobody can compute without the installation's key. */
export function deviceToken(secrets: DemoSecrets, deviceIdentifier: string): string {
  const key = Buffer.from(secrets.deviceKey, 'base64url');
  return createHmac('sha256', key).update(deviceIdentifier).digest('base64url');
}

/** What the database keeps of a token. */
export function tokenHash(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function makePassword(): string {
  const group = () =>
    Array.from({ length: PASSWORD_GROUP_CHARS }, () => PASSWORD_ALPHABET[letter()]).join('');
  return Array.from({ length: PASSWORD_GROUPS }, group).join('-');
}

// Every letter is as likely as any other: bytes that would favour the first ones are thrown away.
function letter(): number {
  const count = PASSWORD_ALPHABET.length;
  for (;;) {
    const byte = randomBytes(1)[0]!;
    if (byte < 256 - (256 % count)) return byte % count;
  }
}

function parse(path: string, text: string): DemoSecrets {
  try {
    const { deviceKey, password, cursorSecret } = JSON.parse(text) as Record<string, unknown>;
    if (
      typeof deviceKey === 'string' &&
      typeof password === 'string' &&
      typeof cursorSecret === 'string'
    ) {
      return { deviceKey, password, cursorSecret };
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
  throw unreadable(path, null);
}

function unreadable(path: string, cause: unknown): Error {
  const message = `${path} cannot be read; remove it and the next start makes new secrets`;
  return Object.assign(new Error(message, { cause }), { code: 'DEMO_SECRETS_UNREADABLE' });
}

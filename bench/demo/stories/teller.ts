/**
 * Tells what happened in the demo's company before it was started: requests to the portal's own API, made by one of its
 * people at times of the last weeks. So everything that the stories leave behind has gone by the rules. The portal that
 * takes them is one of this process and listens nowhere.
 */
import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { AttachmentStore } from '../../../api/attachments/store.ts';
import { createPrincipals } from '../../../api/auth/principal.ts';
import { addDays, dayIn, startOfDayMs, type Day } from '../../../api/calendar.ts';
import { evaluateMaintenance } from '../../../api/maintenance/rounds.ts';
import { buildServer } from '../../../api/server.ts';
import { createPool } from '../../../db/pools.ts';

/** A record as the API shows it. */
export type Shown = Readonly<Record<string, unknown>>;

export interface Teller {
  /** Sets the clock: so many days ago, at an hour of the day in the company's time zone. */
  at(daysAgo: number, hour: number): void;
  /** The date so many days ago. */
  date(daysAgo: number): Day;
  /** The instant of the clock, or some minutes after it, in ISO 8601. */
  instant(minutesLater?: number): string;
  get(path: string): Promise<Shown>;
  /** A request that makes or moves something. */
  post(path: string, body: object): Promise<Shown>;
  /** Makes a record and gives its id. */
  make(path: string, body: object): Promise<number>;
  /** Changes a record, whatever its version. */
  change(path: string, body: object): Promise<Shown>;
  /** The id of the first row of a list, such as of a lookup. */
  first(path: string, key: string): Promise<number>;
  /** Hangs a text file on a record; it expires on a day. */
  attach(path: string, name: string, text: string, expires: Day): Promise<void>;
}

export interface TellerOptions {
  readonly connectionString: string;
  /** The token subject of who tells. */
  readonly subject: string;
  readonly timeZone: string;
  /** Where the bytes of files go. */
  readonly store: AttachmentStore;
}

const BOUNDARY = 'milepost-demo-story';
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** Opens a portal for the stories and lets `tell` have it; all of it is closed afterwards. */
export async function withTeller(
  options: TellerOptions,
  tell: (teller: Teller) => Promise<void>,
): Promise<void> {
  const { connectionString, timeZone } = options;
  const connect = (role: 'milepost_api' | 'milepost_runner') =>
    createPool({
      connectionString,
      role,
      max: 2,
      applicationName: 'milepost demo stories',
      statementTimeoutMs: 30_000,
    });
  const pool = connect('milepost_api');
  const runnerPool = connect('milepost_runner');
  const clock = { nowMs: Date.now() };
  const principals = createPrincipals({ pool });
  const app = await buildServer({
    pool,
    runnerPool,
    authenticate: async () => {
      const principal = await principals.bySubject(options.subject);
      if (!principal) return { ok: false, reason: 'unknown_user', detail: 'nobody tells' };
      return { ok: true, principal, expiresMs: Infinity };
    },
    fencesAt: () => [],
    attachmentStore: options.store,
    cursorKey: randomBytes(32),
    trustProxy: [],
    log: { level: 'silent' },
    version: '0.0.0',
    readiness: () => ({ ready: true, reasons: [] }),
    renderMetrics: () => '',
    now: () => clock.nowMs,
  });
  try {
    await tell(openTeller(app, timeZone, clock));
    // What has come due since it was told.
    const onError = (error: unknown) => {
      throw error;
    };
    await evaluateMaintenance({ pool: runnerPool, now: Date.now, onError });
  } finally {
    await app.close();
    await Promise.all([pool.end(), runnerPool.end()]);
  }
}

function openTeller(app: FastifyInstance, timeZone: string, clock: { nowMs: number }): Teller {
  const today = dayIn(timeZone, Date.now());
  const date = (daysAgo: number) => addDays(today, -daysAgo);
  const ask = async (
    method: 'GET' | 'POST' | 'PATCH',
    url: string,
    payload?: object | string,
    headers: Record<string, string> = {},
  ) => {
    const answer = await app.inject({
      method,
      url,
      headers: { authorization: 'Bearer story', 'if-match': '*', ...headers },
      ...(payload && { payload }),
    });
    if (answer.statusCode < 300) return answer;
    throw new Error(
      `the demo's story: ${method} ${url} gives ${answer.statusCode}: ${answer.body}`,
    );
  };
  return {
    at(daysAgo, hour) {
      clock.nowMs = startOfDayMs(timeZone, date(daysAgo)) + hour * HOUR_MS;
    },
    date,
    instant: (minutesLater = 0) => new Date(clock.nowMs + minutesLater * MINUTE_MS).toISOString(),
    get: async (path) => (await ask('GET', path)).json(),
    change: async (path, body) => (await ask('PATCH', path, body)).json(),
    async first(path, key) {
      const { data } = (await ask('GET', path)).json<{ data: Record<string, number>[] }>();
      return data[0]![key]!;
    },
    async attach(path, name, text, expires) {
      const type = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };
      const part = (header: string, value: string) =>
        `--${BOUNDARY}\r\ncontent-disposition: form-data; ${header}\r\n\r\n${value}\r\n`;
      const file = `name="file"; filename="${name}"\r\ncontent-type: text/plain`;
      const form =
        part('name="document_category_type"', 'other') +
        part('name="expiration_date"', expires) +
        part(file, text);
      await ask('POST', `${path}/attachments`, `${form}--${BOUNDARY}--\r\n`, type);
    },
    post: async (path, body) => (await ask('POST', path, body)).json(),
    async make(path, body) {
      const { headers } = await ask('POST', path, body);
      return Number(String(headers['location']).split('/').at(-1));
    },
  };
}

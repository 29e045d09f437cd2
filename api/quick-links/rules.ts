/** Links that a customer puts on its start page: what people open with a click, so nothing in them may be hidden. */
import { count, sql } from 'drizzle-orm';
import { tenQuickLink } from '../../db/schema.ts';
import { fieldProblem, Problem } from '../problem.ts';
import type { ResourceRules, RuleContext } from '../resources/define.ts';

/** Links of one customer. */
export const QUICK_LINKS_MAX = 100;

export const quickLinkRules: ResourceRules = {
  async prepare(context, values, stored) {
    if (typeof values['link'] === 'string') requirePlain(values['link']);
    if (!stored) await requireRoom(context);
    return values;
  },
};

/** Throws 422 for a link of which a browser makes something else than people read. */
export function requirePlain(link: string): void {
  const why = hiddenIn(link);
  if (why !== null) throw fieldProblem('unprocessable', 'body', '/link', why);
}

// U+2800 is a letter of Braille without a dot.
const HIDDEN = /[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800\\]/u;
const HOST = /^https:\/\/([^/?#]*)/i;

function hiddenIn(link: string): string | null {
  // A browser drops some of these, and takes a backslash for a slash.
  if (HIDDEN.test(link)) return 'has blanks, backslashes or characters that are not seen';
  let url: URL;
  try {
    url = new URL(link);
  } catch {
    return 'is no address that a browser can open';
  }
  if (url.protocol !== 'https:') return 'must begin with https://';
  const host = HOST.exec(link)?.[1] ?? '';
  if (host.includes('@')) return 'has a user or a password before its host';
  // Letters that look like others can make one host pass for another: it is written as it is looked up (RFC 5891).
  if (/[^\u0021-\u007e]/.test(host)) return `must have its host in ASCII, which is ${url.host}`;
  // Numbers are read as addresses, and an encoded letter as itself: what is written is what is opened.
  if (host.toLowerCase().replace(/:443$/, '') !== url.host)
    return `must have its host as it is opened, which is ${url.host}`;
  if (/^\.|\.\./.test(host)) return 'has a host with an empty part';
  return null;
}

async function requireRoom({ db, principal }: RuleContext): Promise<void> {
  const lock = `ten_quick_link/${principal.tenant.customerId}`;
  // One after the other, until each has committed: two at once could both see the last place free.
  await db.execute(sql`select pg_advisory_xact_lock(hashtextextended(${lock}, 0))`);
  const [held] = await db.select({ rows: count() }).from(tenQuickLink);
  if (held!.rows < QUICK_LINKS_MAX) return;
  throw new Problem(
    'conflict',
    `there are ${QUICK_LINKS_MAX} quick links already, which is the limit`,
  );
}

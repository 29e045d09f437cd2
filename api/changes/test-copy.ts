/** For tests: a copy that is kept by `GET /v1/changes`, and what the lists say. */
import type { TestPortal, Who } from '../test-portal.ts';

export interface ToldChange {
  readonly resource: string;
  readonly id: number | string;
  readonly operation: 'created' | 'updated' | 'deleted';
  readonly changed_at: string;
  readonly version: number | null;
  readonly row: Record<string, unknown> | null;
}

export interface ToldPage {
  readonly data: readonly ToldChange[];
  readonly page: { readonly next_cursor: string; readonly has_more: boolean };
}

type Rows = Map<string, Record<string, unknown>>;

/** Pages that one catching up may take. */
const PAGES_MAX = 2_000;

/** What a partner would write: rows by resource and key, and the cursor. */
export class TestCopy {
  readonly rows: Rows = new Map();
  cursor: string | null = null;
  /** Everything that was told, in order. */
  readonly told: ToldChange[] = [];
  readonly resources: readonly string[];
  private readonly portal: TestPortal;
  private readonly who: Who;
  private readonly limit: number;

  constructor(portal: TestPortal, who: Who, resources: readonly string[], limit = 100) {
    this.portal = portal;
    this.who = who;
    this.resources = resources;
    this.limit = limit;
  }

  /** Asks once. */
  async poll(more: Record<string, string> = {}): Promise<ToldPage> {
    const query = {
      resources: this.resources.join(),
      limit: String(this.limit),
      ...(this.cursor !== null && { since: this.cursor }),
      ...more,
    };
    const { status, body, text } = await this.portal.as(this.who, { url: '/v1/changes', query });
    if (status !== 200) throw new Error(`${status} ${text}`);
    const answer = body as unknown as ToldPage;
    for (const change of answer.data) this.apply(change);
    this.cursor = answer.page.next_cursor;
    return answer;
  }

  /** Begins without what is there. */
  async beginNow(): Promise<void> {
    await this.poll({ start: 'now' });
  }

  /** Asks until nothing more is there; gives what was told. */
  async catchUp(): Promise<ToldChange[]> {
    const before = this.told.length;
    for (let n = 0; n < PAGES_MAX; n++) {
      const { page } = await this.poll();
      if (!page.has_more) return this.told.slice(before);
    }
    throw new Error('it does not come to an end');
  }

  private apply(change: ToldChange): void {
    this.told.push(change);
    const key = `${change.resource}/${change.id}`;
    if (change.row === null) this.rows.delete(key);
    else this.rows.set(key, change.row);
  }
}

/** The same from the lists themselves. */
export async function readLists(
  portal: TestPortal,
  who: Who,
  resources: readonly { path: string; key: string }[],
): Promise<Rows> {
  const rows: Rows = new Map();
  for (const { path, key } of resources) {
    let cursor: string | null = null;
    do {
      const query: Record<string, string> = { limit: '500', ...(cursor !== null && { cursor }) };
      const { status, body, text } = await portal.as(who, { url: `/v1/${path}`, query });
      if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
      for (const row of body.data as unknown as Record<string, unknown>[]) {
        rows.set(`${path}/${row[key] as string}`, row);
      }
      cursor = body.page.has_more ? body.page.next_cursor : null;
    } while (cursor !== null);
  }
  return rows;
}

/** Rows that differ, in words; empty where the copy is right. */
export function differences(copy: Rows, lists: Rows): string[] {
  const keys = [...new Set([...copy.keys(), ...lists.keys()])].sort();
  return keys.flatMap((key) => {
    const [mine, theirs] = [copy.get(key), lists.get(key)];
    if (!mine) return [`${key} is missing`];
    if (!theirs) return [`${key} is there no more`];
    return JSON.stringify(mine) === JSON.stringify(theirs) ? [] : [`${key} is another`];
  });
}

/** A user of the REST API, and a reader of the metrics. Every answer that is not as expected is an error with its text. */

interface Page<T> {
  readonly data: T[];
  readonly page: { readonly next_cursor: string | null };
}

export interface Portal {
  get<T>(path: string): Promise<T>;
  /** All pages of a list, by its cursors. */
  list<T>(path: string): Promise<T[]>;
  /** A change or a deletion is of whatever version there is. */
  send<T>(method: 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<T>;
}

/** `httpUrl` is asked for with every request: the port may be another after a restart. */
export function openPortal(httpUrl: () => string, token: string): Portal {
  const request = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(httpUrl() + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(method === 'PATCH' || method === 'DELETE' ? { 'if-match': '*' } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} gives ${response.status}: ${text}`);
    return (text === '' ? null : JSON.parse(text)) as T;
  };
  return {
    get: (path) => request('GET', path),
    send: request,
    async list<T>(path: string) {
      const rows: T[] = [];
      let cursor: string | null = null;
      do {
        const join = path.includes('?') ? '&' : '?';
        const next: string = cursor === null ? '' : `${join}cursor=${encodeURIComponent(cursor)}`;
        const { data, page } = await request<Page<T>>('GET', path + next);
        rows.push(...data);
        cursor = page.next_cursor;
      } while (cursor !== null);
      return rows;
    },
  };
}

/** The samples of `GET /metrics` by `name{labels}`, as they are written there. */
export async function readMetrics(httpUrl: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${httpUrl}/metrics`)).text();
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line);
    if (match !== null) samples.set(match[1]!, Number(match[2]));
  }
  return samples;
}

/** The HTTP calls of the page. Knows paths and shapes; keeps no token and draws nothing. */
import type { FeedEvent } from '../api/live/wire.ts';
import type { WebConfig } from './config.ts';
import type { FenceRow } from './fence-geometry.ts';

// A page that asks for more fences than this is looking at a mistake.
const FENCE_PAGES_MAX = 40;
const PAGE_ROWS = 500;
const REQUEST_MS_MAX = 15_000;

/** An answer that is not 2xx. `status` 401: the token is no longer good. */
export class HttpError extends Error {
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

export interface Me {
  email: string;
  role_name: string;
  customer: { customer_name: string };
}

interface Page<Row> {
  data: Row[];
  page: { next_cursor: string | null; has_more: boolean };
}

export function fetchConfig(): Promise<WebConfig> {
  return request<WebConfig>('/web-config.json', {});
}

/** The demo's sign-in; resolves to an access token. */
export async function signIn(email: string, password: string): Promise<string> {
  const answer = await request<{ access_token: string }>('/demo/sign-in', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
  return answer.access_token;
}

export function fetchMe(token: string): Promise<Me> {
  return get<Me>(token, '/v1/me');
}

/** Every fence that the user may see. */
export async function fetchFences(token: string): Promise<FenceRow[]> {
  const rows: FenceRow[] = [];
  let cursor: string | null = null;
  for (let count = 0; count < FENCE_PAGES_MAX; count += 1) {
    const query = new URLSearchParams({ limit: String(PAGE_ROWS) });
    if (cursor !== null) query.set('cursor', cursor);
    const answer: Page<FenceRow> = await get(token, `/v1/geofences?${query.toString()}`);
    rows.push(...answer.data);
    cursor = answer.page.next_cursor;
    if (cursor === null) break;
  }
  return rows;
}

/** The newest events, newest first. */
export async function fetchFeed(token: string, rowsMax: number): Promise<FeedEvent[]> {
  return (await get<Page<FeedEvent>>(token, `/v1/activity-feed?limit=${rowsMax}`)).data;
}

function get<Answer>(token: string, path: string): Promise<Answer> {
  return request<Answer>(path, { headers: { authorization: `Bearer ${token}` } });
}

async function request<Answer>(path: string, init: RequestInit): Promise<Answer> {
  const signal = AbortSignal.timeout(REQUEST_MS_MAX);
  const response = await fetch(path, { ...init, signal, credentials: 'omit' });
  if (!response.ok) {
    const problem = (await response.json().catch(() => null)) as { detail?: unknown } | null;
    const detail = typeof problem?.detail === 'string' ? problem.detail : response.statusText;
    throw new HttpError(response.status, detail || `The server answered ${response.status}.`);
  }
  return (await response.json()) as Answer;
}

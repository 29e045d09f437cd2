/**
 * One page of changes: first every feed as a whole, one after the other in the order of their keys, then the log from
 * where it stood before that, then the streams. Knows feeds and places; refuses to know HTTP and cursors.
 *
 * What is promised: every change that is committed is told, at least once, in the order of the commits; rows are shown as
 * they are when the page is made, so a row may come in a newer version than the change it is told for.
 */
import { gone, type Place } from './cursor.ts';
import type { Feed, Item, Reading, StreamPosition } from './feed.ts';
import { readHead, readLog } from './log.ts';

export interface Told extends Item {
  readonly path: string;
}

export interface ChangesPage {
  readonly told: readonly Told[];
  readonly place: Place;
  readonly hasMore: boolean;
}

export interface PageLimits {
  /** Changes that a page is made of. */
  readonly limit: number;
  readonly nowMs: number;
}

/** Where a copy begins that is given everything first. */
export async function beginWhole(
  reading: Reading,
  feeds: readonly Feed[],
  nowMs: number,
): Promise<Place> {
  const log = await readHead(reading, nowMs);
  return { log, todo: [...feeds.keys()], after: null, streams: {} };
}

/** Where a copy begins that has everything already, or wants only what comes. */
export async function beginNow(
  reading: Reading,
  feeds: readonly Feed[],
  nowMs: number,
): Promise<Place> {
  const log = await readHead(reading, nowMs);
  const streams: Record<number, StreamPosition> = {};
  for (const [index, { stream }] of feeds.entries()) {
    if (stream) streams[index] = await stream.begin(reading);
  }
  return { log, todo: [], after: null, streams };
}

/** Throws 410 where the place is older than what is kept. */
export function readPage(
  reading: Reading,
  feeds: readonly Feed[],
  place: Place,
  limits: PageLimits,
): Promise<ChangesPage> {
  return place.todo.length > 0
    ? readWhole(reading, feeds, place, limits.limit)
    : readChanges(reading, feeds, place, limits);
}

async function readWhole(
  reading: Reading,
  feeds: readonly Feed[],
  place: Place,
  limit: number,
): Promise<ChangesPage> {
  const told: Told[] = [];
  const streams = { ...place.streams };
  let { after } = place;
  const todo = [...place.todo];
  while (todo.length > 0 && told.length < limit) {
    const index = todo[0]!;
    const feed = feeds[index]!;
    if (after === null && feed.stream) streams[index] = await feed.stream.begin(reading);
    const page = await feed.list(reading, after, limit - told.length);
    told.push(...page.items.map((item) => ({ ...item, path: feed.path })));
    after = page.after;
    if (after === null) todo.shift();
    // It has looked through as much as one page may.
    else if (page.items.length === 0) break;
  }
  return { told, place: { ...place, todo, after, streams }, hasMore: true };
}

async function readChanges(
  reading: Reading,
  feeds: readonly Feed[],
  place: Place,
  { limit, nowMs }: PageLimits,
): Promise<ChangesPage> {
  const kinds = [...new Set(feeds.flatMap((feed) => feed.kinds))];
  const log = await readLog(reading, place.log, kinds, { entriesMax: limit, nowMs });
  if (log === null) throw gone('changes since then are not kept any more');
  const told = await tellEntries(reading, feeds, log.entries);
  const known = { ...place, log: log.end };
  if (!log.isAll || told.length >= limit) {
    return { told, place: known, hasMore: true };
  }
  return readStreams(reading, feeds, { told, place: known, hasMore: false }, limit);
}

type Entries = NonNullable<Awaited<ReturnType<typeof readLog>>>['entries'];

async function tellEntries(
  reading: Reading,
  feeds: readonly Feed[],
  entries: Entries,
): Promise<Told[]> {
  const concerned = feeds
    .map((feed) => ({
      feed,
      own: entries.filter(({ entity_type }) => feed.kinds.includes(entity_type)),
    }))
    .filter(({ own }) => own.length > 0);
  const answers = await Promise.all(
    concerned.map(async ({ feed, own }) => ({ feed, items: await feed.tell(reading, own) })),
  );
  return entries.flatMap((entry) =>
    answers.flatMap(({ feed, items }) =>
      (items.get(entry) ?? []).map((item) => ({ ...item, path: feed.path })),
    ),
  );
}

async function readStreams(
  reading: Reading,
  feeds: readonly Feed[],
  page: ChangesPage,
  limit: number,
): Promise<ChangesPage> {
  const told = [...page.told];
  const streams = { ...page.place.streams };
  const todo: number[] = [];
  let { hasMore } = page;
  for (const [index, { path, stream }] of feeds.entries()) {
    if (!stream) continue;
    const room = limit - told.length;
    const position = streams[index];
    const read = position && room > 0 ? await stream.read(reading, position, room) : null;
    if (read) {
      told.push(...read.items.map((item) => ({ ...item, path })));
      streams[index] = read.position;
      hasMore ||= !read.isAll;
    } else if (room > 0) {
      // What came is not known any more; what is there tells the same.
      todo.push(index);
      hasMore = true;
    } else hasMore = true;
  }
  return { told, place: { ...page.place, streams, todo }, hasMore };
}

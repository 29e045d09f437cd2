/** The page: wires configuration, sign-in, live data, map and panels. */
import type { FeedEvent, Position, ServerMessage } from '../api/live/wire.ts';
import { fetchConfig, fetchFeed, fetchFences, fetchMe, HttpError } from './api-client.ts';
import { byId } from './dom.ts';
import { FeedList } from './feed-list.ts';
import { pictureOf } from './fence-geometry.ts';
import { Fleet, stateOf, type VehicleState } from './fleet.ts';
import { LiveClient, type LiveState } from './live-client.ts';
import { MapView } from './map-view.ts';
import { SearchBox } from './search-box.ts';
import { askForToken, forgetToken, savedToken } from './sign-in.ts';
import { showCard, showTip } from './unit-card.ts';

const FEED_ROWS = 100;
const FENCES_REFRESH_MS = 60_000;
const CLOCK_MS = 1_000;
// A larger fleet is told of only where the map looks.
const WHOLE_FLEET_UNITS_MAX = 2_000;
const LOOK_PAUSE_MS = 250;

const STATE_TEXT: Record<LiveState, string> = {
  connecting: 'Connecting…',
  live: 'Live',
  waiting: 'Reconnecting…',
  stopped: 'Signed out',
};

const fleet = new Fleet();
const connection = byId('connection', HTMLElement);
const announcer = byId('announcer', HTMLElement);
let client: LiveClient | null = null;
let token = '';
let isNarrowed = false;
let isFitted = false;
let snapshotIds: Set<number> | null = null;
let lookTimer: ReturnType<typeof setTimeout> | null = null;

const map = new MapView(byId('map', HTMLCanvasElement), fleet, {
  picked: (id) => select(id),
  hovered: (id, x, y) => showTip(fleet.vehicles.get(id ?? -1) ?? null, x, y, Date.now()),
  moved: () => lookSoon(),
});

const feed = new FeedList(
  (id) => fleet.vehicles.get(id)?.position.unit_number ?? `Unit ${id}`,
  (event) => {
    select(event.equipment_id);
    if (event.longitude !== null && event.latitude !== null) {
      map.goTo(event.longitude, event.latitude);
    } else {
      map.follow(event.equipment_id);
    }
  },
);

function select(id: number | null): void {
  map.selectedId = id;
  if (id === null) map.follows = false;
  const vehicle = fleet.vehicles.get(id ?? -1) ?? null;
  showCard(vehicle, Date.now());
  if (vehicle !== null) announcer.textContent = `Unit ${vehicle.position.unit_number} selected`;
  map.redraw();
}

// The map moves many times a second; the server is told when it rests.
function lookSoon(): void {
  if (!isNarrowed) return;
  if (lookTimer !== null) clearTimeout(lookTimer);
  lookTimer = setTimeout(() => {
    lookTimer = null;
    client?.look(map.viewport());
  }, LOOK_PAUSE_MS);
}

function receive(message: ServerMessage): void {
  switch (message.type) {
    case 'snapshot':
      takeSnapshot(message.positions, message.remaining);
      break;
    case 'positions':
      put(message.positions);
      break;
    case 'removed':
      for (const id of message.equipment_ids) fleet.remove(id);
      if (message.equipment_ids.includes(map.selectedId ?? -1)) select(null);
      map.redraw();
      break;
    case 'event':
      takeEvent(message.event, true);
      break;
    case 'resync':
    case 'caught_up':
      void loadFeed();
      break;
    case 'ready':
    case 'error':
    case 'pong':
      break;
  }
}

function put(positions: readonly Position[]): void {
  const now = performance.now();
  for (const position of positions) fleet.put(position, now);
  map.redraw();
}

function takeSnapshot(positions: readonly Position[], remaining: number): void {
  snapshotIds ??= new Set();
  for (const position of positions) snapshotIds.add(position.equipment_id);
  put(positions);
  if (remaining > 0) return;
  fleet.keepOnly(snapshotIds, client?.viewport ?? null);
  snapshotIds = null;
  if (!isFitted && fleet.vehicles.size > 0) {
    isFitted = true;
    map.fitFleet();
  }
  if (!isNarrowed && fleet.vehicles.size > WHOLE_FLEET_UNITS_MAX) {
    isNarrowed = true;
    lookSoon();
  }
  feed.refresh(Date.now());
  refresh();
}

function takeEvent(event: FeedEvent, isFresh: boolean): void {
  if (!feed.add(event, isFresh)) return;
  fleet.note(event);
  if (isFresh) map.redraw();
}

async function loadFeed(): Promise<void> {
  const events = await answered(fetchFeed(token, FEED_ROWS));
  // Oldest first, so that a cleared alert is cleared after it was raised.
  for (const event of events?.toReversed() ?? []) takeEvent(event, false);
  map.redraw();
}

async function loadFences(): Promise<void> {
  const rows = await answered(fetchFences(token));
  if (rows === null) return;
  map.fences = rows
    .filter(({ status }) => status === 'active')
    .map(pictureOf)
    .filter((picture) => picture !== null);
  map.redraw();
}

// An answer, or null when there is none: a lost token ends the session, anything else is tried again later.
async function answered<Answer>(request: Promise<Answer>): Promise<Answer | null> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof HttpError && error.status === 401) signOut('Please sign in again.');
    return null;
  }
}

function showState(state: LiveState): void {
  connection.textContent = STATE_TEXT[state];
  connection.className = `connection ${state}`;
}

function refresh(): void {
  const wallMs = Date.now();
  const counts: Record<VehicleState, number> = { moving: 0, stopped: 0, alert: 0, silent: 0 };
  for (const vehicle of fleet.vehicles.values()) counts[stateOf(vehicle, wallMs)] += 1;
  for (const [state, count] of Object.entries(counts)) {
    byId(`count-${state}`, HTMLElement).textContent = String(count);
  }
  showCard(fleet.vehicles.get(map.selectedId ?? -1) ?? null, wallMs);
  feed.refresh(wallMs);
  map.redraw();
}

function signOut(reason: string): void {
  forgetToken();
  client?.stop();
  client = null;
  fleet.clear();
  feed.clear();
  map.fences = [];
  select(null);
  byId('who', HTMLElement).textContent = '';
  refresh();
  void start(reason);
}

let config: Awaited<ReturnType<typeof fetchConfig>> | null = null;

async function start(reason = ''): Promise<void> {
  try {
    config ??= await fetchConfig();
  } catch {
    showState('waiting');
    setTimeout(() => void start(reason), 3_000);
    return;
  }
  token = savedToken() ?? (await askForToken(config.demo, reason));
  isFitted = false;
  isNarrowed = false;
  snapshotIds = null;
  client = new LiveClient(config.live_url, token, {
    state: (state) => {
      if (state === 'connecting') snapshotIds = null;
      showState(state);
    },
    message: receive,
    signedOut: (detail) => signOut(detail),
  });
  void loadFences();
  const me = await answered(fetchMe(token));
  if (me !== null) {
    byId('who', HTMLElement).textContent = `${me.customer.customer_name} · ${me.email}`;
  }
}

new SearchBox(fleet, (id) => {
  select(id);
  map.follow(id);
});
byId('zoom-in', HTMLButtonElement).addEventListener('click', () => map.zoom(2));
byId('zoom-out', HTMLButtonElement).addEventListener('click', () => map.zoom(0.5));
byId('fit', HTMLButtonElement).addEventListener('click', () => map.fitFleet());
byId('sign-out', HTMLButtonElement).addEventListener('click', () => signOut(''));
byId('card-close', HTMLButtonElement).addEventListener('click', () => select(null));
byId('card-follow', HTMLButtonElement).addEventListener('click', () => {
  if (map.selectedId !== null) map.follow(map.selectedId);
});
setInterval(refresh, CLOCK_MS);
setInterval(() => {
  if (client !== null) void loadFences();
}, FENCES_REFRESH_MS);
addEventListener('online', () => client?.wake());
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) client?.wake();
});
void start();

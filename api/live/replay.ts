/**
 * Serves clients that are behind in the event feed from the database, page by page, at the pace they read. Knows how
 * to ask for events (`loadEvents`) and refuses to know SQL.
 *
 * A client that is behind stays in the queue until it has caught up, is told to resync, or closes. Events published
 * meanwhile are sent at once where the client can take them, and otherwise cause one more round; so a round that ends
 * with nothing missed has covered all: what was committed before its last page was read is in the pages, what came
 * later was sent live.
 */
import type { Connection, LiveIdentity } from './connection.ts';
import type { LiveLimits } from './limits.ts';
import type { FeedEvent } from './wire.ts';

/**
 * Reads committed events of the identity's tenant and accounts with `activity_feed_id > sinceId`, ascending, at most
 * `rowsMax`. Fewer than `rowsMax` rows mean that there were no more.
 */
export type LoadEvents = (
  identity: LiveIdentity,
  sinceId: number,
  rowsMax: number,
) => Promise<readonly FeedEvent[]>;

export interface ReplayContext {
  readonly limits: LiveLimits;
  readonly loadEvents: LoadEvents;
  nowMs(): number;
  /** Called for a database that did not answer. */
  failed(error: unknown): void;
}

/** The queue of clients that are behind. */
export class Replays {
  #context: ReplayContext;
  #behind = new Set<Connection>();
  #runningCount = 0;

  constructor(context: ReplayContext) {
    this.#context = context;
  }

  get behindCount(): number {
    return this.#behind.size;
  }

  /** Makes a client catch up from `sinceId`; null, when nowhere is known to be safe, makes it resync. */
  start(connection: Connection, sinceId: number | null): void {
    connection.eventState = 'behind';
    connection.resumeId = sinceId;
    connection.replayFromId = sinceId ?? -1;
    connection.replayRound += 1;
    connection.replayedCount = 0;
    connection.missedLive = false;
    connection.roundSettledId = connection.tenant!.cursor.settled(this.#context.nowMs());
    this.#behind.add(connection);
  }

  forget(connection: Connection): void {
    this.#behind.delete(connection);
  }

  /** Starts what can be started: clients that can take a page, as far as there are free readers. */
  step(): void {
    for (const connection of [...this.#behind]) {
      if (connection.closedFor !== null || connection.eventState !== 'behind') {
        this.#behind.delete(connection);
      } else if (connection.resumeId === null) {
        this.#resync(connection);
      } else if (this.#canRead(connection)) {
        // To the end of the queue, so that a long replay does not keep the others waiting.
        this.#behind.delete(connection);
        this.#behind.add(connection);
        void this.#readPage(connection);
      }
    }
  }

  #canRead(connection: Connection): boolean {
    return (
      !connection.replayRunning &&
      this.#runningCount < this.#context.limits.replaysMax &&
      this.#context.nowMs() >= connection.replayNotBeforeMs &&
      !connection.isFull()
    );
  }

  async #readPage(connection: Connection): Promise<void> {
    const { limits, loadEvents } = this.#context;
    const { identity, replayFromId, replayRound } = connection;
    connection.replayRunning = true;
    this.#runningCount += 1;
    let page: readonly FeedEvent[] | null = null;
    try {
      page = await loadEvents(identity!, replayFromId, limits.replayPageRowsMax);
    } catch (error) {
      this.#context.failed(error);
    } finally {
      connection.replayRunning = false;
      this.#runningCount -= 1;
    }
    if (connection.closedFor !== null || connection.eventState !== 'behind') return;
    // A new subscription or a renewed token came meanwhile: this page is not an answer to it.
    if (connection.replayRound === replayRound && connection.identity === identity) {
      if (page === null) this.#postpone(connection);
      else this.#takePage(connection, page);
    }
    this.step();
  }

  #postpone(connection: Connection): void {
    connection.replayNotBeforeMs = this.#context.nowMs() + this.#context.limits.replayRetryMs;
    connection.sendMessage({
      type: 'error',
      code: 'events_unavailable',
      detail: 'Missed events cannot be read at the moment; they will follow.',
    });
  }

  #takePage(connection: Connection, page: readonly FeedEvent[]): void {
    const { limits } = this.#context;
    const settledId = connection.roundSettledId;
    const last = page.at(-1);
    const isLastPage = page.length < limits.replayPageRowsMax;
    for (const event of page) {
      if (connection.wantsEvent(event)) connection.send(eventText(event, connection.resumeId));
    }
    if (last !== undefined) connection.replayFromId = last.activity_feed_id;
    connection.replayedCount += page.length;
    if (settledId !== null) {
      const coveredId = isLastPage ? settledId : Math.min(settledId, connection.replayFromId);
      connection.resumeId = Math.max(connection.resumeId!, coveredId);
    }
    if (isLastPage) this.#endRound(connection);
    else if (connection.replayedCount >= limits.replayEventsMax) this.#resync(connection);
  }

  #endRound(connection: Connection): void {
    if (connection.missedLive) {
      this.start(connection, connection.resumeId);
      return;
    }
    connection.eventState = 'live';
    this.#behind.delete(connection);
    connection.sendMessage({ type: 'caught_up', cursor: connection.resumeId });
  }

  #resync(connection: Connection): void {
    if (connection.isFull()) return;
    connection.eventState = 'live';
    this.#behind.delete(connection);
    const cursor = connection.tenant!.cursor.settled(this.#context.nowMs());
    connection.sendMessage({ type: 'resync', cursor });
  }
}

/** The text of one event message. */
export function eventText(event: FeedEvent, cursor: number | null): string {
  return `{"type":"event","event":${eventJson(event)},"cursor":${cursor ?? 'null'}}`;
}

/** JSON of an event, field by field: the tenant and whatever else the row carries stays here. */
export function eventJson(event: FeedEvent): string {
  const wire: FeedEvent = {
    activity_feed_id: event.activity_feed_id,
    equipment_id: event.equipment_id,
    account_id: event.account_id,
    event_type: event.event_type,
    event_time: event.event_time,
    latitude: event.latitude,
    longitude: event.longitude,
    geofence_id: event.geofence_id,
    telematic_alert_id: event.telematic_alert_id,
    subject_name: event.subject_name,
    metric_code: event.metric_code,
    metric_value: event.metric_value,
    severity: event.severity,
    initial: event.initial,
  };
  return JSON.stringify(wire);
}

/** The activity feed beside the map, newest first. Knows which events it has by their ids; holds a bounded number. */
import type { FeedEvent } from '../api/live/wire.ts';
import { byId, make } from './dom.ts';
import { ageText, eventText } from './format.ts';

const ROWS_MAX = 200;
// Ids remembered beyond the rows, so that a replay does not bring back what has scrolled off.
const IDS_MAX = 5_000;

interface Row {
  readonly event: FeedEvent;
  readonly timeMs: number;
  readonly element: HTMLLIElement;
  readonly age: HTMLElement;
}

export class FeedList {
  #list = byId('feed', HTMLOListElement);
  #empty = byId('feed-empty', HTMLElement);
  #alertsOnly = byId('alerts-only', HTMLInputElement);
  #rows: Row[] = [];
  #ids = new Set<number>();
  #unitNumber: (equipmentId: number) => string;
  #picked: (event: FeedEvent) => void;

  constructor(unitNumber: (equipmentId: number) => string, picked: (event: FeedEvent) => void) {
    this.#unitNumber = unitNumber;
    this.#picked = picked;
    this.#alertsOnly.addEventListener('change', () => {
      this.#list.classList.toggle('alerts-only', this.#alertsOnly.checked);
    });
  }

  /** Takes an event in its place by time. False: it is here already. */
  add(event: FeedEvent, isFresh: boolean): boolean {
    if (this.#ids.has(event.activity_feed_id)) return false;
    this.#remember(event.activity_feed_id);
    const row = this.#rowOf(event);
    if (isFresh) row.element.classList.add('fresh');
    const { timeMs } = row;
    const id = event.activity_feed_id;
    const at = this.#rows.findIndex(
      (other) =>
        other.timeMs < timeMs || (other.timeMs === timeMs && other.event.activity_feed_id < id),
    );
    const index = at < 0 ? this.#rows.length : at;
    this.#list.insertBefore(row.element, this.#rows[index]?.element ?? null);
    this.#rows.splice(index, 0, row);
    while (this.#rows.length > ROWS_MAX) this.#rows.pop()!.element.remove();
    this.#empty.hidden = this.#rows.length > 0;
    return true;
  }

  clear(): void {
    this.#rows = [];
    this.#ids.clear();
    this.#list.replaceChildren();
    this.#empty.hidden = false;
  }

  /** Brings ages, and the numbers of units that were unknown, up to date. */
  refresh(wallMs: number): void {
    for (const { event, timeMs, age, element } of this.#rows) {
      age.textContent = ageText(wallMs - timeMs);
      const unit = element.querySelector('.unit');
      const number = this.#unitNumber(event.equipment_id);
      if (unit !== null && unit.textContent !== number) unit.textContent = number;
    }
  }

  #rowOf(event: FeedEvent): Row {
    const timeMs = Date.parse(event.event_time);
    const element = make('li', `${sourceOf(event)} ${kindOf(event)}`);
    const button = make('button');
    button.type = 'button';
    const age = make('time', 'age', ageText(Date.now() - timeMs));
    age.dateTime = event.event_time;
    age.title = new Date(timeMs).toLocaleString();
    button.append(
      make('span', 'dot'),
      make('strong', 'unit', this.#unitNumber(event.equipment_id)),
      make('span', 'what', eventText(event)),
      age,
    );
    button.addEventListener('click', () => this.#picked(event));
    element.append(button);
    return { event, timeMs, element, age };
  }

  #remember(id: number): void {
    this.#ids.add(id);
    if (this.#ids.size > IDS_MAX) this.#ids.delete(this.#ids.values().next().value!);
  }
}

/** What it came from: a rule, a fence, or the device's own word. */
function sourceOf(event: FeedEvent): string {
  if (event.telematic_alert_id !== null) return 'alert';
  return event.event_type.startsWith('device_') ? 'device' : 'fence';
}

function kindOf(event: FeedEvent): string {
  if (event.event_type === 'alert_raised') {
    return event.severity === 'critical' ? 'critical' : 'warning';
  }
  if (event.event_type === 'alert_cleared') return 'cleared';
  if (event.event_type === 'device_disconnected') return 'lost';
  return /_(exit|leave)$/.test(event.event_type) ? 'exit' : 'enter';
}

/**
 * The vehicles the page knows: their newest positions, where they are drawn on the way there, and their alerts. Knows
 * the wire's words and a time handed in; knows no canvas and no DOM.
 */
import type { FeedEvent, LiveViewport, Position } from '../api/live/wire.ts';
import { distanceM, unwrapX, xOfLon, yOfLat } from './projection.ts';

export type VehicleState = 'moving' | 'stopped' | 'alert' | 'silent';

/** One vehicle. The `from` and `to` pairs are world points; between their times it is drawn in between. */
export interface Vehicle {
  position: Position;
  fixMs: number;
  fromX: number;
  fromY: number;
  toX: number;
  toY: number;
  fromHeadingDeg: number;
  toHeadingDeg: number;
  startMs: number;
  endMs: number;
  arrivedMs: number;
  /** Ids of rules that have been raised and not cleared. */
  alerts: Set<number>;
}

export interface Drawn {
  x: number;
  y: number;
  headingDeg: number;
}

/** No fix for this long, and the vehicle is drawn as silent. */
export const SILENT_MS = 15 * 60_000;
// A vehicle glides for as long as the last two deltas were apart, within these bounds.
const GLIDE_MS_MIN = 200;
const GLIDE_MS_MAX = 4_000;
// Further than this between two deltas is no drive, and is not drawn as one.
const GLIDE_M_MAX = 3_000;
const MOVING_MPS_MIN = 0.7;

export class Fleet {
  readonly vehicles = new Map<number, Vehicle>();
  #raised = new Map<number, Set<number>>();
  // By unit and rule: the newest event taken, since the feed and the socket may bring them in any order.
  #notedMs = new Map<string, number>();
  #glidesUntilMs = 0;

  /** Takes a position; older than the held one, it is ignored. Times are of the page's clock, milliseconds. */
  put(position: Position, nowMs: number): void {
    const fixMs = Date.parse(position.recorded_at);
    const known = this.vehicles.get(position.equipment_id);
    if (known === undefined) {
      this.vehicles.set(position.equipment_id, this.#appear(position, fixMs, nowMs));
      return;
    }
    if (fixMs < known.fixMs) return;
    const drawn = drawnAt(known, nowMs);
    const old = known.position;
    const jumpM = distanceM(old.longitude, old.latitude, position.longitude, position.latitude);
    const apartMs = Math.max(GLIDE_MS_MIN, Math.min(GLIDE_MS_MAX, nowMs - known.arrivedMs));
    known.toX = unwrapX(xOfLon(position.longitude), drawn.x);
    known.toY = yOfLat(position.latitude);
    known.fromX = jumpM > GLIDE_M_MAX ? known.toX : drawn.x;
    known.fromY = jumpM > GLIDE_M_MAX ? known.toY : drawn.y;
    known.fromHeadingDeg = drawn.headingDeg;
    known.toHeadingDeg = position.heading_deg ?? drawn.headingDeg;
    known.startMs = nowMs;
    known.endMs = nowMs + apartMs;
    known.arrivedMs = nowMs;
    known.position = position;
    known.fixMs = fixMs;
    this.#glidesUntilMs = Math.max(this.#glidesUntilMs, known.endMs);
  }

  remove(equipmentId: number): void {
    this.vehicles.delete(equipmentId);
  }

  clear(): void {
    this.vehicles.clear();
    this.#raised.clear();
    this.#notedMs.clear();
  }

  /**
   * After a full snapshot: forgets what it did not hold. With a viewport only what the page believed inside it, since
   * the rest was not part of the answer.
   */
  keepOnly(seenIds: ReadonlySet<number>, viewport: LiveViewport | null): void {
    for (const [id, { position }] of this.vehicles) {
      if (!seenIds.has(id) && (viewport === null || holds(viewport, position))) {
        this.vehicles.delete(id);
      }
    }
  }

  /** Notes an alert that was raised or cleared; other events, and those older than one noted, change nothing. */
  note(event: FeedEvent): void {
    const ruleId = event.telematic_alert_id;
    if (ruleId === null) return;
    const key = `${event.equipment_id}/${ruleId}`;
    const eventMs = Date.parse(event.event_time);
    if (eventMs < (this.#notedMs.get(key) ?? -Infinity)) return;
    this.#notedMs.set(key, eventMs);
    let raised = this.#raised.get(event.equipment_id);
    if (raised === undefined) {
      raised = this.vehicles.get(event.equipment_id)?.alerts ?? new Set();
      this.#raised.set(event.equipment_id, raised);
    }
    if (event.event_type === 'alert_raised') raised.add(ruleId);
    else if (event.event_type === 'alert_cleared') raised.delete(ruleId);
  }

  /** True while something is on its way between two positions. */
  isGliding(nowMs: number): boolean {
    return nowMs < this.#glidesUntilMs;
  }

  /** Units whose number holds the text, whatever its case; those that begin with it first. */
  search(text: string, countMax: number): Vehicle[] {
    const wanted = text.trim().toLowerCase();
    if (wanted === '') return [];
    return [...this.vehicles.values()]
      .map((vehicle) => ({
        vehicle,
        at: vehicle.position.unit_number.toLowerCase().indexOf(wanted),
      }))
      .filter(({ at }) => at >= 0)
      .sort(
        (a, b) =>
          Math.min(a.at, 1) - Math.min(b.at, 1) ||
          a.vehicle.position.unit_number.localeCompare(b.vehicle.position.unit_number),
      )
      .slice(0, countMax)
      .map(({ vehicle }) => vehicle);
  }

  #appear(position: Position, fixMs: number, nowMs: number): Vehicle {
    const x = xOfLon(position.longitude);
    const y = yOfLat(position.latitude);
    const headingDeg = position.heading_deg ?? 0;
    let alerts = this.#raised.get(position.equipment_id);
    if (alerts === undefined) {
      alerts = new Set();
      this.#raised.set(position.equipment_id, alerts);
    }
    return {
      position,
      fixMs,
      fromX: x,
      fromY: y,
      toX: x,
      toY: y,
      fromHeadingDeg: headingDeg,
      toHeadingDeg: headingDeg,
      startMs: nowMs,
      endMs: nowMs,
      arrivedMs: nowMs,
      alerts,
    };
  }
}

/** Where a vehicle is drawn at a moment, and which way it points. */
export function drawnAt(vehicle: Vehicle, nowMs: number): Drawn {
  const { startMs, endMs } = vehicle;
  const part =
    endMs <= startMs ? 1 : Math.max(0, Math.min(1, (nowMs - startMs) / (endMs - startMs)));
  const turn = vehicle.toHeadingDeg - vehicle.fromHeadingDeg;
  const shortTurn = turn - 360 * Math.round(turn / 360);
  return {
    x: vehicle.fromX + (vehicle.toX - vehicle.fromX) * part,
    y: vehicle.fromY + (vehicle.toY - vehicle.fromY) * part,
    // It turns faster than it drives: a vehicle that slides sideways looks wrong.
    headingDeg: vehicle.fromHeadingDeg + shortTurn * Math.min(1, part * 3),
  };
}

/** The one word that decides a vehicle's colour. `wallMs` is the time of day, epoch milliseconds. */
export function stateOf(vehicle: Vehicle, wallMs: number): VehicleState {
  if (vehicle.alerts.size > 0) return 'alert';
  if (wallMs - vehicle.fixMs > SILENT_MS) return 'silent';
  const { speed, motion_status: motion } = vehicle.position;
  if (speed !== null) return speed >= MOVING_MPS_MIN ? 'moving' : 'stopped';
  return motion === 'moving' ? 'moving' : 'stopped';
}

function holds(viewport: LiveViewport, { longitude, latitude }: Position): boolean {
  if (latitude < viewport.south || latitude > viewport.north) return false;
  return viewport.west <= viewport.east
    ? longitude >= viewport.west && longitude <= viewport.east
    : longitude >= viewport.west || longitude <= viewport.east;
}

/**
 * The newest position of every unit of one tenant, as JSON for whoever asks, and which of them changed since the last
 * flush. Knows nothing of sockets; the hub decides who hears of what.
 */
import assert from 'node:assert/strict';
import type { LivePosition, Position } from './wire.ts';

/** One unit at its newest position. */
export class Unit {
  readonly equipmentId: number;
  accountId: number | null = null;
  lonDeg = NaN;
  latDeg = NaN;
  /** Where the unit was at the last flush: a client that showed it there must hear that it left. */
  fromLonDeg: number;
  fromLatDeg: number;
  recordedMs = NaN;
  private position: LivePosition;
  private written: { readonly json: string; readonly bytes: number } | null = null;

  constructor(position: LivePosition, recordedMs: number) {
    this.equipmentId = position.equipment_id;
    this.fromLonDeg = position.longitude;
    this.fromLatDeg = position.latitude;
    this.position = position;
    this.moveTo(position, recordedMs);
  }

  /** Its position as JSON: made when it is first asked for, and once, however many sockets it goes to. */
  get json(): string {
    return this.write().json;
  }

  /** The length of `json` in UTF-8. */
  get bytes(): number {
    return this.write().bytes;
  }

  moveTo(position: LivePosition, recordedMs: number): void {
    this.accountId = position.account_id;
    this.lonDeg = position.longitude;
    this.latDeg = position.latitude;
    this.recordedMs = recordedMs;
    this.position = position;
    this.written = null;
  }

  private write(): { readonly json: string; readonly bytes: number } {
    if (this.written === null) {
      const json = positionJson(this.position);
      this.written = { json, bytes: Buffer.byteLength(json) };
    }
    return this.written;
  }
}

export interface PutResult {
  readonly unit: Unit;
  readonly outcome: 'added' | 'moved' | 'late';
  /** The account before, when it changed; undefined when it did not. */
  readonly oldAccountId: number | null | undefined;
}

/** The units of one tenant. */
export class TenantUnits {
  readonly byId = new Map<number, Unit>();
  /** Units that changed since `settle`. */
  readonly changed = new Set<Unit>();

  /**
   * Takes a position. One older than what is held is late and changes nothing; one of the same time replaces it. A
   * position without a readable time or with coordinates that are not numbers is the caller's mistake and throws.
   */
  put(position: LivePosition): PutResult {
    const recordedMs = Date.parse(position.recorded_at);
    assert(Number.isFinite(recordedMs), 'recorded_at must be ISO 8601');
    assert(Number.isFinite(position.latitude + position.longitude), 'a position needs coordinates');
    const held = this.byId.get(position.equipment_id);
    if (held !== undefined && recordedMs < held.recordedMs) {
      return { unit: held, outcome: 'late', oldAccountId: undefined };
    }
    if (held === undefined) {
      const unit = new Unit(position, recordedMs);
      this.byId.set(unit.equipmentId, unit);
      this.changed.add(unit);
      return { unit, outcome: 'added', oldAccountId: undefined };
    }
    const oldAccountId = held.accountId === position.account_id ? undefined : held.accountId;
    held.moveTo(position, recordedMs);
    this.changed.add(held);
    return { unit: held, outcome: 'moved', oldAccountId };
  }

  /** Forgets a unit; undefined when it was not known. */
  remove(equipmentId: number): Unit | undefined {
    const unit = this.byId.get(equipmentId);
    if (unit !== undefined) {
      this.byId.delete(equipmentId);
      this.changed.delete(unit);
    }
    return unit;
  }

  /** Ends a flush: every socket has been told, or has noted, what changed. */
  settle(): void {
    for (const unit of this.changed) {
      unit.fromLonDeg = unit.lonDeg;
      unit.fromLatDeg = unit.latDeg;
    }
    this.changed.clear();
  }
}

/** JSON of a position, field by field: the tenant and whatever else the object carries stays here. */
function positionJson(position: LivePosition): string {
  const wire: Position = {
    equipment_id: position.equipment_id,
    unit_number: position.unit_number,
    account_id: position.account_id,
    latitude: position.latitude,
    longitude: position.longitude,
    speed: position.speed,
    heading_deg: position.heading_deg,
    motion_status: position.motion_status,
    ignition: position.ignition,
    temperature: position.temperature,
    recorded_at: position.recorded_at,
  };
  return JSON.stringify(wire);
}

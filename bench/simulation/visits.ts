/**
 * Visits as the feed tells them: an enter opens one, an exit closes it. Holds what the contract promises of them,
 * event by event. A visit is open from its enter until its exit, and there is no way back.
 */
import type { EngineEvent } from '../../engine/types.ts';
import { hold } from './breach.ts';

export interface Visit {
  readonly fenceId: number;
  readonly enteredMs: number;
  readonly enterMs: number;
  readonly tenantId: number;
  hasDwelled: boolean;
}

/** The end of a visit. */
interface End {
  readonly lastFixMs: number;
  /**
   * Nothing of the next visit lies before it; −Infinity where an edit ended it, perhaps ahead of the device's clock.
   */
  readonly leftMs: number;
}

export class Visits {
  /** By device, then by fence. */
  private readonly open = new Map<number, Map<number, Visit>>();
  private readonly ends = new Map<string, End>();
  /** How many were closed. */
  closed = 0;

  /** Ascending by fence. */
  openOf(deviceId: number): readonly Visit[] {
    const visits = [...(this.open.get(deviceId)?.values() ?? [])];
    return visits.sort((a, b) => a.fenceId - b.fenceId);
  }

  take(event: EngineEvent): void {
    const { fenceId } = event;
    if (fenceId === null) return;
    if (event.type === 'geofence_enter') this.enter(event, fenceId);
    else if (event.type === 'geofence_exit') this.exit(event, fenceId);
    else if (event.type === 'geofence_dwell') this.dwell(event, fenceId);
    else {
      const isInside = this.open.get(event.deviceId)?.has(fenceId) === true;
      hold(!isInside, 'who crosses a fence is not in it', () => JSON.stringify(event));
    }
  }

  private enter(event: EngineEvent, fenceId: number): void {
    const { deviceId, enteredMs, timeMs, tenantId } = event;
    const seen = (): string => JSON.stringify(event);
    let ofDevice = this.open.get(deviceId);
    if (ofDevice === undefined) this.open.set(deviceId, (ofDevice = new Map<number, Visit>()));
    hold(!ofDevice.has(fenceId), 'enter and exit alternate', seen);
    hold(enteredMs <= timeMs, 'a visit begins no later than its enter', seen);
    const before = this.ends.get(`${deviceId} ${fenceId}`);
    const isAfter =
      before === undefined || (enteredMs > before.lastFixMs && enteredMs >= before.leftMs);
    hold(isAfter, 'a visit begins after the one before', seen);
    ofDevice.set(fenceId, { fenceId, enteredMs, enterMs: timeMs, tenantId, hasDwelled: false });
  }

  private exit(event: EngineEvent, fenceId: number): void {
    const { deviceId, enteredMs, leftMs, lastFixMs, timeMs, cause } = event;
    const seen = (): string => JSON.stringify(event);
    const visit = this.visitOf(event, fenceId);
    const isOrdered = enteredMs <= lastFixMs && lastFixMs <= leftMs && leftMs <= timeMs;
    hold(isOrdered, 'the times of a visit are in order', seen);
    hold(timeMs >= visit.enterMs, 'an exit is no earlier than its enter', seen);
    this.open.get(deviceId)?.delete(fenceId);
    const isByFix = cause === 'move' || cause === 'schedule';
    this.ends.set(`${deviceId} ${fenceId}`, { lastFixMs, leftMs: isByFix ? leftMs : -Infinity });
    this.closed++;
  }

  private dwell(event: EngineEvent, fenceId: number): void {
    const visit = this.visitOf(event, fenceId);
    const seen = (): string => JSON.stringify(event);
    hold(!visit.hasDwelled, 'a dwell is told once a visit', seen);
    hold(event.timeMs >= visit.enterMs, 'a dwell is no earlier than its enter', seen);
    visit.hasDwelled = true;
  }

  /** The open visit that an event names. */
  private visitOf(
    { deviceId, enteredMs, tenantId, ...event }: EngineEvent,
    fenceId: number,
  ): Visit {
    const visit = this.open.get(deviceId)?.get(fenceId);
    const seen = (): string =>
      JSON.stringify({ deviceId, fenceId, enteredMs, tenantId, event, visit });
    hold(visit !== undefined, 'enter and exit alternate', seen);
    hold(visit.enteredMs === enteredMs, 'device, fence and entering name a visit', seen);
    hold(visit.tenantId === tenantId, 'a visit stays with its tenant', seen);
    return visit;
  }
}

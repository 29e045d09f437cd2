/** What one fix means to one fence and to a stay in it, said plainly, for tests that hold the engine against it. */
import { DEGREE_M, RADIANS } from './geodesy.ts';
import { CROSS_SPEED_MPS_MAX } from './search.ts';
import { closingMs, isOpen } from './test-plain-hours.ts';
import { holds, isNear, meets, type Place } from './test-plain-shapes.ts';
import type { Device, EventCause, Fence } from './types.ts';

export interface Fix extends Place {
  readonly row: number;
  readonly timeMs: number;
  readonly accuracyM: number;
}

export interface Stay {
  readonly fenceId: number;
  phase: 'entering' | 'inside' | 'ended';
  version: number;
  /** Entering: fixes inside in a row; inside: fixes outside in a row. */
  count: number;
  cause: EventCause;
  enteredMs: number;
  enterMs: number;
  dwelled: boolean;
  outMs: number;
  lastInMs: number;
  endMs: number;
}

export function begin(stay: Stay, { schedule }: Fence, timeMs: number): void {
  stay.phase = 'inside';
  stay.count = 0;
  stay.enterMs = timeMs;
  stay.endMs = schedule === null ? Infinity : closingMs(schedule, timeMs);
}

/** True when the fix makes the enter sure. Under an edited shape the row goes on only if the fix before lies in it. */
export function countIn(stay: Stay, fence: Fence, { timeMs }: Fix, spoken: Fix | null): boolean {
  const goesOn = stay.version === fence.version || (spoken !== null && holds(fence.shape, spoken));
  if (goesOn) stay.count++;
  else Object.assign(stay, { count: 1, enteredMs: timeMs, cause: 'move' });
  stay.version = fence.version;
  if (stay.count < fence.enterFixCount) return false;
  begin(stay, fence, timeMs);
  return true;
}

/** True when the fix ends the visit; the stay's cause is then that of the exit. */
export function countOut(
  stay: Stay,
  fence: Fence,
  fix: Fix,
  { before, spoken }: { before: Fix | null; spoken: Fix | null },
): boolean {
  const isFirst = stay.count === 0;
  const hasMoved =
    isFirst &&
    stay.version !== fence.version &&
    spoken !== null &&
    !holds(fence.shape, spoken) &&
    !isInBuffer(fence, spoken);
  if (isFirst) Object.assign(stay, { outMs: fix.timeMs, lastInMs: before?.timeMs ?? NaN });
  stay.count++;
  stay.version = fence.version;
  stay.cause = hasMoved ? 'fence_changed' : 'move';
  return hasMoved || stay.count >= fence.exitFixCount;
}

/** "Causes of an enter", for a device that has sent a fix before. */
export function causeOf(fence: Fence, spoken: Fix | null, fix: Fix): EventCause {
  if (spoken === null || !holds(fence.shape, spoken)) return 'move';
  const { schedule } = fence;
  if (schedule === null) return 'fence_changed';
  const wasOpen =
    isOpen(schedule, spoken.timeMs) && closingMs(schedule, spoken.timeMs) > fix.timeMs;
  return wasOpen ? 'fence_changed' : 'schedule';
}

export function isCrossed(fence: Fence, before: Fix, fix: Fix): boolean {
  const gapMs = fix.timeMs - before.timeMs;
  if (gapMs > fence.crossGapMsMax || !isInForce(fence, fix.timeMs)) return false;
  if (planeM(before, fix) > (CROSS_SPEED_MPS_MAX * gapMs) / 1000) return false;
  return !holds(fence.shape, before) && meets(fence.shape, before, fix);
}

/** In the plane at the newer fix: what was driven between two fixes is short. */
function planeM(before: Fix, fix: Fix): number {
  const away = Math.abs(fix.lonDeg - before.lonDeg);
  const x = Math.min(away, 360 - away) * Math.cos(fix.latDeg * RADIANS);
  return Math.hypot(x, fix.latDeg - before.latDeg) * DEGREE_M;
}

export function speaksOf(
  subject: { readonly tenantId: number; readonly accountId: number | null },
  { tenantId, accountId }: Device,
): boolean {
  const isForAccount = subject.accountId === null || subject.accountId === accountId;
  return subject.tenantId === tenantId && isForAccount;
}

export function isInForce({ schedule }: Fence, timeMs: number): boolean {
  return schedule === null || isOpen(schedule, timeMs);
}

export function isAccurate({ accuracyMMax }: Fence, { accuracyM }: Fix): boolean {
  return accuracyMMax === null || !(accuracyM > accuracyMMax);
}

export function isInBuffer({ shape, exitBufferM }: Fence, fix: Fix): boolean {
  return exitBufferM > 0 && isNear(shape, fix, exitBufferM);
}

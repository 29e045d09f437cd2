/** A device's stays and rules as plain data that survives a restart, and back. */
import type { Stays } from './stays.ts';
import { ENDED, ENTERING, INSIDE } from './stays.ts';
import type {
  DeviceState,
  EndedState,
  EnteringState,
  Fence,
  InsideState,
  RuleState,
} from './types.ts';
import type { World } from './world.ts';
import { FenceEntry, policyOf } from './world.ts';
import { prepareShape } from './prepare.ts';

/** That of a device which is nowhere. */
export const EMPTY_STATE: DeviceState = { inside: [], entering: [], ended: [], rules: [] };

/** The list as plain data. */
export function stateOf(stays: Stays, head: number, rules: readonly RuleState[]): DeviceState {
  const inside: InsideState[] = [];
  const entering: EnteringState[] = [];
  const ended: EndedState[] = [];
  for (let stay = head; stay >= 0; stay = stays.next(stay)) {
    const phase = stays.phase(stay);
    if (phase === INSIDE) inside.push(insideState(stays, stay));
    else if (phase === ENTERING) entering.push(enteringState(stays, stay));
    else ended.push({ fenceId: fenceIdOf(stays, stay), untilMs: stays.endMs(stay) });
  }
  return { inside, entering, ended, rules };
}

function fenceIdOf(stays: Stays, stay: number): number {
  return stays.entry[stay]!.fenceId;
}

function insideState(stays: Stays, stay: number): InsideState {
  const { fenceId, name } = stays.entry[stay]!;
  return {
    fenceId,
    version: stays.version(stay),
    name,
    enteredMs: stays.enteredMs(stay),
    enterMs: stays.enterMs(stay),
    dwelled: stays.dwelled(stay) === 1,
    outCount: stays.fixes(stay),
    outMs: orNull(stays.outMs(stay)),
    lastInMs: orNull(stays.lastInMs(stay)),
    endMs: stays.endMs(stay) === Infinity ? null : stays.endMs(stay),
  };
}

function enteringState(stays: Stays, stay: number): EnteringState {
  return {
    fenceId: fenceIdOf(stays, stay),
    version: stays.version(stay),
    inCount: stays.fixes(stay),
    firstMs: stays.enteredMs(stay),
    cause: stays.causeOf(stay),
  };
}

/** Whether two lists say the same. */
export function sameStays(stays: Stays, a: number, b: number): boolean {
  while (a >= 0 && b >= 0) {
    if (a === b) return true;
    if (!sameStay(stays, a, b)) return false;
    a = stays.next(a);
    b = stays.next(b);
  }
  return a === b;
}

function sameStay(stays: Stays, a: number, b: number): boolean {
  return (
    stays.entry[a] === stays.entry[b] &&
    stays.phase(a) === stays.phase(b) &&
    stays.version(a) === stays.version(b) &&
    stays.fixes(a) === stays.fixes(b) &&
    stays.dwelled(a) === stays.dwelled(b) &&
    stays.enteredMs(a) === stays.enteredMs(b) &&
    stays.enterMs(a) === stays.enterMs(b) &&
    stays.causeOf(a) === stays.causeOf(b) &&
    stays.endMs(a) === stays.endMs(b) &&
    Object.is(stays.outMs(a), stays.outMs(b)) &&
    Object.is(stays.lastInMs(a), stays.lastInMs(b))
  );
}

/**
 * Makes stays of plain data; gives the list's head. A fence that the world does not know becomes one that is gone, so that
 * its visit is closed with the next batch. `tenantId` is whose it was.
 */
export function staysOf(world: World, stays: Stays, state: DeviceState, tenantId: number): number {
  let head = -1;
  for (const one of state.inside) {
    const entry = entryOf(world, one.fenceId, { ...one, tenantId });
    const stay = stays.take(entry, INSIDE);
    stays.setVersion(stay, one.version);
    stays.setEnteredMs(stay, one.enteredMs);
    stays.setEnterMs(stay, one.enterMs);
    stays.setDwelled(stay, one.dwelled ? 1 : 0);
    stays.setFixes(stay, one.outCount);
    stays.setOutMs(stay, one.outMs ?? NaN);
    stays.setLastInMs(stay, one.lastInMs ?? NaN);
    stays.setEndMs(stay, one.endMs ?? Infinity);
    head = stays.insert(head, stay);
  }
  for (const one of state.entering) {
    const stay = stays.take(entryOf(world, one.fenceId, { ...one, tenantId }), ENTERING);
    stays.setVersion(stay, one.version);
    stays.setFixes(stay, one.inCount);
    stays.setEnteredMs(stay, one.firstMs);
    stays.setCause(stay, one.cause);
    head = stays.insert(head, stay);
  }
  for (const { fenceId, untilMs } of state.ended) {
    const stay = stays.take(entryOf(world, fenceId, { version: 0, tenantId }), ENDED);
    stays.setEndMs(stay, untilMs);
    head = stays.insert(head, stay);
  }
  return head;
}

function entryOf(
  world: World,
  fenceId: number,
  known: { version: number; name?: string; tenantId: number },
): FenceEntry {
  return world.fences.get(fenceId) ?? goneFence(world, fenceId, known);
}

function goneFence(
  world: World,
  fenceId: number,
  { version, name = '', tenantId }: { version: number; name?: string; tenantId: number },
): FenceEntry {
  const fence: Fence = {
    fenceId,
    version,
    tenantId,
    accountId: null,
    name,
    shape: { type: 'circle', centerLonDeg: 0, centerLatDeg: 0, radiusM: 1 },
    exitBufferM: 0,
    enterFixCount: 1,
    exitFixCount: 1,
    accuracyMMax: null,
    dwellMs: null,
    crossGapMsMax: 0,
    schedule: null,
  };
  const entry = new FenceEntry(fence, policyOf(world, fence), prepareShape(fence.shape));
  entry.isGone = true;
  return entry;
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

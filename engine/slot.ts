/**
 * What an engine holds of one device: its state, what it last said, and how all that was before the pending batch.
 *
 * A slot is settled until a batch touches it (`beginSlot`), pending until the engine commits or rolls back
 * (`settleSlot`, `revertSlot`), then settled again. State arrays and their entries are never changed in place, so a
 * snapshot may share them.
 */
import type { ActiveRules } from './rule-steps.ts';
import type {
  Device,
  DeviceLast,
  DeviceState,
  EnteringState,
  InsideState,
  RuleState,
} from './types.ts';

/** The fields that a batch may move and a rollback puts back. */
interface Moving {
  inside: readonly InsideState[];
  entering: readonly EnteringState[];
  rules: readonly RuleState[];
  fixMs: number;
  lonDeg: number;
  latDeg: number;
  accuracyM: number;
}

export interface Slot extends Moving {
  readonly deviceId: number;
  /** Newest evaluated reading by metric code; put back through the engine's log of readings. */
  readonly readingMs: Map<string, number>;
  /** What a rollback puts back; its fields are valid while `pending`. */
  readonly saved: Moving;
  pending: boolean;
  /** The slot was made by the pending batch. */
  fresh: boolean;
  /** The device as of the pending batch. */
  device: Device | null;
  /** Rules that apply to the device, or null when they have to be looked up again. */
  active: ActiveRules | null;
  /** Rows of the pending batch: heads of lists in the engine's row chains, −1 when there are none. */
  fixHead: number;
  fixTail: number;
  readingHead: number;
  readingTail: number;
}

const NONE: readonly never[] = [];

function still(): Moving {
  return {
    inside: NONE,
    entering: NONE,
    rules: NONE,
    fixMs: NaN,
    lonDeg: NaN,
    latDeg: NaN,
    accuracyM: NaN,
  };
}

/** A settled slot; `null` for a device of which nothing is known. */
export function createSlot(
  deviceId: number,
  state: DeviceState | null,
  last: DeviceLast | null,
): Slot {
  // Written out: with spreads every slot reads and writes several times slower.
  return {
    inside: state ? state.inside.toSorted((a, b) => a.fenceId - b.fenceId) : NONE,
    entering: state ? state.entering.toSorted((a, b) => a.fenceId - b.fenceId) : NONE,
    rules: state ? state.rules.toSorted((a, b) => a.ruleId - b.ruleId) : NONE,
    fixMs: last?.fixMs ?? NaN,
    lonDeg: last?.lonDeg ?? NaN,
    latDeg: last?.latDeg ?? NaN,
    accuracyM: last?.accuracyM ?? NaN,
    deviceId,
    readingMs: new Map(last ? Object.entries(last.readingMs) : []),
    saved: still(),
    pending: false,
    fresh: false,
    device: null,
    active: null,
    fixHead: -1,
    fixTail: -1,
    readingHead: -1,
    readingTail: -1,
  };
}

/** Makes a slot pending: remembers how it is. */
export function beginSlot(slot: Slot, device: Device): void {
  slot.pending = true;
  slot.fixHead = slot.fixTail = slot.readingHead = slot.readingTail = -1;
  if (slot.device !== device) {
    slot.device = device;
    slot.active = null;
  }
  move(slot, slot.saved);
}

/** Pending → settled with what the batch made of it. */
export function settleSlot(slot: Slot): void {
  slot.pending = false;
  slot.fresh = false;
}

/** Pending → settled as it was before the batch, but for `readingMs`. */
export function revertSlot(slot: Slot): void {
  slot.pending = false;
  // Looking rules up also drops states of rules that are gone, so it has to happen again.
  slot.active = null;
  move(slot.saved, slot);
}

/** The state as of the last commit, or as of the pending batch. */
export function stateOf({ inside, entering, rules }: Moving): DeviceState {
  return { inside, entering, rules };
}

/** Whether the pending batch has changed what must be stored. */
export function isChanged(slot: Slot): boolean {
  const { saved } = slot;
  return !(
    sameEntries(slot.inside, saved.inside) &&
    sameEntries(slot.entering, saved.entering) &&
    sameEntries(slot.rules, saved.rules)
  );
}

function move(from: Moving, to: Moving): void {
  to.inside = from.inside;
  to.entering = from.entering;
  to.rules = from.rules;
  to.fixMs = from.fixMs;
  to.lonDeg = from.lonDeg;
  to.latDeg = from.latDeg;
  to.accuracyM = from.accuracyM;
}

// Entries of one list have the same keys and only plain values.
function sameEntries<T extends object>(a: readonly T[], b: readonly T[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  return a.every((entry, i) => {
    const other = b[i]!;
    if (entry === other) return true;
    for (const key in entry) if (entry[key] !== other[key]) return false;
    return true;
  });
}

/** What a pending batch has changed of devices' states: what must be stored. */
import type { Core } from './core.ts';
import { sameStays, stateOf } from './state.ts';
import type { DeviceChange, RuleState } from './types.ts';

/** Devices whose state is another than before the batch, and those of which nothing was held before. */
export function changesOf({ touched, slots, stays }: Core): readonly DeviceChange[] {
  const changed: DeviceChange[] = [];
  for (let i = 0; i < touched.count; i++) {
    const slot = touched.slot(i);
    const head = slots.stays(slot);
    const rules = slots.rules(slot);
    const isAsBefore =
      !touched.isFresh(i) &&
      sameRules(rules, touched.rules[i]!) &&
      (!touched.isCopied(i) || sameStays(stays, head, touched.stays(i)));
    if (isAsBefore) continue;
    const { deviceId, tenantId } = slots.device[slot]!;
    changed.push({ deviceId, tenantId, state: stateOf(stays, head, rules) });
  }
  return changed;
}

function sameRules(a: readonly RuleState[], b: readonly RuleState[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  return a.every((one, i) => {
    const { ruleId, version, phase, sinceMs } = b[i]!;
    return (
      one.ruleId === ruleId &&
      one.version === version &&
      one.phase === phase &&
      one.sinceMs === sinceMs
    );
  });
}

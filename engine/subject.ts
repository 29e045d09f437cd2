/** The device that is being stepped, as events and rules see it; one object, set anew for each. */
import type { Slots } from './slots.ts';
import { NO_RULES } from './slots.ts';
import type { Device, RuleState } from './types.ts';

export class Subject {
  device: Device | null = null;
  /** Its newest fix. */
  fixMs = NaN;
  lonDeg = NaN;
  latDeg = NaN;
  /** States of its rules; what a step puts here is to be kept. */
  rules: readonly RuleState[] = NO_RULES;

  set(slots: Slots, slot: number): this {
    this.device = slots.device[slot]!;
    this.fixMs = slots.fixMs(slot);
    this.lonDeg = slots.lonDeg(slot);
    this.latDeg = slots.latDeg(slot);
    this.rules = slots.rules(slot);
    return this;
  }
}

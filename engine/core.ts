/** What the steps of an engine work on, in one place. Knows which slot may be changed when, and nothing of fences. */
import { DueHeap } from './due-heap.ts';
import { statesInScope } from './rule-steps.ts';
import { Scopes, type Scope } from './scope.ts';
import { Slots } from './slots.ts';
import { Stays } from './stays.ts';
import { Subject } from './subject.ts';
import { Touched } from './touched.ts';
import type { EngineEvent } from './types.ts';
import type { World } from './world.ts';

export class Core {
  readonly world: World;
  /** False: every fix is searched anew, for tests that hold one against the other. */
  readonly usesClearBox: boolean;
  readonly slots = new Slots();
  readonly stays = new Stays();
  readonly due = new DueHeap();
  readonly touched = new Touched();
  readonly scopes = new Scopes();
  readonly subject = new Subject();
  events: EngineEvent[] = [];

  constructor(world: World, usesClearBox: boolean) {
    this.world = world;
    this.usesClearBox = usesClearBox;
  }

  /** Makes a slot pending that is not yet. */
  begin(slot: number, isFresh = false): void {
    if (this.slots.touch(slot) < 0) this.touched.begin(this.slots, slot, isFresh);
  }

  /** The head of a pending slot's stays, which may be changed from now on. */
  ownStays(slot: number): number {
    this.touched.copyStays(this.slots, this.stays, slot);
    return this.slots.stays(slot);
  }

  /** What concerns a pending slot's device now; states of rules that do not any more are dropped. */
  scopeOf(slot: number): Scope {
    const { slots } = this;
    const known = slots.scope[slot];
    if (known && known.rulesEpoch === known.tenant.rulesEpoch) return known;
    const scope = this.scopes.of(this.world, slots.device[slot]!);
    slots.scope[slot] = scope;
    slots.setRules(slot, statesInScope(slots.rules(slot), scope.rules));
    return scope;
  }
}

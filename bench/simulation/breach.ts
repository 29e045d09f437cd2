/** What a simulation ends with when something does not hold: which invariant, and what was seen. */
export class Breach extends Error {
  readonly invariant: string;

  constructor(invariant: string, seen: string) {
    super(`${invariant}: ${seen}`);
    this.invariant = invariant;
  }
}

/** Throws unless it holds. `seen` is asked for only then. */
export function hold(isHeld: boolean, invariant: string, seen: () => string): asserts isHeld {
  if (!isHeld) throw new Breach(invariant, seen());
}

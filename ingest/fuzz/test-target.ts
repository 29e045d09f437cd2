/** What is fuzzed, as the runner sees it: a name, a source of inputs, and what must hold of each of them. */
import type fc from 'fast-check';

/** One door to be tried; `T` is what an input is. */
export interface FuzzTarget<T = unknown> {
  readonly name: string;
  readonly input: fc.Arbitrary<T>;
  /** No message of its own is known here to begin from, so nothing need come far. */
  readonly isBlind?: boolean;
  /**
   * Throws where a promise is broken. True when the input came further than the first refusal: a run of which nothing
   * does shows nothing.
   */
  readonly check: (input: T) => boolean | Promise<boolean>;
}

/** A target of any input, for lists of different ones. */
export function target<T>(one: FuzzTarget<T>): FuzzTarget {
  return one as FuzzTarget<unknown>;
}

/**
 * Chance that can be repeated: the same key gives the same numbers on every machine. Knows nothing of what they are
 * used for, and is not fit for secrets.
 */
import assert from 'node:assert/strict';

/** A stream of random numbers of its own for every key, so that adding one user of chance moves no other. */
export class Random {
  private state: number;

  /** `key` names the stream: `vehicle:17`. */
  constructor(key: string) {
    // FNV-1a, 32 bits.
    let hash = 0x811c9dc5;
    for (let i = 0; i < key.length; i++) {
      hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
    }
    this.state = hash >>> 0;
    // Keys that differ in one letter begin close together; two steps part them.
    this.unit();
    this.unit();
  }

  /** At least 0, below 1 (mulberry32). */
  unit(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** At least `min`, below `max`. */
  between(min: number, max: number): number {
    return min + this.unit() * (max - min);
  }

  /** A whole number from `min` to `max`, both included. */
  whole(min: number, max: number): number {
    return min + Math.floor(this.unit() * (max - min + 1));
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  /** Normally distributed, mean 0, standard deviation 1 (Box and Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.unit()));
    return radius * Math.cos(2 * Math.PI * this.unit());
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    assert(list.length > 0, 'something to pick from');
    return list[Math.floor(this.unit() * list.length)]!;
  }
}

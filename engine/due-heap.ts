/**
 * What is due when: a binary heap of instants and slots in flat arrays. A slot whose instant has changed stays in the heap
 * with the old one as well; who takes it out sees that it is not the slot's any more.
 */
export class DueHeap {
  private times = new Float64Array(64);
  private slots = new Int32Array(64);
  size = 0;

  /** The earliest instant, Infinity when there is none. */
  get firstMs(): number {
    return this.size > 0 ? this.times[0]! : Infinity;
  }

  /** The slot of the earliest instant. */
  get firstSlot(): number {
    return this.slots[0]!;
  }

  push(timeMs: number, slot: number): void {
    if (this.size === this.times.length) this.grow();
    let at = this.size++;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (this.times[above]! <= timeMs) break;
      this.times[at] = this.times[above]!;
      this.slots[at] = this.slots[above]!;
      at = above;
    }
    this.times[at] = timeMs;
    this.slots[at] = slot;
  }

  /** Takes the earliest out. */
  pop(): void {
    const size = --this.size;
    const timeMs = this.times[size]!;
    const slot = this.slots[size]!;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= size) break;
      if (below + 1 < size && this.times[below + 1]! < this.times[below]!) below++;
      if (this.times[below]! >= timeMs) break;
      this.times[at] = this.times[below]!;
      this.slots[at] = this.slots[below]!;
      at = below;
    }
    this.times[at] = timeMs;
    this.slots[at] = slot;
  }

  clear(): void {
    this.size = 0;
  }

  private grow(): void {
    const times = new Float64Array(this.times.length * 2);
    times.set(this.times);
    this.times = times;
    const slots = new Int32Array(this.slots.length * 2);
    slots.set(this.slots);
    this.slots = slots;
  }
}

/**
 * Records from one thread to another through shared memory: one writer, one reader, no lock. Knows lengths and order;
 * refuses to know what a record is.
 *
 * The writer moves HEAD after it has written a record, the reader moves TAIL after it has read one; both only grow (and wrap
 * at 2^32), and their difference is what lies between. A record never wraps: what is left at the end is passed over. The
 * reader sleeps while there is nothing, and says so first, so that the writer wakes it only then.
 */
import assert from 'node:assert/strict';

const HEAD = 0;
const TAIL = 1;
const SLEEPING = 2;
const CONTROLS = 3;
/** Length and tag before each record; a record begins at a multiple of it. */
const HEADER_BYTES = 8;
/** In place of a length: go on at the beginning. */
const WRAP = -1;

export interface RingMemory {
  readonly control: SharedArrayBuffer;
  readonly data: SharedArrayBuffer;
}

/** Room for at least so many bytes of records with their headers. */
export function createRingMemory(bytesMin: number): RingMemory {
  const size = 2 ** Math.ceil(Math.log2(Math.max(bytesMin, 1_024)));
  return {
    control: new SharedArrayBuffer(CONTROLS * Int32Array.BYTES_PER_ELEMENT),
    data: new SharedArrayBuffer(size),
  };
}

/** Bytes that a record takes in the ring. */
export function ringBytesOf(recordBytes: number): number {
  return (HEADER_BYTES + recordBytes + HEADER_BYTES - 1) & -HEADER_BYTES;
}

export class RingWriter {
  private readonly control: Int32Array;
  private readonly bytes: Uint8Array;
  private readonly words: Int32Array;
  private head: number;

  constructor(memory: RingMemory) {
    this.control = new Int32Array(memory.control);
    this.bytes = new Uint8Array(memory.data);
    this.words = new Int32Array(memory.data);
    this.head = Atomics.load(this.control, HEAD);
  }

  /** Copies one more record in. False, and nothing is written, when there is no room for it now. */
  push(record: Uint8Array, tag: number): boolean {
    const size = this.bytes.length;
    const needed = ringBytesOf(record.length);
    assert(needed * 2 <= size, 'a record of more than half of the ring');
    let at = this.head & (size - 1);
    const skipped = at + needed > size ? size - at : 0;
    const used = (this.head - Atomics.load(this.control, TAIL)) | 0;
    if (used + skipped + needed > size) return false;
    if (skipped > 0) {
      this.words[at >> 2] = WRAP;
      at = 0;
    }
    this.words[at >> 2] = record.length;
    this.words[(at >> 2) + 1] = tag;
    this.bytes.set(record, at + HEADER_BYTES);
    this.head = (this.head + skipped + needed) | 0;
    Atomics.store(this.control, HEAD, this.head);
    if (Atomics.load(this.control, SLEEPING) === 1) Atomics.notify(this.control, HEAD);
    return true;
  }
}

export class RingReader {
  /** After `next`: the tag of the record. */
  tag = 0;
  private readonly control: Int32Array;
  private readonly bytes: Buffer;
  private readonly words: Int32Array;
  private tail: number;

  constructor(memory: RingMemory) {
    this.control = new Int32Array(memory.control);
    this.bytes = Buffer.from(memory.data);
    this.words = new Int32Array(memory.data);
    this.tail = Atomics.load(this.control, TAIL);
  }

  /** The next record, in the ring's own memory, until the following call; blocks the thread until there is one. */
  next(): Buffer {
    const { control, words } = this;
    this.release();
    while (Atomics.load(control, HEAD) === this.tail) this.sleep();
    const size = this.bytes.length;
    let at = this.tail & (size - 1);
    if (words[at >> 2] === WRAP) {
      this.tail = (this.tail + size - at) | 0;
      at = 0;
    }
    const length = words[at >> 2]!;
    this.tag = words[(at >> 2) + 1]!;
    this.tail = (this.tail + ringBytesOf(length)) | 0;
    return this.bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length);
  }

  /** Gives the record's memory back to the writer; another reader would go on behind it. */
  release(): void {
    Atomics.store(this.control, TAIL, this.tail);
  }

  private sleep(): void {
    const { control } = this;
    Atomics.store(control, SLEEPING, 1);
    Atomics.wait(control, HEAD, this.tail);
    Atomics.store(control, SLEEPING, 0);
  }
}

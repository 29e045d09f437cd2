/**
 * The main thread's side of one pass: gives out reads, takes finished batches, and counts. Knows which work is whose;
 * refuses to know how decoding and evaluating are done. What it hands over is bounded: no more than `windowRows` fixes are
 * out at any time.
 */
import assert from 'node:assert/strict';
import type { Hash } from 'node:crypto';
import type { Worker } from 'node:worker_threads';
import type { Evaluation } from '../../engine/types.ts';
import type { World } from '../../engine/world.ts';
import { FillingBatch } from '../../ingest/batch.ts';
import type { Link } from '../../ingest/registry.ts';
import { readAt, type Reads } from './reads.ts';
import { RingWriter, type RingMemory } from './ring.ts';
import { buffersOf, Decoder, Evaluator, putColumns, takeColumns, type Columns } from './stages.ts';
import { allUs, threadCost } from './thread-cost.ts';
import { RING_END, type FromWorker, type ToWorker } from './worker-messages.ts';

/** Who decodes, and how reads get there; who evaluates and encodes. */
export interface Variant {
  readonly name: string;
  readonly decodes: 'main' | 'by_message' | 'by_ring';
  readonly evaluates: 'main' | 'worker';
}

export interface House {
  readonly world: World;
  readonly links: readonly Link[];
  readonly worker: Worker;
  readonly ring: RingMemory;
  readonly nowMs: number;
  readonly batchRows: number;
  readonly windowRows: number;
}

/** What was done, and what it took. */
export interface PassResult {
  readonly fixes: number;
  readonly copyBytes: number;
  readonly events: number;
  readonly wallUs: number;
  /** CPU time of the main thread. */
  readonly mainUs: number;
  /** CPU time of all threads. */
  readonly allUs: number;
  /** CPU time of what the main thread evaluated and encoded. */
  readonly evaluateUs: number;
  readonly encodeUs: number;
}

/** Sends all reads through, once. What came of them is added to `digest`, which a timed pass has none of. */
export function runPass(
  house: House,
  variant: Variant,
  reads: Reads,
  digest: Hash | null,
): Promise<PassResult> {
  return new Pass(house, variant, digest).run(reads);
}

class Pass {
  private readonly house: House;
  private readonly variant: Variant;
  private readonly digest: Hash | null;
  private readonly decoder: Decoder;
  private readonly evaluator: Evaluator;
  private readonly batch = new FillingBatch();
  private readonly spare: Columns[] = [];
  /** Fixes given to the worker that have not come back. */
  private outRows = 0;
  private wake: (() => void) | null = null;
  private hasEnded = false;
  private fixes = 0;
  private copyBytes = 0;
  private events = 0;
  private evaluateUs = 0;
  private encodeUs = 0;

  constructor(house: House, variant: Variant, digest: Hash | null) {
    this.house = house;
    this.variant = variant;
    this.digest = digest;
    this.decoder = new Decoder(house.links, house.nowMs);
    this.evaluator = new Evaluator(house.world);
  }

  async run(reads: Reads): Promise<PassResult> {
    const { variant, house } = this;
    const ownBytes = variant.decodes === 'by_message' ? ownBuffers(reads) : null;
    const take = (message: FromWorker): void => this.take(message);
    house.worker.on('message', take);
    const ring = variant.decodes === 'by_ring' ? house.ring : null;
    this.post({ kind: 'begin', evaluates: variant.evaluates === 'worker', ring });
    const startedMs = performance.now();
    const before = threadCost();
    if (ring !== null) await this.feedRing(reads, new RingWriter(ring));
    else if (ownBytes !== null) await this.feedMessages(reads, ownBytes);
    else await this.feedDecoder(reads);
    while (!this.hasEnded) await this.woken();
    const after = threadCost();
    house.worker.off('message', take);
    assert(this.batch.fixes.count === 0 && this.outRows === 0, 'every fix has come back');
    return {
      fixes: this.fixes,
      copyBytes: this.copyBytes,
      events: this.events,
      wallUs: (performance.now() - startedMs) * 1_000,
      mainUs: after.ownUs - before.ownUs,
      allUs: after.allUs - before.allUs,
      evaluateUs: this.evaluateUs,
      encodeUs: this.encodeUs,
    };
  }

  private async feedDecoder(reads: Reads): Promise<void> {
    const { batch, house, variant } = this;
    for (let i = 0; i < reads.ends.length; i++) {
      this.decoder.decode(readAt(reads, i), reads.device[i]!, batch);
      if (batch.fixes.count < house.batchRows) continue;
      if (variant.evaluates === 'main') this.evaluate();
      else await this.postRows();
    }
    this.post({ kind: 'end' });
  }

  private async feedMessages(reads: Reads, ownBytes: readonly ArrayBuffer[]): Promise<void> {
    for (let i = 0; i < ownBytes.length; i++) {
      const bytes = ownBytes[i]!;
      this.post({ kind: 'read', device: reads.device[i]!, bytes }, [bytes]);
      this.outRows += reads.fixCount[i]!;
      if (this.isFull) await this.room();
    }
    this.post({ kind: 'end' });
  }

  private async feedRing(reads: Reads, ring: RingWriter): Promise<void> {
    for (let i = 0; i < reads.ends.length; i++) {
      assert(ring.push(readAt(reads, i), reads.device[i]!), 'the ring has room for the window');
      this.outRows += reads.fixCount[i]!;
      if (this.isFull) await this.room();
    }
    assert(ring.push(Buffer.alloc(0), RING_END), 'the ring has room for the end');
  }

  private async postRows(): Promise<void> {
    const { count } = this.batch.fixes;
    const columns = takeColumns(this.batch, this.spare.pop());
    this.post({ kind: 'rows', count, columns }, buffersOf(columns));
    this.outRows += count;
    if (this.isFull) await this.room();
  }

  private get isFull(): boolean {
    return this.outRows >= this.house.windowRows;
  }

  private async room(): Promise<void> {
    while (this.isFull) await this.woken();
  }

  private woken(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  private take(message: FromWorker): void {
    if (message.kind === 'rows') this.takeRows(message.columns, message.count);
    else if (message.kind === 'work') {
      this.finished(message.count, message.copy, message.evaluation);
      this.outRows -= message.count;
      this.giveBack(message.columns, message.copy.buffer as ArrayBuffer);
    } else this.hasEnded = true;
    this.wake?.();
  }

  /** Rows decoded elsewhere: given their links, evaluated here. */
  private takeRows(columns: Columns, count: number): void {
    const { batch } = this;
    putColumns(batch, columns, count);
    const { links } = this.house;
    for (let i = 0; i < count; i++) batch.fixes.link[i] = links[columns.deviceId[i]!]!;
    this.evaluate();
    this.outRows -= count;
    this.giveBack(columns, null);
  }

  private giveBack(columns: Columns, room: ArrayBuffer | null): void {
    const isKept = this.variant.decodes === 'main';
    if (isKept) this.spare.push(columns);
    const memory = isKept ? [] : buffersOf(columns);
    if (room !== null) memory.push(room);
    this.post({ kind: 'spare', columns: isKept ? null : columns, room }, memory);
  }

  private evaluate(): void {
    const { batch, evaluator } = this;
    const startUs = allUs();
    const evaluation = evaluator.evaluate(batch);
    const evaluatedUs = allUs();
    const copy = evaluator.encode(batch);
    this.evaluateUs += evaluatedUs - startUs;
    this.encodeUs += allUs() - evaluatedUs;
    this.finished(batch.fixes.count, copy, evaluation);
    batch.clear();
  }

  private finished(count: number, copy: Uint8Array, evaluation: Evaluation): void {
    this.fixes += count;
    this.copyBytes += copy.length;
    this.events += evaluation.events.length;
    if (this.digest === null) return;
    this.digest.update(copy);
    for (const e of evaluation.events) {
      this.digest.update(`${e.deviceId} ${e.timeMs} ${e.type} ${e.fenceId}\n`);
    }
  }

  private post(message: ToWorker, transferred: ArrayBuffer[] = []): void {
    this.house.worker.postMessage(message, transferred);
  }
}

/** Each read in memory of its own, as a socket gives it. */
function ownBuffers(reads: Reads): ArrayBuffer[] {
  return Array.from(reads.ends, (_, i) => Uint8Array.from(readAt(reads, i)).buffer);
}

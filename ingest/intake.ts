/**
 * Where every wire comes together: a decoded message is resolved to units, written into the filling batches of its
 * partitions, and answered when all of them have committed. Holds the one limit on what waits in memory. Knows no wire and
 * no SQL.
 */
import type { FillingBatch } from './batch.ts';
import type { Decoded } from './decode/decoded.ts';
import type { FormatName } from './decode/formats.ts';
import type { FixScan } from './decode/native-scan.ts';
import type { IngestMetrics } from './metrics.ts';
import type { Partition } from './partition.ts';
import type { RegisteredDevice, Registry, Sender } from './registry.ts';
import { Resolved } from './resolved.ts';
import type { Outcome, RowRefusal, Settle } from './tally.ts';

export interface IntakeLimits {
  /** Rows that may wait for a batch, all partitions together, before sources are slowed. */
  readonly queueRowsMax: number;
  /** Memory that waiting rows may be charged with before sources are slowed. */
  readonly queueBytesMax: number;
}

/** Memory charged for one row that waits: its place in the columns, and its share of the message's answer. */
export const ROW_BYTES = 400;

/** What a message came by, as metrics and rejects name it: a door of the native format, or a format with a door of its own. */
export type Source = 'mqtt' | 'http' | 'broker' | FormatName;

/** A message as a wire hands it over. */
export interface IntakeMessage {
  readonly source: Source;
  readonly topic: string | null;
  readonly sender: Sender;
  readonly payload: Buffer;
  readonly decoded: Decoded;
  /** Fixes of the same message that were read in the fast way; read at once and not kept. */
  readonly scan?: FixScan;
  readonly receivedMs: number;
}

/** What became of a message. */
export type MessageOutcome = Outcome;

export class Intake {
  private readonly registry: Registry;
  private readonly partitions: readonly Partition[];
  private readonly limits: IntakeLimits;
  private readonly metrics: IngestMetrics;
  private readonly resolved: Resolved;
  private rows = 0;
  private bytes = 0;
  private waiting: (() => void)[] = [];

  constructor(options: {
    registry: Registry;
    partitions: readonly Partition[];
    limits: IntakeLimits;
    metrics: IngestMetrics;
    unitId: (uomCode: string) => number | null;
  }) {
    this.registry = options.registry;
    this.partitions = options.partitions;
    this.limits = options.limits;
    this.metrics = options.metrics;
    this.resolved = new Resolved(options.registry, options.unitId, options.partitions.length);
  }

  get queuedRows(): number {
    return this.rows;
  }

  get queuedBytes(): number {
    return this.bytes;
  }

  get isFull(): boolean {
    return this.rows >= this.limits.queueRowsMax || this.bytes >= this.limits.queueBytesMax;
  }

  /** Calls back once, when the queue has room again; at once when it has. */
  onceDrained(resume: () => void): void {
    if (this.isFull) this.waiting.push(resume);
    else resume();
  }

  /** To be called by partitions when rows have been answered, committed or not. */
  released(rows: number, bytes: number): void {
    this.rows -= rows;
    this.bytes -= bytes;
    while (!this.isFull) {
      const resume = this.waiting.shift();
      if (resume === undefined) return;
      resume();
    }
  }

  /** Takes the message in any case; `done` is called once, after the commit of all its rows. */
  submit(message: IntakeMessage, done: (outcome: MessageOutcome) => void): void {
    const { metrics, resolved } = this;
    metrics.message(message.source);
    for (const [field, count] of message.decoded.ignored) metrics.ignoredField(field, count);
    resolved.take(message);
    const { refused, partitionCount } = resolved;
    if (refused !== null) for (const { reason } of refused) metrics.rejected(reason);
    // Nothing that waits may hold on to the message: its payload would stay in memory uncharged.
    const { receivedMs } = message;
    if (partitionCount === 0) {
      resolved.clear();
      metrics.acknowledged(Date.now() - receivedMs);
      return done({ stored: true, accepted: 0, duplicates: 0, refused: [] });
    }
    if (partitionCount === 1) this.hand(message, done, receivedMs);
    else {
      const age = (): void => metrics.acknowledged(Date.now() - receivedMs);
      this.hand(message, gather(partitionCount, age, done), NaN);
    }
    resolved.clear();
  }

  /**
   * The short way for what a device says of itself, read by a scan. False: it has to go by `submit`, which knows what is
   * wrong; nothing was taken then.
   */
  submitScanned<Receipt>(
    message: Pick<IntakeMessage, 'source' | 'receivedMs'> & { readonly device: RegisteredDevice },
    scan: FixScan,
    done: Settle<Receipt>,
    receipt: Receipt,
  ): boolean {
    const { source, device, receivedMs } = message;
    const { link } = device;
    if (link === null) return false;
    const { count } = scan;
    for (let n = 0; n < count; n++) {
      const name = scan.device[n]!;
      if (name !== null && name !== device.deviceName) return false;
    }
    const partition = this.partitions[link.equipmentId % this.partitions.length]!;
    const batch = partition.filling(count);
    const part = batch.tally.add(done, receipt, receivedMs, null);
    batch.reserveFixes(count);
    for (let n = 0; n < count; n++) batch.addScanned(link, scan, n, part, receivedMs);
    this.charge(batch, count, count * ROW_BYTES, receivedMs);
    partition.filled();
    this.metrics.message(source);
    return true;
  }

  /** Writes what was resolved into the partitions' batches. */
  private hand(message: IntakeMessage, settle: Settle, partReceivedMs: number): void {
    const { resolved, partitions } = this;
    const { receivedMs } = message;
    let refused = resolved.refused;
    for (let p = 0; p < partitions.length; p++) {
      const rows = resolved.rowsOf(p);
      if (rows === 0) continue;
      const partition = partitions[p]!;
      const batch = partition.filling(rows);
      const part = batch.tally.add(settle, undefined, partReceivedMs, refused);
      refused = null;
      const heldBytes = resolved.write(p, batch, part, receivedMs);
      // A request keeps its body until it is answered.
      const payloadBytes = Math.ceil(message.payload.length / resolved.partitionCount);
      this.charge(batch, rows, Math.max(rows * ROW_BYTES + heldBytes, payloadBytes), receivedMs);
      partition.filled();
    }
  }

  private charge(batch: FillingBatch, rows: number, bytes: number, receivedMs: number): void {
    this.rows += rows;
    this.bytes += bytes;
    batch.bytes += bytes;
    if (receivedMs > batch.receivedMs) batch.receivedMs = receivedMs;
  }
}

/** Waits for the answers of all partitions of one message and gives one. */
function gather(
  count: number,
  answered: () => void,
  done: (outcome: Outcome) => void,
): (outcome: Outcome) => void {
  let left = count;
  let stored = true;
  let accepted = 0;
  let duplicates = 0;
  let refused: readonly RowRefusal[] = [];
  return (outcome) => {
    stored &&= outcome.stored;
    accepted += outcome.accepted;
    duplicates += outcome.duplicates;
    if (outcome.refused.length > 0) {
      refused = [...refused, ...outcome.refused].sort((a, b) => a.index - b.index);
    }
    if (--left > 0) return;
    if (stored) answered();
    done({ stored, accepted, duplicates, refused });
  };
}

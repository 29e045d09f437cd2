/**
 * Where every wire comes together: a decoded message is resolved to units, spread over partitions, and answered when
 * all of them have committed. Holds the one limit on what waits in memory. Knows no wire and no SQL.
 */
import type {
  Part,
  PartOutcome,
  Reject,
  ResolvedFix,
  ResolvedReading,
  RowRefusal,
} from './batch.ts';
import { randomUUID } from 'node:crypto';
import type { Decoded, DecodedFix, DecodedReading, Refusal } from './decode/decoded.ts';
import type { IngestMetrics } from './metrics.ts';
import type { Partition } from './partition.ts';
import { tenantOf, type Link, type Registry, type Sender } from './registry.ts';

export interface IntakeLimits {
  /** Rows that may wait for a batch, all partitions together, before sources are slowed. */
  readonly queueRowsMax: number;
  /** Memory that waiting rows may be charged with before sources are slowed. */
  readonly queueBytesMax: number;
}

/** Bytes of a refused message that are kept. */
export const REJECT_PAYLOAD_BYTES_MAX = 4096;
/** Characters of a device name that nobody has checked. */
const DEVICE_NAME_CHARS_MAX = 64;
/** Memory charged for one row that waits: its decoded object and its share of the queue. */
const ROW_BYTES = 400;

/** The wires, as they are named in metrics and rejects. */
export type Source = 'mqtt' | 'http' | 'osmand' | 'owntracks' | 'flespi' | 'teltonika' | 'broker';

/** A message as a wire hands it over. */
export interface IntakeMessage {
  readonly source: Source;
  readonly topic: string | null;
  readonly sender: Sender;
  readonly payload: Buffer;
  readonly decoded: Decoded;
  readonly receivedMs: number;
}

export interface MessageOutcome {
  /** False: nothing was acknowledged and the sender must send it again. */
  readonly stored: boolean;
  readonly accepted: number;
  readonly duplicates: number;
  readonly refused: readonly RowRefusal[];
}

export class Intake {
  private readonly registry: Registry;
  private readonly partitions: readonly Partition[];
  private readonly limits: IntakeLimits;
  private readonly metrics: IngestMetrics;
  private readonly unitId: (uomCode: string) => number | null;
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
    this.unitId = options.unitId;
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
    this.metrics.message(message.source);
    for (const [field, count] of message.decoded.ignored) this.metrics.ignoredField(field, count);
    const spread = new Spread(message, this.partitions.length);
    this.resolveRows(message, spread);
    const refused = spread.refused;
    for (const refusal of refused) this.metrics.rejected(refusal.reason);
    const parts = spread.parts();
    // Nothing that waits may hold on to the message: its payload would stay in memory uncharged.
    const { receivedMs } = message;
    const answer = gather(parts.length, refused, (outcome) => {
      if (outcome.stored) this.metrics.acknowledged(Date.now() - receivedMs);
      done(outcome);
    });
    if (parts.length === 0) return answer.empty();
    for (const { partition, ...rows } of parts) {
      const count = rows.fixes.length + rows.readings.length + rows.rejects.length;
      const rowBytes = count * ROW_BYTES + spread.rejectBytes(rows.rejects);
      // A request keeps its body until it is answered.
      const bytes = Math.max(rowBytes, Math.ceil(message.payload.length / parts.length));
      this.rows += count;
      this.bytes += bytes;
      const part: Part = { ...rows, bytes, receivedMs, settle: answer.settle };
      this.partitions[partition]!.submit(part);
    }
  }

  private resolveRows(message: IntakeMessage, spread: Spread): void {
    const { sender, decoded } = message;
    // Records of one device come together mostly: the last answer serves the next record.
    let lastName: string | null | undefined;
    let last: ReturnType<Registry['resolve']> | null = null;
    const resolve = (name: string | null): ReturnType<Registry['resolve']> => {
      if (last === null || name !== lastName) {
        last = this.registry.resolve(sender, name);
        lastName = name;
      }
      return last;
    };
    let refusedIndex = -1;
    const refuseOnce = (
      row: DecodedFix | DecodedReading,
      why: { reason: string; detail: string },
    ): void => {
      const { index, device } = row;
      if (index === refusedIndex) return;
      refusedIndex = index;
      spread.refuse({
        index,
        device,
        payload: JSON.stringify(row),
        reason: why.reason,
        detail: why.detail,
      });
    };
    for (const fix of decoded.fixes) {
      const found = resolve(fix.device);
      if (found.ok) spread.fix({ link: found.link, fix });
      else refuseOnce(fix, found);
    }
    for (const reading of decoded.readings) {
      const found = resolve(reading.device);
      if (found.ok) {
        const uomId = reading.uomCode === null ? null : this.unitId(reading.uomCode);
        spread.reading({ link: found.link, reading, uomId });
      } else if (!spread.hasRefused(reading.index)) refuseOnce(reading, found);
    }
    for (const refusal of decoded.refusals) spread.refuse(refusal);
  }
}

interface PartRows {
  readonly partition: number;
  readonly fixes: ResolvedFix[];
  readonly readings: ResolvedReading[];
  readonly rejects: Reject[];
}

/** A message's rows by partition. */
class Spread {
  readonly refused: RowRefusal[] = [];
  private readonly message: IntakeMessage;
  private readonly count: number;
  private readonly byPartition = new Map<number, PartRows>();
  private readonly refusedIndexes = new Set<number>();

  constructor(message: IntakeMessage, count: number) {
    this.message = message;
    this.count = count;
  }

  fix(row: ResolvedFix): void {
    this.partition(partitionOf(row.link, this.count)).fixes.push(row);
  }

  reading(row: ResolvedReading): void {
    this.partition(partitionOf(row.link, this.count)).readings.push(row);
  }

  hasRefused(index: number): boolean {
    return this.refusedIndexes.has(index);
  }

  refuse(refusal: Refusal): void {
    const { index, reason, detail } = refusal;
    this.refused.push({ index, reason, detail });
    this.refusedIndexes.add(index);
    this.partition(this.anyPartition()).rejects.push(this.reject(refusal));
  }

  parts(): PartRows[] {
    return [...this.byPartition.values()];
  }

  rejectBytes(rejects: readonly Reject[]): number {
    return rejects.reduce((sum, reject) => sum + (reject.payload?.length ?? 0), 0);
  }

  /** Rejects go with rows of their own message where there are any, so that they are one transaction. */
  private anyPartition(): number {
    const used = this.byPartition.keys().next();
    if (!used.done) return used.value;
    const { sender } = this.message;
    const id = sender.kind === 'device' ? (sender.device.link?.equipmentId ?? 0) : 0;
    return id % this.count;
  }

  private partition(index: number): PartRows {
    let rows = this.byPartition.get(index);
    if (rows === undefined) {
      rows = { partition: index, fixes: [], readings: [], rejects: [] };
      this.byPartition.set(index, rows);
    }
    return rows;
  }

  private deviceName(claimed: string | null): string | null {
    const { sender } = this.message;
    if (claimed !== null) return claimed.slice(0, DEVICE_NAME_CHARS_MAX);
    return sender.kind === 'device' ? sender.device.deviceName : null;
  }

  private reject(refusal: Refusal): Reject {
    const { message } = this;
    const { sender } = message;
    const whole = refusal.payload === null ? message.payload : Buffer.from(refusal.payload);
    return {
      key: randomUUID(),
      tenantId: tenantOf(sender),
      iotDeviceId: sender.kind === 'device' ? sender.device.iotDeviceId : null,
      deviceName: this.deviceName(refusal.device),
      source: message.source,
      topic: message.topic,
      reason: refusal.reason,
      detail: refusal.detail,
      // A copy: a slice would keep the whole message in memory.
      payload: Buffer.from(whole.subarray(0, REJECT_PAYLOAD_BYTES_MAX)),
      payloadBytes: whole.length,
      receivedMs: message.receivedMs,
    };
  }
}

/** All devices of one unit share a partition. */
function partitionOf(link: Link, count: number): number {
  return link.equipmentId % count;
}

interface Gathering {
  readonly settle: (outcome: PartOutcome) => void;
  readonly empty: () => void;
}

function gather(
  count: number,
  refused: readonly RowRefusal[],
  done: (outcome: MessageOutcome) => void,
): Gathering {
  let left = count;
  let stored = true;
  let accepted = 0;
  let duplicates = 0;
  const all = [...refused];
  const finish = (): void => {
    all.sort((a, b) => a.index - b.index);
    done({ stored, accepted, duplicates, refused: all });
  };
  return {
    settle(outcome) {
      stored &&= outcome.stored;
      accepted += outcome.accepted;
      duplicates += outcome.duplicates;
      all.push(...outcome.refused);
      if (--left === 0) finish();
    },
    empty: finish,
  };
}

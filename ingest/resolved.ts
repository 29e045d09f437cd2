/**
 * One message on its way into batches: each record's unit and partition, and why a record has none. Knows the registry and
 * the columns; refuses to know limits, answers and wires. One of it serves all messages, one after the other.
 *
 * States: empty → (`take`) holding a message → (`write`, once for each partition with rows) → (`clear`) empty.
 */
import { randomUUID } from 'node:crypto';
import type { FillingBatch, Reject } from './batch.ts';
import type { DecodedEvent, DecodedReading, Refusal } from './decode/decoded.ts';
import { detailJsonOf, deviceEventKey, type DeviceEventRow } from './device-events.ts';
import type { IntakeMessage } from './intake.ts';
import { tenantOf, type Link, type RegisteredDevice, type Registry } from './registry.ts';
import type { RowRefusal } from './tally.ts';

/** Bytes of a refused message that are kept. */
export const REJECT_PAYLOAD_BYTES_MAX = 4096;
/** Characters of a device name that nobody has checked. */
const DEVICE_NAME_CHARS_MAX = 64;
/** Instead of a partition: the record was refused. */
const NOWHERE = -1;

type EventRow = Omit<DeviceEventRow, 'part' | 'receivedMs'>;

/** Rows of one kind: each one's unit, and the partition it goes to. */
interface Places {
  readonly link: (Link | null)[];
  readonly partition: number[];
}

export class Resolved {
  /** Records that were refused, ascending by index; `null` when none was. */
  refused: RowRefusal[] | null = null;
  /** Partitions that have rows of the message. */
  partitionCount = 0;
  private readonly registry: Registry;
  private readonly unitId: (uomCode: string) => number | null;
  private message: IntakeMessage | null = null;
  private readonly rows: Int32Array;
  private readonly scanned: Places = { link: [], partition: [] };
  private readonly fixes: Places = { link: [], partition: [] };
  private readonly readings: Places = { link: [], partition: [] };
  private readonly events: { readonly row: EventRow; readonly partition: number }[] = [];
  private readonly rejects: Reject[] = [];
  /** Where rejects go: with rows of their own message where there are any, so that they are one transaction. */
  private rejectPartition = 0;
  private refusedIndexes: Set<number> | null = null;

  constructor(
    registry: Registry,
    unitId: (uomCode: string) => number | null,
    partitionCount: number,
  ) {
    this.registry = registry;
    this.unitId = unitId;
    this.rows = new Int32Array(partitionCount);
  }

  /** Resolves every record of a message. */
  take(message: IntakeMessage): void {
    this.message = message;
    const { decoded, scan } = message;
    if (scan !== undefined) {
      for (let n = 0; n < scan.count; n++) {
        const link = this.place(this.scanned, n, scan.device[n]!);
        if (link === null) this.refuseRecord(scan.fix(n));
      }
    }
    for (let n = 0; n < decoded.fixes.length; n++) {
      const fix = decoded.fixes[n]!;
      if (this.place(this.fixes, n, fix.device) === null) this.refuseRecord(fix);
    }
    for (let n = 0; n < decoded.readings.length; n++) {
      const reading = decoded.readings[n]!;
      if (this.place(this.readings, n, reading.device) === null) this.refuseRecord(reading);
    }
    for (const event of decoded.events) this.takeEvent(event);
    for (const refusal of decoded.refusals) this.refuse(refusal);
    this.placeRejects();
    this.partitionCount = this.rows.reduce((count, rows) => (rows > 0 ? count + 1 : count), 0);
    this.refused?.sort((a, b) => a.index - b.index);
  }

  /** How many rows of the message go to a partition. */
  rowsOf(partition: number): number {
    return this.rows[partition]!;
  }

  /** Writes a partition's rows into its batch. Gives the memory that they hold besides their place in it. */
  write(partition: number, batch: FillingBatch, part: number, receivedMs: number): number {
    const { readings } = this.message!.decoded;
    this.writeFixes(partition, batch, part, receivedMs);
    for (let n = 0; n < readings.length; n++) {
      if (this.readings.partition[n] !== partition) continue;
      const reading = readings[n]!;
      batch.addReading(this.readings.link[n]!, reading, this.uomIdOf(reading), part, receivedMs);
    }
    let heldBytes = 0;
    for (const { row, partition: place } of this.events) {
      if (place !== partition) continue;
      batch.events.push({ ...row, part, receivedMs });
      heldBytes += 2 * row.detailJson.length;
    }
    if (partition === this.rejectPartition) {
      for (const reject of this.rejects) {
        batch.rejects.push(reject);
        heldBytes += reject.payload?.length ?? 0;
      }
    }
    return heldBytes;
  }

  /** Lets go of the message. */
  clear(): void {
    this.message = null;
    this.refused = null;
    this.refusedIndexes = null;
    this.partitionCount = 0;
    this.rows.fill(0);
    this.events.length = 0;
    this.rejects.length = 0;
  }

  /** In the order of the records, whichever way they were read: of two fixes of one time the first is stored. */
  private writeFixes(
    partition: number,
    batch: FillingBatch,
    part: number,
    receivedMs: number,
  ): void {
    const { decoded, scan } = this.message!;
    const { fixes } = decoded;
    const scanCount = scan?.count ?? 0;
    batch.reserveFixes(this.rows[partition]!);
    let f = 0;
    for (let s = 0; s < scanCount; s++) {
      const index = scan!.index[s]!;
      for (; f < fixes.length && fixes[f]!.index < index; f++) {
        if (this.fixes.partition[f] !== partition) continue;
        batch.addFix(this.fixes.link[f]!, fixes[f]!, part, receivedMs);
      }
      if (this.scanned.partition[s] !== partition) continue;
      batch.addScanned(this.scanned.link[s]!, scan!, s, part, receivedMs);
    }
    for (; f < fixes.length; f++) {
      if (this.fixes.partition[f] !== partition) continue;
      batch.addFix(this.fixes.link[f]!, fixes[f]!, part, receivedMs);
    }
  }

  /** Finds the unit of row n, and counts it for the unit's partition: all devices of one unit share one. */
  private place(places: Places, n: number, deviceName: string | null): Link | null {
    const link = this.registry.linkOf(this.message!.sender, deviceName);
    places.link[n] = link;
    if (link === null) places.partition[n] = NOWHERE;
    else this.rows[(places.partition[n] = link.equipmentId % this.rows.length)]!++;
    return link;
  }

  private takeEvent(event: DecodedEvent): void {
    const found = this.registry.resolveDevice(this.message!.sender, event.device);
    const detail = found.ok ? detailJsonOf(event) : found;
    if (found.ok && detail.ok) {
      const { device } = found;
      const { index } = event;
      const key = deviceEventKey(device.iotDeviceId, event, detail.json);
      const partition = unitOf(device) % this.rows.length;
      this.events.push({ row: { index, device, event, detailJson: detail.json, key }, partition });
      this.rows[partition]!++;
    } else if (!detail.ok && !this.refusedIndexes?.has(event.index)) {
      const { reason } = detail;
      const { index, device } = event;
      this.refuse({ index, device, reason, detail: detail.detail, payload: null });
    }
  }

  /** A record of no known unit: refused once, whatever rows it is made of. */
  private refuseRecord(row: { readonly index: number; readonly device: string | null }): void {
    const { index, device } = row;
    if (this.refusedIndexes?.has(index)) return;
    const why = this.registry.resolve(this.message!.sender, device);
    if (why.ok) return;
    const { reason, detail } = why;
    this.refuse({ index, device, reason, detail, payload: JSON.stringify(row) });
  }

  private refuse(refusal: Refusal): void {
    const { index, reason, detail, device } = refusal;
    const isUnknown = reason === 'unknown_device' && device !== null;
    const unknown = isUnknown ? { unknownDevice: device } : undefined;
    (this.refused ??= []).push({ index, reason, detail, ...unknown });
    (this.refusedIndexes ??= new Set()).add(index);
    this.rejects.push(this.rejectOf(refusal));
  }

  private placeRejects(): void {
    if (this.rejects.length === 0) return;
    const { sender } = this.message!;
    const used = this.rows.findIndex((count) => count > 0);
    const unit = sender.kind === 'device' ? unitOf(sender.device) : 0;
    this.rejectPartition = used >= 0 ? used : unit % this.rows.length;
    this.rows[this.rejectPartition]! += this.rejects.length;
  }

  private rejectOf(refusal: Refusal): Reject {
    const { sender, payload, source, topic, receivedMs } = this.message!;
    const claimed = refusal.device;
    const found =
      sender.kind === 'device' || claimed === null
        ? null
        : this.registry.resolveDevice(sender, claimed);
    const device = sender.kind === 'device' ? sender.device : found?.ok ? found.device : null;
    const whole = refusal.payload === null ? payload : Buffer.from(refusal.payload);
    return {
      key: randomUUID(),
      tenantId: device?.tenantId ?? tenantOf(sender),
      iotDeviceId: device?.iotDeviceId ?? null,
      deviceName: claimed?.slice(0, DEVICE_NAME_CHARS_MAX) ?? device?.deviceName ?? null,
      source,
      topic,
      reason: refusal.reason,
      detail: refusal.detail,
      // A copy: a slice would keep the whole message in memory.
      payload: Buffer.from(whole.subarray(0, REJECT_PAYLOAD_BYTES_MAX)),
      payloadBytes: whole.length,
      receivedMs,
    };
  }

  private uomIdOf({ uomCode }: DecodedReading): number | null {
    return uomCode === null ? null : this.unitId(uomCode);
  }
}

/** What decides the partition: the unit, or the device itself while it is mounted on none. */
function unitOf(device: RegisteredDevice): number {
  return device.link?.equipmentId ?? device.iotDeviceId;
}

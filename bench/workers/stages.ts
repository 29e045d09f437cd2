/**
 * What a fix goes through between socket and database, with the server's own code: decoded into columns, evaluated, encoded
 * for COPY. Whichever thread does it does the same. Knows nothing of threads, sockets and SQL.
 */
import assert from 'node:assert/strict';
import { createEngine, type Engine } from '../../engine/engine.ts';
import { fenceOf, starRing } from '../../engine/test-data.ts';
import type { Edit, Evaluation } from '../../engine/types.ts';
import { applyEdits, createWorld, type World } from '../../engine/world.ts';
import { emptyFixes, type FillingBatch, type FixRows } from '../../ingest/batch.ts';
import { encodeFixes, roomForFixes } from '../../ingest/copy-encode.ts';
import { scanNdjson } from '../../ingest/decode/native-lines.ts';
import { FixScan } from '../../ingest/decode/native-scan.ts';
import { PacketGate } from '../../ingest/mqtt/packet-gate.ts';
import { PublishReader } from '../../ingest/mqtt/publish-reader.ts';
import type { Link } from '../../ingest/registry.ts';
import { AREA, deviceName, seededRandom } from '../ingest/track.ts';

export interface StagesParams {
  readonly seed: number;
  readonly devices: number;
  readonly fences: number;
  /** Corners of each fence. */
  readonly vertices: number;
}

const PACKET_BYTES_MAX = 65_536;

/** Bytes of a read into columns. */
export class Decoder {
  private readonly links: readonly Link[];
  private readonly nowMs: number;
  private readonly linkOfName: ReadonlyMap<string, Link>;
  private readonly readers: readonly PublishReader[];
  private readonly gate = new PacketGate(PACKET_BYTES_MAX);
  private readonly scan = new FixScan();

  constructor(links: readonly Link[], nowMs: number) {
    this.links = links;
    this.nowMs = nowMs;
    this.linkOfName = new Map(links.map((link) => [link.deviceName, link]));
    this.readers = links.map(() => new PublishReader(false, 0));
  }

  /** Adds the fixes of a read. `device` is whose packets they are; −1 for lines. Asserts that all is as usual. */
  decode(bytes: Buffer, device: number, batch: FillingBatch): void {
    if (device < 0) this.lines(bytes, batch);
    else this.packets(bytes, device, batch);
  }

  private packets(bytes: Buffer, device: number, batch: FillingBatch): void {
    const { gate, scan, nowMs } = this;
    const reader = this.readers[device]!;
    const link = this.links[device]!;
    gate.push(bytes);
    while (gate.next() === 'packet') {
      const fault = reader.read(gate.buffer, gate.start, gate.bodyStart, gate.end);
      assert(
        fault === null &&
          scan.readMessage(reader.buffer, reader.payloadStart, reader.payloadEnd, nowMs),
        'an unusual packet',
      );
      batch.reserveFixes(scan.count);
      for (let n = 0; n < scan.count; n++) batch.addScanned(link, scan, n, 0, nowMs);
    }
  }

  private lines(bytes: Buffer, batch: FillingBatch): void {
    const { scan, nowMs } = this;
    const { fixes, refusals } = scanNdjson(scan, bytes, nowMs);
    assert(fixes.length === 0 && refusals.length === 0, 'an unusual line');
    batch.reserveFixes(scan.count);
    for (let n = 0; n < scan.count; n++) {
      const link = this.linkOfName.get(scan.device[n]!);
      assert(link !== undefined, 'a line of an unknown device');
      batch.addScanned(link, scan, n, 0, nowMs);
    }
  }
}

/** A batch into consequences and COPY data. Its devices start anew with each of these. */
export class Evaluator {
  private readonly engine: Engine;

  constructor(world: World) {
    this.engine = createEngine(world);
  }

  /**
   * What follows from the batch; in force at once, as if it had been stored. Plain data, which can be handed to another
   * thread: what the engine would work out when it is asked for is asked for here, while the batch is pending.
   */
  evaluate(batch: FillingBatch): Evaluation {
    const { events, changed, latestFixRows, lateCount, lateFixes } = this.engine.evaluate({
      ...batch,
      nowMs: NaN,
    });
    this.engine.commit();
    return { events, changed, latestFixRows, lateCount, lateFixes };
  }

  /** COPY data of the batch's fixes, in the batch's own room. */
  encode(batch: FillingBatch): Buffer {
    batch.copyRoom = roomForFixes(batch.fixes, batch.copyRoom);
    return encodeFixes(batch.fixes, batch.copyRoom);
  }
}

/** Every device known, and fences of such a size that a fix lies in about one of them. */
export function makeWorld(params: StagesParams): World {
  const random = seededRandom(params.seed + 7);
  const radiusDeg = (AREA.sizeDeg / Math.sqrt(params.fences)) * 0.8;
  const edits: Edit[] = [];
  for (let i = 0; i < params.fences; i++) {
    const lonDeg = AREA.westDeg + random() * AREA.sizeDeg;
    const latDeg = AREA.southDeg + random() * AREA.sizeDeg;
    const ring = starRing(random, [lonDeg, latDeg], radiusDeg, params.vertices);
    edits.push({ type: 'fence_put', fence: fenceOf(i, { type: 'polygon', polygons: [[ring]] }) });
  }
  for (const device of makeLinks(params.devices)) edits.push({ type: 'device_put', device });
  const world = createWorld();
  applyEdits(world, edits);
  return world;
}

/** The devices as the registry has them. */
export function makeLinks(devices: number): Link[] {
  return Array.from({ length: devices }, (_, n) => ({
    deviceId: n,
    iotDeviceId: n,
    deviceName: deviceName(n),
    tenantId: 1,
    equipmentId: n,
    accountId: null,
    unitNumber: deviceName(n),
  }));
}

/** The columns of fixes that can change hands: numbers alone. The bench's fixes have no `event`. */
export type Columns = Omit<FixRows, 'count' | 'link' | 'event'>;

/** Takes the columns out of a batch, which has others, or new ones, from then on, and no rows. */
export function takeColumns(batch: FillingBatch, others: Columns | undefined): Columns {
  const columns = columnsOf(batch.fixes);
  putColumns(batch, others ?? columnsOf(emptyFixes(columns.timeMs.length)), 0);
  return columns;
}

/** Gives a batch the columns and the count of its rows; their links it does not have. */
export function putColumns(batch: FillingBatch, columns: Columns, count: number): void {
  const { fixes } = batch;
  Object.assign(fixes, columns);
  fixes.count = count;
  while (fixes.event.length < count) fixes.event.push(null);
}

/** The memory of columns, to be transferred. */
export function buffersOf(columns: Columns): ArrayBuffer[] {
  return (Object.values(columns) as ArrayBufferView<ArrayBuffer>[]).map(({ buffer }) => buffer);
}

function columnsOf(rows: FixRows): Columns {
  return {
    deviceId: rows.deviceId,
    timeMs: rows.timeMs,
    lonDeg: rows.lonDeg,
    latDeg: rows.latDeg,
    accuracyM: rows.accuracyM,
    speedMps: rows.speedMps,
    ignition: rows.ignition,
    motion: rows.motion,
    index: rows.index,
    part: rows.part,
    receivedMs: rows.receivedMs,
    altitudeM: rows.altitudeM,
    headingDeg: rows.headingDeg,
    odometerM: rows.odometerM,
    satellites: rows.satellites,
    seq: rows.seq,
  };
}

/**
 * The floor: the same fixes into the same table by a loop of bare binary COPY on one connection, encoded by the same
 * encoder, one transaction a batch, nothing else.
 */
import pg from 'pg';
import { CopyWriter, FIX_COLUMNS } from '../../ingest/copy-encode.ts';
import { Pipeline } from '../../db/pipeline.ts';
import type { TrackFix } from './track.ts';

const FIELDS = 15;
const ROW_BYTES_MAX = 2 + FIELDS * 12;
const COPY_FIXES = `copy equipment_gps_location (${FIX_COLUMNS}) from stdin (format binary)`;
const MOVING = Buffer.from('moving');

export interface FloorFix extends TrackFix {
  readonly deviceId: number;
}

/** Rows per second of the loop, encoding included. The table is empty afterwards. */
export async function copyFloor(
  ownerUrl: string,
  fixes: readonly FloorFix[],
  batchRows: number,
): Promise<number> {
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    const startedMs = performance.now();
    for (let at = 0; at < fixes.length; at += batchRows) {
      const data = encode(fixes, at, Math.min(fixes.length, at + batchRows));
      const pipeline = new Pipeline();
      pipeline.copy('copy_fixes', COPY_FIXES, data);
      await pipeline.run(client);
    }
    const seconds = (performance.now() - startedMs) / 1000;
    await client.query('truncate equipment_gps_location');
    return fixes.length / seconds;
  } finally {
    await client.end();
  }
}

function encode(fixes: readonly FloorFix[], from: number, to: number): Buffer {
  const nowMs = Date.now();
  const writer = new CopyWriter((to - from) * ROW_BYTES_MAX);
  for (let i = from; i < to; i++) {
    const fix = fixes[i]!;
    writer.row(FIELDS);
    writer.int8(fix.deviceId);
    writer.time(fix.timeMs);
    writer.time(nowMs);
    writer.float8(fix.latDeg);
    writer.float8(fix.lonDeg);
    writer.none();
    writer.float4(fix.speedMps);
    writer.float4(fix.headingDeg);
    writer.float4(5);
    writer.none();
    writer.int2(9);
    writer.bool(1);
    writer.raw(MOVING);
    writer.none();
    writer.none();
  }
  return writer.finish();
}

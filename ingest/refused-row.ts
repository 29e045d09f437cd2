/** A row that the database refused, once it stands alone in its batch: whose it is, and what is kept of it. */
import { randomUUID } from 'node:crypto';
import type { Batch, Reject } from './batch.ts';

/** Which row of which message the one row of a batch is. */
export function onlyRow(batch: Batch): { part: number; index: number } {
  if (batch.events.length === 1) return batch.events[0]!;
  const rows = batch.fixes.count === 1 ? batch.fixes : batch.readings;
  return { part: rows.part[0]!, index: rows.index[0]! };
}

/** Characters of a refused row that are kept. */
const ROW_CHARS_MAX = 4096;

/** The one row of a batch as a reject, with what the database said of it. */
export function rejectOfRow(batch: Batch, detail: string): Reject {
  const { row, device, receivedMs } = describeRow(batch);
  const payload = Buffer.from(JSON.stringify(row).slice(0, ROW_CHARS_MAX));
  return {
    key: randomUUID(),
    tenantId: device.tenantId,
    iotDeviceId: device.iotDeviceId,
    deviceName: device.deviceName,
    source: 'storage',
    topic: null,
    reason: 'storage_refused',
    detail,
    payload,
    payloadBytes: payload.length,
    receivedMs,
  };
}

/** The one row of a batch as people read it, and whose it is. */
function describeRow({ fixes, readings, events }: Batch): {
  row: object;
  device: { tenantId: number; iotDeviceId: number; deviceName: string };
  receivedMs: number;
} {
  const said = events[0];
  if (said !== undefined) {
    const { kind, timeMs, detail } = said.event;
    const row = { time: timeMs, event: kind, detail };
    return { row, device: said.device, receivedMs: said.receivedMs };
  }
  if (fixes.count === 1) {
    const row = {
      time: fixes.timeMs[0],
      lat: fixes.latDeg[0],
      lon: fixes.lonDeg[0],
      event: fixes.event[0],
    };
    return { row, device: fixes.link[0]!, receivedMs: fixes.receivedMs[0]! };
  }
  const row = {
    time: readings.timeMs[0],
    metric: readings.metricCode[0],
    value: readings.value[0],
  };
  return { row, device: readings.link[0]!, receivedMs: readings.receivedMs[0]! };
}

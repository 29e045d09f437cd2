/** Reads a vehicle with all that hangs on it. */
import { sql } from 'drizzle-orm';
import type { Row } from '../resources/define.ts';
import { projection } from '../resources/query.ts';
import { getRow, run, type Work } from '../resources/store.ts';
import type { Vehicle } from './create.ts';
import { HEADER, isList, PART_ROWS_SHOWN_MAX, PARTS, type Part } from './schemas.ts';

/** As it was made, and as it is now. Throws 404. */
export async function getWhole(work: Work, code: string): Promise<Vehicle> {
  const header = await getRow(work, HEADER, code);
  const parts: Row = {};
  for (const part of PARTS) {
    const rows = await newestRows(work, part, code);
    parts[part.name] = isList(part.name) ? rows : (rows[0] ?? null);
  }
  const { equipment_id, iot_device_id } = header as Vehicle;
  return { header, equipment_id, iot_device_id, ...parts };
}

/** In the order in which they were made. */
async function newestRows(
  { client }: Work,
  { resource, vehicleKey }: Part,
  code: string,
): Promise<Row[]> {
  const vehicle = resource.fields.get(vehicleKey)!.column;
  const alive = resource.isEvidence ? sql`and deleted_at is null` : sql``;
  const rows = await run(
    client,
    sql`select ${projection(resource.fields.values())} from ${resource.table}
      where ${vehicle} = ${code} ${alive} order by ${resource.key.column} desc limit ${PART_ROWS_SHOWN_MAX}`,
  );
  return rows.reverse();
}

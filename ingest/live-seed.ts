/** What a live map needs to begin with: the latest position of every unit, and where the feed stands. */
import type { Pool } from 'pg';
import { durabilityWarnings } from '../db/time-series.ts';

/** As `telematics` has it; units as in the spec: `speed` m/s, `temperature` °C. */
export interface SeedPosition {
  readonly customer_id: number;
  readonly account_id: number | null;
  readonly equipment_id: number;
  readonly unit_number: string;
  readonly latitude: number;
  readonly longitude: number;
  readonly speed: number | null;
  readonly heading_deg: number | null;
  readonly motion_status: string | null;
  readonly ignition: boolean | null;
  readonly temperature: number | null;
  readonly recorded_at: string;
}

export interface LiveSeed {
  readonly positions: readonly SeedPosition[];
  /** The highest `activity_feed_id`; 0 for an empty feed. Nothing below it can appear while no writer runs. */
  readonly lastEventId: number;
  /** Server settings under which a committed row could be lost. */
  readonly durabilityWarnings: readonly string[];
}

/** To be read while this process leads and its partitions have not started. */
export async function readLiveSeed(pool: Pool): Promise<LiveSeed> {
  const positions = await readLivePositions(pool, null);
  const last = await pool.query<{ id: number | null }>(
    'select max(activity_feed_id) as id from activity_feed',
  );
  const client = await pool.connect();
  const warnings = await durabilityWarnings(client).finally(() => client.release());
  return {
    durabilityWarnings: warnings,
    positions,
    lastEventId: last.rows[0]?.id ?? 0,
  };
}

/** Latest positions of these units, or of all; units that are retired or were never heard of have none. */
export async function readLivePositions(
  pool: Pool,
  equipmentIds: readonly number[] | null,
): Promise<SeedPosition[]> {
  const { rows } = await pool.query<Omit<SeedPosition, 'recorded_at'> & { recorded_at: Date }>(
    `select t.customer_id, t.account_id, t.equipment_id, t.unit_number, latitude, longitude, speed, heading_deg,
            motion_status, ignition, temperature, recorded_at
       from telematics t join equipment e using (equipment_id)
      where e.status <> 'retired' and ($1::bigint[] is null or t.equipment_id = any ($1))`,
    [equipmentIds],
  );
  return rows.map((row) => ({ ...row, recorded_at: row.recorded_at.toISOString() }));
}

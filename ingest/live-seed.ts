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
  const positions = await pool.query<Omit<SeedPosition, 'recorded_at'> & { recorded_at: Date }>(
    `select customer_id, account_id, equipment_id, unit_number, latitude, longitude, speed, heading_deg,
            motion_status, ignition, temperature, recorded_at
       from telematics`,
  );
  const last = await pool.query<{ id: number | null }>(
    'select max(activity_feed_id) as id from activity_feed',
  );
  const client = await pool.connect();
  const warnings = await durabilityWarnings(client).finally(() => client.release());
  return {
    durabilityWarnings: warnings,
    positions: positions.rows.map((row) => ({
      ...row,
      recorded_at: row.recorded_at.toISOString(),
    })),
    lastEventId: last.rows[0]?.id ?? 0,
  };
}

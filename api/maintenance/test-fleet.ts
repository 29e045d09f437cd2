/** For the tests of this folder: a portal with a clock that moves, and a unit whose devices report. */
import type { InjectOptions } from 'fastify';
import { NOW_MS, startTestPortal, type TestPortal, type Who } from '../test-portal.ts';
import type { Row } from '../resources/define.ts';
import { evaluateMaintenance, type MaintenanceLimits, type Round } from './rounds.ts';

export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;

type Tearable = Parameters<typeof startTestPortal>[0];

export interface Answered {
  readonly status: number;
  readonly body: Row & { errors?: { pointer: string }[]; allowedTransitions?: string[] };
  readonly text: string;
}

export class TestFleet {
  readonly portal: TestPortal;
  readonly clock: { nowMs: number };

  private constructor(portal: TestPortal, clock: { nowMs: number }) {
    this.portal = portal;
    this.clock = clock;
  }

  static async start(t: Tearable): Promise<TestFleet> {
    const clock = { nowMs: NOW_MS };
    const portal = await startTestPortal(t, {
      now: () => clock.nowMs,
      rateLimits: { perUserMax: 1e6, perTenantMax: 1e6, perAddressMax: 1e6 },
    });
    return new TestFleet(portal, clock);
  }

  /** The first unit of the tenant, of the account that `held` sees. */
  get unitId(): number {
    return this.portal.seed.mine.equipmentIds[0];
  }

  async as(who: Who, request: InjectOptions): Promise<Answered> {
    return (await this.portal.as(who, request)) as unknown as Answered;
  }

  get(url: string): Promise<Answered> {
    return this.as('admin', { url: `/v1/${url}` });
  }

  post(path: string, payload: Row): Promise<Answered> {
    return this.as('admin', { method: 'POST', url: `/v1/${path}`, payload });
  }

  patch(url: string, payload: Row, etag = '*'): Promise<Answered> {
    return this.as('admin', {
      method: 'PATCH',
      url: `/v1/${url}`,
      payload,
      headers: { 'if-match': etag },
    });
  }

  remove(url: string): Promise<Answered> {
    return this.as('admin', { method: 'DELETE', url: `/v1/${url}`, headers: { 'if-match': '*' } });
  }

  /** Makes one, and throws where that is refused. */
  async make(path: string, payload: Row): Promise<Row> {
    const made = await this.post(path, payload);
    if (made.status !== 201) throw new Error(`${path}: ${made.text}`);
    return made.body;
  }

  makeSchedule(given: Row): Promise<Row> {
    return this.make('preventive-maintenance-schedules', {
      account_id: this.portal.seed.mine.accountIds[0],
      equipment_id: this.unitId,
      schedule_name: `PM ${Math.random()}`,
      ...given,
    });
  }

  schedule(id: unknown): Promise<Row> {
    return this.get(`preventive-maintenance-schedules/${String(id)}`).then(({ body }) => body);
  }

  /** Events of a schedule, oldest first. */
  async events(scheduleId: unknown): Promise<Row[]> {
    const list = await this.get(
      `preventive-maintenance-events?filter[pm_schedule_id]=${String(scheduleId)}&sort=pm_event_id`,
    );
    return list.body['data'] as Row[];
  }

  moveEvent(id: unknown, payload: Row): Promise<Answered> {
    return this.post(`preventive-maintenance-events/${String(id)}/transitions`, payload);
  }

  /** A fix with an odometer, written as ingestion writes it. */
  async drive(odometerKm: number, index: 0 | 1 | 2 = 0): Promise<void> {
    const at = new Date(this.clock.nowMs);
    const { owner, seed } = this.portal;
    const values = [
      seed.mine.equipmentIds[index],
      seed.mine.deviceIds[index],
      at,
      odometerKm * 1_000,
    ];
    await owner.query(
      `update telematics set odometer_m = $4, recorded_at = $3, received_at = $3, equipment_has_iot_device_id = $2
       where equipment_id = $1`,
      values,
    );
    await owner.query('select ensure_time_partitions($1, $1)', [at]);
    await owner.query(
      `insert into equipment_gps_location (equipment_has_iot_device_id, recorded_at, received_at, latitude, longitude,
         odometer_m) values ($1, $2, $2, 50, 10, $3)`,
      values.slice(1),
    );
  }

  /** A reading of engine hours, as ingestion writes it. */
  async runEngine(hours: number, index: 0 | 1 | 2 = 0): Promise<void> {
    const { owner, seed } = this.portal;
    const at = new Date(this.clock.nowMs);
    await owner.query('select ensure_time_partitions($1, $1)', [at]);
    await owner.query(
      `insert into iot_device_metric (equipment_has_iot_device_id, metric_code, recorded_at, received_at, metric_value)
       values ($1, 'engine_hours_s', $2, $2, $3)`,
      [seed.mine.deviceIds[index], at, hours * 3_600],
    );
  }

  async uomId(code: string): Promise<number> {
    const { rows } = await this.portal.owner.query<{ id: number }>(
      'select uom_lookup_id as id from uom_lookup where uom_code = $1',
      [code],
    );
    return rows[0]!.id;
  }

  /** A round, as the background does it. */
  round(limits: Partial<MaintenanceLimits> = {}): Promise<Round> {
    return evaluateMaintenance({
      pool: this.portal.runnerPool,
      now: () => this.clock.nowMs,
      limits,
      onError(error) {
        throw error;
      },
    });
  }
}

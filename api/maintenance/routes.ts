/** What is due: of all units, of one schedule, of one vehicle; and the rounds that keep it true while the server is up. */
import { sql, type SQL } from 'drizzle-orm';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { TenantDb } from '../../db/tenancy.ts';
import { addDays, dayIn, type Day } from '../calendar.ts';
import { CATALOG } from '../catalog/catalog.ts';
import { inTenant, openList, type ApiContext } from '../context.ts';
import { readZone } from '../customer-day.ts';
import type { Position } from '../pagination.ts';
import { inWork } from '../resources/routes.ts';
import { getRow } from '../resources/store.ts';
import {
  closed,
  described,
  guardedProblems,
  Id,
  oneOf,
  pageOf,
  pageQuery,
  problems,
} from '../schemas.ts';
import { metersNow, readSchedules, stateOf } from './evaluate.ts';
import { averageUse, newestMeters, NO_METERS, NO_USE } from '../equipment/meters.ts';
import { startMaintenance } from './rounds.ts';
import { DUE_STATUSES, MaintenanceDue, ServiceFrequencyDue, shownStanding } from './schemas.ts';
import { serviceDue } from './service-frequency.ts';

/** Days ahead that may be asked for. */
const WITHIN_DAYS_MAX = 3_650;
/** What an operator is shown who asks for nothing. */
const STATUSES_DEFAULT = ['overdue', 'due', 'due_soon'];

interface DueQuery {
  readonly status?: string;
  readonly within_days?: number;
  readonly account_id?: number;
  readonly equipment_id?: number;
}

/** Adds the routes, and looks for what comes due while the server is up. */
export function addMaintenanceRoutes(app: FastifyInstance, context: ApiContext): void {
  addDueList(app, context);
  addDueOfSchedule(app, context);
  addDueOfVehicle(app, context);
  let stop: () => Promise<void> = () => Promise.resolve();
  app.addHook('onReady', (done) => {
    const onError = (error: unknown) =>
      app.log.warn({ err: error }, 'schedules could not be evaluated; it is tried again');
    stop = startMaintenance({ pool: context.runnerPool, now: context.now, onError });
    done();
  });
  app.addHook('onClose', () => stop());
}

function addDueList(app: FastifyInstance, context: ApiContext): void {
  const schema = {
    operationId: 'listMaintenanceDue',
    tags: ['maintenance'],
    summary: 'What is due, the most urgent first',
    description:
      'Active schedules with how they stand in each dimension, and when they are likely to come due. Without `status` and ' +
      '`within_days` those that are overdue, due and due soon. With `within_days` a page may hold fewer rows than `limit`, ' +
      'or none, and others follow all the same as long as `has_more` is true.',
    querystring: closed({
      ...pageQuery,
      status: Type.Optional(oneOf(DUE_STATUSES, { description: 'Of this status alone.' })),
      within_days: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: WITHIN_DAYS_MAX,
          description: 'Due by then, by date or by forecast, or due already.',
        }),
      ),
      account_id: Type.Optional(described(Id, 'Of this account.')),
      equipment_id: Type.Optional(described(Id, 'Of this unit.')),
    }),
    response: { 200: pageOf(MaintenanceDue), ...guardedProblems },
  };
  const config = { permission: 'maintenance:read' } as const;
  app.get('/v1/maintenance-due', { config, schema }, (request) => {
    const query = request.query as DueQuery;
    const list = openList(context, request, 'maintenance-due');
    return inTenant(context, request, async (db) => {
      const until = await lastDayOf(db, context.now(), query);
      const found = await findSchedules(db, { ...query, until }, list.after, list.rowsMax);
      const page = list.page(found, ({ rank, due, id }) => [rank, due, id]);
      const ids = page.data.map(({ id }) => id);
      const data = await standingsOf(db, context.now(), ids, query.within_days ?? null);
      return { ...page, data };
    });
  });
}

function addDueOfSchedule(app: FastifyInstance, context: ApiContext): void {
  const schedules = CATALOG.get('preventive_maintenance_schedule')!;
  const schema = {
    operationId: 'getScheduleDue',
    tags: ['maintenance'],
    summary: 'How a schedule stands, and why',
    description:
      'Worked out as of now, by date and by each meter. One that is paused or ended has no reasons.',
    params: closed({ id: schedules.keySchema }),
    response: { 200: MaintenanceDue, ...guardedProblems, ...problems(404) },
  };
  const config = { permission: 'maintenance:read' } as const;
  app.get('/v1/preventive-maintenance-schedules/:id/due', { config, schema }, (request) =>
    inWork(context, request, async (work) => {
      const { id } = request.params as { id: number };
      await getRow(work, schedules, id);
      return (await standingsOf(work.db, work.nowMs, [id], null))[0];
    }),
  );
}

function addDueOfVehicle(app: FastifyInstance, context: ApiContext): void {
  const vehicles = CATALOG.get('vehicle_basic_information_hdr')!;
  const schema = {
    operationId: 'listVehicleServiceDue',
    tags: ['vehicles'],
    summary: 'Which services of a vehicle are due, by its frequencies',
    description:
      'Each frequency counts from the last service of its type, by time and by distance, whichever comes first; without ' +
      'one from the vehicle’s registration, or else from when it was entered, and from its first kilometre.',
    params: closed({ id: vehicles.keySchema }),
    response: {
      200: Type.Object({ data: Type.Array(ServiceFrequencyDue) }),
      ...guardedProblems,
      ...problems(404),
    },
  };
  const config = { permission: 'vehicle:read' } as const;
  app.get('/v1/vehicles/:id/service-due', { config, schema }, (request) =>
    inWork(context, request, async (work) => {
      const { id } = request.params as { id: string };
      await getRow(work, vehicles, id);
      const due = await serviceDue(work, id);
      return {
        data: due.map(({ frequency, state }) => ({ ...frequency, ...shownStanding(state) })),
      };
    }),
  );
}

interface Found {
  readonly id: number;
  readonly rank: number;
  /** `infinity` where it is not due by date. */
  readonly due: string;
}

/** Ids of schedules, the most urgent first: by their status, and then by the day on which they are due. */
async function findSchedules(
  db: TenantDb,
  query: DueQuery & { readonly until: Day | null },
  after: Position | null,
  rowsMax: number,
): Promise<Found[]> {
  const statuses = statusesOf(query);
  const rank = sql`array_position(array['overdue', 'due', 'due_soon', 'ok', 'no_data'], s.due_status)`;
  const due = sql`coalesce(s.next_due_on, 'infinity'::date)`;
  const conditions: SQL[] = [
    sql`s.customer_id = (select app_customer_id()) and s.status = 'active' and s.deleted_at is null`,
    sql`s.due_status = any(${sql.param(statuses)}::text[])`,
  ];
  if (query.until !== null) {
    // What counts by a meter may be due by its forecast, which is worked out for each.
    conditions.push(
      sql`(s.next_due_on <= ${query.until}::date or s.due_status in ('due', 'overdue')
        or s.next_due_odometer_m is not null or s.next_due_engine_hours_h is not null)`,
    );
  }
  if (query.account_id !== undefined) conditions.push(sql`s.account_id = ${query.account_id}`);
  if (query.equipment_id !== undefined)
    conditions.push(sql`s.equipment_id = ${query.equipment_id}`);
  if (after !== null) {
    conditions.push(
      sql`(${rank}, ${due}, s.pm_schedule_id) > (${after[0]}::integer, ${after[1]}::date, ${after[2]}::bigint)`,
    );
  }
  const { rows } = await db.execute<{ found: Found }>(sql`
    select json_build_object('id', s.pm_schedule_id, 'rank', ${rank}, 'due', ${due}::text) as found
    from preventive_maintenance_schedule s where ${sql.join(conditions, sql` and `)}
    order by ${rank}, ${due}, s.pm_schedule_id limit ${rowsMax}`);
  return rows.map(({ found }) => found);
}

/** The day by which schedules are to be due; null where that was not asked. */
async function lastDayOf(db: TenantDb, nowMs: number, query: DueQuery): Promise<Day | null> {
  if (query.within_days === undefined) return null;
  return addDays(dayIn(await readZone(db), nowMs), query.within_days);
}

function statusesOf({ status, within_days }: DueQuery): string[] {
  if (status !== undefined) return [status];
  return within_days === undefined ? STATUSES_DEFAULT : [...DUE_STATUSES];
}

interface Named {
  readonly pm_schedule_id: number;
  readonly schedule_name: string;
  readonly account_id: number | null;
  readonly equipment_id: number;
  readonly unit_number: string | null;
  readonly open_event_id: number | null;
}

/** How schedules stand as of now, in the order of their ids as given; with `withinDays` those alone that are due by then. */
async function standingsOf(
  db: TenantDb,
  nowMs: number,
  ids: readonly number[],
  withinDays: number | null,
) {
  if (ids.length === 0) return [];
  const zone = await readZone(db);
  const today = dayIn(zone, nowMs);
  const names = await readNames(db, ids);
  const schedules = new Map((await readSchedules(db, ids)).map((one) => [one.pm_schedule_id, one]));
  const unitIds = [...schedules.values()].map((one) => one.equipment_id);
  const meters = await newestMeters(db, unitIds, nowMs);
  const use = await averageUse(db, unitIds, nowMs);
  const until = withinDays === null ? null : addDays(today, withinDays);
  return ids.flatMap((id) => {
    const schedule = schedules.get(id)!;
    const unitId = schedule.equipment_id;
    const now = metersNow(meters.get(unitId) ?? NO_METERS, use.get(unitId) ?? NO_USE, zone);
    const { state } = stateOf(schedule, now, today);
    const { forecast_due_on: forecast } = state;
    if (until !== null && (forecast === null || forecast > until)) return [];
    return [{ ...names.get(id)!, ...shownStanding(state) }];
  });
}

async function readNames(db: TenantDb, ids: readonly number[]): Promise<Map<number, Named>> {
  const { rows } = await db.execute<{ named: Named }>(sql`
    select json_build_object('pm_schedule_id', s.pm_schedule_id, 'schedule_name', s.schedule_name,
      'account_id', s.account_id, 'equipment_id', s.equipment_id, 'unit_number', u.unit_number,
      'open_event_id', (select e.pm_event_id from preventive_maintenance_event e
        where e.customer_id = s.customer_id and e.pm_schedule_id = s.pm_schedule_id
          and e.status in ('open', 'in_progress') and e.deleted_at is null)) as named
    from preventive_maintenance_schedule s
    left join equipment u on u.equipment_id = s.equipment_id
    where s.pm_schedule_id = any(${sql.param(ids)}::bigint[])`);
  return new Map(rows.map(({ named }) => [named.pm_schedule_id, named]));
}

/**
 * Visits as the live transaction writes them: opened by an enter, marked by a dwell, closed by an exit; and the note that
 * late fixes leave for the reviser. Knows SQL; refuses to know when a stay begins and what late fixes mean.
 *
 * Everything here may be written twice: a visit that is there is left as it is, one that is closed stays so, and fixes that
 * are stored already ask for no revision. Rows are locked in the order visit_revision, engine_state, geofence_visit, by
 * the reviser too, so neither waits for the other for ever.
 */
import type { EngineEvent, Evaluation } from '../engine/types.ts';
import { float8Array, int8Array, textArray } from '../db/pg-arrays.ts';
import type { Pipeline } from '../db/pipeline.ts';

const ASK_AGAIN = `
  on conflict (equipment_has_iot_device_id) do update set
    from_at = least(visit_revision.from_at, excluded.from_at), to_at = greatest(visit_revision.to_at, excluded.to_at),
    is_waiting = false`;

const ASK_SQL = `
  insert into visit_revision (equipment_has_iot_device_id, customer_id, from_at, to_at)
  select h.equipment_has_iot_device_id, h.customer_id, to_timestamp(l.from_ms / 1000), to_timestamp(l.to_ms / 1000)
  from unnest($1::bigint[], $2::float8[], $3::float8[]) as l (id, from_ms, to_ms)
  join equipment_has_iot_device h on h.equipment_has_iot_device_id = l.id
  ${ASK_AGAIN}`;

const ASK_STAGED_SQL = `
  insert into visit_revision (equipment_has_iot_device_id, customer_id, from_at, to_at)
  select h.equipment_has_iot_device_id, h.customer_id, min(s.recorded_at), max(s.recorded_at)
  from unnest($1::bigint[], $2::float8[], $3::float8[]) as l (id, from_ms, to_ms)
  join equipment_has_iot_device h on h.equipment_has_iot_device_id = l.id
  join fix_staging s on s.equipment_has_iot_device_id = l.id
    and s.recorded_at between to_timestamp(l.from_ms / 1000) and to_timestamp(l.to_ms / 1000)
  where not exists (
    select from equipment_gps_location g
    where g.equipment_has_iot_device_id = s.equipment_has_iot_device_id and g.recorded_at = s.recorded_at)
  group by 1, 2
  ${ASK_AGAIN}`;

/**
 * Asks for a revision of what late fixes touch. Staged: only of fixes that are in `fix_staging` and not yet in their table,
 * so it goes between the two.
 */
export function writeLateFixes(pipeline: Pipeline, evaluation: Evaluation, staged: boolean): void {
  const late = evaluation.lateFixes;
  if (late.length === 0) return;
  const rows = late.toSorted((a, b) => a.deviceId - b.deviceId);
  const [name, sql] = staged ? ['late_staged', ASK_STAGED_SQL] : ['late', ASK_SQL];
  pipeline.query(name, sql, [
    int8Array(rows.map((row) => row.deviceId)),
    float8Array(rows.map((row) => row.fromMs)),
    float8Array(rows.map((row) => row.toMs)),
  ]);
}

const ENTER_SQL = `
  insert into geofence_visit (customer_id, account_id, geofence_id, geofence_name, geofence_version, equipment_id,
    equipment_has_iot_device_id, opened_at, entered_at, first_fix_at, entered_cause)
  select v.customer_id, v.account_id, v.geofence_id, v.name, v.version, v.equipment_id, v.device_id, t.at, t.at, t.at, v.cause
  from unnest($1::bigint[], $2::bigint[], $3::float8[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[],
    $9::text[]) as v (device_id, geofence_id, entered_ms, customer_id, account_id, equipment_id, name, version, cause)
  cross join lateral (select to_timestamp(v.entered_ms / 1000) as at) t
  on conflict (equipment_has_iot_device_id, geofence_id, opened_at) do nothing`;

const IDENTITY = `
  where v.equipment_has_iot_device_id = x.device_id and v.geofence_id = x.geofence_id
    and v.opened_at = to_timestamp(x.entered_ms / 1000)`;

const DWELL_SQL = `
  update geofence_visit v set dwelled_at = to_timestamp(x.dwelled_ms / 1000)
  from unnest($1::bigint[], $2::bigint[], $3::float8[], $4::float8[]) as x (device_id, geofence_id, entered_ms, dwelled_ms)
  ${IDENTITY} and v.dwelled_at is null`;

// Late fixes may have moved the enter; a visit never ends before it begins.
const EXIT_SQL = `
  update geofence_visit v set left_at = greatest(v.entered_at, to_timestamp(x.left_ms / 1000)), left_cause = x.cause,
    last_fix_at = to_timestamp(coalesce(x.last_fix_ms, x.entered_ms) / 1000)
  from unnest($1::bigint[], $2::bigint[], $3::float8[], $4::float8[], $5::float8[], $6::text[])
    as x (device_id, geofence_id, entered_ms, left_ms, last_fix_ms, cause)
  ${IDENTITY} and v.left_at is null`;

/** Opens, marks and closes visits as the events say: at most one statement each, and none where there is nothing to do. */
export function writeVisits(pipeline: Pipeline, { events }: Evaluation): void {
  const enters = ofType(events, 'geofence_enter');
  if (enters.length > 0) {
    pipeline.query('visit_enter', ENTER_SQL, [
      ...identities(enters),
      int8Array(enters.map((event) => event.tenantId)),
      int8Array(enters.map((event) => event.accountId)),
      int8Array(enters.map((event) => event.equipmentId)),
      textArray(enters.map((event) => event.subjectName)),
      int8Array(enters.map((event) => event.subjectVersion)),
      textArray(enters.map((event) => event.cause)),
    ]);
  }
  const dwells = ofType(events, 'geofence_dwell');
  if (dwells.length > 0) {
    const dwelledMs = float8Array(dwells.map((event) => event.timeMs));
    pipeline.query('visit_dwell', DWELL_SQL, [...identities(dwells), dwelledMs]);
  }
  const exits = ofType(events, 'geofence_exit');
  if (exits.length === 0) return;
  pipeline.query('visit_exit', EXIT_SQL, [
    ...identities(exits),
    float8Array(exits.map((event) => event.leftMs)),
    float8Array(exits.map((event) => event.lastFixMs)),
    textArray(exits.map((event) => event.cause)),
  ]);
}

/** Events that name a visit, in one order for all writers. */
function ofType(events: readonly EngineEvent[], type: EngineEvent['type']): EngineEvent[] {
  const found = events.filter(
    (event) => event.type === type && event.fenceId !== null && !Number.isNaN(event.enteredMs),
  );
  const fenceIdOf = (event: EngineEvent): number => event.fenceId ?? 0;
  return found.sort((a, b) => a.deviceId - b.deviceId || fenceIdOf(a) - fenceIdOf(b));
}

function identities(events: readonly EngineEvent[]): Buffer[] {
  return [
    int8Array(events.map((event) => event.deviceId)),
    int8Array(events.map((event) => event.fenceId)),
    float8Array(events.map((event) => event.enteredMs)),
  ];
}

/** One tenant with rows of what the fleet is made of, and on request in every table of tenants, for tests of isolation. */
import type pg from 'pg';
import { RowMaker } from './test-rows.ts';

export interface TestTenant {
  readonly customerId: number;
  readonly firstAccountId: number;
  readonly secondAccountId: number;
  /** Equipment of the first account, of the second, and of none, each with a device and a fix. */
  readonly equipmentIds: readonly [number, number, number];
  readonly subject: string;
}

/** `client` signs in as the tables' superuser owner. `name` is lower case and unique on this database. */
export async function seedTenant(client: pg.ClientBase, name: string): Promise<TestTenant> {
  const insert = async (sql: string, values: unknown[]): Promise<number> => {
    const { rows } = await client.query<{ id: string }>(`${sql} as id`, values);
    return Number(rows[0]!.id);
  };
  const customerId = await insert(
    'insert into customer (customer_name) values ($1) returning customer_id',
    [name],
  );
  const addAccount = (number: string) =>
    insert(
      `insert into account (customer_id, account_name, account_number, account_type)
       values ($1, $2, $2, 'REGIONAL') returning account_id`,
      [customerId, number],
    );
  const firstAccountId = await addAccount('1');
  const secondAccountId = await addAccount('2');
  const subject = `local|${name}`;
  await addPeople(client, customerId, name, subject);
  await addLists(client, customerId, name);
  const equipmentIds: number[] = [];
  for (const accountId of [firstAccountId, secondAccountId, null]) {
    const unit = `${name}-${equipmentIds.length}`;
    equipmentIds.push(
      await insert(
        `insert into equipment (customer_id, account_id, unit_number) values ($1, $2, $3)
         returning equipment_id`,
        [customerId, accountId, unit],
      ),
    );
    await addTelemetry(client, customerId, unit);
    await addConsequences(client, customerId, unit);
  }
  return {
    customerId,
    firstAccountId,
    secondAccountId,
    equipmentIds: equipmentIds as [number, number, number],
    subject,
  };
}

/** Adds a row to every table of tenants that has none yet of one of these, under their names. */
export async function fillTenants(
  client: pg.ClientBase,
  tenants: Readonly<Record<string, TestTenant>>,
): Promise<void> {
  const maker = await RowMaker.open(client);
  const ofTenants = maker.tables.filter(({ columns }) =>
    columns.some(({ name }) => name === 'customer_id'),
  );
  for (const [word, { customerId, firstAccountId: accountId }] of Object.entries(tenants)) {
    for (const { table } of ofTenants) {
      const query = `select from "${table}" where customer_id = $1 limit 1`;
      const { rowCount } = await client.query(query, [customerId]);
      if (rowCount === 0) await maker.ensure(table, { customerId, accountId, word });
    }
  }
}

async function addPeople(
  client: pg.ClientBase,
  customerId: number,
  name: string,
  subject: string,
): Promise<void> {
  await client.query(
    `with role as (
       insert into user_role (customer_id, name, role_permission)
       values ($1, 'dispatcher', '{"equipment": ["read"]}') returning user_role_id
     )
     insert into "user" (customer_id, user_role_id, email, auth_0_reference_id)
     select $1, user_role_id, $2, $3 from role`,
    [customerId, `${name}@example.com`, subject],
  );
  await client.query(
    `insert into export_job (customer_id, user_id, resource, format, status)
     select customer_id, user_id, 'equipment', 'csv', 'cancelled' from "user" where auth_0_reference_id = $1`,
    [subject],
  );
  await client.query(
    `insert into gateway_token (customer_id, name, token_hash) values ($1, $2::text, sha256($2::text::bytea))`,
    [customerId, name],
  );
  await client.query(
    `insert into alert_type_lookup
       (customer_id, alert_category_lookup_id, event_name, event_type, operation_type)
     select $1, min(alert_category_lookup_id), $2, 'metric', 'number' from alert_category_lookup`,
    [customerId, name],
  );
}

async function addLists(client: pg.ClientBase, customerId: number, name: string): Promise<void> {
  await client.query(
    `with type as (
       insert into equipment_type_lookup (customer_id, equipment_type, equipment_name, equipment_class)
       values ($1, $2, $2, 'trailer')
     ), issue as (
       insert into service_issues_lookup (customer_id, type_name) values ($1, $2)
     ), code as (
       insert into vmrs_lookup (customer_id, vmrs_code, vmrs_description) values ($1, '013', $2)
     ), facility as (
       insert into facility_lookup (customer_id, facility_code, facility_name) values ($1, $2, $2)
     ), tag as (
       insert into tag_lookup (customer_id, tag_name) values ($1, $2)
     ), told as (
       insert into identity_task (customer_id, task_kind, user_role_id)
       select customer_id, 'role_sync', user_role_id from user_role where customer_id = $1
     ), answer as (
       insert into idempotency_key
         (customer_id, user_id, idempotency_key, request_hash, response_status)
       select customer_id, user_id, $2, sha256($2::text::bytea), 201
       from "user" where customer_id = $1
     )
     insert into attachment
       (customer_id, account_id, name, mime_type, url, storage_key, size_bytes, sha256)
     select customer_id, account_id, $2, 'image/png', '/', $2 || account_number, 1, sha256($2::text::bytea)
     from account where customer_id = $1
     union all select $1, null, $2, 'image/png', '/', $2, 1, sha256($2::text::bytea)`,
    [customerId, name],
  );
}

async function addTelemetry(client: pg.ClientBase, customerId: number, unit: string) {
  await client.query('select ensure_time_partitions(now(), now())');
  await client.query(
    `with device as (
       insert into iot_device (customer_id, device_identifier, device_type)
       values ($1, $2, 'tracker') returning iot_device_id
     ), mounted as (
       insert into equipment_has_iot_device (customer_id, equipment_id, iot_device_id)
       select e.customer_id, e.equipment_id, d.iot_device_id
       from equipment e, device d where e.customer_id = $1 and e.unit_number = $2
       returning *
     ), fix as (
       insert into equipment_gps_location
         (equipment_has_iot_device_id, recorded_at, received_at, latitude, longitude)
       select equipment_has_iot_device_id, now(), now(), 52.5, 13.4 from mounted
     ), metric as (
       insert into iot_device_metric
         (equipment_has_iot_device_id, metric_code, recorded_at, received_at, metric_value)
       select equipment_has_iot_device_id, 'temperature_c', now(), now(), 4 from mounted
     ), state as (
       insert into engine_state (equipment_has_iot_device_id, customer_id, state)
       select equipment_has_iot_device_id, customer_id, '{}' from mounted
     ), revision as (
       insert into visit_revision (equipment_has_iot_device_id, customer_id, from_at, to_at)
       select equipment_has_iot_device_id, customer_id, now(), now() from mounted
     ), reject as (
       insert into ingest_reject
         (customer_id, iot_device_id, source, reason, payload_bytes, received_at)
       select customer_id, iot_device_id, 'mqtt', 'lat_range', 0, now() from mounted
     ), event as (
       insert into iot_device_event
         (event_key, customer_id, iot_device_id, equipment_id, event_kind, recorded_at, received_at)
       select gen_random_uuid(), customer_id, iot_device_id, equipment_id, 'status', now(), now()
       from mounted
     ), command as (
       insert into iot_device_command (customer_id, iot_device_id, payload, expires_at)
       select customer_id, iot_device_id, 'report', now() + interval '1 day' from mounted
     ), knock as (
       insert into knocking_device
         (customer_id, protocol, device_identifier, first_seen_at, last_seen_at, knock_count)
       select customer_id, 'http', 'knocking ' || $2, now(), now(), 1 from mounted
     )
     insert into telematics
       (customer_id, account_id, equipment_id, unit_number, equipment_has_iot_device_id,
        recorded_at, received_at, latitude, longitude)
     select e.customer_id, e.account_id, e.equipment_id, e.unit_number,
            m.equipment_has_iot_device_id, now(), now(), 52.5, 13.4
     from mounted m join equipment e using (equipment_id)`,
    [customerId, unit],
  );
}

async function addConsequences(client: pg.ClientBase, customerId: number, unit: string) {
  await client.query(
    `with unit as (
       select * from equipment where customer_id = $1 and unit_number = $2
     ), fence as (
       insert into geofence
         (customer_id, account_id, geofence_name, shape_type, center_lat, center_lng, radius_m)
       select customer_id, account_id, unit_number, 'circle', 52.5, 13.4, 100 from unit
       returning geofence_id
     ), visit as (
       insert into geofence_visit
         (customer_id, account_id, geofence_id, geofence_version, equipment_id, equipment_has_iot_device_id,
          opened_at, entered_at, first_fix_at, entered_cause)
       select u.customer_id, u.account_id, f.geofence_id, 1, u.equipment_id, h.equipment_has_iot_device_id,
              now(), now(), now(), 'move'
       from unit u join equipment_has_iot_device h using (equipment_id), fence f
     ), rule as (
       insert into telematic_alert
         (customer_id, account_id, alert_name, metric_code, operator, operator_value)
       select customer_id, account_id, unit_number, 'speed_mps', '>', 30 from unit
     )
     insert into activity_feed
       (event_key, customer_id, account_id, equipment_id, event_type, event_time, received_at)
     select gen_random_uuid(), customer_id, account_id, equipment_id, 'geofence_enter', now(), now()
     from unit`,
    [customerId, unit],
  );
}

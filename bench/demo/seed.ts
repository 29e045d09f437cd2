/**
 * Writes the demo's customers into a migrated database. People, fences and rules once, when the customers are not there
 * yet: what somebody changed or deleted stays so. Vehicles on every start, for there may be more of them than before.
 * Everything in one transaction, as the owner of the tables. Refuses to know where secrets are kept.
 */
import pg from 'pg';
import { rolePermissionOf } from '../../api/auth/permissions.ts';
import { valueTypes } from '../../db/pools.ts';
import { ACCURACY_M_MAX, FENCES, RULES } from './fences.ts';
import { CUSTOMERS, ROLES, subjectOf, USERS, type CustomerSeed } from './people.ts';
import type { CustomerKey, VehiclePlan } from './plan.ts';
import type { LastSeen } from './vehicle.ts';

/** Where to write, and which vehicles. */
export interface SeedOptions {
  readonly connectionString: string;
  readonly plans: readonly VehiclePlan[];
  /** SHA-256 of the device's token. */
  readonly tokenHashOf: (deviceIdentifier: string) => Buffer;
}

/** What was done, and what was found of earlier runs. */
export interface Seeded {
  /** False when the customers were there already. */
  readonly isNew: boolean;
  readonly vehiclesAdded: number;
  /** By unit number: where each vehicle that was ever heard of is now. */
  readonly lastSeen: ReadonlyMap<string, LastSeen>;
  /** The newest entry of the feed; 0 when it is empty. */
  readonly feedId: number;
}

/** A unit with its device, as it goes into the database. */
type SeedVehicle = Pick<VehiclePlan, 'customer' | 'region' | 'unitNumber' | 'deviceIdentifier'> & {
  readonly description: string;
  readonly specifications: object;
};

/** Not simulated: the device that people try the protocol with. */
export const SPARE_VEHICLE: SeedVehicle = {
  customer: 'northline',
  region: 'midwest',
  unitNumber: 'NL-SPARE',
  deviceIdentifier: 'demo-device',
  description: 'Spare unit, for trying the protocol by hand',
  specifications: {},
};

/** Two starts on one database take turns. Any number will do. */
const SEED_LOCK = 5_146_290_178;

/** Brings the demo's rows into the database and reads what it holds of earlier runs. */
export async function seed(options: SeedOptions): Promise<Seeded> {
  const { connectionString, plans, tokenHashOf } = options;
  const client = new pg.Client({
    connectionString,
    application_name: 'milepost demo seed',
    types: valueTypes,
  });
  // A lost connection also rejects the query under way, which is where it is dealt with.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock($1)', [SEED_LOCK]);
    const isNew = (await readCustomers(client)).size === 0;
    if (isNew) for (const customer of CUSTOMERS) await addCustomer(client, customer);
    const vehiclesAdded = await addVehicles(client, plans.map(vehicleOf), tokenHashOf);
    await addVehicles(client, [SPARE_VEHICLE], tokenHashOf);
    await markForName(client, plans.at(-1)!.deviceIdentifier);
    const lastSeen = await readLastSeen(client);
    const { rows } = await client.query<{ id: number }>(
      'select coalesce(max(activity_feed_id), 0) as id from activity_feed',
    );
    await client.query('commit');
    return { isNew, vehiclesAdded, lastSeen, feedId: rows[0]!.id };
  } finally {
    // Ending the session also rolls back what was not committed.
    await client.end();
  }
}

/** The tracker of the last vehicle is a Teltonika, which has a name and no secret. */
async function markForName(client: pg.Client, deviceIdentifier: string): Promise<void> {
  await client.query(
    `update iot_device set sign_in_by_name = true
      where device_identifier = $1 and not sign_in_by_name`,
    [deviceIdentifier],
  );
}

async function readCustomers(client: pg.Client): Promise<Map<CustomerKey, number>> {
  const { rows } = await client.query<{ customer_id: number; reference_number: string }>(
    'select customer_id, reference_number from customer where reference_number = any ($1)',
    [CUSTOMERS.map(({ reference_number }) => reference_number)],
  );
  const known = new Map<CustomerKey, number>();
  for (const row of rows) {
    const found = CUSTOMERS.find((seed) => seed.reference_number === row.reference_number);
    known.set(found!.key, row.customer_id);
  }
  return known;
}

async function addCustomer(client: pg.Client, customer: CustomerSeed): Promise<void> {
  const { rows } = await client.query<{ id: number }>(
    `insert into customer (customer_name, customer_class, reference_number, time_zone)
     values ($1, $2, $3, $4) returning customer_id as id`,
    [
      customer.customer_name,
      customer.customer_class,
      customer.reference_number,
      customer.time_zone,
    ],
  );
  const customerId = rows[0]!.id;
  const accounts = await addAccounts(client, customer, customerId);
  const idOf = (region: string | null) => (region === null ? null : accounts.get(region)!);
  await addUsers(client, customer, customerId, idOf);
  await addFences(client, customer, customerId, idOf);
  await addRules(client, customer, customerId, idOf);
}

async function addAccounts(
  client: pg.Client,
  customer: CustomerSeed,
  customerId: number,
): Promise<Map<string, number>> {
  const ids = new Map<string, number>();
  for (const { key, ...account } of customer.accounts) {
    const { rows } = await client.query<{ id: number }>(
      `insert into account (customer_id, parent_account_id, account_name, account_number, account_type)
       values ($1, $2, $3, $4, $5) returning account_id as id`,
      [
        customerId,
        ids.get('all') ?? null,
        account.account_name,
        account.account_number,
        account.account_type,
      ],
    );
    ids.set(key, rows[0]!.id);
  }
  return ids;
}

type AccountIdOf = (region: string | null) => number | null;

async function addUsers(
  client: pg.Client,
  customer: CustomerSeed,
  customerId: number,
  accountIdOf: AccountIdOf,
): Promise<void> {
  const roleIds = new Map<string, number>();
  for (const { key, name, permissions } of ROLES) {
    const { rows } = await client.query<{ id: number }>(
      `insert into user_role (customer_id, name, role_permission) values ($1, $2, $3)
       returning user_role_id as id`,
      [customerId, name, rolePermissionOf(permissions)],
    );
    roleIds.set(key, rows[0]!.id);
  }
  for (const user of USERS.filter((candidate) => candidate.customer === customer.key)) {
    const accountId = accountIdOf(user.region);
    await client.query(
      `insert into "user" (customer_id, user_role_id, email, auth_0_reference_id, first_name,
                           last_name, assigned_account_ids)
       values ($1, $2, $3, $4, $5, $6, $7)`,
      [
        customerId,
        roleIds.get(user.role),
        user.email,
        subjectOf(user),
        user.first_name,
        user.last_name,
        accountId === null ? [] : [accountId],
      ],
    );
  }
}

async function addFences(
  client: pg.Client,
  customer: CustomerSeed,
  customerId: number,
  accountIdOf: AccountIdOf,
): Promise<void> {
  for (const fence of FENCES.filter((candidate) => candidate.customer === customer.key)) {
    await client.query(
      `insert into geofence (customer_id, account_id, geofence_name, description, shape_type, polygon,
                             center_lat, center_lng, radius_m, width_m, exit_buffer_m, accuracy_m_max)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
      [
        customerId,
        accountIdOf(fence.region),
        fence.geofence_name,
        fence.description,
        fence.shape_type,
        fence.polygon,
        fence.center_lat,
        fence.center_lng,
        fence.radius_m,
        fence.width_m,
        fence.exit_buffer_m,
        ACCURACY_M_MAX,
      ],
    );
  }
}

async function addRules(
  client: pg.Client,
  customer: CustomerSeed,
  customerId: number,
  accountIdOf: AccountIdOf,
): Promise<void> {
  for (const rule of RULES.filter((candidate) => candidate.customer === customer.key)) {
    await client.query(
      `insert into telematic_alert (customer_id, account_id, alert_type_lookup_id, alert_name,
                                    metric_code, operator, operator_value, operator_value_high,
                                    clear_value, hold_s, severity)
       values ($1, $2,
               (select alert_type_lookup_id from alert_type_lookup
                 where customer_id is null and metric_code = $4
                 order by alert_type_lookup_id limit 1),
               $3, $4, $5, $6, $7, $8, $9, $10)`,
      [
        customerId,
        accountIdOf(rule.region),
        rule.alert_name,
        rule.metric_code,
        rule.operator,
        rule.operator_value,
        rule.operator_value_high,
        rule.clear_value,
        rule.hold_s,
        rule.severity,
      ],
    );
  }
}

// Gives how many there were not before. A token that is not the installation's any more is replaced.
async function addVehicles(
  client: pg.Client,
  vehicles: readonly SeedVehicle[],
  tokenHashOf: (deviceIdentifier: string) => Buffer,
): Promise<number> {
  const customers = await readCustomers(client);
  const rows = vehicles.map((vehicle) => {
    const seed = CUSTOMERS.find(({ key }) => key === vehicle.customer)!;
    const hasRegion = seed.accounts.some(({ key }) => key === vehicle.region);
    const account = seed.accounts.find(({ key }) => key === (hasRegion ? vehicle.region : 'all'))!;
    return {
      customer_id: customers.get(vehicle.customer)!,
      account_number: account.account_number,
      unit_number: vehicle.unitNumber,
      description: vehicle.description,
      specifications: vehicle.specifications,
      device_identifier: vehicle.deviceIdentifier,
      token_hex: tokenHashOf(vehicle.deviceIdentifier).toString('hex'),
    };
  });
  // `with ordinality` keeps the order, and with it the ids, the same everywhere.
  const input = `
    with vehicle as (
      select v.* from rows from (jsonb_to_recordset($1::jsonb) as (
        customer_id bigint, account_number text, unit_number text, description text,
        specifications jsonb, device_identifier text, token_hex text)
      ) with ordinality as v (customer_id, account_number, unit_number, description,
                              specifications, device_identifier, token_hex, place))`;
  const parameters = [JSON.stringify(rows)];
  const { rowCount } = await client.query(
    `${input}
     insert into equipment (customer_id, account_id, unit_number, description, specifications)
     select v.customer_id, a.account_id, v.unit_number, v.description, v.specifications
       from vehicle v join account a using (customer_id, account_number) order by place
     on conflict (customer_id, unit_number) do nothing`,
    parameters,
  );
  await client.query(
    `${input}
     insert into iot_device (customer_id, iot_device_vendor_lookup_id, device_identifier, device_type,
                             device_installation_date, token_hash)
     select v.customer_id, l.iot_device_vendor_lookup_id, v.device_identifier, 'gps_tracker',
            current_date, decode(v.token_hex, 'hex')
       from vehicle v left join iot_device_vendor_lookup l on l.vendor_name = 'Generic' order by place
     on conflict (device_identifier) where status <> 'retired' do update set token_hash = excluded.token_hash
       where iot_device.token_hash is distinct from excluded.token_hash`,
    parameters,
  );
  await client.query(
    `${input}
     insert into equipment_has_iot_device (customer_id, equipment_id, iot_device_id)
     select customer_id, e.equipment_id, d.iot_device_id
       from vehicle v
       join equipment e using (customer_id, unit_number)
       join iot_device d using (customer_id, device_identifier)
      where not exists (
        select from equipment_has_iot_device h where h.iot_device_id = d.iot_device_id)
      order by place`,
    parameters,
  );
  return rowCount ?? 0;
}

function vehicleOf(plan: VehiclePlan): SeedVehicle {
  const { duty, cargo } = plan;
  return { ...plan, description: describe(plan), specifications: { duty, cargo } };
}

function describe({ cargo, duty, cityKey }: VehiclePlan): string {
  const kind = duty === 'line_haul' ? 'Tractor' : 'Delivery truck';
  const cooled = cargo === null ? '' : `, ${cargo} goods`;
  return `${kind}${cooled}, based in ${cityKey.replaceAll('-', ' ')}`;
}

async function readLastSeen(client: pg.Client): Promise<Map<string, LastSeen>> {
  const { rows } = await client.query<{
    unit_number: string;
    longitude: number;
    latitude: number;
    odometer_m: number | null;
  }>('select unit_number, longitude, latitude, odometer_m from telematics');
  return new Map(
    rows.map((row) => [
      row.unit_number,
      { lonDeg: row.longitude, latDeg: row.latitude, odometerM: row.odometer_m ?? 0 },
    ]),
  );
}

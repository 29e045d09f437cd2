/**
 * What Northline Freight has been through before the demo begins: every domain of the portal has a story. The trailers and
 * the van of these stories are never heard of by radio; they stand in yards and on shoulders, and on paper.
 */
import { tellAgreements } from './agreements.ts';
import { tellBilling } from './billing.ts';
import { tellBreakdown } from './breakdown.ts';
import { tellInspections } from './inspections.ts';
import { tellMaintenance } from './maintenance.ts';
import type { Teller } from './teller.ts';
import { tellVehicles } from './vehicles.ts';

/** What the stories have in common. */
export interface Cast {
  readonly accountId: number;
  /** Trailers, by the last digit of their number; nothing is at 0. */
  readonly trailers: readonly number[];
  readonly trailerTypeId: number;
  readonly vmrsId: number;
  readonly yardId: number;
}

/** Units that only the stories are about. */
export const TRAILERS = 8;
export const VANS = 1;

/** Tells all of it, in the order in which it happened. */
export async function tellNorthline(teller: Teller): Promise<void> {
  const cast = await gather(teller);
  await tellInspections(teller, cast);
  await tellAgreements(teller, cast);
  await tellMaintenance(teller, cast);
  await tellVehicles(teller, cast);
  const orderId = await tellBreakdown(teller, cast);
  await tellBilling(teller, cast, orderId);
  await tellDesk(teller, cast);
}

/** A year ago: a yard, and trailers on it. */
async function gather(teller: Teller): Promise<Cast> {
  teller.at(360, 9);
  const accountId = await teller.first(
    '/v1/accounts?filter[account_number]=NL-100&limit=1',
    'account_id',
  );
  const trailerTypeId = await teller.first(
    '/v1/equipment-types?filter[equipment_type][contains]=dry&limit=1',
    'equipment_type_lookup_id',
  );
  const vmrsId = await teller.first('/v1/vmrs-codes?limit=1', 'vmrs_id');
  const yardId = await teller.make('/v1/facilities', {
    facility_code: 'JOL-1',
    facility_name: 'Joliet yard',
    facility_type: 'yard',
    city: 'Joliet',
    state_code: 'IL',
    country_code: 'US',
    latitude: 41.4932,
    longitude: -88.1303,
  });
  const tagId = await teller.make('/v1/tags', { tag_name: 'leased trailers', color: '#2f6fed' });
  const trailers: number[] = [];
  for (let number = 1; number <= TRAILERS; number++) {
    trailers[number] = await teller.make('/v1/equipment', {
      account_id: accountId,
      unit_number: `NL-T${String(number).padStart(3, '0')}`,
      description: 'Dry van, 53 ft, swing doors',
      equipment_type_lookup_id: trailerTypeId,
      model_year: 2023,
      fuel_type: 'none',
      ownership: 'leased',
      in_service_on: teller.date(360),
      facility_lookup_id: yardId,
      tag_lookup_ids: [tagId],
    });
  }
  return { accountId, trailers, trailerTypeId, vmrsId, yardId };
}

/** What lies on the desk of the one who signs in: a view, links, a place, a paper that runs out. */
async function tellDesk(teller: Teller, { accountId, trailers }: Cast): Promise<void> {
  teller.at(3, 10);
  const list = await teller.first(
    '/v1/column-preference-tables?filter[table_name]=workorder&limit=1',
    'column_preference_table_name_id',
  );
  await teller.make('/v1/column-preferences', {
    column_preference_table_name_id: list,
    view_name: 'What is in the shop',
    selected_columns: ['workorder_number', 'workorder_status', 'priority', 'due_at', 'total_cost'],
    sort: '-priority',
    is_default: true,
  });
  await teller.make('/v1/quick-links', {
    name: 'Tire supplier',
    link: 'https://tires.example/orders',
    description: 'Order tires and see what is on its way.',
    sort_order: 1,
  });
  const me = await teller.get('/v1/me');
  await teller.make('/v1/service-request-locations', {
    account_id: accountId,
    user_id: me['user_id'],
    location_nick_name: 'Joliet yard, gate 3',
    unit_street: '2100 Mound Road',
    city: 'Joliet',
    state_code: 'IL',
    country_code: 'US',
    latitude: 41.4932,
    longitude: -88.1303,
  });
  await teller.make('/v1/equipment-permits', {
    equipment_id: trailers[1],
    license_plate_number: 'P123 456',
    license_plate_state: 'IL',
    license_plate_country_code: 'US',
    license_plate_expiration_date: teller.date(-24),
  });
  await teller.attach(
    `/v1/equipment/${trailers[1]}`,
    'lease-insurance.txt',
    'Certificate of insurance for trailer NL-T001.\n',
    teller.date(-12),
  );
}

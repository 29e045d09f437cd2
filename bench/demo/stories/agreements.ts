/** A lease of trailers: the account has as many as it may, and one came back early. */
import type { Cast } from './northline.ts';
import type { Teller } from './teller.ts';

/** Trailers that the account may have at once; it has all of them. */
const ALLOWED = 4;

export async function tellAgreements(teller: Teller, cast: Cast): Promise<void> {
  const { accountId, trailers, trailerTypeId, yardId } = cast;
  teller.at(120, 9);
  const master = await teller.make('/v1/master-agreements', {
    account_id: accountId,
    agreement_number: 'MA-014',
    agreement_name: 'Trailer lease, Northline Midwest',
    contract_effective_date: teller.date(120),
    contract_term: 36,
    contract_billing_method: 'advance',
    currency_code: 'USD',
    status: 'active',
    auto_renews: true,
    renewal_term: 12,
    notice_days: 90,
  });
  const schedule = await teller.make('/v1/schedule-agreements', {
    account_id: accountId,
    master_agreement_id: master,
    contract_type_lookup_id: await teller.first(
      '/v1/contract-types?limit=1',
      'contract_type_lookup_id',
    ),
    schedule_number: 'MA-014/1',
    effective_date: teller.date(120),
    status: 'active',
    currency_code: 'USD',
    facility_lookup_id: yardId,
    description: 'Dry vans for the Midwest.',
  });
  const line = await teller.make('/v1/schedule-agreement-line-items', {
    schedule_agreement_id: schedule,
    line_number: 1,
    equipment_type_lookup_id: trailerTypeId,
    description: 'Dry vans, 53 ft',
    number_of_units: 6,
    rate: 415,
    rate_period: 'month',
    currency_code: 'USD',
  });
  const allocation = await teller.make('/v1/equipment-type-allocations', {
    account_id: accountId,
    schedule_agreement_line_item_id: line,
    units_allowed: ALLOWED,
    over_allocation_policy: 'block',
    effective_date: teller.date(120),
  });
  const handOut = (trailer: number) =>
    teller.make('/v1/equipment-assignments', {
      account_id: accountId,
      equipment_id: trailers[trailer],
      equipment_type_allocation_id: allocation,
      activation_date: teller.date(trailer === ALLOWED + 1 ? 60 : 119),
      assigned_at: teller.instant(),
      pickup_facility_lookup_id: yardId,
    });
  teller.at(119, 10);
  const early = await handOut(1);
  for (let trailer = 2; trailer <= ALLOWED; trailer++) await handOut(trailer);
  teller.at(61, 15);
  await teller.post(`/v1/equipment-assignments/${early}/return`, {
    return_reason: 'early_return',
    return_facility_lookup_id: yardId,
  });
  // Its place is taken again: the allocation is at its limit.
  teller.at(60, 10);
  await handOut(ALLOWED + 1);
}

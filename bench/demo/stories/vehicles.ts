/** A service van that counts by the kilometre: serviced twice, due again in days, with papers and its driver. */
import type { Cast } from './northline.ts';
import type { Teller } from './teller.ts';

export async function tellVehicles(teller: Teller, { accountId }: Cast): Promise<void> {
  teller.at(200, 9);
  const service = (daysAgo: number, odometerM: number, cost: number, remark: string) => ({
    service_date: teller.date(daysAgo),
    type_of_service: 'Oil change',
    service_expense: cost,
    currency_code: 'USD',
    service_remark: remark,
    service_provider: 'Joliet Truck Service',
    odometer_m: odometerM,
  });
  const van = await teller.post('/v1/vehicles', {
    account_id: accountId,
    unit_number: 'NL-V01',
    maker_brand_description: 'Ford',
    maker_model: 'Transit 350',
    vin_chassis_no: '1FTBW3XK5PKA41207',
    engine_number: 'PKA41207',
    fuel_type_id: 'DIESEL',
    gps_tracker_imei_number: '356938035643817',
    manufacturing_month_year: '2023-02',
    gross_vehicle_weight_kg: 4490,
    seating_capacity: 3,
    axle_count: 2,
    status: 'active',
    ownerships: [
      {
        ownership_name: 'Northline Freight',
        registration_number: 'B41207D',
        registration_date: teller.date(330),
        registration_upto: teller.date(-35),
        valid_from: teller.date(330),
        state_code: 'IL',
      },
    ],
    insurance: {
      insurance_provider: 'Harbour Mutual',
      policy_number: 'CV-118204',
      policy_start_date: teller.date(345),
      policy_expiry_date: teller.date(-20),
      premium_amount: 2140.5,
      currency_code: 'USD',
    },
    service_frequencies: [
      { type_of_service: 'Oil change', time_period: '6 months', km_drove: 20000, status: 'active' },
    ],
    services: [service(300, 21_480_000, 168.4, 'Oil and filter changed.')],
  });
  const { vehicle_id_code_hdr: vehicle } = van['header'] as { vehicle_id_code_hdr: string };
  teller.at(172, 15);
  await teller.make('/v1/vehicle-services', {
    vehicle_id_code: vehicle,
    ...service(172, 36_205_000, 181.15, 'Oil, filter and wiper blades changed.'),
  });
  await teller.make('/v1/vehicle-driver-mappings', {
    vehicle_id: vehicle,
    driver_name: 'Dale Whitaker',
    driver_role: 'primary',
    license_number: 'W325-1708-4216',
    license_expiry_date: teller.date(-52),
    valid_from: teller.instant(),
    status: 'active',
  });
}

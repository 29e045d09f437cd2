/** Schedules of which one is far off, one near, one over its day, and one was done last week. */
import type { Cast } from './northline.ts';
import type { Teller } from './teller.ts';

export async function tellMaintenance(teller: Teller, { trailers, vmrsId }: Cast): Promise<void> {
  const plan = (trailer: number, name: string, days: number, startDaysAgo: number) => {
    teller.at(startDaysAgo, 8);
    return teller.make('/v1/preventive-maintenance-schedules', {
      equipment_id: trailers[trailer],
      schedule_name: name,
      work_instructions: 'Lights, tyres, brakes, doors and floor; grease the landing gear.',
      vmrs_id: vmrsId,
      frequency_interval: days,
      frequency_type: 'days',
      due_soon_days: 14,
      starts_on: teller.date(startDaysAgo),
      estimated_cost: 240,
      currency_code: 'USD',
    });
  };
  await plan(2, 'Trailer PM-A', 180, 60);
  await plan(3, 'Trailer PM-A', 90, 80);
  await plan(4, 'Trailer PM-A', 90, 95);
  const done = await plan(5, 'Trailer PM-A', 90, 96);
  teller.at(6, 13);
  const event = await teller.make('/v1/preventive-maintenance-events', {
    equipment_id: trailers[5],
    pm_schedule_id: done,
    status: 'in_progress',
  });
  await teller.make('/v1/pm-parts-used', {
    pm_event_id: event,
    part_name: 'Marker lamp',
    part_quantity: 2,
    part_cost: 8.75,
    currency_code: 'USD',
  });
  await teller.post(`/v1/preventive-maintenance-events/${event}/transitions`, {
    status: 'completed',
    work_performed: 'Two marker lamps changed; linings at 11 mm, all else in order.',
    performed_by: 'Joliet Trailer Service',
    cost: 231.5,
    currency_code: 'USD',
  });
}

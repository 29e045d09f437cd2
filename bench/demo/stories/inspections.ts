/** A trailer that is due for its annual inspection, one that was put out of service on the road, and one that still is. */
import type { Cast } from './northline.ts';
import type { Teller } from './teller.ts';

export async function tellInspections(teller: Teller, { trailers }: Cast): Promise<void> {
  const annual = async (trailer: number, daysAgo: number) => {
    teller.at(daysAgo, 11);
    await teller.make('/v1/dot-inspections', {
      equipment_id: trailers[trailer],
      inspection_kind: 'annual',
      inspection_date: teller.date(daysAgo),
      inspection_result: 'pass',
      inspector_name: 'R. Hollis',
      inspector_organisation: 'Joliet Trailer Service',
    });
  };
  // The first runs out within the fortnight.
  for (const [trailer, daysAgo] of [
    [1, 353],
    [2, 300],
    [3, 210],
    [4, 205],
    [5, 180],
    [6, 60],
  ] as const) {
    await annual(trailer, daysAgo);
  }
  await tellRoadside(teller, trailers[6]!, true);
  await tellRoadside(teller, trailers[7]!, false);
}

/** An officer finds the brakes wanting; they are repaired, or are yet to be. */
async function tellRoadside(
  teller: Teller,
  equipmentId: number,
  isRepaired: boolean,
): Promise<void> {
  const daysAgo = isRepaired ? 40 : 2;
  teller.at(daysAgo, 14);
  const inspection = await teller.make('/v1/dot-inspections', {
    equipment_id: equipmentId,
    inspection_kind: 'roadside',
    inspection_level: 2,
    report_number: isRepaired ? 'NE0071244381' : 'IL0048113907',
    inspection_date: teller.date(daysAgo),
    inspection_result: 'out_of_service',
    inspector_organisation: isRepaired ? 'Nebraska State Patrol' : 'Illinois State Police',
    is_return_required: true,
  });
  const violation = await teller.make('/v1/dot-inspection-violations', {
    dot_inspection_id: inspection,
    violation_code: '393.47(e)',
    violation_description: 'Brake adjustment beyond the limit.',
    severity_level: 'critical',
    is_out_of_service: true,
    unit_position: 'Axle 2, left',
  });
  if (!isRepaired) return;
  teller.at(daysAgo - 1, 10);
  await teller.post(`/v1/dot-inspection-violations/${violation}/transitions`, {
    status: 'corrected',
    corrective_action: 'Slack adjuster replaced, both sides adjusted.',
  });
  await teller.post(`/v1/dot-inspections/${inspection}/transitions`, { status: 'certified' });
  teller.at(daysAgo - 5, 10);
  await teller.post(`/v1/dot-inspections/${inspection}/transitions`, { status: 'returned' });
  await teller.post(`/v1/dot-inspections/${inspection}/transitions`, { status: 'closed' });
}

/** A tyre that comes apart on the interstate: a request, a call, an order. And a request that is still waiting. */
import type { Cast } from './northline.ts';
import type { Teller } from './teller.ts';

/** Gives the id of the work order that came of it. */
export async function tellBreakdown(teller: Teller, cast: Cast): Promise<number> {
  const { accountId, trailers, vmrsId } = cast;
  const urgency = await teller.first('/v1/service-urgencies?limit=1', 'service_urgency_lookup_id');
  teller.at(20, 13);
  const requestId = await teller.make('/v1/service-requests', {
    account_id: accountId,
    equipment_id: trailers[3],
    status: 'submitted',
    service_urgency_lookup_id: urgency,
    issue_description: 'Left rear outer tyre is flat; the tread has come off.',
    tire_position: 'LRO',
    contact_name: 'Sam Whitfield',
    contact_phone: '+1 402 555 0177',
    cost_limit: 1_200,
    currency_code: 'USD',
  });
  const request = `/v1/service-requests/${requestId}`;
  await teller.post(`${request}/transitions`, { status: 'approved' });
  const callId = await teller.make(`${request}/ers`, {
    driver_name: 'Sam Whitfield',
    driver_phone: '+1 402 555 0177',
    safety_status: 'roadside',
    load_status: 'loaded',
    latitude: 41.2101,
    longitude: -96.1342,
    location_description: 'I-80 westbound, half a mile past exit 439, on the shoulder.',
  });
  await tellCall(teller, callId);
  teller.at(20, 16);
  const orderId = await teller.make(`/v1/ers/${callId}/workorders`, { vmrs_id: vmrsId });
  const order = `/v1/workorders/${orderId}/transitions`;
  await teller.post(order, { workorder_status: 'in_progress' });
  await teller.post(order, {
    workorder_status: 'completed',
    resolution: 'Tyre changed, wheel checked, nuts torqued.',
  });
  teller.at(18, 9);
  await teller.post(order, { workorder_status: 'closed' });
  await teller.post(`/v1/ers/${callId}/transitions`, { ers_status: 'closed' });
  await tellWaiting(teller, cast, urgency);
  return orderId;
}

/** From the dispatch to the last nut. */
async function tellCall(teller: Teller, callId: number): Promise<void> {
  const call = `/v1/ers/${callId}`;
  const step = (hour: number, body: object) => {
    teller.at(20, hour);
    return teller.post(`${call}/transitions`, body);
  };
  await step(13.3, { ers_status: 'dispatched', vendor_name: 'Platte Valley Road Service' });
  await step(13.4, { ers_status: 'accepted', vendor_reference: 'PV-30177' });
  await step(13.6, { ers_status: 'en_route', eta_at: teller.instant(50) });
  await teller.make('/v1/communication-logs', {
    ers_id: callId,
    communication_type: 'phone',
    direction: 'outbound',
    contact_phone: '+1 402 555 0190',
    message: 'Truck left the shop with the tyre on board; told the driver to stay behind the rail.',
    occurred_at: teller.instant(),
  });
  await step(14.5, { ers_status: 'on_site' });
  await step(14.6, { ers_status: 'repairing' });
  await teller.make('/v1/ers-parts-used', {
    ers_id: callId,
    part_name: 'Trailer tyre 295/75R22.5',
    part_quantity: 1,
    part_cost: 438.9,
    currency_code: 'USD',
  });
  await step(15.5, {
    ers_status: 'resolved',
    outcome: 'roadside',
    resolution: 'Tyre changed, wheel checked, nuts torqued.',
    cost: 738.9,
  });
}

/** This week: a door that does not close, and an order that waits for its parts. */
async function tellWaiting(teller: Teller, cast: Cast, urgency: number): Promise<void> {
  const { accountId, trailers } = cast;
  teller.at(1, 9);
  await teller.make('/v1/service-requests', {
    account_id: accountId,
    equipment_id: trailers[2],
    status: 'submitted',
    service_urgency_lookup_id: urgency,
    issue_description: 'The right door does not close; the lower hinge is bent.',
  });
  teller.at(4, 9);
  const orderId = await teller.make('/v1/workorders', {
    account_id: accountId,
    equipment_id: trailers[6],
    workorder_description: 'Renew the landing gear crank.',
    currency_code: 'USD',
    priority: 'high',
    vendor_name: 'Joliet Trailer Service',
    workorder_status: 'assigned',
  });
  const order = `/v1/workorders/${orderId}/transitions`;
  teller.at(4, 11);
  await teller.post(order, { workorder_status: 'in_progress' });
  teller.at(3, 11);
  await teller.post(order, { workorder_status: 'on_hold', hold_reason: 'parts' });
}

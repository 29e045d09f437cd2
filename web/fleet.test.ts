import t from 'tap';
import type { FeedEvent, Position } from '../api/live/wire.ts';
import { drawnAt, Fleet, SILENT_MS, stateOf } from './fleet.ts';
import {
  ageText,
  coordinatesText,
  degreesText,
  eventText,
  headingText,
  speedText,
} from './format.ts';
import { lonOfX, xOfLon } from './projection.ts';

const START_MS = Date.UTC(2026, 0, 1);

function position(id: number, second: number, more: Partial<Position> = {}): Position {
  return {
    equipment_id: id,
    unit_number: `U-${id}`,
    account_id: null,
    latitude: 0,
    longitude: 0,
    speed: 10,
    heading_deg: 90,
    motion_status: 'moving',
    ignition: true,
    temperature: null,
    recorded_at: new Date(START_MS + second * 1000).toISOString(),
    ...more,
  };
}

function event(more: Partial<FeedEvent>): FeedEvent {
  return {
    activity_feed_id: 1,
    equipment_id: 1,
    account_id: null,
    event_type: 'alert_raised',
    event_time: new Date(START_MS).toISOString(),
    latitude: null,
    longitude: null,
    geofence_id: null,
    telematic_alert_id: 5,
    subject_name: 'Too fast',
    metric_code: 'speed_mps',
    metric_value: 31.2,
    severity: 'warning',
    initial: false,
    ...more,
  };
}

t.test('a vehicle glides between two positions, turning the short way', (t) => {
  const fleet = new Fleet();
  fleet.put(position(1, 0, { heading_deg: 350 }), 0);
  fleet.put(position(1, 1, { longitude: 0.01, heading_deg: 10 }), 1_000);
  const vehicle = fleet.vehicles.get(1)!;
  t.ok(Math.abs(lonOfX(drawnAt(vehicle, 1_500).x) - 0.005) < 1e-9, 'half way');
  t.equal(drawnAt(vehicle, 9_000).x, xOfLon(0.01), 'arrived');
  t.ok(Math.abs(drawnAt(vehicle, 1_000 + 1_000 / 6).headingDeg - 360) < 1e-6, 'through north');
  t.ok(fleet.isGliding(1_999));
  t.notOk(fleet.isGliding(2_000));
  fleet.put(position(1, 0.5, { longitude: 5 }), 2_500);
  t.equal(vehicle.position.longitude, 0.01, 'a late one changes nothing');
  fleet.put(position(1, 2, { longitude: 9 }), 3_000);
  t.equal(drawnAt(vehicle, 3_000).x, xOfLon(9), 'a leap is not drawn as a drive');
  t.end();
});

t.test('it glides over the antimeridian and not round the world', (t) => {
  const fleet = new Fleet();
  fleet.put(position(1, 0, { longitude: 179.999 }), 0);
  fleet.put(position(1, 1, { longitude: -179.999 }), 1_000);
  const half = lonOfX(drawnAt(fleet.vehicles.get(1)!, 1_500).x);
  t.ok(Math.abs(half) > 179.99, String(half));
  t.end();
});

t.test('alerts colour a vehicle until they clear, in whatever order they come', (t) => {
  const fleet = new Fleet();
  const at = (second: number) => new Date(START_MS + second * 1000).toISOString();
  fleet.note(event({}));
  fleet.put(position(1, 0), 0);
  const vehicle = fleet.vehicles.get(1)!;
  t.equal(stateOf(vehicle, START_MS), 'alert');
  fleet.note(event({ event_type: 'alert_cleared', event_time: at(2) }));
  t.equal(stateOf(vehicle, START_MS), 'moving');
  fleet.note(event({ event_time: at(1) }));
  t.equal(stateOf(vehicle, START_MS), 'moving', 'raised before it was cleared');
  fleet.note(event({ event_type: 'geofence_enter', telematic_alert_id: null }));
  t.equal(stateOf(vehicle, START_MS + SILENT_MS + 1), 'silent');
  fleet.put(position(1, 3, { speed: 0 }), 0);
  t.equal(stateOf(vehicle, START_MS), 'stopped');
  fleet.put(position(1, 4, { speed: null }), 0);
  t.equal(stateOf(vehicle, START_MS), 'moving', 'by its own word where there is no speed');
  t.end();
});

t.test('a snapshot forgets what it does not hold, as far as it reaches', (t) => {
  const fleet = new Fleet();
  for (const [id, longitude] of [
    [1, 0],
    [2, 179],
    [3, -179],
  ] as const) {
    fleet.put(position(id, 0, { longitude }), 0);
  }
  fleet.keepOnly(new Set([2]), { west: 170, south: -1, east: -170, north: 1 });
  t.same([...fleet.vehicles.keys()], [1, 2]);
  fleet.keepOnly(new Set([2]), null);
  t.same([...fleet.vehicles.keys()], [2]);
  t.end();
});

t.test('units are found by any part of their number, beginnings first', (t) => {
  const fleet = new Fleet();
  for (const [id, unit_number] of [
    [1, 'TRUCK-7'],
    [2, '7-A'],
    [3, 'Van 12'],
    [4, '70'],
  ] as const) {
    fleet.put(position(id, 0, { unit_number }), 0);
  }
  const found = (text: string) => fleet.search(text, 2).map((hit) => hit.position.unit_number);
  t.same(found('7'), ['7-A', '70']);
  t.same(found(' vaN '), ['Van 12']);
  t.same(found('ck-7'), ['TRUCK-7']);
  t.same(found(' '), []);
  t.end();
});

t.test('words for people', (t) => {
  const ages: [number, string][] = [
    [-5, 'just now'],
    [1_999, 'just now'],
    [12_300, '12 s'],
    [240_000, '4 min'],
    [3 * 3_600_000, '3 h'],
    [48 * 3_600_000, '2 d'],
  ];
  for (const [ms, text] of ages) t.equal(ageText(ms), text);
  t.equal(speedText(27.78), '100 km/h');
  t.equal(speedText(null), '–');
  t.equal(headingText(359), 'N 359°');
  t.equal(headingText(-90), 'W 270°');
  t.equal(coordinatesText(-1.5, 2.25), '1.5000° S, 2.2500° E');
  t.equal(degreesText(-0.05, 0.05, 'N', 'S'), '0.05° S');
  t.equal(degreesText(-30, 30, 'N', 'S'), '30° S');
  t.equal(degreesText(-0, 0.1, 'N', 'S'), '0°');
  t.equal(eventText(event({})), 'raised Too fast (112 km/h)');
  const yard = { telematic_alert_id: null, metric_value: null, subject_name: 'Yard' };
  t.equal(eventText(event({ ...yard, event_type: 'geofence_exit' })), 'left Yard');
  t.equal(
    eventText(event({ ...yard, event_type: 'geofence_enter', initial: true })),
    'first seen in Yard',
  );
  t.equal(eventText(event({ ...yard, event_type: 'device_region_enter' })), 'entered region Yard');
  t.equal(eventText(event({ ...yard, event_type: 'device_region_leave' })), 'left region Yard');
  const lost = { ...yard, event_type: 'device_disconnected', subject_name: 'imei-1' };
  t.equal(eventText(event(lost)), 'lost contact with imei-1');
  t.equal(eventText(event({ ...yard, event_type: 'door_open', subject_name: '' })), 'door open');
  t.end();
});

import t from 'tap';
import { bearingDeg, distanceM, turnDeg } from './geo.ts';
import { Fleet, FLEET_SEED } from './fleet.ts';
import { planVehicles } from './plan.ts';
import type { NativeFix } from './vehicle.ts';

const startMs = Date.UTC(2026, 4, 4, 12);
const MINUTES = 20;
const intervalS = 2;

interface Sent extends NativeFix {
  /** Metres between what was sent and the way that the vehicle was on. */
  readonly offWayM: number;
}

/** What every vehicle of a fleet sends in the first `minutes`. */
function drive(count: number, minutes: number, seed: string): Sent[][] {
  const fleet = new Fleet({
    plans: planVehicles(count),
    fixIntervalS: intervalS,
    startMs,
    seed,
  });
  const sent: Sent[][] = fleet.vehicles.map(() => []);
  for (let nowMs = startMs; nowMs <= startMs + minutes * 60_000; nowMs += 500) {
    fleet.emitDue(nowMs, (index, fix) => {
      const { offM } = fleet.vehicles[index]!.way.nearest(fix.lon, fix.lat);
      sent[index]!.push({ ...fix, offWayM: offM });
    });
  }
  return sent;
}

const seed = `test ${Date.now()}`;
t.comment(`seed ${seed}`);
const fleets = drive(48, MINUTES, seed);
const pairs = fleets.flatMap((fixes) => fixes.slice(1).map((fix, i) => [fixes[i]!, fix] as const));

function share(part: number, whole: number): string {
  return `${part} of ${whole}`;
}

t.test('each vehicle sends a fix every interval, spread over it', (t) => {
  const due = (MINUTES * 60) / intervalS;
  t.equal(fleets.filter((fixes) => Math.abs(fixes.length - due) <= 1).length, fleets.length);
  t.equal(pairs.filter(([a, b]) => b.time - a.time !== intervalS * 1000).length, 0);
  const offsets = new Set(fleets.map((fixes) => fixes[0]!.time));
  t.equal(offsets.size, fleets.length, 'no two of 48 at the same instant');
  t.end();
});

t.test('values are in the range of their kind', (t) => {
  const wrong = fleets.flat().filter((fix) => {
    return !(
      fix.speed_mps >= 0 &&
      fix.speed_mps < 45 &&
      fix.heading_deg >= 0 &&
      fix.heading_deg < 360 &&
      fix.accuracy_m > 0 &&
      fix.accuracy_m < 30 &&
      fix.satellites >= 4 &&
      fix.satellites <= 16 &&
      fix.battery_pct > 5 &&
      fix.battery_pct <= 100 &&
      (fix.temperature_c === undefined || Math.abs(fix.temperature_c) < 35) &&
      (fix.ignition || !fix.motion)
    );
  });
  t.same(wrong, []);
  t.end();
});

t.test('speed, odometer and positions agree', (t) => {
  let worstM = 0;
  let worstOdometerM = 0;
  for (const [a, b] of pairs) {
    const movedM = distanceM(a.lon, a.lat, b.lon, b.lat);
    const drivenM = b.odometer_m - a.odometer_m;
    const expectedM = ((a.speed_mps + b.speed_mps) / 2) * intervalS;
    worstM = Math.max(worstM, Math.abs(movedM - drivenM) - a.accuracy_m - b.accuracy_m);
    worstOdometerM = Math.max(worstOdometerM, Math.abs(drivenM - expectedM));
  }
  t.ok(worstM < 8, `moved as far as driven, within the accuracy and ${worstM.toFixed(1)} m`);
  t.ok(
    worstOdometerM < 8,
    `driven as far as the speed says, within ${worstOdometerM.toFixed(1)} m`,
  );
  t.end();
});

t.test('acceleration is that of a vehicle', (t) => {
  const worst = Math.max(...pairs.map(([a, b]) => Math.abs(b.speed_mps - a.speed_mps)));
  t.ok(worst / intervalS < 3.5, `at most ${(worst / intervalS).toFixed(1)} m/s²`);
  t.end();
});

t.test('the heading is where it goes', (t) => {
  const moving = pairs.filter(
    ([a, b]) =>
      a.speed_mps > 8 && b.speed_mps > 8 && Math.abs(turnDeg(a.heading_deg, b.heading_deg)) < 10,
  );
  const astray = moving.filter(
    ([a, b]) => Math.abs(turnDeg(bearingDeg(a.lon, a.lat, b.lon, b.lat), b.heading_deg)) > 30,
  );
  t.ok(moving.length > pairs.length / 4, `${share(moving.length, pairs.length)} looked at`);
  t.ok(astray.length < moving.length * 0.01, `${share(astray.length, moving.length)} astray`);
  t.end();
});

t.test('fixes lie on the way, within their accuracy', (t) => {
  // By the second seed a receiver leaves tall buildings with a large error.
  const fixes = [...fleets.flat(), ...drive(48, MINUTES, 'x6').flat()];
  const far = fixes.filter((fix) => fix.offWayM > 4 * fix.accuracy_m);
  const near = fixes.filter((fix) => fix.offWayM <= fix.accuracy_m);
  t.same(far, []);
  t.ok(near.length > fixes.length * 0.85, share(near.length, fixes.length));
  t.end();
});

t.test('there is something to see', (t) => {
  // By the demo's own seed: others can be dull for a while.
  const shown = drive(48, MINUTES, FLEET_SEED);
  const count = (test: (fix: NativeFix) => boolean) =>
    shown.filter((fixes) => fixes.some(test)).length;
  t.ok(count((fix) => fix.speed_mps > 31.3) >= 3, 'some speed');
  t.ok(count((fix) => fix.speed_mps === 0) > 40, 'nearly all stop now and then');
  t.ok(count((fix) => fix.motion) > 40, 'nearly all move now and then');
  t.ok(count((fix) => !fix.ignition) > 20, 'engines are turned off');
  t.ok(count((fix) => (fix.temperature_c ?? -99) > 8.5) >= 1, 'chilled goods get warm');
  t.ok(count((fix) => fix.battery_pct < 20) >= 1, 'a battery runs low');
  const frozen = shown.filter((fixes) => (fixes[0]!.temperature_c ?? 0) < -10);
  t.ok(
    frozen.some((fixes) => fixes.some((fix) => fix.temperature_c! > -15)),
    'frozen goods get warm',
  );
  t.end();
});

t.test('the same seed gives the same fleet, another seed another one', (t) => {
  t.same(drive(3, 5, 'a'), drive(3, 5, 'a'));
  t.not(JSON.stringify(drive(3, 5, 'a')), JSON.stringify(drive(3, 5, 'b')));
  t.same(drive(3, 5, 'a').length, 3);
  t.end();
});

t.test('a restarted fleet goes on from where it was', (t) => {
  const plans = planVehicles(40);
  const first = new Fleet({ plans, fixIntervalS: intervalS, startMs, seed });
  const last = new Map<string, NativeFix>();
  for (let nowMs = startMs; nowMs <= startMs + 15 * 60_000; nowMs += 2000) {
    first.emitDue(nowMs, (index, fix) => last.set(plans[index]!.unitNumber, fix));
  }
  const lastSeen = new Map(
    [...last].map(([unit, { lon, lat, odometer_m }]) => [
      unit,
      { lonDeg: lon, latDeg: lat, odometerM: odometer_m },
    ]),
  );
  const second = new Fleet({ plans, fixIntervalS: intervalS, startMs, seed: 'other', lastSeen });
  let worstM = 0;
  second.emitDue(startMs + 2000, (index, fix) => {
    const before = last.get(plans[index]!.unitNumber)!;
    worstM = Math.max(worstM, distanceM(before.lon, before.lat, fix.lon, fix.lat));
    t.ok(fix.odometer_m >= before.odometer_m, 'the odometer does not go back');
  });
  t.ok(worstM < 250, `the longest jump is ${worstM.toFixed(0)} m`);
  t.end();
});

t.test('after a pause a vehicle sends one fix and not all that it missed', (t) => {
  const fleet = new Fleet({ plans: planVehicles(1), fixIntervalS: intervalS, startMs });
  const times: number[] = [];
  const at = (ms: number) =>
    fleet.emitDue(startMs + ms, (_, fix) => times.push(fix.time - startMs));
  at(0);
  at(3_600_500);
  at(3_602_000);
  t.same(times, [0, 3_600_000, 3_602_000]);
  at(0);
  t.same(times.length, 4, 'the clock was set back: it goes on, and does not wait for an hour');
  t.end();
});

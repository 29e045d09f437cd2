import t from 'tap';
import { shapeFromGeoJson } from '../../engine/geojson.ts';
import { checkShape } from '../../engine/shape.ts';
import { CITIES } from './cities.ts';
import { FENCES, RULES } from './fences.ts';
import { distanceM } from './geo.ts';
import { Path } from './path.ts';
import { CUSTOMERS } from './people.ts';
import { depotOf, planeOf, planVehicles, SITES } from './plan.ts';
import { Random } from './random.ts';
import { streetWay } from './roads.ts';

t.test('a vehicle is the same in fleets of every size', (t) => {
  t.same(planVehicles(30), planVehicles(200).slice(0, 30));
  t.end();
});

t.test('vehicles have names of their own and are spread over cities and customers', (t) => {
  const plans = planVehicles(200);
  t.equal(new Set(plans.map((plan) => plan.unitNumber)).size, 200);
  t.equal(new Set(plans.map((plan) => plan.deviceIdentifier)).size, 200);
  t.ok(plans.every((plan) => /^00101700\d{7}$/.test(plan.deviceIdentifier)));
  t.same(new Set(plans.map((plan) => plan.cityKey)), new Set(CITIES.map((city) => city.key)));
  t.equal(plans.filter((plan) => plan.customer === 'cascade').length, 10);
  t.ok(plans.filter((plan) => plan.duty === 'line_haul').length >= 15);
  t.ok(plans.filter((plan) => plan.cargo !== null).length >= 40);
  t.end();
});

t.test('device names end in the check digit of an IMEI', (t) => {
  for (const { deviceIdentifier } of planVehicles(20)) {
    const sum = [...deviceIdentifier].reverse().reduce((total, digit, i) => {
      const doubled = Number(digit) * (i % 2 === 1 ? 2 : 1);
      return total + (doubled > 9 ? doubled - 9 : doubled);
    }, 0);
    t.equal(sum % 10, 0, deviceIdentifier);
  }
  t.end();
});

t.test('every fence can be one, and every kind of shape is there', (t) => {
  for (const fence of FENCES) {
    const read = shapeFromGeoJson(fence);
    if (!read.ok) t.fail(`${fence.geofence_name}: ${read.pointer} ${read.detail}`);
    else t.same(checkShape(read.shape), { ok: true }, fence.geofence_name);
  }
  t.ok(FENCES.length >= 60, `${FENCES.length} fences`);
  t.same(
    new Set(FENCES.map((fence) => fence.shape_type)),
    new Set(['polygon', 'multipolygon', 'rectangle', 'circle', 'corridor']),
  );
  const rings = (fence: (typeof FENCES)[number]) =>
    (fence.polygon as { coordinates: unknown[] } | null)?.coordinates.length ?? 0;
  t.ok(
    FENCES.some((fence) => fence.shape_type === 'polygon' && rings(fence) === 2),
    'a hole',
  );
  t.equal(new Set(FENCES.map((fence) => fence.geofence_name)).size, FENCES.length);
  t.end();
});

t.test('fences and rules belong to accounts that there are', (t) => {
  for (const { customer, region } of [...FENCES, ...RULES]) {
    const seed = CUSTOMERS.find(({ key }) => key === customer)!;
    if (region !== null) t.ok(seed.accounts.some(({ key }) => key === region));
  }
  t.ok(RULES.some((rule) => rule.operator === 'outside' && rule.operator_value_high !== null));
  t.end();
});

t.test('sites lie apart, and off the streets that lead past them', (t) => {
  for (const city of CITIES) {
    const spots = SITES.filter((site) => site.cityKey === city.key).map(({ place }) =>
      planeOf(city.key).toEarth(place.spot),
    );
    for (const [i, a] of spots.entries()) {
      for (const b of spots.slice(i + 1)) t.ok(distanceM(...a, ...b) > 1_400);
    }
  }
  t.end();
});

t.test('streets are carried to the earth and back', (t) => {
  const random = new Random('plane');
  let worstM = 0;
  for (const city of CITIES) {
    const plane = planeOf(city.key);
    for (let i = 0; i < 50; i++) {
      const point = {
        xM: random.between(city.westM, city.eastM),
        yM: random.between(city.southM, city.northM),
      };
      const back = plane.fromEarth(...plane.toEarth(point));
      worstM = Math.max(worstM, Math.hypot(back.xM - point.xM, back.yM - point.yM));
    }
  }
  t.ok(worstM < 0.05, `within ${worstM} m`);
  t.end();
});

t.test('a way begins and ends where it should and is not much longer than it must be', (t) => {
  const random = new Random('ways');
  for (const site of SITES) {
    const depot = depotOf(site.customer, site.cityKey);
    if (site === depot) continue;
    const plane = planeOf(site.cityKey);
    const points = streetWay(plane, depot.place, site.place, random);
    const [a, b] = [plane.toEarth(depot.place.spot), plane.toEarth(site.place.spot)];
    const [first, last] = [points[0]!, points.at(-1)!];
    t.ok(distanceM(...a, first.lonDeg, first.latDeg) < 0.1, site.name);
    t.ok(distanceM(...b, last.lonDeg, last.latDeg) < 0.1, site.name);
    const gap = points.slice(1).map((point, i) => {
      return distanceM(points[i]!.lonDeg, points[i]!.latDeg, point.lonDeg, point.latDeg);
    });
    t.ok(Math.max(...gap) < 230, 'no leaps');
    const straightM =
      Math.abs(depot.place.spot.xM - site.place.spot.xM) +
      Math.abs(depot.place.spot.yM - site.place.spot.yM);
    t.ok(new Path(points).lengthM < straightM + 4 * 1_600 + 1_000, 'no long way round');
  }
  t.end();
});

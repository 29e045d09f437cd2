/**
 * Ways through a city's streets, and over the interstate. A city is a grid: a street every 400 m, an arterial road every
 * 1,600 m, and two expressways through the centre. Knows streets and places; refuses to know vehicles and time.
 */
import { INTERSTATE, type City, type CityPlane, type GridPoint } from './cities.ts';
import type { RoadPoint } from './path.ts';
import type { Random } from './random.ts';

/** Where a vehicle can stand: the spot, and where its drive meets a street that runs east and west. */
export interface Place {
  readonly spot: GridPoint;
  readonly gate: GridPoint;
}

const STREET_M = 400;
const ARTERIAL_M = 1_600;
/** A point at least this often, so that streets bend smoothly. */
const STEP_M = 200;
const CORNER_M = 14;

const LIMIT_MPS = { drive: 4.5, street: 11.2, arterial: 17.9, expressway: 26.8, interstate: 29.1 };
const RED_LIGHT_CHANCE = 0.35;
const RED_LIGHT_S: [number, number] = [6, 38];

/** The street that is closest, of those that run north and south (by x) or east and west (by y). */
export function nearestStreet(m: number): number {
  return Math.round(m / STREET_M) * STREET_M;
}

/** A spot at a street's side with no drive of its own. */
export function curbAt(xM: number, yM: number): Place {
  const spot = { xM, yM: nearestStreet(yM) };
  return { spot, gate: spot };
}

/** A spot this far north and east of a street corner, entered from the south. */
export function yardAt(xM: number, yM: number, inM: number): Place {
  const [x, y] = [nearestStreet(xM) + inM, nearestStreet(yM)];
  return { spot: { xM: x, yM: y + inM }, gate: { xM: x, yM: y } };
}

/** Any spot: its drive goes straight to the street closest to it. */
export function anywhere(spot: GridPoint): Place {
  return { spot, gate: { xM: spot.xM, yM: nearestStreet(spot.yM) } };
}

/** The way from place to place: along the street, over arterial roads, and along a street again. */
export function streetWay(plane: CityPlane, from: Place, to: Place, random: Random): RoadPoint[] {
  const corners = dropStraight([
    from.spot,
    from.gate,
    ...cornersBetween(plane.city, from.gate, to.gate, random),
    to.gate,
    to.spot,
  ]);
  const points: (GridPoint & { limitMps: number; haltS: number })[] = [];
  for (let i = 0; i < corners.length - 1; i++) {
    const isDrive =
      (i === 0 && from.spot !== from.gate) || (i === corners.length - 2 && to.spot !== to.gate);
    const limitMps = isDrive ? LIMIT_MPS.drive : limitBetween(corners[i]!, corners[i + 1]!);
    const begin = i === 0 ? corners[0]! : cornerPart(corners, i, 1);
    const end = i === corners.length - 2 ? corners[i + 1]! : cornerPart(corners, i + 1, -1);
    for (const at of stepsBetween(begin, end)) {
      points.push({ ...at, limitMps, haltS: isCrossing(at, limitMps) ? redLight(random) : 0 });
    }
    if (i === corners.length - 2) break;
    const isLight = limitMps === LIMIT_MPS.arterial;
    points.push({ ...end, limitMps, haltS: isLight ? redLight(random) : 0 });
    for (const part of [0.25, 0.5, 0.75]) {
      points.push({ ...cornerCurve(corners, i + 1, part), limitMps, haltS: 0 });
    }
  }
  points.push({ ...corners.at(-1)!, limitMps: LIMIT_MPS.drive, haltS: 0 });
  return points.map(({ limitMps, haltS, ...at }) => {
    const [lonDeg, latDeg] = plane.toEarth(at);
    return { lonDeg, latDeg, limitMps, haltS };
  });
}

/** The interstate's middle line, `[lonDeg, latDeg]`, with its bends rounded. */
export const INTERSTATE_LINE: readonly (readonly [number, number])[] = rounded(rounded(INTERSTATE));

/** The interstate from its first city to its second, or back. */
export function interstateWay(isBack: boolean): RoadPoint[] {
  const line = isBack ? [...INTERSTATE_LINE].reverse() : INTERSTATE_LINE;
  return line.map(([lonDeg, latDeg]) => ({
    lonDeg,
    latDeg,
    limitMps: LIMIT_MPS.interstate,
    haltS: 0,
  }));
}

/** Where a city's streets meet the end of the interstate that lies in it. */
export function rampOf(plane: CityPlane, isFirstEnd: boolean): Place {
  const [lonDeg, latDeg] = INTERSTATE_LINE.at(isFirstEnd ? 0 : -1)!;
  return anywhere(plane.fromEarth(lonDeg, latDeg));
}

function cornersBetween(city: City, from: GridPoint, to: GridPoint, random: Random): GridPoint[] {
  const lastX = nearestStreet(to.xM);
  const isNear = Math.abs(to.xM - from.xM) < ARTERIAL_M && Math.abs(to.yM - from.yM) < ARTERIAL_M;
  if (isNear) {
    return [
      { xM: lastX, yM: from.yM },
      { xM: lastX, yM: to.yM },
    ];
  }
  const acrossX = arterialNear(from.xM, city.westM, city.eastM, random);
  const acrossY = arterialNear(to.yM, city.southM, city.northM, random);
  return [
    { xM: acrossX, yM: from.yM },
    { xM: acrossX, yM: acrossY },
    { xM: lastX, yM: acrossY },
    { xM: lastX, yM: to.yM },
  ];
}

// Mostly the closest; sometimes its neighbour, so that not everyone takes the same way.
function arterialNear(m: number, minM: number, maxM: number, random: Random): number {
  const below = Math.floor(m / ARTERIAL_M) * ARTERIAL_M;
  const [near, far] =
    m - below < ARTERIAL_M / 2 ? [below, below + ARTERIAL_M] : [below + ARTERIAL_M, below];
  const inside = (candidate: number) => candidate >= minM && candidate <= maxM;
  const chosen = random.chance(0.3) ? far : near;
  if (inside(chosen)) return chosen;
  return inside(near) ? near : far;
}

// Leaves only the points at which the way turns; going to and fro on one line is shortened, too.
function dropStraight(points: readonly GridPoint[]): GridPoint[] {
  const kept: GridPoint[] = [];
  for (const point of points) {
    const same = kept.at(-1);
    if (same !== undefined && same.xM === point.xM && same.yM === point.yM) continue;
    while (kept.length >= 2) {
      const [a, b] = [kept.at(-2)!, kept.at(-1)!];
      const isStraight =
        (a.xM === b.xM && b.xM === point.xM) || (a.yM === b.yM && b.yM === point.yM);
      if (!isStraight) break;
      kept.pop();
    }
    kept.push(point);
  }
  return kept;
}

function limitBetween(a: GridPoint, b: GridPoint): number {
  const line = a.xM === b.xM ? a.xM : a.yM;
  if (line === 0) return LIMIT_MPS.expressway;
  return line % ARTERIAL_M === 0 ? LIMIT_MPS.arterial : LIMIT_MPS.street;
}

function isCrossing({ xM, yM }: GridPoint, limitMps: number): boolean {
  return limitMps === LIMIT_MPS.arterial && xM % ARTERIAL_M === 0 && yM % ARTERIAL_M === 0;
}

function redLight(random: Random): number {
  return random.chance(RED_LIGHT_CHANCE) ? random.between(...RED_LIGHT_S) : 0;
}

// The point where the corner's curve ends (side 1) or begins (side -1).
function cornerPart(corners: readonly GridPoint[], i: number, side: 1 | -1): GridPoint {
  const [corner, towards] = [corners[i]!, corners[i + side]!];
  const reachM = Math.min(CORNER_M, legM(corners, i) / 2.2, legM(corners, i - 1) / 2.2);
  const part = reachM / legM(corners, side === 1 ? i : i - 1);
  return {
    xM: corner.xM + (towards.xM - corner.xM) * part,
    yM: corner.yM + (towards.yM - corner.yM) * part,
  };
}

function cornerCurve(corners: readonly GridPoint[], i: number, part: number): GridPoint {
  const [a, b, c] = [cornerPart(corners, i, -1), corners[i]!, cornerPart(corners, i, 1)];
  const [wa, wb, wc] = [(1 - part) ** 2, 2 * part * (1 - part), part ** 2];
  return {
    xM: wa * a.xM + wb * b.xM + wc * c.xM,
    yM: wa * a.yM + wb * b.yM + wc * c.yM,
  };
}

function legM(corners: readonly GridPoint[], i: number): number {
  const [a, b] = [corners[i]!, corners[i + 1]!];
  return Math.hypot(b.xM - a.xM, b.yM - a.yM);
}

// The beginning, and every multiple of the step up to the end, which is not among them.
function stepsBetween(begin: GridPoint, end: GridPoint): GridPoint[] {
  const isAlongX = Math.abs(end.xM - begin.xM) >= Math.abs(end.yM - begin.yM);
  const [from, to] = isAlongX ? [begin.xM, end.xM] : [begin.yM, end.yM];
  const points = [begin];
  const sign = Math.sign(to - from);
  for (let k = Math.floor((from * sign) / STEP_M) + 1; k * STEP_M < to * sign; k++) {
    const at = k * STEP_M * sign;
    points.push(isAlongX ? { xM: at, yM: begin.yM } : { xM: begin.xM, yM: at });
  }
  return points;
}

// Chaikin's corner cutting, one round; the ends stay.
function rounded(line: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const cut: (readonly [number, number])[] = [line[0]!];
  for (let i = 0; i < line.length - 1; i++) {
    const [[ax, ay], [bx, by]] = [line[i]!, line[i + 1]!];
    cut.push([ax * 0.75 + bx * 0.25, ay * 0.75 + by * 0.25]);
    cut.push([ax * 0.25 + bx * 0.75, ay * 0.25 + by * 0.75]);
  }
  cut.push(line.at(-1)!);
  return cut;
}

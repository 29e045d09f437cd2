/** Points to ask outlines about, of every class that has broken a geofence engine. A seed determines them. */
import type { LonLat } from '../../engine/types.ts';
import type { Outline } from './outlines.ts';

/** How many points of a hundred are of each class. */
const SHARES = {
  /** Anywhere on the sphere, evenly. */
  world: 15,
  /** In the box of the 48 states. */
  us: 20,
  vertex: 15,
  /** The middle of an edge, or what rounding makes of it. */
  'edge middle': 15,
  /** 1e-9…1e-5 degrees from a vertex. */
  'beside a vertex': 15,
  /** 1e-9…1e-5 degrees from some point of an edge. */
  'beside an edge': 15,
  /** On 180° or −180°, or within a millionth of a degree. */
  antimeridian: 4,
  pole: 1,
} as const;

export type PointClass = keyof typeof SHARES;

export const POINT_CLASSES = Object.keys(SHARES) as PointClass[];

/** Longitudes within −180…180, latitudes within −90…90. */
export interface ClassedPoint {
  readonly kind: PointClass;
  readonly at: LonLat;
}

/** Makes points round the outlines, one at each call. `random` gives 0…1. Half of the edges are those of counties. */
export function pointSource(
  outlines: readonly Outline[],
  random: () => number,
): () => ClassedPoint {
  const rings = outlines.flatMap(({ polygons }) => polygons.flat());
  const countyRings = outlines
    .filter(({ name }) => name.startsWith('county'))
    .flatMap(({ polygons }) => polygons.flat());
  const edgeOfAny = edgePicker(rings, random);
  const edgeOfCounty = edgePicker(countyRings, random);
  const edge = (): readonly [LonLat, LonLat] => (random() < 0.5 ? edgeOfCounty() : edgeOfAny());
  const deck = POINT_CLASSES.flatMap((kind) => Array<PointClass>(SHARES[kind]).fill(kind));
  return () => {
    const kind = deck[Math.floor(random() * deck.length)]!;
    return { kind, at: onEarth(pointOf(kind, edge, random)) };
  };
}

function pointOf(
  kind: PointClass,
  edge: () => readonly [LonLat, LonLat],
  random: () => number,
): LonLat {
  switch (kind) {
    case 'world':
      return [360 * random() - 180, latOnSphere(random)];
    case 'us':
      return [-125 + 59 * random(), 24 + 26 * random()];
    case 'vertex':
      return edge()[0];
    case 'edge middle':
      return along(edge(), 0.5);
    case 'beside a vertex':
      return beside(edge()[0], random);
    case 'beside an edge':
      return beside(along(edge(), random()), random);
    case 'antimeridian': {
      const lonDeg = random() < 0.5 ? 180 : -180;
      const offDeg = random() < 0.5 ? 0 : 10 ** (-13 + 7 * random());
      return [lonDeg - Math.sign(lonDeg) * offDeg, latOnSphere(random)];
    }
    case 'pole':
      return [360 * random() - 180, random() < 0.5 ? -90 : 90];
  }
}

// An edge that steps over 180° has its middle on the other side of the earth, where nothing of interest is.
function along([a, b]: readonly [LonLat, LonLat], share: number): LonLat {
  if (Math.abs(b[0] - a[0]) > 180) return a;
  return [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])];
}

function beside([lonDeg, latDeg]: LonLat, random: () => number): LonLat {
  const offDeg = 10 ** (-9 + 4 * random());
  const angle = 2 * Math.PI * random();
  return [lonDeg + offDeg * Math.cos(angle), latDeg + offDeg * Math.sin(angle)];
}

function latOnSphere(random: () => number): number {
  return (Math.asin(2 * random() - 1) * 180) / Math.PI;
}

function onEarth([lonDeg, latDeg]: LonLat): LonLat {
  const lon = lonDeg > 180 ? lonDeg - 360 : lonDeg < -180 ? lonDeg + 360 : lonDeg;
  return [lon, Math.max(-90, Math.min(90, latDeg))];
}

function edgePicker(
  rings: readonly (readonly LonLat[])[],
  random: () => number,
): () => readonly [LonLat, LonLat] {
  const ends: number[] = [];
  let count = 0;
  for (const ring of rings) ends.push((count += ring.length - 1));
  return () => {
    const edge = Math.floor(random() * count);
    let low = 0;
    let high = ends.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle]! <= edge) low = middle + 1;
      else high = middle;
    }
    const ring = rings[low]!;
    const i = edge - (ends[low]! - (ring.length - 1));
    return [ring[i]!, ring[i + 1]!];
  };
}

/**
 * The bench's fences: outlines as of yards, districts and counties, circles, and corridors along roads, so large that a place
 * lies in as many of them on average as is asked for. Knows shapes and settings; refuses to know who asks.
 */
import { fenceOf, seededRandom } from '../../engine/test-data.ts';
import type { Fence, FenceShape, LonLat } from '../../engine/types.ts';
import { placeAt, type Area } from './area.ts';

export const SHAPES = ['polygon', 'circle', 'corridor'] as const;
export type ShapeName = (typeof SHAPES)[number];

export interface FencesParams {
  readonly seed: number;
  readonly shape: ShapeName;
  readonly fences: number;
  /** Corners of a polygon, positions of a corridor; a circle has none. */
  readonly vertices: number;
  /** Fences that hold a place on average, in percent: 100 is one. */
  readonly fencesPerFixPercent: number;
}

/** Radii are spread evenly by their logarithm between these shares of the usual one. */
const SIZE_SHARE_MIN = 0.5;
const SIZE_SHARE_MAX = 2;
/** The mean of the squares of those shares. */
const SQUARE_SHARE =
  (SIZE_SHARE_MAX ** 2 - SIZE_SHARE_MIN ** 2) / (2 * Math.log(SIZE_SHARE_MAX / SIZE_SHARE_MIN));

const CORRIDOR_WIDTH_M_MIN = 50;
const CORRIDOR_WIDTH_M_MAX = 200;

/** How far the slowest bulge of an outline reaches, as a share of its radius; each faster one half as far. */
const BULGE_SHARE = 0.3;
/** Corners that the fastest bulge has at least. */
const BULGE_CORNERS_MIN = 6;

/** Fences 0 … `fences` − 1 with the settings of {@link settingsOf}; the same for the same seed. */
export function makeFences(area: Area, params: FencesParams): Fence[] {
  const random = seededRandom(params.seed + 11);
  return Array.from({ length: params.fences }, (_, fenceId) =>
    fenceOf(fenceId, makeShape(area, random, params), settingsOf(fenceId)),
  );
}

/** What fleets set: all gate by accuracy and notice crossings; every fourth has an exit buffer, every fifth a dwell. */
export function settingsOf(fenceId: number): Partial<Fence> {
  return {
    exitBufferM: fenceId % 4 === 0 ? 25 : 0,
    exitFixCount: 2,
    accuracyMMax: 100,
    crossGapMsMax: 120_000,
    dwellMs: fenceId % 5 === 0 ? 600_000 : null,
  };
}

function makeShape(area: Area, random: () => number, params: FencesParams): FenceShape {
  const usualM2 = (areaM2(area) * params.fencesPerFixPercent) / 100 / params.fences;
  const eastM = random() * area.widthM;
  const northM = random() * area.heightM;
  const share = SIZE_SHARE_MIN * (SIZE_SHARE_MAX / SIZE_SHARE_MIN) ** random();
  const radiusM = share * Math.sqrt(usualM2 / Math.PI / SQUARE_SHARE);
  switch (params.shape) {
    case 'polygon': {
      const ring = outline(area, random, { eastM, northM, radiusM, count: params.vertices });
      return { type: 'polygon', polygons: [[ring]] };
    }
    case 'circle': {
      const [centerLonDeg, centerLatDeg] = placeAt(area, eastM, northM);
      return { type: 'circle', centerLonDeg, centerLatDeg, radiusM };
    }
    case 'corridor': {
      const widthM =
        CORRIDOR_WIDTH_M_MIN + (CORRIDOR_WIDTH_M_MAX - CORRIDOR_WIDTH_M_MIN) * random();
      const usualM = (2 * usualM2) / (CORRIDOR_WIDTH_M_MIN + CORRIDOR_WIDTH_M_MAX);
      // Few corridors would have to be longer than the area: then a place lies in fewer of them.
      const lengthM = Math.min(usualM, area.widthM, area.heightM);
      const line = road(area, random, { eastM, northM, lengthM, count: params.vertices });
      return { type: 'corridor', line, widthM };
    }
  }
}

function areaM2({ widthM, heightM }: Area): number {
  return widthM * heightM;
}

export interface OutlineAt {
  readonly eastM: number;
  readonly northM: number;
  /** Of the circle of the same area. */
  readonly radiusM: number;
  readonly count: number;
}

/**
 * A closed ring of `count` corners round a place: an ellipse with bulges upon bulges, as coasts and borders have them. Every
 * corner is seen from the middle, so it never crosses itself, and the middle is inside.
 */
export function outline(area: Area, random: () => number, at: OutlineAt): LonLat[] {
  const { eastM, northM, count } = at;
  const bulges = makeBulges(random, count);
  const squares = bulges.reduce((sum, { share }) => sum + share ** 2 / 2, 1);
  const radiusM = at.radiusM / Math.sqrt(squares);
  const stretch = 0.7 + 0.7 * random();
  const tiltCos = Math.cos(random() * Math.PI);
  const tiltSin = Math.sqrt(1 - tiltCos ** 2);
  const ring: LonLat[] = [];
  for (let i = 0; i < count; i++) {
    const angle = (2 * Math.PI * i) / count;
    let share = 1;
    for (const bulge of bulges) share += bulge.share * Math.cos(bulge.waves * angle + bulge.phase);
    const alongM = radiusM * share * stretch * Math.cos(angle);
    const acrossM = ((radiusM * share) / stretch) * Math.sin(angle);
    const x = alongM * tiltCos - acrossM * tiltSin;
    const y = alongM * tiltSin + acrossM * tiltCos;
    ring.push(placeAt(area, eastM + x, northM + y));
  }
  return ring.length === 0 ? ring : [...ring, ring[0]!];
}

interface Bulge {
  /** How often it goes in and out on the way round. */
  readonly waves: number;
  readonly share: number;
  readonly phase: number;
}

function makeBulges(random: () => number, count: number): Bulge[] {
  const bulges: Bulge[] = [];
  let share = BULGE_SHARE;
  for (let waves = 2; waves * BULGE_CORNERS_MIN <= count; waves *= 2) {
    const more = Math.floor(random() * Math.min(waves, count / BULGE_CORNERS_MIN - waves));
    bulges.push({ waves: waves + more, share, phase: random() * 2 * Math.PI });
    share /= 2;
  }
  return bulges;
}

interface RoadAt {
  readonly eastM: number;
  readonly northM: number;
  readonly lengthM: number;
  readonly count: number;
}

/** A line of `count` positions that bends a little at each, and turns where it would leave the area. */
function road(area: Area, random: () => number, at: RoadAt): LonLat[] {
  const stepM = at.lengthM / (at.count - 1);
  let { eastM, northM } = at;
  let headingRad = random() * 2 * Math.PI;
  const line = [placeAt(area, eastM, northM)];
  while (line.length < at.count) {
    headingRad += (random() - 0.5) * 0.8;
    const toEastM = eastM + stepM * Math.sin(headingRad);
    const toNorthM = northM + stepM * Math.cos(headingRad);
    const isInside =
      toEastM >= 0 && toEastM <= area.widthM && toNorthM >= 0 && toNorthM <= area.heightM;
    if (!isInside) {
      headingRad += Math.PI / 2;
      continue;
    }
    eastM = toEastM;
    northM = toNorthM;
    line.push(placeAt(area, eastM, northM));
  }
  return line;
}

/**
 * Distances on the sphere and the arithmetic of longitudes. Knows nothing of fences. Angles are degrees, lengths
 * metres on a sphere of the mean earth radius; a spheroid differs from it by up to 0.56 %.
 */

/** Mean earth radius (IUGG R1), metres. */
export const EARTH_RADIUS_M = 6_371_008.8;

/** Metres in a degree of latitude. */
export const DEGREE_M = (EARTH_RADIUS_M * Math.PI) / 180;

/** Added to boxes that come out of trigonometry, so that rounding never loses a point of the boundary. */
export const BOX_PAD_DEG = 1e-9;

/** What to add to a longitude to try it in the turn before, its own and the next. */
export const TURNS_DEG = [-360, 0, 360] as const;

/** Radians in a degree. */
export const RADIANS = Math.PI / 180;

/** The same longitude in −180 (included) … 180 (excluded). */
export function wrapLonDeg(lonDeg: number): number {
  if (lonDeg >= -180 && lonDeg < 180) return lonDeg;
  const turned = lonDeg - 360 * Math.floor((lonDeg + 180) / 360);
  return turned >= 180 ? turned - 360 : turned;
}

/**
 * The square of the sine of half the central angle between two points: grows with the distance and costs no root and
 * no arcsine, so it is what thresholds are compared with (see `haverOfM`). Longitudes may be any number of turns apart.
 */
export function haver(lonADeg: number, latADeg: number, lonBDeg: number, latBDeg: number): number {
  const sinLat = Math.sin((latBDeg - latADeg) * (RADIANS / 2));
  const sinLon = Math.sin((lonBDeg - lonADeg) * (RADIANS / 2));
  const cosines = Math.cos(latADeg * RADIANS) * Math.cos(latBDeg * RADIANS);
  return sinLat * sinLat + cosines * sinLon * sinLon;
}

/** The value of `haver` at a distance in metres; half the earth's girth and more give 1. */
export function haverOfM(distanceM: number): number {
  const half = Math.min(distanceM / (2 * EARTH_RADIUS_M), Math.PI / 2);
  return Math.sin(half) ** 2;
}

/** Great-circle distance in metres by the haversine formula. */
export function haversineM(
  lonADeg: number,
  latADeg: number,
  lonBDeg: number,
  latBDeg: number,
): number {
  return (
    2 *
    EARTH_RADIUS_M *
    Math.asin(Math.sqrt(Math.min(1, haver(lonADeg, latADeg, lonBDeg, latBDeg))))
  );
}

/**
 * How far a circle of `radiusM` round a point at `latDeg` reaches east and west, in degrees of longitude, 0…180; 180
 * when it touches a pole, since it then holds every longitude.
 */
export function lonReachDeg(latDeg: number, radiusM: number): number {
  const angle = radiusM / EARTH_RADIUS_M;
  if (Math.abs(latDeg) * RADIANS + angle >= Math.PI / 2) return 180;
  const sine = Math.sin(angle) / Math.cos(latDeg * RADIANS);
  return sine >= 1 ? 180 : Math.asin(sine) / RADIANS;
}

/** At least `lonReachDeg`, and little more where that is small: of boxes that need not be exact. */
export function lonReachDegMax(latDeg: number, radiusM: number): number {
  const angle = radiusM / EARTH_RADIUS_M;
  const sine = angle / Math.cos(latDeg * RADIANS);
  // asin x ≤ x (1 + x²) up to 0.8.
  return sine < 0.5 ? (sine / RADIANS) * (1 + sine * sine) + BOX_PAD_DEG : 180;
}

/**
 * `haver` from a point to the nearest point of the segment from `values[at]` to `values[at + 2]`, straight in longitude
 * and latitude. The nearest point is chosen in the plane scaled by the cosine of the point's own latitude and its distance
 * is then taken on the sphere. So the answer is never too small; it is too large by less than 0.01 % up to 10 km below 80°
 * of latitude (prepare.test.ts holds it to that). `lonDeg` has to be in the same turn as the segment.
 */
export function pathHaver(
  values: Float64Array,
  at: number,
  lonDeg: number,
  latDeg: number,
): number {
  const x0 = values[at]!;
  const y0 = values[at + 1]!;
  const dx = values[at + 2]! - x0;
  const dy = values[at + 3]! - y0;
  const scale = Math.cos(latDeg * RADIANS) ** 2;
  const length = dx * dx * scale + dy * dy;
  const along = (lonDeg - x0) * dx * scale + (latDeg - y0) * dy;
  const share = length > 0 ? Math.min(1, Math.max(0, along / length)) : 0;
  return haver(lonDeg, latDeg, x0 + share * dx, y0 + share * dy);
}

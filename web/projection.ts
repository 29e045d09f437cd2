/**
 * Web Mercator on the unit square: x 0…1 from 180° west to 180° east, y 0…1 from north to south. Knows numbers only.
 * Longitudes wrap, so x may be asked for on either side of the square; latitudes end at ±85.05°.
 */

/** Where the square ends: Mercator would go on for ever. */
export const LAT_DEG_MAX = 85.0511287798066;
/** Mean radius, as the engine uses it. */
export const EARTH_RADIUS_M = 6_371_008.8;

const DEG = Math.PI / 180;

export interface WorldPoint {
  readonly x: number;
  readonly y: number;
}

export function xOfLon(lonDeg: number): number {
  return lonDeg / 360 + 0.5;
}

/** Latitudes beyond the square's edge lie on it. */
export function yOfLat(latDeg: number): number {
  const lat = Math.max(-LAT_DEG_MAX, Math.min(LAT_DEG_MAX, latDeg));
  const sin = Math.sin(lat * DEG);
  return 0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI);
}

/** A longitude in −180…180, whichever copy of the world x lies in. */
export function lonOfX(x: number): number {
  return (x - Math.floor(x) - 0.5) * 360;
}

export function latOfY(y: number): number {
  return Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) / DEG;
}

/** How much of the world's width one metre covers at a latitude. */
export function worldPerMetre(latDeg: number): number {
  const lat = Math.max(-LAT_DEG_MAX, Math.min(LAT_DEG_MAX, latDeg));
  return 1 / (2 * Math.PI * EARTH_RADIUS_M * Math.cos(lat * DEG));
}

/** The copy of x that is nearest to `near`: at most half a world away. */
export function unwrapX(x: number, near: number): number {
  return x - Math.round(x - near);
}

/** Metres between two positions, by haversine. */
export function distanceM(
  aLonDeg: number,
  aLatDeg: number,
  bLonDeg: number,
  bLatDeg: number,
): number {
  const lat = Math.sin(((bLatDeg - aLatDeg) * DEG) / 2);
  const lon = Math.sin(((bLonDeg - aLonDeg) * DEG) / 2);
  const h = lat * lat + Math.cos(aLatDeg * DEG) * Math.cos(bLatDeg * DEG) * lon * lon;
  return 2 * EARTH_RADIUS_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** The position that lies `metres` away in a direction (degrees clockwise from north): `[lonDeg, latDeg]`. */
export function destination(
  lonDeg: number,
  latDeg: number,
  bearingDeg: number,
  metres: number,
): [number, number] {
  const angle = metres / EARTH_RADIUS_M;
  const lat = latDeg * DEG;
  const bearing = bearingDeg * DEG;
  const sinLat =
    Math.sin(lat) * Math.cos(angle) + Math.cos(lat) * Math.sin(angle) * Math.cos(bearing);
  const east = Math.sin(bearing) * Math.sin(angle) * Math.cos(lat);
  const north = Math.cos(angle) - Math.sin(lat) * sinLat;
  return [
    lonDeg + Math.atan2(east, north) / DEG,
    Math.asin(Math.max(-1, Math.min(1, sinLat))) / DEG,
  ];
}

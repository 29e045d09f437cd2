/** Distances and bearings on the sphere, the simulator's own: what it drives is not measured with the engine's ruler. */

/** Mean radius of the earth. */
export const EARTH_RADIUS_M = 6_371_008.8;

const RAD = Math.PI / 180;

/** Metres between two positions in degrees (haversine). */
export function distanceM(lonA: number, latA: number, lonB: number, latB: number): number {
  const sinLat = Math.sin(((latB - latA) * RAD) / 2);
  const sinLon = Math.sin(((lonB - lonA) * RAD) / 2);
  const h = sinLat * sinLat + Math.cos(latA * RAD) * Math.cos(latB * RAD) * sinLon * sinLon;
  return 2 * EARTH_RADIUS_M * Math.asin(Math.sqrt(h));
}

/** Degrees clockwise from north, 0…360, at which B is seen from A. */
export function bearingDeg(lonA: number, latA: number, lonB: number, latB: number): number {
  const lon = (lonB - lonA) * RAD;
  const y = Math.sin(lon) * Math.cos(latB * RAD);
  const x =
    Math.cos(latA * RAD) * Math.sin(latB * RAD) -
    Math.sin(latA * RAD) * Math.cos(latB * RAD) * Math.cos(lon);
  return (Math.atan2(y, x) / RAD + 360) % 360;
}

/** Degrees from one heading to another the short way round, −180…180. */
export function turnDeg(fromDeg: number, toDeg: number): number {
  return ((((toDeg - fromDeg) % 360) + 540) % 360) - 180;
}

/** The position `eastM` and `northM` metres from another, for distances of a few kilometres. */
export function shifted(
  lonDeg: number,
  latDeg: number,
  eastM: number,
  northM: number,
): [number, number] {
  const degM = RAD * EARTH_RADIUS_M;
  return [lonDeg + eastM / (degM * Math.cos(latDeg * RAD)), latDeg + northM / degM];
}

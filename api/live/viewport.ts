/** Whether a position lies in a map window. Knows longitudes wrap at ±180°; knows nothing of maps or sockets. */
import type { LiveViewport } from './wire.ts';

/**
 * True when the position lies in the viewport, its edges included. Degrees; longitudes within ±180. A viewport whose
 * west is greater than its east crosses the antimeridian; west −180 and east 180 is the whole world. Allocates nothing.
 */
export function viewportHolds(viewport: LiveViewport, lonDeg: number, latDeg: number): boolean {
  if (latDeg < viewport.south || latDeg > viewport.north) return false;
  // ±180 is one meridian with two names.
  if (lonDeg === 180 || lonDeg === -180) {
    return (
      viewport.west > viewport.east ||
      viewport.east === 180 ||
      viewport.west === -180 ||
      viewport.west === 180 ||
      viewport.east === -180
    );
  }
  if (viewport.west <= viewport.east) return lonDeg >= viewport.west && lonDeg <= viewport.east;
  return lonDeg >= viewport.west || lonDeg <= viewport.east;
}

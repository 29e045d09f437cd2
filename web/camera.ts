/** What part of the world the screen shows, in world units and CSS pixels. Immutable values; knows no canvas. */
import type { LiveViewport } from '../api/live/wire.ts';
import { latOfY, lonOfX, unwrapX, xOfLon, yOfLat, type WorldPoint } from './projection.ts';

/** `scale` is the width of the whole world in pixels. */
export interface Camera {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
  readonly width: number;
  readonly height: number;
}

export interface LonLatBox {
  west: number;
  south: number;
  east: number;
  north: number;
}

/** World widths in pixels: one tile of 256 at zoom 0, doubled with every level. */
export const SCALE_MAX = 256 * 2 ** 20;
const SCALE_MIN = 256;

/** The camera at least as near as needed for the world to fill the screen, and held between its poles. */
export function clampCamera(camera: Camera): Camera {
  const scaleMin = Math.max(SCALE_MIN, camera.width, camera.height);
  const scale = Math.max(scaleMin, Math.min(SCALE_MAX, camera.scale));
  const halfHeight = camera.height / 2 / scale;
  const y = Math.max(halfHeight, Math.min(1 - halfHeight, camera.y));
  return { ...camera, scale, x: camera.x - Math.floor(camera.x), y };
}

/** Moves what is under the screen by so many pixels. */
export function panned(camera: Camera, dxPx: number, dyPx: number): Camera {
  const x = camera.x - dxPx / camera.scale;
  return clampCamera({ ...camera, x, y: camera.y - dyPx / camera.scale });
}

/** Zooms by a factor; what lies at the given pixel stays there. */
export function zoomedAt(camera: Camera, factor: number, xPx: number, yPx: number): Camera {
  const anchor = toWorld(camera, xPx, yPx);
  const { scale } = clampCamera({ ...camera, scale: camera.scale * factor });
  const x = anchor.x - (xPx - camera.width / 2) / scale;
  const y = anchor.y - (yPx - camera.height / 2) / scale;
  return clampCamera({ ...camera, scale, x, y });
}

/** Pixels of a world point, taking the copy of it that is nearest to the middle of the screen. */
export function toScreenX(camera: Camera, x: number): number {
  return (unwrapX(x, camera.x) - camera.x) * camera.scale + camera.width / 2;
}

export function toScreenY(camera: Camera, y: number): number {
  return (y - camera.y) * camera.scale + camera.height / 2;
}

/** The world point under a pixel; its x may lie outside 0…1. */
export function toWorld(camera: Camera, xPx: number, yPx: number): WorldPoint {
  return {
    x: camera.x + (xPx - camera.width / 2) / camera.scale,
    y: camera.y + (yPx - camera.height / 2) / camera.scale,
  };
}

/** The screen's edges in degrees, with a margin in parts of its size. West exceeds east over the antimeridian. */
export function viewportOf(camera: Camera, margin: number): LiveViewport {
  const halfWidth = (camera.width / 2 / camera.scale) * (1 + 2 * margin);
  const halfHeight = (camera.height / 2 / camera.scale) * (1 + 2 * margin);
  const south = latOfY(Math.min(1, camera.y + halfHeight));
  const north = latOfY(Math.max(0, camera.y - halfHeight));
  if (halfWidth >= 0.5) return { west: -180, south, east: 180, north };
  return { west: lonOfX(camera.x - halfWidth), south, east: lonOfX(camera.x + halfWidth), north };
}

/** The camera that shows a box with a margin in pixels, and no nearer than `scaleMax`. West may exceed east. */
export function fitted(camera: Camera, box: LonLatBox, marginPx: number, scaleMax: number): Camera {
  const west = xOfLon(box.west);
  const east = xOfLon(box.east < box.west ? box.east + 360 : box.east);
  const north = yOfLat(box.north);
  const south = yOfLat(box.south);
  const wide = Math.max(camera.width - 2 * marginPx, camera.width / 4);
  const high = Math.max(camera.height - 2 * marginPx, camera.height / 4);
  const scale = Math.min(scaleMax, wide / (east - west || 1e-12), high / (south - north || 1e-12));
  return clampCamera({ ...camera, x: (west + east) / 2, y: (north + south) / 2, scale });
}

/**
 * The smallest box round positions (`[lonDeg, latDeg]`), or null for none. East–west it is the whole circle without
 * its widest gap, so a fleet on both sides of the antimeridian gets a narrow box with west > east.
 */
export function boundsOf(positions: readonly (readonly [number, number])[]): LonLatBox | null {
  if (positions.length === 0) return null;
  const lons = positions.map(([lon]) => lon).sort((a, b) => a - b);
  let south = 90;
  let north = -90;
  for (const [, lat] of positions) {
    south = Math.min(south, lat);
    north = Math.max(north, lat);
  }
  let west = lons[0]!;
  let east = lons.at(-1)!;
  let gapMax = west + 360 - east;
  for (let i = 1; i < lons.length; i += 1) {
    const gap = lons[i]! - lons[i - 1]!;
    if (gap > gapMax) {
      gapMax = gap;
      west = lons[i]!;
      east = lons[i - 1]!;
    }
  }
  return { west, south, east, north };
}

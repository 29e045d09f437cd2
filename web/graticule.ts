/** Draws the ground: grid lines with their degrees, and the scale bar. */
import { toScreenY, toWorld, type Camera } from './camera.ts';
import { degreesText, lengthText } from './format.ts';
import { latOfY, worldPerMetre, xOfLon, yOfLat } from './projection.ts';
import type { Theme } from './theme.ts';

const STEPS_DEG = [
  30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005,
];
const LINE_GAP_PX_MIN = 110;
const BAR_PX_MAX = 140;
// Room at the bottom for the scale bar and the longitudes.
const FOOT_PX = 64;

/** The grid step in degrees: the smallest whose lines are far enough apart on the screen. */
export function gridStepDeg(scale: number): number {
  const pxPerDeg = scale / 360;
  return STEPS_DEG.findLast((step) => step * pxPerDeg >= LINE_GAP_PX_MIN) ?? STEPS_DEG[0]!;
}

/** The longest round length whose bar is not longer than `pxMax`: `[metres, pixels]`. */
export function scaleBar(metresPerPx: number, pxMax: number): [number, number] {
  const most = metresPerPx * pxMax;
  const power = 10 ** Math.floor(Math.log10(most));
  const metres = (most / power >= 5 ? 5 : most / power >= 2 ? 2 : 1) * power;
  return [metres, metres / metresPerPx];
}

export function drawGround(context: CanvasRenderingContext2D, camera: Camera, theme: Theme): void {
  const { width, height } = camera;
  context.fillStyle = theme.sea;
  context.fillRect(0, 0, width, height);
  const step = gridStepDeg(camera.scale);
  const topLeft = toWorld(camera, 0, 0);
  const bottomRight = toWorld(camera, width, height);
  context.lineWidth = 1;
  context.font = `11px ${theme.font}`;
  context.textBaseline = 'alphabetic';
  const firstLon = Math.ceil(((topLeft.x - 0.5) * 360) / step);
  const lastLon = Math.floor(((bottomRight.x - 0.5) * 360) / step);
  for (let index = firstLon; index <= lastLon; index += 1) {
    const lon = index * step;
    const x = Math.round((xOfLon(lon) - camera.x) * camera.scale + width / 2) + 0.5;
    line(context, lon === 0 ? theme.gridStrong : theme.grid, [x, 0, x, height]);
    const wrapped = lon - 360 * Math.round(lon / 360);
    label(context, theme, degreesText(wrapped, step, 'E', 'W'), x + 4, height - 6);
  }
  const firstLat = Math.ceil(latOfY(bottomRight.y) / step);
  const lastLat = Math.floor(latOfY(topLeft.y) / step);
  for (let index = firstLat; index <= lastLat; index += 1) {
    const lat = index * step;
    const y = Math.round(toScreenY(camera, yOfLat(lat))) + 0.5;
    line(context, lat === 0 ? theme.gridStrong : theme.grid, [0, y, width, y]);
    if (y < height - FOOT_PX) label(context, theme, degreesText(lat, step, 'N', 'S'), 6, y - 4);
  }
}

/** The scale bar, its left end at the given pixel. It holds for the middle of the screen. */
export function drawScaleBar(
  context: CanvasRenderingContext2D,
  camera: Camera,
  theme: Theme,
  [left, bottom]: readonly [number, number],
): void {
  const metresPerPx = 1 / (camera.scale * worldPerMetre(latOfY(camera.y)));
  const [metres, px] = scaleBar(metresPerPx, BAR_PX_MAX);
  context.strokeStyle = theme.text;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(left, bottom - 6);
  context.lineTo(left, bottom);
  context.lineTo(left + px, bottom);
  context.lineTo(left + px, bottom - 6);
  context.stroke();
  context.font = `12px ${theme.font}`;
  context.textAlign = 'center';
  label(context, theme, lengthText(metres), left + px / 2, bottom - 8, theme.text);
  context.textAlign = 'left';
}

/** Text with a halo, so that it can be read over lines. */
export function label(
  context: CanvasRenderingContext2D,
  theme: Theme,
  text: string,
  ...[x, y, colour]: [number, number, string?]
): void {
  context.lineJoin = 'round';
  context.lineWidth = 3;
  context.strokeStyle = theme.halo;
  context.strokeText(text, x, y);
  context.fillStyle = colour ?? theme.muted;
  context.fillText(text, x, y);
  context.lineWidth = 1;
}

function line(
  context: CanvasRenderingContext2D,
  colour: string,
  [x1, y1, x2, y2]: readonly [number, number, number, number],
): void {
  context.strokeStyle = colour;
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

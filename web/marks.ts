/** Draws what lies on the ground: fences, vehicles, and groups of vehicles that would cover each other. */
import { toScreenX, toScreenY, type Camera } from './camera.ts';
import type { FencePicture } from './fence-geometry.ts';
import { drawnAt, stateOf, type Fleet, type Vehicle, type VehicleState } from './fleet.ts';
import { label } from './graticule.ts';
import { unwrapX, type WorldPoint } from './projection.ts';
import type { Theme } from './theme.ts';

/** A vehicle, or several in one, where it was drawn last. */
export interface Mark {
  readonly x: number;
  readonly y: number;
  readonly headingDeg: number;
  /** Of the most urgent of them. */
  readonly state: VehicleState;
  readonly states: readonly VehicleState[];
  readonly vehicles: readonly Vehicle[];
}

export interface Scene {
  readonly camera: Camera;
  readonly theme: Theme;
  readonly nowMs: number;
  readonly wallMs: number;
  readonly selectedId: number | null;
  readonly hoveredId: number | null;
}

const CELL_PX = 44;
// Nearer than this, vehicles are drawn one by one even where they touch: they can be told apart.
const GROUP_SCALE_MAX = 256 * 2 ** 13;
const GROUP_COUNT_MIN = 4;
const LABELS_MAX = 120;
const LABEL_PX = 14;
const FENCE_LABEL_PX_MIN = 56;
const EDGE_PX = 24;
// The colour of a group is that of its most urgent vehicle.
const URGENCY: readonly VehicleState[] = ['alert', 'moving', 'stopped', 'silent'];

export function drawFences(
  context: CanvasRenderingContext2D,
  scene: Scene,
  fences: readonly FencePicture[],
): void {
  const { camera, theme } = scene;
  for (const fence of fences) {
    const midX = (fence.minX + fence.maxX) / 2;
    const shift = unwrapX(midX, camera.x) - midX;
    const left = screenX(camera, fence.minX + shift);
    const right = screenX(camera, fence.maxX + shift);
    const top = toScreenY(camera, fence.minY);
    const bottom = toScreenY(camera, fence.maxY);
    if (right < 0 || left > camera.width || bottom < 0 || top > camera.height) continue;
    context.beginPath();
    for (const ring of fence.rings) trace(context, camera, ring, shift);
    context.fillStyle = theme.fenceFill;
    context.fill(fence.fillRule);
    context.strokeStyle = theme.fenceLine;
    context.lineWidth = 1.5;
    context.lineJoin = 'round';
    context.stroke();
    if (fence.line.length > 0) {
      context.beginPath();
      trace(context, camera, fence.line, shift, false);
      context.setLineDash([6, 6]);
      context.lineWidth = 1;
      context.stroke();
      context.setLineDash([]);
    }
    if (Math.max(right - left, bottom - top) >= FENCE_LABEL_PX_MIN) {
      context.font = `600 12px ${theme.font}`;
      context.textAlign = 'center';
      const { x, y } = fence.labelAt;
      const at = screenX(camera, x + shift);
      label(context, theme, fence.name, at, toScreenY(camera, y) - 7, theme.fenceLine);
      context.textAlign = 'left';
    }
  }
}

/** Where everything stands now, grouped as the scale asks. The selected vehicle stands for itself. */
export function marksOf(fleet: Fleet, scene: Scene): Mark[] {
  const { camera, nowMs, wallMs, selectedId } = scene;
  const marks: Mark[] = [];
  const cells = new Map<number, Mark[]>();
  const canGroup = camera.scale < GROUP_SCALE_MAX;
  for (const vehicle of fleet.vehicles.values()) {
    const drawn = drawnAt(vehicle, nowMs);
    const x = toScreenX(camera, drawn.x);
    const y = toScreenY(camera, drawn.y);
    if (x < -EDGE_PX || x > camera.width + EDGE_PX) continue;
    if (y < -EDGE_PX || y > camera.height + EDGE_PX) continue;
    const { headingDeg } = drawn;
    const state = stateOf(vehicle, wallMs);
    const mark: Mark = { x, y, headingDeg, state, states: [state], vehicles: [vehicle] };
    if (!canGroup || vehicle.position.equipment_id === selectedId) {
      marks.push(mark);
      continue;
    }
    const key = cellKey(camera, drawn.x, drawn.y);
    const cell = cells.get(key);
    if (cell === undefined) cells.set(key, [mark]);
    else cell.push(mark);
  }
  const groups: Mark[] = [];
  for (const cell of cells.values()) {
    if (cell.length < GROUP_COUNT_MIN) marks.push(...cell);
    else groups.push(grouped(cell));
  }
  return [...marks, ...merged(groups)];
}

// Groups of neighbouring cells that would lie on each other become one, the larger taking in the smaller.
function merged(groups: readonly Mark[]): Mark[] {
  const kept: Mark[] = [];
  for (const group of groups.toSorted((a, b) => b.vehicles.length - a.vehicles.length)) {
    const index = kept.findIndex(({ x, y }) => Math.hypot(x - group.x, y - group.y) < CELL_PX);
    if (index < 0) kept.push(group);
    else kept[index] = grouped([kept[index]!, group]);
  }
  return kept;
}

/** Draws the marks, urgent ones above the others, groups above them and the selected one on top, and the numbers of units as long as there are few. */
export function drawMarks(
  context: CanvasRenderingContext2D,
  marks: readonly Mark[],
  scene: Scene,
): void {
  const { theme } = scene;
  for (const state of URGENCY.toReversed()) {
    for (const mark of marks) {
      if (mark.state === state && mark.vehicles.length === 1) drawVehicle(context, mark, scene);
    }
  }
  for (const mark of marks) if (mark.vehicles.length > 1) drawGroup(context, mark, theme);
  const selected = marks.find(({ vehicles }) => isSelected(vehicles, scene));
  if (selected !== undefined) drawVehicle(context, selected, scene);
  drawNumbers(context, marks, scene);
}

function isSelected(vehicles: readonly Vehicle[], { selectedId }: Scene): boolean {
  return vehicles.length === 1 && vehicles[0]!.position.equipment_id === selectedId;
}

// The meant units' numbers always, the others' where there is room for them.
function drawNumbers(
  context: CanvasRenderingContext2D,
  marks: readonly Mark[],
  scene: Scene,
): void {
  const { theme, selectedId, hoveredId } = scene;
  const single = marks.filter(({ vehicles }) => vehicles.length === 1);
  const hasRoom = single.length <= LABELS_MAX && scene.camera.scale > GROUP_SCALE_MAX / 4;
  const isMeant = (mark: Mark) => {
    const id = mark.vehicles[0]!.position.equipment_id;
    return id === selectedId || id === hoveredId;
  };
  const taken: { x: number; y: number; width: number }[] = [];
  context.font = `600 12px ${theme.font}`;
  for (const mark of [...single.filter(isMeant), ...(hasRoom ? single : [])]) {
    const text = mark.vehicles[0]!.position.unit_number;
    const width = context.measureText(text).width;
    const x = mark.x + 13;
    const { y } = mark;
    const collides = taken.some(
      (other) =>
        Math.abs(other.y - y) < LABEL_PX && x < other.x + other.width && other.x < x + width,
    );
    if (collides) continue;
    taken.push({ x, y, width });
    label(context, theme, text, x, y + 4, theme.text);
  }
}

/** The mark under a pixel, or null: the nearest within reach. */
export function markAt(marks: readonly Mark[], x: number, y: number, reachPx: number): Mark | null {
  let best: Mark | null = null;
  let bestPx = reachPx;
  for (const mark of marks) {
    const px = Math.hypot(mark.x - x, mark.y - y) - (mark.vehicles.length > 1 ? 8 : 0);
    if (px < bestPx) {
      best = mark;
      bestPx = px;
    }
  }
  return best;
}

function drawVehicle(
  context: CanvasRenderingContext2D,
  mark: Mark,
  { theme, selectedId }: Scene,
): void {
  const { x, y, state } = mark;
  const { position } = mark.vehicles[0]!;
  if (position.equipment_id === selectedId) {
    context.beginPath();
    context.arc(x, y, 17, 0, 2 * Math.PI);
    context.strokeStyle = theme.accent;
    context.lineWidth = 2.5;
    context.stroke();
  }
  context.fillStyle = theme[state];
  context.strokeStyle = theme.outline;
  context.lineWidth = 1.5;
  context.lineJoin = 'round';
  context.beginPath();
  if (position.heading_deg === null) context.arc(x, y, 6, 0, 2 * Math.PI);
  else arrow(context, x, y, (mark.headingDeg * Math.PI) / 180);
  context.fill();
  context.stroke();
}

// An arrow head that points north at angle 0, notched at its back.
function arrow(context: CanvasRenderingContext2D, x: number, y: number, angle: number): void {
  const sin = Math.sin(angle);
  const cos = Math.cos(angle);
  const at = (dx: number, dy: number) =>
    [x + dx * cos - dy * sin, y + dx * sin + dy * cos] as const;
  context.moveTo(...at(0, -11));
  context.lineTo(...at(7.5, 8));
  context.lineTo(...at(0, 4));
  context.lineTo(...at(-7.5, 8));
  context.closePath();
}

function drawGroup(context: CanvasRenderingContext2D, mark: Mark, theme: Theme): void {
  const count = mark.vehicles.length;
  const radius = Math.min(24, 12 + Math.log2(count) * 1.8);
  context.beginPath();
  context.arc(mark.x, mark.y, radius, 0, 2 * Math.PI);
  context.fillStyle = theme.halo;
  context.fill();
  // A ring of the states in the group, in their proportions.
  let angle = -Math.PI / 2;
  context.lineWidth = 4;
  for (const state of URGENCY) {
    const part = mark.states.filter((one) => one === state).length / count;
    if (part === 0) continue;
    context.beginPath();
    context.arc(mark.x, mark.y, radius, angle, angle + part * 2 * Math.PI);
    context.strokeStyle = theme[state];
    context.stroke();
    angle += part * 2 * Math.PI;
  }
  context.fillStyle = theme.text;
  context.font = `700 12px ${theme.font}`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillText(String(count), mark.x, mark.y + 0.5);
  context.textAlign = 'left';
  context.textBaseline = 'alphabetic';
}

// Several marks as one, at the middle of all their vehicles.
function grouped(cell: readonly Mark[]): Mark {
  const vehicles = cell.flatMap((mark) => mark.vehicles);
  const mean = (pick: (mark: Mark) => number) =>
    cell.reduce((sum, mark) => sum + pick(mark) * mark.vehicles.length, 0) / vehicles.length;
  const states = cell.flatMap((mark) => mark.states);
  return {
    x: mean(({ x }) => x),
    y: mean(({ y }) => y),
    headingDeg: 0,
    state: URGENCY.find((state) => states.includes(state))!,
    states,
    vehicles,
  };
}

// Cells lie still on the world while the map is dragged; their size follows whole zoom levels.
function cellKey(camera: Camera, x: number, y: number): number {
  const cellCount = Math.ceil(2 ** Math.floor(Math.log2(camera.scale)) / CELL_PX);
  const column = Math.floor((x - Math.floor(x)) * cellCount);
  return column * 1e7 + Math.floor(y * cellCount);
}

function trace(
  context: CanvasRenderingContext2D,
  camera: Camera,
  points: readonly WorldPoint[],
  ...[shift, closes = true]: [number, boolean?]
): void {
  points.forEach(({ x, y }, index) => {
    const px = screenX(camera, x + shift);
    if (index === 0) context.moveTo(px, toScreenY(camera, y));
    else context.lineTo(px, toScreenY(camera, y));
  });
  if (closes) context.closePath();
}

// Without choosing the nearest copy of the world: a shape that has been shifted stays in one piece.
function screenX(camera: Camera, x: number): number {
  return (x - camera.x) * camera.scale + camera.width / 2;
}

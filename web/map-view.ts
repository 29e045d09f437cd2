/**
 * The map on its canvas: holds the camera, draws a frame when something has changed or is moving, and says what was
 * picked. Knows the fleet and the fences it is given; knows no network and no panels.
 */
import {
  boundsOf,
  clampCamera,
  fitted,
  panned,
  viewportOf,
  zoomedAt,
  type Camera,
} from './camera.ts';
import type { FencePicture } from './fence-geometry.ts';
import type { Fleet } from './fleet.ts';
import { drawGround, drawScaleBar } from './graticule.ts';
import { attachInput } from './map-input.ts';
import { drawFences, drawMarks, markAt, marksOf, type Mark } from './marks.ts';
import { xOfLon, yOfLat } from './projection.ts';
import { readTheme, type Theme } from './theme.ts';
import type { LiveViewport } from '../api/live/wire.ts';

export interface MapEvents {
  /** A unit was picked, or null: the ground. */
  picked(equipmentId: number | null): void;
  hovered(equipmentId: number | null, xPx: number, yPx: number): void;
  /** The camera has moved. */
  moved(): void;
}

const REACH_PX = 18;
const MARGIN_PX = 70;
const FIT_SCALE_MAX = 256 * 2 ** 14;
const FLY_SCALE = 256 * 2 ** 15;
const GROUP_ZOOM = 4;
// Beyond this share of the screen, so that vehicles come in moving and do not pop up at the edge.
const VIEWPORT_MARGIN = 0.25;

export class MapView {
  fences: readonly FencePicture[] = [];
  selectedId: number | null = null;
  /** While true the camera stays over the selected vehicle. */
  follows = false;
  #canvas: HTMLCanvasElement;
  #context: CanvasRenderingContext2D;
  #fleet: Fleet;
  #events: MapEvents;
  #camera: Camera = { x: 0.5, y: 0.5, scale: 1024, width: 1, height: 1 };
  #theme: Theme = readTheme();
  #marks: Mark[] = [];
  #hoveredId: number | null = null;
  /** Where the pointer rests on the map, in pixels. */
  #pointer: readonly [number, number] | null = null;
  #isScheduled = false;

  constructor(canvas: HTMLCanvasElement, fleet: Fleet, events: MapEvents) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d', { alpha: false })!;
    this.#fleet = fleet;
    this.#events = events;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#resize();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#theme = readTheme();
      this.redraw();
    });
    attachInput(canvas, {
      pan: (dx, dy) => this.#byHand(panned(this.#camera, dx, dy)),
      zoom: (factor, x, y) => this.#move(zoomedAt(this.#camera, factor, x, y)),
      zoomAtCentre: (factor) => this.zoom(factor),
      hover: (x, y) => {
        this.#pointer = [x, y];
        this.#hover(x, y);
      },
      leave: () => {
        this.#pointer = null;
        this.#hoverOver(null, 0, 0);
      },
      pick: (x, y) => this.#pick(x, y),
      fit: () => this.fitFleet(),
      deselect: () => this.#events.picked(null),
    });
  }

  /** Zooms about the middle of the screen. */
  zoom(factor: number): void {
    const { width, height } = this.#camera;
    this.#move(zoomedAt(this.#camera, factor, width / 2, height / 2));
  }

  /** Shows the whole fleet; the fences, when there is no fleet. */
  fitFleet(): void {
    const positions = [...this.#fleet.vehicles.values()].map(
      ({ position }) => [position.longitude, position.latitude] as const,
    );
    const box = boundsOf(positions);
    this.follows = false;
    if (box !== null) this.#move(fitted(this.#camera, box, MARGIN_PX, FIT_SCALE_MAX));
  }

  /** Goes to a vehicle and stays with it until the map is dragged. */
  follow(equipmentId: number): void {
    const vehicle = this.#fleet.vehicles.get(equipmentId);
    if (vehicle === undefined) return;
    this.follows = true;
    const scale = Math.max(this.#camera.scale, FLY_SCALE);
    this.#move(clampCamera({ ...this.#camera, x: vehicle.toX, y: vehicle.toY, scale }));
  }

  /** Goes to a place, keeping the scale where it is near enough. */
  goTo(lonDeg: number, latDeg: number): void {
    this.follows = false;
    const scale = Math.max(this.#camera.scale, FLY_SCALE / 4);
    this.#move(clampCamera({ ...this.#camera, x: xOfLon(lonDeg), y: yOfLat(latDeg), scale }));
  }

  /** What the server should tell of: the screen and a margin round it. */
  viewport(): LiveViewport {
    return viewportOf(this.#camera, VIEWPORT_MARGIN);
  }

  /** Draws one frame soon, and goes on as long as something glides. */
  redraw(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#draw();
    });
  }

  #draw(): void {
    const context = this.#context;
    const ratio = devicePixelRatio;
    const nowMs = performance.now();
    if (this.follows) this.#keepOver();
    const camera = this.#camera;
    const theme = this.#theme;
    const scene = {
      camera,
      theme,
      nowMs,
      wallMs: Date.now(),
      selectedId: this.selectedId,
      hoveredId: this.#hoveredId,
    };
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawGround(context, camera, theme);
    drawFences(context, scene, this.fences);
    this.#marks = marksOf(this.#fleet, scene);
    // What moves under a pointer at rest, moves in and out of its reach.
    if (this.#pointer !== null) this.#hover(...this.#pointer);
    drawMarks(context, this.#marks, scene);
    drawScaleBar(context, camera, theme, [16, camera.height - 28]);
    if (this.#fleet.isGliding(nowMs)) this.redraw();
  }

  #keepOver(): void {
    const vehicle = this.#fleet.vehicles.get(this.selectedId ?? -1);
    if (vehicle === undefined) return;
    const mark = this.#marks.find(
      ({ vehicles }) => vehicles.length === 1 && vehicles[0] === vehicle,
    );
    if (mark === undefined) return;
    // Only when it nears the edge of the middle third: a map that moves all the time is hard to read.
    const { width, height } = this.#camera;
    const dx = mark.x - width / 2;
    const dy = mark.y - height / 2;
    if (Math.abs(dx) < width / 6 && Math.abs(dy) < height / 6) return;
    this.#camera = panned(this.#camera, -dx * 0.06, -dy * 0.06);
    this.#events.moved();
    this.redraw();
  }

  #byHand(camera: Camera): void {
    this.follows = false;
    this.#move(camera);
  }

  #move(camera: Camera): void {
    this.#camera = camera;
    this.#events.moved();
    this.redraw();
  }

  #hover(x: number, y: number): void {
    const mark = markAt(this.#marks, x, y, REACH_PX);
    this.#canvas.classList.toggle('over', mark !== null);
    const single = mark?.vehicles.length === 1 ? mark.vehicles[0]!.position.equipment_id : null;
    this.#hoverOver(single, mark?.x ?? x, mark?.y ?? y);
  }

  #hoverOver(equipmentId: number | null, x: number, y: number): void {
    if (equipmentId !== this.#hoveredId) {
      this.#hoveredId = equipmentId;
      this.redraw();
    }
    this.#events.hovered(equipmentId, x, y);
  }

  #pick(x: number, y: number): void {
    const mark = markAt(this.#marks, x, y, REACH_PX);
    if (mark !== null && mark.vehicles.length > 1) {
      this.#byHand(zoomedAt(this.#camera, GROUP_ZOOM, mark.x, mark.y));
      return;
    }
    this.follows = false;
    this.#events.picked(mark?.vehicles[0]?.position.equipment_id ?? null);
  }

  #resize(): void {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (width === 0 || height === 0) return;
    this.#canvas.width = Math.round(width * devicePixelRatio);
    this.#canvas.height = Math.round(height * devicePixelRatio);
    this.#camera = clampCamera({ ...this.#camera, width, height });
    this.#events.moved();
    this.redraw();
  }
}

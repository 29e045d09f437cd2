/** Turns wheel, pointers and keys on the canvas into camera moves and picks. Knows gestures; knows nothing of what is drawn. */

export interface MapGestures {
  pan(dxPx: number, dyPx: number): void;
  /** `factor` above 1 is nearer; the pixel stays where it is. */
  zoom(factor: number, xPx: number, yPx: number): void;
  zoomAtCentre(factor: number): void;
  hover(xPx: number, yPx: number): void;
  leave(): void;
  pick(xPx: number, yPx: number): void;
  fit(): void;
  deselect(): void;
}

// A press that moved no further is a click and not a drag.
const CLICK_PX_MAX = 5;
const KEY_PAN_PX = 90;
const KEY_ZOOM = 1.6;
const DOUBLE_ZOOM = 2;

/** Attaches the gestures. Lives as long as the canvas. */
export function attachInput(canvas: HTMLCanvasElement, gestures: MapGestures): void {
  attachPointers(canvas, gestures);
  canvas.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      // Lines and pages as browsers count them; a pinch on a touchpad comes as a wheel with ctrl.
      const unitPx = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
      const speed = event.ctrlKey ? 0.01 : 0.0018;
      const delta = Math.max(-400, Math.min(400, event.deltaY * unitPx));
      gestures.zoom(Math.exp(-delta * speed), event.offsetX, event.offsetY);
    },
    { passive: false },
  );
  canvas.addEventListener('dblclick', (event) => {
    const factor = event.shiftKey ? 1 / DOUBLE_ZOOM : DOUBLE_ZOOM;
    gestures.zoom(factor, event.offsetX, event.offsetY);
  });
  canvas.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (keyed(event.key, gestures)) event.preventDefault();
  });
}

function keyed(key: string, gestures: MapGestures): boolean {
  switch (key) {
    case 'ArrowLeft':
      gestures.pan(KEY_PAN_PX, 0);
      return true;
    case 'ArrowRight':
      gestures.pan(-KEY_PAN_PX, 0);
      return true;
    case 'ArrowUp':
      gestures.pan(0, KEY_PAN_PX);
      return true;
    case 'ArrowDown':
      gestures.pan(0, -KEY_PAN_PX);
      return true;
    case '+':
    case '=':
      gestures.zoomAtCentre(KEY_ZOOM);
      return true;
    case '-':
      gestures.zoomAtCentre(1 / KEY_ZOOM);
      return true;
    case 'f':
    case 'Home':
      gestures.fit();
      return true;
    case 'Escape':
      gestures.deselect();
      return true;
    default:
      return false;
  }
}

interface Finger {
  x: number;
  y: number;
}

// One finger drags, two pinch and drag. A tap picks.
function attachPointers(canvas: HTMLCanvasElement, gestures: MapGestures): void {
  const fingers = new Map<number, Finger>();
  let movedPx = 0;

  canvas.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || fingers.size >= 2) return;
    canvas.setPointerCapture(event.pointerId);
    if (fingers.size === 0) movedPx = 0;
    // The second finger makes it a pinch, whatever the first one did.
    else movedPx = Infinity;
    fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
  });

  canvas.addEventListener('pointermove', (event) => {
    const finger = fingers.get(event.pointerId);
    if (finger === undefined) {
      if (event.pointerType === 'mouse') gestures.hover(event.offsetX, event.offsetY);
      return;
    }
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    const dx = event.offsetX - finger.x;
    const dy = event.offsetY - finger.y;
    if (other !== undefined) {
      const before = Math.hypot(finger.x - other.x, finger.y - other.y);
      const after = Math.hypot(event.offsetX - other.x, event.offsetY - other.y);
      gestures.pan(dx / 2, dy / 2);
      const middleX = (event.offsetX + other.x) / 2;
      const middleY = (event.offsetY + other.y) / 2;
      if (before > 0) gestures.zoom(after / before, middleX, middleY);
    } else {
      movedPx += Math.hypot(dx, dy);
      // What trembles within the click's reach does not move the map.
      if (movedPx > CLICK_PX_MAX) gestures.pan(dx, dy);
    }
    finger.x = event.offsetX;
    finger.y = event.offsetY;
  });

  const lift = (event: PointerEvent) => {
    const wasDown = fingers.delete(event.pointerId);
    if (wasDown && event.type === 'pointerup' && movedPx <= CLICK_PX_MAX) {
      gestures.pick(event.offsetX, event.offsetY);
    }
  };
  canvas.addEventListener('pointerup', lift);
  canvas.addEventListener('pointercancel', lift);
  canvas.addEventListener('pointerleave', () => gestures.leave());
}

/** Whether a fence that somebody sends can be one. Geometry is the engine's to judge; here its answer becomes a 422. */
import { shapeFromGeoJson, type FenceShapeFields } from '../../engine/geojson.ts';
import { checkRectangle } from '../../engine/rectangle.ts';
import { checkShape, type ShapeCheck } from '../../engine/shape.ts';
import { fieldProblem, type Problem } from '../problem.ts';
import type { geofence } from '../../db/schema.ts';

export type ShapeType = (typeof geofence.$inferSelect)['shape_type'];

/** Positions of a fence that is sent through the API; well within the body limit and the engine's own. */
export const GEOFENCE_VERTICES_MAX = 10_000;

const SHAPE_FIELDS = ['polygon', 'center_lat', 'center_lng', 'radius_m', 'width_m'] as const;
type ShapeField = (typeof SHAPE_FIELDS)[number];
/** Of a shape that can be one: its type is one of those there are. */
type CheckedShape = FenceShapeFields & { readonly shape_type: ShapeType };

function fieldsOf(shapeType: string): readonly ShapeField[] {
  if (shapeType === 'circle') return ['center_lat', 'center_lng', 'radius_m'];
  return shapeType === 'corridor' ? ['polygon', 'width_m'] : ['polygon'];
}

/**
 * The shape columns of a row, from what is `stored` (nothing, for a new one) and what is `sent`. Columns that the shape
 * has no use for become null; sending a value for one throws 422, and so does a shape that cannot be a fence. The
 * problem names the field, down to the vertex.
 */
export function checkedShape(
  stored: FenceShapeFields | null,
  sent: Partial<FenceShapeFields>,
): CheckedShape {
  const shape_type = sent.shape_type ?? stored?.shape_type ?? '';
  const used = fieldsOf(shape_type);
  const shape: Record<string, unknown> = { shape_type };
  for (const name of SHAPE_FIELDS) {
    if (used.includes(name)) {
      const value = sent[name] === undefined ? stored?.[name] : sent[name];
      shape[name] = name === 'polygon' ? bareGeometry(value) : (value ?? null);
    } else {
      shape[name] = null;
      if (sent[name] !== undefined && sent[name] !== null) {
        throw refuse(`/${name}`, `means nothing for a ${shape_type}; leave it out`);
      }
    }
  }
  const fields = shape as unknown as CheckedShape;
  requireFence(fields);
  return fields;
}

/** Without members that mean nothing (RFC 7946, section 6.1): they would be kept, and come back with every answer. */
function bareGeometry(polygon: unknown): unknown {
  if (typeof polygon !== 'object' || polygon === null) return null;
  const { type, coordinates } = polygon as { type?: unknown; coordinates?: unknown };
  return { type, coordinates };
}

function requireFence(fields: FenceShapeFields): void {
  const read = shapeFromGeoJson(fields, GEOFENCE_VERTICES_MAX);
  if (!read.ok) throw refuse(read.pointer, read.detail);
  requireSound(checkShape(read.shape), fields);
  if (fields.shape_type === 'rectangle') requireSound(checkRectangle(read.shape), fields);
}

function requireSound(checked: ShapeCheck, fields: FenceShapeFields): void {
  if (!checked.ok) throw refuse(pointerOf(checked, fields), checked.detail);
}

function pointerOf(
  { reason, at }: Extract<ShapeCheck, { ok: false }>,
  { shape_type, polygon }: FenceShapeFields,
): string {
  if (reason === 'radius') return '/radius_m';
  if (reason === 'width') return '/width_m';
  if (shape_type === 'circle') return reason === 'lon_range' ? '/center_lng' : '/center_lat';
  // The engine counts polygons first; only the coordinates of a MultiPolygon do so too.
  const isPolygon = (polygon as { type?: unknown } | null)?.type === 'Polygon';
  const path = isPolygon ? at.slice(1) : at;
  return ['/polygon/coordinates', ...path].join('/');
}

function refuse(pointer: string, detail: string): Problem {
  return fieldProblem('unprocessable', 'body', pointer, detail);
}

/**
 * Real outlines: counties and states of the US, countries of the world at two scales, from npm `us-atlas` and
 * `world-atlas`. They were rounded to a grid, so some cross themselves and some have shrunk to a line: these are told,
 * with the reason why no fence can be made of them, and compared all the same, for the even-odd rule decides them well.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Geometry } from 'geojson';
import { feature } from 'topojson-client';
import { shapeFromFeature } from '../../engine/geojson.ts';
import { checkShape } from '../../engine/shape.ts';
import type { PolygonRings } from '../../engine/types.ts';

/** File, object in it, and what its outlines are called here. */
const SOURCES = [
  ['us-atlas/counties-10m.json', 'counties', 'county'],
  ['us-atlas/counties-10m.json', 'states', 'state'],
  ['world-atlas/countries-10m.json', 'countries', 'country 1:10m'],
  ['world-atlas/countries-50m.json', 'countries', 'country 1:50m'],
] as const;

type Topology = Parameters<typeof feature>[0];

/** `polygons` as they are in the file; `settled` as a fence has them, after `shapeFromFeature`. */
export interface Outline {
  readonly name: string;
  readonly polygons: readonly PolygonRings[];
  readonly settled: readonly PolygonRings[];
}

export interface Atlas {
  readonly outlines: readonly Outline[];
  /** Name and reason of those that a fence cannot be. */
  readonly refused: readonly string[];
  readonly polygonCount: number;
  readonly holeCount: number;
  readonly vertexCount: number;
}

/** Reads all outlines: half a million vertices, a second. */
export function readAtlas(): Atlas {
  const outlines: Outline[] = [];
  const refused: string[] = [];
  const require = createRequire(import.meta.url);
  for (const [file, object, kind] of SOURCES) {
    const topology = JSON.parse(readFileSync(require.resolve(file), 'utf8')) as Topology;
    const decoded = feature(topology, topology.objects[object]!);
    if (decoded.type !== 'FeatureCollection') throw new Error(`${file}: no collection`);
    for (const { geometry, properties } of decoded.features) {
      const name = `${kind} ${String(properties?.['name'])}`;
      const read = shapeFromFeature(geometry);
      const checked = read.ok ? checkShape(read.shape) : read;
      if (!checked.ok) refused.push(`${name}: ${checked.reason}: ${checked.detail}`);
      if (!read.ok || read.shape.type !== 'polygon') continue;
      outlines.push({ name, polygons: polygonsOf(geometry), settled: read.shape.polygons });
    }
  }
  const rings = outlines.flatMap(({ polygons }) => polygons.flat());
  const polygonCount = outlines.reduce((sum, { polygons }) => sum + polygons.length, 0);
  return {
    outlines,
    refused,
    polygonCount,
    holeCount: rings.length - polygonCount,
    vertexCount: rings.reduce((sum, ring) => sum + ring.length, 0),
  };
}

function polygonsOf(geometry: Geometry): readonly PolygonRings[] {
  if (geometry.type === 'Polygon') return [geometry.coordinates as unknown as PolygonRings];
  if (geometry.type === 'MultiPolygon') {
    return geometry.coordinates as unknown as readonly PolygonRings[];
  }
  throw new Error(`an outline of type ${geometry.type}`);
}

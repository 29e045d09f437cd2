/**
 * `npm run check:atlas -- --points 3000000 --seed 1`: the engine's "which fences hold this point" beside turf over some
 * 3,800 real outlines. Prints what was compared and each class of disagreement; ends with 1 when the engine is wrong.
 */
import { parseArgs } from 'node:util';
import { compare, ROUNDING_DEG, type Comparison } from './compare.ts';
import { readAtlas } from './outlines.ts';

const POINTS = 3_000_000;
const POINTS_MAX = 1e9;
const SEED_MAX = 0x7fff_ffff;

/** The lines that are printed. */
function told({ classes, roundedDegMax, vertexRounded, wrong }: Comparison): string[] {
  const rows = Object.entries(classes).map(([kind, { points, held, disputed }]) => {
    const cells = [points, held, ...Object.values(disputed)].map((n) => String(n).padStart(18));
    return kind.padEnd(16) + cells.join('');
  });
  const heads = ['points', 'held', 'reference rounds', 'engine rounds', 'wrong'];
  return [
    ' '.repeat(16) + heads.map((head) => head.padStart(18)).join(''),
    ...rows,
    `farthest from an edge where the engine rounds: ${roundedDegMax}° (${ROUNDING_DEG}° is let through)`,
    `outlines of which a vertex is not held, for the engine rounds: ${vertexRounded.join(', ') || 'none'}`,
    ...wrong.map((line) => `wrong: ${line}`),
  ];
}

function whole(name: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new Error(`--${name} must be a whole number from 1 to ${max}, not ${JSON.stringify(text)}`);
}

function main(): void {
  const { values } = parseArgs({
    options: {
      points: { type: 'string', default: String(POINTS) },
      seed: { type: 'string', default: '1' },
    },
  });
  const pointCount = whole('points', values.points, POINTS_MAX);
  const seed = whole('seed', values.seed, SEED_MAX);
  const { outlines, refused, polygonCount, holeCount, vertexCount } = readAtlas();
  for (const line of refused) console.log(`no fence: ${line}`);
  console.log(
    `${outlines.length} outlines, ${polygonCount} polygons, ${holeCount} holes, ${vertexCount} vertices; ` +
      `${pointCount} points, seed ${seed}`,
  );
  const startMs = performance.now();
  const comparison = compare(outlines, { pointCount, seed });
  for (const line of told(comparison)) console.log(line);
  console.log(`${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  if (comparison.wrong.length > 0) process.exitCode = 1;
}

try {
  main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

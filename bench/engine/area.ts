/** Where the engine's bench takes place: a square of degrees in Central Europe, and metres from its south-western corner. */
import assert from 'node:assert/strict';
import { DEGREE_M } from '../../engine/geodesy.ts';
import type { LonLat } from '../../engine/types.ts';

export interface Area {
  readonly westDeg: number;
  readonly southDeg: number;
  readonly sizeDeg: number;
  /** At its middle latitude. */
  readonly widthM: number;
  readonly heightM: number;
  readonly lonDegPerM: number;
  readonly latDegPerM: number;
}

const WEST_DEG = 8;
const SOUTH_DEG = 48;
const SIZE_DEG_MAX = 20;

/** An area of 1…20 degrees each way. */
export function areaOf(sizeDeg: number): Area {
  assert(sizeDeg >= 1 && sizeDeg <= SIZE_DEG_MAX, `--sizeDeg: 1…${SIZE_DEG_MAX}`);
  const lonDegreeM = DEGREE_M * Math.cos(((SOUTH_DEG + sizeDeg / 2) * Math.PI) / 180);
  return {
    westDeg: WEST_DEG,
    southDeg: SOUTH_DEG,
    sizeDeg,
    widthM: sizeDeg * lonDegreeM,
    heightM: sizeDeg * DEGREE_M,
    lonDegPerM: 1 / lonDegreeM,
    latDegPerM: 1 / DEGREE_M,
  };
}

/** A place by metres from the corner; flat, so metres are exact only in the middle. */
export function placeAt(area: Area, eastM: number, northM: number): LonLat {
  return [area.westDeg + eastM * area.lonDegPerM, area.southDeg + northM * area.latDegPerM];
}

/** A place anywhere in the area. */
export function placeIn(area: Area, random: () => number): LonLat {
  return placeAt(area, random() * area.widthM, random() * area.heightM);
}

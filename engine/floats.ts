/** 32-bit floats that are sure to lie on the right side of a number. */

const toFloat32 = new Float32Array(1);
const asBits = new Int32Array(toFloat32.buffer);

/** The greatest 32-bit float that is not above a number. */
export function floatBelow(value: number): number {
  const rounded = Math.fround(value);
  return rounded > value ? neighbour(rounded, -1) : rounded;
}

/** The least 32-bit float that is not below a number. */
export function floatAbove(value: number): number {
  const rounded = Math.fround(value);
  return rounded < value ? neighbour(rounded, 1) : rounded;
}

function neighbour(value: number, direction: 1 | -1): number {
  if (value === 0) return direction * 2 ** -149;
  toFloat32[0] = value;
  asBits[0]! += value > 0 ? direction : -direction;
  return toFloat32[0];
}

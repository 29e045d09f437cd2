/**
 * Units that a metric may come in, and the factor to the unit Milepost keeps that quantity in. Codes are those of
 * `uom_lookup` (UCUM where it has one), with the spellings that devices use beside them.
 */

interface Unit {
  readonly uomCode: string;
  readonly factor: number;
  readonly offset: number;
}

function unit(uomCode: string, factor = 1, offset = 0): Unit {
  return { uomCode, factor, offset };
}

const UNITS: ReadonlyMap<string, Unit> = new Map([
  ['m/s', unit('m/s')],
  ['km/h', unit('m/s', 1 / 3.6)],
  ['kph', unit('m/s', 1 / 3.6)],
  ['mi/h', unit('m/s', 0.44704)],
  ['mph', unit('m/s', 0.44704)],
  ['kn', unit('m/s', 1852 / 3600)],
  ['m', unit('m')],
  ['km', unit('m', 1000)],
  ['mi', unit('m', 1609.344)],
  ['Cel', unit('Cel')],
  ['C', unit('Cel')],
  ['°C', unit('Cel')],
  ['[degF]', unit('Cel', 5 / 9, -160 / 9)],
  ['F', unit('Cel', 5 / 9, -160 / 9)],
  ['°F', unit('Cel', 5 / 9, -160 / 9)],
  ['K', unit('Cel', 1, -273.15)],
  ['deg', unit('deg')],
  ['%', unit('%')],
  ['kPa', unit('kPa')],
  ['Pa', unit('kPa', 0.001)],
  ['bar', unit('kPa', 100)],
  ['[psi]', unit('kPa', 6.894757293168)],
  ['psi', unit('kPa', 6.894757293168)],
  ['V', unit('V')],
  ['mV', unit('V', 0.001)],
  ['s', unit('s')],
  ['h', unit('s', 3600)],
  ['kg', unit('kg')],
  ['L', unit('L')],
  ['m/s2', unit('m/s2')],
  ['1', unit('1')],
]);

/** The value in Milepost's unit, or `null` for a unit that is not known. */
export function toKeptUnit(
  value: number,
  unitCode: string,
): { readonly value: number; readonly uomCode: string } | null {
  const found = UNITS.get(unitCode);
  if (found === undefined) return null;
  return { value: value * found.factor + found.offset, uomCode: found.uomCode };
}

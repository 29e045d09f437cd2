/**
 * What the numbered IO elements of Teltonika's trackers mean, where the number means the same on all models: name, sign,
 * divisor and unit. Refuses to know frames, and the elements whose meaning changes with the model: those keep their number.
 */

/** How one IO element becomes a reading. */
export interface IoElement {
  readonly metricCode: string;
  /** Whether its bytes are two's complement. The format itself does not say: whoever is not in the table is unsigned. */
  readonly signed: boolean;
  /** The kept value is the sent one divided by this. */
  readonly divisor: number;
  /** Code of the kept unit, or `null` where it has none. */
  readonly uomCode: string | null;
  /** Bounds of what the sensor can measure, in the kept unit; the numbers beyond are its error codes. */
  readonly min: number;
  readonly max: number;
  /** A sent value within the bounds that is an error code all the same. */
  readonly errorValue: number | null;
}

/** IO ids that belong into the fix, and become readings of these codes where a record has no fix. */
export const IO_IGNITION = 239;
export const IO_MOVEMENT = 240;
export const IO_ODOMETER = 16;

const ANY = { signed: false, divisor: 1, min: -Infinity, max: Infinity, errorValue: null } as const;

function element(
  metricCode: string,
  uomCode: string | null,
  more: Partial<IoElement> = {},
): IoElement {
  return { ...ANY, metricCode, uomCode, ...more };
}

/**
 * Dallas 1-Wire: −55…125 °C in tenths. 850 is what such a sensor holds before its first measurement; 2000 (read error),
 * 3000 (not connected), 4000 (wrong id) and 5000 are codes of the tracker.
 */
function dallas(metricCode: string): IoElement {
  const range = { min: -55, max: 125, errorValue: 850 };
  return element(metricCode, 'Cel', { signed: true, divisor: 10, ...range });
}

/** Teltonika's EYE beacons: −40…125 °C in hundredths. */
function eyeTemperature(sensor: number): IoElement {
  const range = { min: -40, max: 125 };
  return element(`eye_${sensor}_temperature_c`, 'Cel', { signed: true, divisor: 100, ...range });
}

function eyeHumidity(sensor: number): IoElement {
  return element(`eye_${sensor}_humidity_pct`, '%', { min: 0, max: 100 });
}

/** An axis of the accelerometer, in thousandths of g. */
function axis(id: number): IoElement {
  return element(`io.${id}`, null, { signed: true });
}

/** The elements that are more than a number. All others are kept as `io.N`, unsigned, as they came. */
export const IO_ELEMENTS: ReadonlyMap<number, IoElement> = new Map([
  [IO_IGNITION, element('ignition', '1', { min: 0, max: 1 })],
  [IO_MOVEMENT, element('motion', '1', { min: 0, max: 1 })],
  [IO_ODOMETER, element('odometer_m', 'm')],
  [17, axis(17)],
  [18, axis(18)],
  [19, axis(19)],
  // Bars of reception.
  [21, element('gsm_level', null, { min: 0, max: 5 })],
  // The speed of the tracker's other source, in km/h; the fix has its own.
  [24, element('io_speed_mps', 'm/s', { divisor: 3.6 })],
  [66, element('external_v', 'V', { divisor: 1000 })],
  [67, element('battery_v', 'V', { divisor: 1000 })],
  [72, dallas('temperature_c')],
  [73, dallas('temperature_2_c')],
  [74, dallas('temperature_3_c')],
  [75, dallas('temperature_4_c')],
  [181, element('pdop', null, { divisor: 10 })],
  [182, element('hdop', null, { divisor: 10 })],
  [10800, eyeTemperature(1)],
  [10801, eyeTemperature(2)],
  [10802, eyeTemperature(3)],
  [10803, eyeTemperature(4)],
  [10804, eyeHumidity(1)],
  [10805, eyeHumidity(2)],
  [10806, eyeHumidity(3)],
  [10807, eyeHumidity(4)],
]);

/**
 * The reading of an IO element: named and in its unit where the table knows the id and the sensor measured, else `io.N`
 * with the number as it came. `raw` is the element's bytes without a sign, `widthBytes` how many there were.
 */
export function ioReading(
  id: number,
  raw: number,
  widthBytes: number,
): { readonly metricCode: string; readonly value: number; readonly uomCode: string | null } {
  const known = IO_ELEMENTS.get(id);
  if (known !== undefined) {
    const sent = known.signed ? signedOf(raw, widthBytes) : raw;
    const value = sent / known.divisor;
    if (value >= known.min && value <= known.max && sent !== known.errorValue) {
      return { metricCode: known.metricCode, value, uomCode: known.uomCode };
    }
  }
  return { metricCode: `io.${id}`, value: raw, uomCode: null };
}

/** Two's complement of 1, 2 or 4 bytes; wider values stay as they are. */
function signedOf(raw: number, widthBytes: number): number {
  if (widthBytes > 4) return raw;
  const modulus = 2 ** (8 * widthBytes);
  return raw >= modulus / 2 ? raw - modulus : raw;
}

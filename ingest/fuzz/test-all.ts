/** Every target there is. */
import { decoderTargets } from './test-decoders.ts';
import { mqttTargets } from './test-mqtt.ts';
import type { FuzzTarget } from './test-target.ts';
import { teltonikaTargets } from './test-teltonika.ts';

export function fuzzTargets(): FuzzTarget[] {
  return [...decoderTargets(), ...teltonikaTargets(), ...mqttTargets()];
}

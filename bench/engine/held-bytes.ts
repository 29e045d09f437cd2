/** How much memory is held once all that is not has been collected. */
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Memory of typed arrays is let go of a little after their objects. */
const ROUNDS = 4;

/** A full collection, now. */
export function collectGarbage(): void {
  gc();
}

/** Bytes of objects and of the memory outside the heap that they hold, typed arrays among it. */
export async function heldBytes(): Promise<number> {
  for (let round = 0; round < ROUNDS; round++) {
    gc();
    await turn();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

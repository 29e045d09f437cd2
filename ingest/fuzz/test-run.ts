/**
 * Runs targets: so many inputs each, from one seed, with fast-check's shrinking where one breaks a promise. Knows how to
 * share inputs out and what to tell of a failure; refuses to know what is tried.
 */
import fc from 'fast-check';
import type { FuzzTarget } from './test-target.ts';

/** What one target has been through. */
export interface TargetResult {
  readonly name: string;
  readonly inputs: number;
  /** Inputs that came further than the first refusal. */
  readonly reached: number;
  readonly ms: number;
}

/** The input that is being tried, for those who are told of an error that nobody caught. */
export const current: { target: string; input: unknown } = { target: '', input: null };

/**
 * Tries one target with so many inputs. Throws, with the least input that fails, its seed and its path, where a promise is
 * broken.
 */
export async function runTarget(
  { name, input, check }: FuzzTarget,
  { inputs, seed }: { readonly inputs: number; readonly seed: number },
): Promise<TargetResult> {
  let reached = 0;
  const startMs = performance.now();
  current.target = name;
  const property = fc.asyncProperty(input, async (one) => {
    current.input = one;
    const outcome = check(one);
    if (typeof outcome === 'boolean' ? outcome : await outcome) reached++;
  });
  const details = await fc.check(property, { numRuns: inputs, seed });
  if (details.failed) {
    const { counterexample, counterexamplePath, errorInstance } = details;
    const least = shown(counterexample?.[0]);
    const message = `${name}: seed ${seed}, path ${counterexamplePath}, least input ${least}`;
    throw new Error(message, { cause: errorInstance });
  }
  return { name, inputs, reached, ms: performance.now() - startMs };
}

/** An input for people: bytes as text and as hexadecimal, the rest as fast-check writes it. */
export function shown(input: unknown): string {
  const bytes = bytesIn(input);
  if (bytes === null) return fc.stringify(input);
  const rest = fc.stringify({ ...(input as object), bytes: `${bytes.length} bytes` });
  return `${JSON.stringify(bytes.toString('latin1'))} = ${bytes.toString('hex')} in ${rest}`;
}

function bytesIn(input: unknown): Buffer | null {
  if (typeof input !== 'object' || input === null || !('bytes' in input)) return null;
  return Buffer.isBuffer(input.bytes) ? input.bytes : null;
}

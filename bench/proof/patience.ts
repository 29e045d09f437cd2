/** How long a proof waits for what never comes, before it says what it was waiting for. Nothing is measured by it. */

/** Far longer than anything takes, and shorter than a test file may run. */
export const PATIENCE_MS = 45_000;

/** The promise, or after `PATIENCE_MS` an error that says what has not come. */
export async function withPatience<T>(promise: Promise<T>, missing: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const lost = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain: ${missing()}`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, lost]);
  } finally {
    clearTimeout(timer);
  }
}

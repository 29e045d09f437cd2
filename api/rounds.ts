/** Work that is done again and again while the server is up, such as sweeping: never twice at once. */

/**
 * Does `round` in turns, `everyMs` after the end of the one before and first after that time, until the function that it
 * gives is called; that one waits for a round under way. What a round throws is told to `onError`.
 */
export function startRounds(
  everyMs: number,
  round: () => Promise<unknown>,
  onError: (error: unknown) => void,
): () => Promise<void> {
  let isOver = false;
  let timer: NodeJS.Timeout;
  let running: Promise<void> = Promise.resolve();
  const wait = (): void => {
    if (!isOver) timer = setTimeout(go, everyMs).unref();
  };
  const go = (): void => {
    running = round()
      .then(() => undefined, onError)
      .then(wait);
  };
  wait();
  return async () => {
    isOver = true;
    clearTimeout(timer);
    await running;
  };
}

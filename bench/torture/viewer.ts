/**
 * Somebody who watches the live map all the time, as a browser does: connects again by itself whenever the connection
 * ends, and resumes where it was. Knows when it is connected; what it saw is kept by its `LiveWatcher`.
 *
 * States: away → (connected and caught up) watching → away …; stopped, which is final.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { LiveWatcher } from '../proof/live-watcher.ts';
import type { Tearable } from './cleanup.ts';

const RECONNECT_MS = 100;

export class Viewer {
  readonly watcher = new LiveWatcher();
  /** It watches for the first time; what happens from now on it must be told. */
  readonly watching: Promise<void>;
  private watches = (): void => undefined;
  private readonly stopped = new AbortController();

  /** `url` and `token` are asked for at every connection. */
  constructor(t: Tearable, where: { url: () => string; token: () => Promise<string> }) {
    this.watching = new Promise((resolve) => (this.watches = resolve));
    const running = this.run(where);
    t.teardown(async () => {
      this.stopped.abort();
      await this.watcher.close();
      await running;
    });
  }

  private async run({ url, token }: { url: () => string; token: () => Promise<string> }) {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      try {
        await this.watcher.connect(url(), await token());
        this.watches();
        await this.watcher.whenClosed();
      } catch {
        // Not there now.
      }
      await wait(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

/**
 * Carries out identity tasks one after the other, so that a provider's limits are met by one caller alone. It knows when
 * and how often; what is done is `sync.ts`.
 *
 * States of the runner: idle → (run) running → (signal) stopping → stopped. States of a task: queued → running → done or
 * failed; back to queued when it may go better later, or when the runner stops; taken over by another runner when this
 * one was not seen for a while. A runner that has lost its task writes nothing more about it.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { IdentityError, type IdentityProvider } from './provider.ts';
import { performIdentityTask } from './sync.ts';
import {
  beatIdentityTask,
  settleIdentityTask,
  sweepIdentityTasks,
  takeIdentityTask,
  type IdentityTask,
  type TaskOutcome,
} from './task-rows.ts';

/** Milliseconds, and tries. */
export interface IdentityLimits {
  /** Between two looks at the queue when nobody wakes the runner. */
  readonly pollMs: number;
  /** Of one try. */
  readonly taskMsMax: number;
  readonly beatMs: number;
  /** A runner that was not seen for so long is lost. */
  readonly lostMsMax: number;
  /** Until the second try; doubled before each further one, up to the maximum. */
  readonly retryMsMin: number;
  readonly retryMsMax: number;
  /** With the waits above, about five days. */
  readonly triesMax: number;
  readonly sweepMs: number;
  readonly doneKeepMs: number;
  readonly failedKeepMs: number;
}

export const IDENTITY_LIMITS: IdentityLimits = {
  pollMs: 5_000,
  taskMsMax: 120_000,
  beatMs: 5_000,
  lostMsMax: 30_000,
  retryMsMin: 5_000,
  retryMsMax: 3_600_000,
  triesMax: 180,
  sweepMs: 3_600_000,
  doneKeepMs: 7 * 86_400_000,
  failedKeepMs: 90 * 86_400_000,
};

export interface IdentityRunnerOptions {
  /** Of the role `milepost_api`. */
  readonly pool: pg.Pool;
  readonly provider: IdentityProvider;
  /** Told of what comes to nothing, whether it is tried again or not. */
  readonly onError?: (error: Error, task: IdentityTask | null) => void;
  readonly limits?: Partial<IdentityLimits>;
}

export interface IdentityRunner {
  /** Works until `signal`, once; resolves when the task under way has been put back. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** A task may have been written: looks at the queue now. */
  wake(): void;
}

/** Makes a runner that does nothing until `run`. */
export function createIdentityRunner(options: IdentityRunnerOptions): IdentityRunner {
  const { pool, onError } = options;
  const limits = { ...IDENTITY_LIMITS, ...options.limits };
  const runnerId = randomUUID();
  const tell = (error: unknown, task: IdentityTask | null) => onError?.(toError(error), task);
  let hasBegun = false;
  let sweptMs = -Infinity;
  let isWoken = false;
  let wakeUp = () => undefined as void;

  /** Gives how long to rest: 0 while there may be more to do, null until it is woken. */
  async function turn(signal: AbortSignal): Promise<number | null> {
    if (performance.now() - sweptMs >= limits.sweepMs) {
      sweptMs = performance.now();
      await sweepIdentityTasks(pool, limits.doneKeepMs, limits.failedKeepMs);
    }
    const task = await takeIdentityTask(pool, runnerId, limits.lostMsMax);
    if (task === null) return null;
    const { outcome, restMs } = await attempt({ ...options, limits, tell }, task, signal);
    if (!(await settleIdentityTask(pool, task, outcome))) {
      tell(new Error('another process has taken the task over'), task);
    }
    return restMs;
  }

  async function sleep(signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    wakeUp = () => woken.abort();
    if (!isWoken) await pause(limits.pollMs, AbortSignal.any([signal, woken.signal]));
    isWoken = false;
  }

  return {
    async run(signal) {
      assert(!hasBegun, 'a runner runs once');
      hasBegun = true;
      while (!signal.aborted) {
        try {
          const restMs = await turn(signal);
          // After trouble it is left alone for the whole time, whatever else is written meanwhile.
          if (restMs === null) await sleep(signal);
          else if (restMs > 0) await pause(restMs, signal);
        } catch (error) {
          tell(error, null);
          await pause(limits.pollMs, signal);
        }
      }
    },
    wake() {
      isWoken = true;
      wakeUp();
    },
  };
}

interface House extends IdentityRunnerOptions {
  readonly limits: IdentityLimits;
  readonly tell: (error: unknown, task: IdentityTask | null) => void;
}

interface Attempt {
  readonly outcome: TaskOutcome;
  /** Before the next task. */
  readonly restMs: number;
}

async function attempt(house: House, task: IdentityTask, stop: AbortSignal): Promise<Attempt> {
  const work = new AbortController();
  const onStop = () => work.abort(new Error('the runner stops'));
  const timer = setTimeout(
    () => work.abort(new IdentityError('passing', 'it took too long')),
    house.limits.taskMsMax,
  );
  stop.addEventListener('abort', onStop);
  if (stop.aborted) onStop();
  const over = new AbortController();
  const beating = beat(house, task, work, over.signal);
  try {
    await performIdentityTask(house, task, work.signal);
    return { outcome: { status: 'done' }, restMs: 0 };
  } catch (error) {
    if (stop.aborted) {
      return {
        outcome: { status: 'queued', error: null, retryAfterMs: 0, counts: false },
        restMs: 0,
      };
    }
    const cause: unknown = work.signal.aborted ? work.signal.reason : error;
    house.tell(cause, task);
    return outcomeOf(cause, task, house.limits);
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', onStop);
    over.abort();
    await beating;
  }
}

function outcomeOf(error: unknown, { tryCount }: IdentityTask, limits: IdentityLimits): Attempt {
  const isOurs = error instanceof IdentityError;
  // What the database says is for the log alone.
  const words = isOurs ? error.message : 'Milepost failed at it; its log says why';
  const text = words.slice(0, ERROR_LENGTH_MAX);
  if (isOurs && error.fault === 'permanent') {
    return { outcome: { status: 'failed', error: text }, restMs: 0 };
  }
  const askedMs = isOurs ? error.retryAfterMs : 0;
  if (tryCount >= limits.triesMax) {
    return { outcome: { status: 'failed', error: text }, restMs: askedMs };
  }
  const ceiling = Math.min(limits.retryMsMax, limits.retryMsMin * 2 ** Math.min(tryCount - 1, 30));
  const retryAfterMs = Math.round(Math.max(askedMs, ceiling / 2 + (Math.random() * ceiling) / 2));
  return {
    outcome: { status: 'queued', error: text, retryAfterMs, counts: true },
    // The next task would fare no better just now.
    restMs: Math.max(askedMs, limits.retryMsMin),
  };
}

/** Characters of an error that are kept. */
const ERROR_LENGTH_MAX = 500;

/** Shows that somebody is at work on the task; ends the work when it is another's. */
async function beat(
  { pool, limits, tell }: House,
  task: IdentityTask,
  work: AbortController,
  over: AbortSignal,
): Promise<void> {
  for (;;) {
    await pause(limits.beatMs, over);
    if (over.aborted) return;
    try {
      if (!(await beatIdentityTask(pool, task))) work.abort(new Error('the task is lost'));
    } catch (error) {
      tell(error, task);
    }
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Ends early, without an error, when `signal` says so. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}

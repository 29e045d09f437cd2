/**
 * Holds late fixes against the visits that are stored: one device after the other, apart from the live transactions, which
 * only note what is to be looked at. Knows what to read for it and when; refuses to know how visits follow from fixes.
 *
 * What is read may be out of date when it is written: the transaction that writes first looks whether the live engine has
 * written since, and if so the device's turn comes again. Fences count as they were all the while: visits of one that was
 * edited after the first fix that is looked at stay as they are.
 *
 * States: idle → (a commit with late fixes, or with fixes that a device was waiting for) → revising, until nobody asks →
 * idle; revising → (the database fails) → pausing → revising; any → stopped. A device: asking → done; or → waiting, when
 * what its late fixes mean depends on fixes to come → (these come) → asking. What a killed process had under way asks
 * again at the next start.
 */
import type { Pool, PoolClient } from 'pg';
import type { Fence, FenceSettings } from '../engine/types.ts';
import { VisitRevision, type RevisionOutcome, type VisitFix } from '../engine/visits.ts';
import { Backoff } from './backoff.ts';
import type { CommitWork } from './commit.ts';
import { isConnectionError } from './faults.ts';
import type { Logger } from './logger.ts';
import type { Turns } from './turns.ts';
import {
  dropRequest,
  postponeRequest,
  readBarrierMs,
  readDeviceSnapshot,
  readFencesSince,
  readFixesAfter,
  readFixesBefore,
  readRequests,
  readVisits,
  stopWaiting,
  writeRevision,
  type DeviceSnapshot,
  type RevisionRequest,
  type RevisionResult,
  type VisitRecord,
} from './visit-rows.ts';

/** Devices taken on at once. */
const REQUESTS_MAX = 100;
/** Fixes ahead of the first late one: twice what the longest count of a fence takes. */
const WARMUP_FIXES_MAX = 200;
/** Fixes of the late range that one pass looks at; the rest is for further passes. */
export const PASS_FIXES_MAX = 10_000;
/** Fixes behind the range that a pass goes on for, until all is as it was stored. */
const TAIL_FIXES_MAX = 20_000;
/** Fixes read at once behind the range. */
const TAIL_PAGE_FIXES = 500;
/** Fixes worked on in one go, between which others have their turn. */
const SLICE_FIXES = 500;

export interface VisitReviserOptions {
  readonly pool: Pool;
  readonly turns: Turns;
  /** Fences of a tenant that hold a point, as they are now. */
  readonly fencesAt: (tenantId: number, lonDeg: number, latDeg: number) => readonly FenceSettings[];
  readonly metrics: {
    visitsChanged(change: 'inserted' | 'revised' | 'retracted', count: number): void;
  };
  readonly log: Logger;
}

/** What one pass works on. */
interface Window {
  readonly snapshot: DeviceSnapshot;
  readonly stored: readonly VisitRecord[];
  /** From the warm-up to the end of the range, or as far as one pass goes. */
  readonly fixes: readonly VisitFix[];
  readonly previousMs: number;
  readonly toMs: number;
}

export class VisitReviser {
  private readonly options: VisitReviserOptions;
  private readonly stopped = new AbortController();
  private readonly backoff = new Backoff();
  /** Devices that wait for fixes to come, or are being looked at and may have to. */
  private readonly watched = new Set<number>();
  /** Those of them that have had some since. */
  private readonly arrived = new Set<number>();
  private isAsked = true;
  private wake: (() => void) | null = null;
  private running: Promise<void> | null = null;

  constructor(options: VisitReviserOptions) {
    this.options = options;
  }

  start(): void {
    this.running ??= this.run();
  }

  /** A batch has been committed. Costs nothing where none of it was late and nobody waits. */
  committed({ batch, evaluation }: Pick<CommitWork, 'batch' | 'evaluation'>): void {
    if (evaluation.lateFixes.length > 0) this.isAsked = true;
    if (this.watched.size > 0) {
      for (const row of evaluation.latestFixRows) this.noteArrival(batch.fixes.deviceId[row] ?? 0);
      for (const { deviceId } of evaluation.changed) this.noteArrival(deviceId);
    }
    if (this.isAsked || this.arrived.size > 0) this.wake?.();
  }

  /** Resolves when nobody asks; for tests. Rejects with what failed. */
  async settle(): Promise<void> {
    while (await this.reviseSome());
  }

  /** Ends with the pass that is under way. */
  async stop(): Promise<void> {
    this.stopped.abort();
    this.wake?.();
    await this.running;
  }

  private noteArrival(deviceId: number): void {
    if (this.watched.has(deviceId)) this.arrived.add(deviceId);
  }

  private async run(): Promise<void> {
    const { signal } = this.stopped;
    let isFirst = true;
    while (!signal.aborted) {
      try {
        // Those that waited when the last process ended may have had their fixes then.
        if (isFirst) await stopWaiting(this.options.pool, null);
        isFirst = false;
        if (!(await this.reviseSome())) await this.woken();
        this.backoff.reset();
      } catch (error) {
        if (signal.aborted) return;
        this.isAsked = true;
        this.options.log.warn({ err: error }, 'visits could not be revised; trying again');
        await this.backoff.pause(signal);
      }
    }
  }

  private woken(): Promise<void> {
    if (this.isAsked || this.arrived.size > 0 || this.stopped.signal.aborted) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.wake = () => {
        this.wake = null;
        resolve();
      };
    });
  }

  /** Revises for those who ask, up to a number; false when nobody did. */
  private async reviseSome(): Promise<boolean> {
    const { pool } = this.options;
    if (this.arrived.size > 0) {
      const ids = [...this.arrived];
      await stopWaiting(pool, ids);
      for (const id of ids) this.arrived.delete(id);
      this.isAsked = true;
    }
    if (!this.isAsked) return false;
    this.isAsked = false;
    const requests = await readRequests(pool, REQUESTS_MAX);
    for (const request of requests) {
      if (this.stopped.signal.aborted) return false;
      await this.reviseOrPostpone(request);
    }
    if (requests.length > 0) this.isAsked = true;
    return requests.length > 0;
  }

  /** One device that fails for a reason of its own waits for its next fixes, and does not hold up the others. */
  private async reviseOrPostpone(request: RevisionRequest): Promise<void> {
    const { pool, log } = this.options;
    try {
      await this.revise(request);
    } catch (error) {
      if (this.stopped.signal.aborted || isConnectionError(error)) throw error;
      const { deviceId } = request;
      log.warn(
        { err: error, deviceId },
        'visits of a device could not be revised; with its next fixes',
      );
      await postponeRequest(pool, deviceId);
    }
  }

  private async revise(request: RevisionRequest): Promise<void> {
    const { pool, metrics } = this.options;
    const { deviceId } = request;
    // Before anything is read: fixes that come from now on are not among it.
    this.watched.add(deviceId);
    this.arrived.delete(deviceId);
    const client = await pool.connect();
    let isSound = false;
    try {
      const result = await this.work(client, request);
      const isWritten = result === null || (await writeRevision(client, result));
      isSound = true;
      if (result === null) await dropRequest(pool, deviceId);
      if (result?.isWaiting !== true) this.watched.delete(deviceId);
      if (!isWritten || result === null) return;
      const count = (type: string): number =>
        result.changes.filter((change) => change.type === type).length;
      metrics.visitsChanged('inserted', count('insert'));
      metrics.visitsChanged('revised', count('revise'));
      metrics.visitsChanged('retracted', count('retract'));
    } finally {
      client.release(!isSound);
    }
  }

  /** Works one pass out; `null` when the device is no more. All is read as of one moment. */
  private async work(client: PoolClient, request: RevisionRequest): Promise<RevisionResult | null> {
    await client.query('begin isolation level repeatable read read only');
    try {
      const window = await readWindow(client, request);
      if (window === null) return null;
      const { snapshot, stored } = window;
      if (window.fixes.length === 0) {
        // They are no longer kept.
        return {
          request,
          snapshot,
          stored,
          fences: [],
          changes: [],
          restFromMs: null,
          isWaiting: false,
        };
      }
      const fences = await this.fencesOf(window);
      const outcome = await this.replay(client, window, fences);
      const isRest = outcome.isCut || (!outcome.isNewest && outcome.endMs < request.toMs);
      const restFromMs = isRest && outcome.endMs > request.fromMs ? outcome.endMs : null;
      const { changes, isWaiting } = outcome;
      return { request, snapshot, stored, fences, changes, restFromMs, isWaiting };
    } finally {
      await client.query('rollback');
    }
  }

  /** Fences that the device was in, or may have been: unedited since, and in whose reach it is. */
  private async fencesOf({ snapshot, stored, fixes, toMs }: Window): Promise<Fence[]> {
    const { pool, turns, fencesAt } = this.options;
    const { tenantId, accountId } = snapshot.device;
    const ids = new Set(stored.map((visit) => visit.fenceId));
    for (let from = 0; from < fixes.length; from += SLICE_FIXES) {
      await turns.run(() => {
        for (const { lonDeg, latDeg } of fixes.slice(from, from + SLICE_FIXES)) {
          for (const fence of fencesAt(tenantId, lonDeg, latDeg)) ids.add(fence.fenceId);
        }
      });
    }
    const since = fixes[0]?.timeMs ?? toMs;
    const fences = ids.size === 0 ? [] : await readFencesSince(pool, [...ids], since);
    return fences.filter(
      (fence) =>
        fence.tenantId === tenantId && (fence.accountId === null || fence.accountId === accountId),
    );
  }

  private async replay(
    client: PoolClient,
    { snapshot, stored, fixes, previousMs, toMs }: Window,
    fences: readonly Fence[],
  ): Promise<RevisionOutcome & { readonly isNewest: boolean }> {
    const { turns } = this.options;
    const { device, live } = snapshot;
    const firstMs = fixes[0]?.timeMs ?? toMs;
    const input = { device, fences, stored, live, firstMs, previousMs, toMs };
    const revision = await turns.run(() => new VisitRevision(input));
    let endMs = firstMs;
    const feed = async (some: readonly VisitFix[]): Promise<boolean> => {
      for (let from = 0; from < some.length; from += SLICE_FIXES) {
        const slice = some.slice(from, from + SLICE_FIXES);
        endMs = slice.at(-1)?.timeMs ?? endMs;
        if (await turns.run(() => revision.feed(slice))) return true;
      }
      return false;
    };
    let isEnded = await feed(fixes);
    let isNewest = false;
    for (let tail = 0; !isEnded && !isNewest && tail < TAIL_FIXES_MAX; tail += TAIL_PAGE_FIXES) {
      const page = await readFixesAfter(client, device.deviceId, endMs, TAIL_PAGE_FIXES);
      isNewest = page.length < TAIL_PAGE_FIXES;
      isEnded = await feed(page);
    }
    isNewest &&= !isEnded;
    return { ...revision.finish(isNewest), isNewest };
  }
}

async function readWindow(client: PoolClient, request: RevisionRequest): Promise<Window | null> {
  const { deviceId, fromMs, toMs } = request;
  const snapshot = await readDeviceSnapshot(client, deviceId);
  if (snapshot === null) return null;
  const barrierMs = await readBarrierMs(client, deviceId, fromMs);
  const before = await readFixesBefore(client, deviceId, fromMs, WARMUP_FIXES_MAX + 1);
  const warmup = before.slice(0, WARMUP_FIXES_MAX).filter((fix) => fix.timeMs > barrierMs);
  const previousMs = before[warmup.length]?.timeMs ?? NaN;
  const afterMs = Math.max(before[0]?.timeMs ?? -Infinity, barrierMs);
  const rest = await readFixesAfter(client, deviceId, afterMs, PASS_FIXES_MAX);
  const isWhole = rest.length < PASS_FIXES_MAX || (rest.at(-1)?.timeMs ?? toMs) >= toMs;
  const lastMs = isWhole ? toMs : (rest.at(-1)?.timeMs ?? toMs);
  const inRange = rest.filter((fix) => fix.timeMs <= lastMs);
  const fixes = [...warmup.reverse(), ...inRange];
  const stored = await readVisits(client, deviceId, fixes[0]?.timeMs ?? fromMs);
  return { snapshot, stored, fixes, previousMs, toMs: lastMs };
}

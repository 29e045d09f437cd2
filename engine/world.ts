/**
 * What the engines of a process share: fences, rules and devices, kept by tenant so that nothing can be found across
 * tenants. Changes only through `applyEdits`, between batches. Knows no device state.
 */
import assert from 'node:assert/strict';
import { CellGrid } from './cell-grid.ts';
import { CoordinateStore } from './coordinates.ts';
import { wrapLonDeg } from './geodesy.ts';
import type { Box, Part } from './part.ts';
import { boxesOf, prepareShape, releaseParts } from './prepare.ts';
import type { Device, Edit, Fence, FenceSettings, Rule, Schedule } from './types.ts';

/** Policies that are remembered for further fences. */
const POLICIES_MAX = 1_000;
/** Searches are counted in small integers; before they run out, all stamps start anew. */
const SEARCH_COUNT_MAX = 2 ** 30;

/** What many fences have in common; one object for all that do. */
export interface Policy {
  readonly tenantId: number;
  readonly accountId: number | null;
  readonly exitBufferM: number;
  readonly enterFixCount: number;
  readonly exitFixCount: number;
  readonly accuracyMMax: number | null;
  readonly dwellMs: number | null;
  readonly crossGapMsMax: number;
  readonly schedule: Schedule | null;
}

/** A fence as it is now: an edit changes it in place, so that what remembers it sees the edit. */
export class FenceEntry implements FenceSettings {
  readonly fenceId: number;
  version: number;
  name: string;
  first: Part;
  /** Deleted. */
  isGone = false;
  /** The last search that found a point inside, and the last one before which a device had a stay here. */
  foundStamp = 0;
  stayStamp = 0;
  private policy: Policy;

  constructor(fence: FenceSettings, policy: Policy, first: Part) {
    this.fenceId = fence.fenceId;
    this.version = fence.version;
    this.name = fence.name;
    this.first = first;
    this.policy = policy;
  }

  /** An edit. */
  put(fence: FenceSettings, policy: Policy, first: Part): void {
    this.version = fence.version;
    this.name = fence.name;
    this.first = first;
    this.policy = policy;
  }

  get tenantId(): number {
    return this.policy.tenantId;
  }

  get accountId(): number | null {
    return this.policy.accountId;
  }

  get exitBufferM(): number {
    return this.policy.exitBufferM;
  }

  get enterFixCount(): number {
    return this.policy.enterFixCount;
  }

  get exitFixCount(): number {
    return this.policy.exitFixCount;
  }

  get accuracyMMax(): number | null {
    return this.policy.accuracyMMax;
  }

  get dwellMs(): number | null {
    return this.policy.dwellMs;
  }

  get crossGapMsMax(): number {
    return this.policy.crossGapMsMax;
  }

  get schedule(): Schedule | null {
    return this.policy.schedule;
  }
}

/** All of one tenant. */
export interface TenantWorld {
  readonly grid: CellGrid;
  /** By item of the grid. */
  readonly parts: (Part | null)[];
  /** Items of parts that lie across ±180°, beside their first. */
  readonly secondItems: Map<Part, number>;
  /** Grows with every edit of its fences. */
  fencesEpoch: number;
  /** The longest gap over which one of its fences watches for crossings; does not shrink. */
  crossGapMsMax: number;
  readonly rules: Map<number, Rule>;
  /** Grows with every edit of its rules. */
  rulesEpoch: number;
}

/** Opaque outside the engine room; make one with `createWorld`. */
export interface World {
  readonly tenants: Map<number, TenantWorld>;
  readonly fences: Map<number, FenceEntry>;
  readonly rules: Map<number, Rule>;
  readonly devices: Map<number, Device>;
  readonly store: CoordinateStore;
  /** By what they say, to be shared. */
  readonly policies: Map<string, Policy>;
  searchCount: number;
  /** Grows with every edit after which stays may have to end, or end at another time. */
  staysEpoch: number;
  /** Grows with every edit that changes or removes a device. */
  devicesEpoch: number;
}

/** An empty world. */
export function createWorld(): World {
  return {
    tenants: new Map(),
    fences: new Map(),
    rules: new Map(),
    devices: new Map(),
    store: new CoordinateStore(),
    policies: new Map(),
    searchCount: 0,
    staysEpoch: 0,
    devicesEpoch: 0,
  };
}

/**
 * Applies edits in order; the last word on an id stands. Deleting what is not there does nothing. Fences must have passed
 * `checkShape`, counts and the buffer must be in range (assertion). Many edits at once are cheaper than the same edits
 * one by one.
 */
export function applyEdits(world: World, edits: readonly Edit[]): void {
  const touched = new Map<number, Fence | null>();
  for (const edit of edits) {
    switch (edit.type) {
      case 'fence_put':
        assertFence(edit.fence);
        touched.set(edit.fence.fenceId, edit.fence);
        break;
      case 'fence_delete':
        touched.set(edit.fenceId, null);
        break;
      case 'rule_put':
        dropRule(world, edit.rule.ruleId);
        putRule(world, edit.rule);
        break;
      case 'rule_delete':
        dropRule(world, edit.ruleId);
        break;
      case 'device_put':
        putDevice(world, edit.device);
        break;
      case 'device_delete':
        if (world.devices.delete(edit.deviceId)) {
          world.devicesEpoch++;
          world.staysEpoch++;
        }
        break;
    }
  }
  if (touched.size > 0) replaceFences(world, touched);
}

/**
 * The tenant's fences that hold a point, boundary included, ascending by id, of all its accounts and whether they are in
 * force or not. Any longitude; NaN is in none.
 */
export function fencesAt(
  world: World,
  tenantId: number,
  lonDeg: number,
  latDeg: number,
): readonly FenceSettings[] {
  const tenant = world.tenants.get(tenantId);
  if (!tenant) return [];
  const search = nextSearch(world);
  const x = wrapLonDeg(lonDeg);
  if (Number.isNaN(x + latDeg)) return [];
  const { grid, parts } = tenant;
  const count = grid.searchPoint(x, latDeg);
  const found: FenceSettings[] = [];
  for (let i = 0; i < count; i++) {
    const item = grid.found[i]!;
    if (!grid.holds(item, x, latDeg)) continue;
    const part = parts[item]!;
    const entry = part.entry!;
    if (entry.foundStamp === search || !part.contains(x, latDeg)) continue;
    entry.foundStamp = search;
    found.push(entry);
  }
  return found.sort((a, b) => a.fenceId - b.fenceId);
}

/** A number that no stamp has yet. */
export function nextSearch(world: World): number {
  if (world.searchCount >= SEARCH_COUNT_MAX) {
    world.searchCount = 0;
    for (const entry of world.fences.values()) entry.foundStamp = entry.stayStamp = 0;
  }
  return ++world.searchCount;
}

/** Whether a fence or rule speaks of a device: the same tenant, and the same account unless it is the whole tenant's. */
export function isInScope(
  subject: { readonly tenantId: number; readonly accountId: number | null },
  device: Device,
): boolean {
  return (
    subject.tenantId === device.tenantId &&
    (subject.accountId === null || subject.accountId === device.accountId)
  );
}

/** The tenant's world, made where there is none. */
export function tenantOf(world: World, tenantId: number): TenantWorld {
  let tenant = world.tenants.get(tenantId);
  if (!tenant) {
    tenant = {
      grid: new CellGrid(),
      parts: [],
      secondItems: new Map(),
      fencesEpoch: 0,
      crossGapMsMax: 0,
      rules: new Map(),
      rulesEpoch: 0,
    };
    world.tenants.set(tenantId, tenant);
  }
  return tenant;
}

function assertFence(fence: Fence): void {
  const { fenceId, exitBufferM, enterFixCount, exitFixCount, dwellMs, crossGapMsMax } = fence;
  assert(exitBufferM >= 0, `fence ${fenceId}: exitBufferM ${exitBufferM}`);
  assert(isCount(enterFixCount) && isCount(exitFixCount), `fence ${fenceId}: fix counts`);
  assert(dwellMs === null || dwellMs > 0, `fence ${fenceId}: dwellMs ${dwellMs}`);
  assert(crossGapMsMax >= 0, `fence ${fenceId}: crossGapMsMax ${crossGapMsMax}`);
}

/** Counts are kept in a byte. */
function isCount(value: number): boolean {
  return value >= 1 && value <= 255;
}

function putDevice(world: World, device: Device): void {
  const before = world.devices.get(device.deviceId);
  world.devices.set(device.deviceId, device);
  if (before === undefined || before === device) return;
  world.devicesEpoch++;
  world.staysEpoch++;
}

/** What is done to one tenant's grid. */
interface GridWork {
  readonly removed: Part[];
  readonly added: Part[];
}

function replaceFences(world: World, touched: ReadonlyMap<number, Fence | null>): void {
  const work = new Map<TenantWorld, GridWork>();
  const released: Part[] = [];
  const prepared = prepareFences(world, touched);
  for (const [fenceId, fence] of touched) {
    const entry = world.fences.get(fenceId);
    if (entry) {
      listParts(entry.first, workOf(work, tenantOf(world, entry.tenantId)).removed);
      released.push(entry.first);
      world.staysEpoch++;
    }
    if (fence) {
      const put = putFence(world, entry, fence, prepared.get(fenceId)!);
      listParts(put.first, workOf(work, tenantOf(world, fence.tenantId)).added);
    } else if (entry) {
      entry.isGone = true;
      world.fences.delete(fenceId);
    }
  }
  for (const [tenant, { removed, added }] of work) updateGrid(tenant, removed, added);
  for (const first of released) releaseParts(first, world.store);
}

/** All before the first is put: one that cannot be prepared leaves everything as it is. */
function prepareFences(
  world: World,
  touched: ReadonlyMap<number, Fence | null>,
): Map<number, Part> {
  const prepared = new Map<number, Part>();
  for (const fence of touched.values()) {
    if (fence === null) continue;
    const first = prepareShape(fence.shape, world.store);
    for (const { minX, minY, maxX, maxY } of boxesOf(first)) {
      assert(
        Number.isFinite(minX + minY + maxX + maxY),
        `fence ${fence.fenceId}: shape is not valid`,
      );
    }
    prepared.set(fence.fenceId, first);
  }
  return prepared;
}

function putFence(
  world: World,
  known: FenceEntry | undefined,
  fence: Fence,
  first: Part,
): FenceEntry {
  const policy = policyOf(world, fence);
  const entry = known ?? new FenceEntry(fence, policy, first);
  if (known) known.put(fence, policy, first);
  for (let part: Part | null = first; part !== null; part = part.next) part.entry = entry;
  const tenant = tenantOf(world, fence.tenantId);
  tenant.crossGapMsMax = Math.max(tenant.crossGapMsMax, fence.crossGapMsMax);
  if (!known) {
    world.fences.set(fence.fenceId, entry);
    // One that was deleted may be remembered somewhere.
    world.staysEpoch++;
  }
  return entry;
}

/** A policy like the fence's own that another fence has already, if there is one. */
export function policyOf(world: World, fence: FenceSettings): Policy {
  const { tenantId, accountId, exitBufferM, enterFixCount, exitFixCount, accuracyMMax } = fence;
  const { dwellMs, crossGapMsMax, schedule } = fence;
  const policy = {
    tenantId,
    accountId,
    exitBufferM,
    enterFixCount,
    exitFixCount,
    accuracyMMax,
    dwellMs,
    crossGapMsMax,
    schedule,
  };
  if (schedule !== null) return policy;
  const key = JSON.stringify(policy);
  const known = world.policies.get(key);
  if (known) return known;
  if (world.policies.size >= POLICIES_MAX) world.policies.clear();
  world.policies.set(key, policy);
  return policy;
}

function workOf(work: Map<TenantWorld, GridWork>, tenant: TenantWorld): GridWork {
  let mine = work.get(tenant);
  if (!mine) work.set(tenant, (mine = { removed: [], added: [] }));
  return mine;
}

function listParts(first: Part, into: Part[]): void {
  for (let part: Part | null = first; part !== null; part = part.next) into.push(part);
}

function updateGrid(tenant: TenantWorld, removed: readonly Part[], added: readonly Part[]): void {
  const { grid, parts } = tenant;
  tenant.fencesEpoch++;
  for (const part of removed) {
    for (const item of [part.item, tenant.secondItems.get(part)]) {
      if (item === undefined) continue;
      grid.remove(item);
      parts[item] = null;
    }
    tenant.secondItems.delete(part);
  }
  for (const part of added) {
    const boxes = part.boxes();
    part.item = addItem(tenant, part, boxes[0]!);
    if (boxes[1]) tenant.secondItems.set(part, addItem(tenant, part, boxes[1]));
  }
}

function addItem({ grid, parts }: TenantWorld, part: Part, box: Box): number {
  const item = grid.add(box);
  parts[item] = part;
  part.paint(grid, item);
  return item;
}

function putRule(world: World, rule: Rule): void {
  const tenant = tenantOf(world, rule.tenantId);
  tenant.rules.set(rule.ruleId, rule);
  tenant.rulesEpoch++;
  world.rules.set(rule.ruleId, rule);
}

function dropRule(world: World, ruleId: number): void {
  const rule = world.rules.get(ruleId);
  if (!rule) return;
  const tenant = tenantOf(world, rule.tenantId);
  tenant.rules.delete(ruleId);
  tenant.rulesEpoch++;
  world.rules.delete(ruleId);
}

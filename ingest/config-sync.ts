/**
 * Keeps the registry and the engine's world equal to the database: everything at start and after the change feed
 * reconnects, single rows as they change. Applies one round of changes at a time, between batches.
 *
 * States: idle → syncing (changes that arrive meanwhile are gathered for the next round) → idle; a failed round is
 * tried again with everything reloaded, until `stop`.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { Change } from '../db/change-feed.ts';
import type { Edit } from '../engine/types.ts';
import { FenceSync } from './fence-sync.ts';
import type { Logger } from './logger.ts';
import type { Link, Registry, RegisteredDevice } from './registry.ts';
import {
  readAllDevices,
  readDeparted,
  readDeviceIdsOf,
  readDevices,
  readDeviceStates,
  readGateways,
  readRules,
  readUnits,
  type Ids,
  type RestoredDevice,
} from './config-rows.ts';

/** Pause before a failed round is tried again. */
const RETRY_MS = 500;
/** Devices whose state is read in one query. */
const RESTORE_DEVICES_MAX = 5_000;
/** How often tokens are looked at whose time may be over. */
const TOKEN_SWEEP_MS = 1_000;
/** Changed ids gathered before a full reload is cheaper than single rows. */
const CHANGED_IDS_MAX = 5_000;

/** What the sync writes to; the engine is reached through it. */
export interface SyncTarget {
  applyEdits(edits: readonly Edit[]): void;
  restore(device: RestoredDevice, equipmentId: number): void;
  /** A device that may no longer speak: its open connections are closed. */
  deviceRevoked(iotDeviceId: number): void;
}

interface SyncOptions {
  readonly pool: Pool;
  readonly registry: Registry;
  readonly target: SyncTarget;
  readonly log: Logger;
}

interface Round {
  full: boolean;
  devices: Set<number>;
  links: Set<number>;
  equipment: Set<number>;
  customers: Set<number>;
  gateways: Set<number>;
  fences: Set<number>;
  rules: Set<number>;
}

const ROUND_OF_TABLE: Readonly<Record<string, Exclude<keyof Round, 'full'>>> = {
  iot_device: 'devices',
  equipment_has_iot_device: 'links',
  equipment: 'equipment',
  customer: 'customers',
  gateway_token: 'gateways',
  geofence: 'fences',
  telematic_alert: 'rules',
};

export class ConfigSync {
  /** `uom_lookup_id` by unit code. */
  units: ReadonlyMap<string, number> = new Map();
  private readonly options: SyncOptions;
  /** Links of devices that were here before: what memory holds of them is ahead of the database. */
  private readonly departed = new Set<number>();
  private readonly fences: FenceSync;
  private readonly rules = new Map<number, string>();
  /** When the token before the last one runs out, by device. */
  private readonly tokenEndsMs = new Map<number, number>();
  private tokenSweep: NodeJS.Timeout | undefined;
  private round = emptyRound();
  private running: Promise<void> | null = null;
  private loaded = false;
  private stopped = false;

  constructor(options: SyncOptions) {
    this.options = options;
    const { pool, target, log } = options;
    this.fences = new FenceSync({ pool, log, applyEdits: (edits) => target.applyEdits(edits) });
  }

  get fenceCount(): number {
    return this.fences.count;
  }

  get ruleCount(): number {
    return this.rules.size;
  }

  /**
   * Loads everything; rejects when the database cannot be read. Changes told before are then known already, and those told
   * meanwhile are looked at afterwards, so whoever listens first need not have everything read twice.
   */
  async load(): Promise<void> {
    this.round = emptyRound();
    this.tokenSweep = setInterval(() => this.endTokens(Date.now()), TOKEN_SWEEP_MS);
    this.tokenSweep.unref();
    this.units = await readUnits(this.options.pool);
    await this.sync({ ...emptyRound(), full: true });
    await this.endStays();
    this.loaded = true;
    this.wake();
  }

  /** One row changed. */
  onChange(change: Change): void {
    const set = ROUND_OF_TABLE[change.table];
    if (set === undefined) return;
    if (this.round[set].size >= CHANGED_IDS_MAX) this.round.full = true;
    else this.round[set].add(change.id);
    this.wake();
  }

  /** Changes may have been missed. */
  onReset(): void {
    this.round.full = true;
    this.wake();
  }

  /** Resolves when no change is waiting. */
  async settled(): Promise<void> {
    while (this.running !== null) await this.running;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.tokenSweep);
    await this.settled();
  }

  /**
   * Closes the connections of devices whose token before the last one has run out by now: one of them may have been
   * opened with it. Those that have the new token come back with it.
   */
  endTokens(nowMs: number): void {
    for (const [iotDeviceId, endsMs] of this.tokenEndsMs) {
      if (endsMs > nowMs) continue;
      this.tokenEndsMs.delete(iotDeviceId);
      this.options.target.deviceRevoked(iotDeviceId);
    }
  }

  /** Devices that left while no process ran: the engine is shown them as they were, and then that they are gone. */
  private async endStays(): Promise<void> {
    const { pool, target } = this.options;
    for (let after = 0; ;) {
      const departed = await readDeparted(pool, after, RESTORE_DEVICES_MAX);
      if (departed.length === 0) return;
      target.applyEdits(departed.map((device) => ({ type: 'device_put', device })));
      const unitOf = new Map(departed.map((device) => [device.deviceId, device.equipmentId]));
      for (const device of await readDeviceStates(pool, departed, [])) {
        target.restore(device, unitOf.get(device.deviceId)!);
      }
      const edits: Edit[] = [];
      for (const { deviceId } of departed) this.leave(deviceId, edits);
      after = departed.at(-1)!.deviceId;
      target.applyEdits(edits);
    }
  }

  private wake(): void {
    if (!this.loaded) return;
    this.running ??= this.run().finally(() => {
      this.running = null;
    });
  }

  private async run(): Promise<void> {
    while (!this.stopped && !isEmpty(this.round)) {
      const round = this.round;
      this.round = emptyRound();
      try {
        await this.sync(round);
      } catch (error) {
        this.options.log.warn({ err: error }, 'configuration could not be read; trying again');
        this.round.full = true;
        await wait(RETRY_MS);
      }
    }
  }

  private async sync(round: Round): Promise<void> {
    await this.fences.sync(round);
    await this.syncRules(round);
    await this.syncGateways(round);
    await this.syncDevices(round);
  }

  private async syncRules(round: Round): Promise<void> {
    const ids = idsOf(round, round.rules);
    if (ids?.length === 0) return;
    const rules = await readRules(this.options.pool, ids);
    const present = new Set(rules.map((rule) => rule.ruleId));
    const edits: Edit[] = rules.map((rule) => ({ type: 'rule_put', rule }));
    for (const ruleId of ids ?? [...this.rules.keys()]) {
      if (!present.has(ruleId) && this.rules.delete(ruleId)) {
        edits.push({ type: 'rule_delete', ruleId });
      }
    }
    for (const rule of rules) this.rules.set(rule.ruleId, rule.metricCode);
    this.options.target.applyEdits(edits);
  }

  private async syncGateways(round: Round): Promise<void> {
    const { pool, registry } = this.options;
    const full = round.full || round.customers.size > 0;
    const ids = full ? null : [...round.gateways];
    if (ids?.length === 0) return;
    const gateways = await readGateways(pool, ids);
    const present = new Set(gateways.map((gateway) => gateway.gatewayTokenId));
    for (const id of ids ?? [...registry.gatewayIds]) {
      if (!present.has(id)) registry.removeGateway(id);
    }
    for (const gateway of gateways) registry.putGateway(gateway);
  }

  private async syncDevices(round: Round): Promise<void> {
    if (round.full) return this.syncAllDevices();
    const ids = await this.concernedDevices(round);
    if (ids.length === 0) return;
    const devices = await readDevices(this.options.pool, ids);
    await this.putDevices(devices);
    const present = new Set(devices.map((device) => device.iotDeviceId));
    this.removeDevices(ids.filter((id) => !present.has(id)));
  }

  private async syncAllDevices(): Promise<void> {
    const { pool, registry } = this.options;
    // At start nobody can have gone.
    const present = registry.deviceCount === 0 ? null : new Set<number>();
    for await (const page of readAllDevices(pool)) {
      await this.putDevices(page);
      if (present !== null) for (const { iotDeviceId } of page) present.add(iotDeviceId);
    }
    if (present === null) return;
    const gone: number[] = [];
    for (const { iotDeviceId } of registry.devices()) {
      if (!present.has(iotDeviceId)) gone.push(iotDeviceId);
    }
    this.removeDevices(gone);
  }

  private async putDevices(devices: readonly RegisteredDevice[]): Promise<void> {
    await this.restoreStates(devices);
    const edits: Edit[] = [];
    for (const device of devices) this.putDevice(device, edits);
    this.options.target.applyEdits(edits);
  }

  private removeDevices(ids: readonly number[]): void {
    const edits: Edit[] = [];
    for (const id of ids) this.removeDevice(id, edits);
    if (edits.length > 0) this.options.target.applyEdits(edits);
  }

  private async concernedDevices(round: Round): Promise<number[]> {
    const ids = new Set(round.devices);
    for (const link of round.links) {
      const device = this.options.registry.deviceOfLink(link);
      if (device !== undefined) ids.add(device.iotDeviceId);
    }
    if (round.links.size + round.equipment.size + round.customers.size > 0) {
      const concerned = await readDeviceIdsOf(this.options.pool, {
        links: [...round.links],
        equipment: [...round.equipment],
        customers: [...round.customers],
      });
      for (const id of concerned) ids.add(id);
    }
    return [...ids];
  }

  /** A link's state is read once in a process's life: from then on memory is ahead of the database. */
  private async restoreStates(devices: readonly RegisteredDevice[]): Promise<void> {
    const { pool, registry, target } = this.options;
    const equipmentOf = new Map<number, number>();
    for (const { link } of devices) {
      if (link === null || this.departed.has(link.deviceId)) continue;
      if (registry.deviceOfLink(link.deviceId) !== undefined) continue;
      equipmentOf.set(link.deviceId, link.equipmentId);
    }
    const missing = [...equipmentOf].map(([deviceId, equipmentId]) => ({ deviceId, equipmentId }));
    const codes = [...new Set(this.rules.values())];
    for (let from = 0; from < missing.length; from += RESTORE_DEVICES_MAX) {
      const some = missing.slice(from, from + RESTORE_DEVICES_MAX);
      // One that was never heard of begins anew at its first fix, and needs no place in memory before.
      for (const device of await readDeviceStates(pool, some, codes)) {
        target.restore(device, equipmentOf.get(device.deviceId)!);
      }
    }
  }

  private putDevice(device: RegisteredDevice, edits: Edit[]): void {
    const { registry, target } = this.options;
    const before = registry.device(device.iotDeviceId);
    const hasEnded = this.noteTokenEnd(device);
    if (before?.link && before.link.deviceId !== device.link?.deviceId) {
      this.leave(before.link.deviceId, edits);
    }
    const isRevoked = before !== undefined && (hasEnded || !stillOpens(before, device));
    const isKnown = registry.deviceNamed(device.deviceName) === before;
    const isChanged = before === undefined || !isKnown || !isSame(before, device);
    if (isChanged) registry.put(device);
    if (isRevoked) target.deviceRevoked(device.iotDeviceId);
    // What has not changed stays the same objects; and the link itself, as another one would be one more a device.
    const { link } = isChanged ? device : before;
    if (link !== null) edits.push({ type: 'device_put', device: link });
  }

  private leave(deviceId: number, edits: Edit[]): void {
    this.departed.add(deviceId);
    edits.push({ type: 'device_delete', deviceId });
  }

  /** True when a token has run out and the next sweep would have closed what it opened. */
  private noteTokenEnd({ iotDeviceId, previousToken }: RegisteredDevice): boolean {
    const nowMs = Date.now();
    const hasEnded = (this.tokenEndsMs.get(iotDeviceId) ?? Infinity) <= nowMs;
    const endsMs = previousToken?.untilMs ?? 0;
    if (endsMs > nowMs) this.tokenEndsMs.set(iotDeviceId, endsMs);
    else this.tokenEndsMs.delete(iotDeviceId);
    return hasEnded;
  }

  private removeDevice(iotDeviceId: number, edits: Edit[]): void {
    const { registry, target } = this.options;
    const before = registry.device(iotDeviceId);
    if (before === undefined) return;
    registry.remove(iotDeviceId);
    this.tokenEndsMs.delete(iotDeviceId);
    target.deviceRevoked(iotDeviceId);
    if (before.link !== null) this.leave(before.link.deviceId, edits);
  }
}

/** Whether nothing about a device has changed. */
function isSame(before: RegisteredDevice, now: RegisteredDevice): boolean {
  return (
    before.deviceName === now.deviceName &&
    before.tenantId === now.tenantId &&
    before.tokenHash === now.tokenHash &&
    before.previousToken?.hash === now.previousToken?.hash &&
    before.previousToken?.untilMs === now.previousToken?.untilMs &&
    before.signInByName === now.signInByName &&
    isSameLink(before.link, now.link)
  );
}

function isSameLink(before: Link | null, now: Link | null): boolean {
  if (before === null || now === null) return before === now;
  return (
    before.deviceId === now.deviceId &&
    before.equipmentId === now.equipmentId &&
    before.accountId === now.accountId &&
    before.unitNumber === now.unitNumber
  );
}

/** Whether a connection that `before` opened may stay: every secret that opened the door then still does. */
function stillOpens(before: RegisteredDevice, now: RegisteredDevice): boolean {
  if (before.deviceName !== now.deviceName || before.tenantId !== now.tenantId) return false;
  if (before.signInByName && !now.signInByName) return false;
  const after = openingHashes(now);
  return openingHashes(before).every((hash) => after.includes(hash));
}

/** The hashes of the tokens that open the door now. One that has run out has had its connections closed. */
function openingHashes({ tokenHash, previousToken }: RegisteredDevice): string[] {
  const hashes = tokenHash === null ? [] : [tokenHash];
  const holds = previousToken !== null && previousToken.untilMs > Date.now();
  return holds ? [...hashes, previousToken.hash] : hashes;
}

function idsOf(round: Round, changed: ReadonlySet<number>): Ids {
  return round.full ? null : [...changed];
}

function emptyRound(): Round {
  return {
    full: false,
    devices: new Set(),
    links: new Set(),
    equipment: new Set(),
    customers: new Set(),
    gateways: new Set(),
    fences: new Set(),
    rules: new Set(),
  };
}

function isEmpty(round: Round): boolean {
  return (
    !round.full &&
    [round.devices, round.links, round.equipment, round.customers].every((set) => set.size === 0) &&
    [round.gateways, round.fences, round.rules].every((set) => set.size === 0)
  );
}

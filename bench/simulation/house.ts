/**
 * One process of the server, as far as the engine goes: a world that its partitions share, and an engine for each of
 * them.
 *
 * States: running → (`restart`) → running, with nothing left but what the store holds.
 */
import type { Engine } from '../../engine/engine.ts';
import { createEngine } from '../../engine/engine.ts';
import { batchOf, type FixRow, type ReadingRow } from '../../engine/test-data.ts';
import type { Device, DeviceState, Edit, EngineEvent } from '../../engine/types.ts';
import { applyEdits, createWorld, type World } from '../../engine/world.ts';
import { hold } from './breach.ts';
import { withoutNames, type Store, type Work } from './store.ts';

/** What a partition is given at once. */
export interface Delivery {
  readonly step: number;
  readonly nowMs: number;
  readonly fixes: readonly FixRow[];
  readonly readings: readonly ReadingRow[];
}

export class House {
  readonly store: Store;
  readonly partitions: number;
  private world: World = createWorld();
  private engines: Engine[];
  /** Partitions whose next batch sees edits. */
  private readonly edited = new Set<number>();

  constructor(store: Store, partitions: number) {
    this.store = store;
    this.partitions = partitions;
    this.engines = this.makeEngines();
  }

  edit(edits: readonly Edit[]): void {
    applyEdits(this.world, edits);
    this.noteEdits();
  }

  partitionOf(equipmentId: number): number {
    return equipmentId % this.partitions;
  }

  /** The rows of a turn that are the partition's; those of devices that nobody knows are refused at the door. */
  ownRows<T extends { readonly deviceId: number }>(rows: readonly T[], partition: number): T[] {
    return rows.filter(({ deviceId }) => {
      const device = this.store.devices.get(deviceId);
      return device !== undefined && this.partitionOf(device.equipmentId) === partition;
    });
  }

  /** Works a delivery out; to be followed by `commit` or `rollback`. */
  evaluate(partition: number, { step, nowMs, fixes, readings }: Delivery): Work {
    const { events, changed } = this.engine(partition).evaluate(batchOf(fixes, readings, nowMs));
    const devices = this.edited.has(partition) ? this.devicesOf(partition) : [];
    return { step, fixes, readings, events, changed, devices };
  }

  commit(partition: number): void {
    this.engine(partition).commit();
    this.edited.delete(partition);
  }

  rollback(partition: number): void {
    this.engine(partition).rollback();
  }

  snapshot(deviceId: number): DeviceState | null {
    const row = this.store.states.get(deviceId);
    if (row === undefined) return null;
    return this.engine(this.partitionOf(row.device.equipmentId)).snapshot(deviceId);
  }

  /** A process that starts: the world and the states as the store has them. */
  restart(): void {
    const { store } = this;
    this.world = createWorld();
    applyEdits(this.world, store.config());
    this.engines = this.makeEngines();
    for (const [deviceId, { text, device }] of store.states) {
      const engine = this.engine(this.partitionOf(device.equipmentId));
      const state = JSON.parse(text) as DeviceState;
      engine.restore(deviceId, state, store.lastOf(deviceId), device);
    }
    this.noteEdits();
  }

  /**
   * An engine to which a device is restored and that has evaluated nothing else has the same state, and nothing to
   * tell.
   */
  holdIdentity(deviceId: number, nowMs: number): void {
    const row = this.store.states.get(deviceId);
    if (row === undefined) return;
    const engine = createEngine(this.world);
    const state = JSON.parse(row.text) as DeviceState;
    engine.restore(deviceId, state, this.store.lastOf(deviceId), row.device);
    const told: readonly EngineEvent[] = engine.evaluate(batchOf([], [], nowMs)).events;
    engine.commit();
    const text = JSON.stringify(engine.snapshot(deviceId));
    const isSame = withoutNames(text) === withoutNames(row.text) && told.length === 0;
    const seen = (): string =>
      `device ${deviceId}: ${row.text}, then ${text}; ${JSON.stringify(told)}`;
    hold(isSame, 'a state that is stored and restored is the same', seen);
  }

  private devicesOf(partition: number): Device[] {
    const { devices } = this.store;
    return [...devices.values()].filter((one) => this.partitionOf(one.equipmentId) === partition);
  }

  private noteEdits(): void {
    for (let partition = 0; partition < this.partitions; partition++) this.edited.add(partition);
  }

  private engine(partition: number): Engine {
    const engine = this.engines[partition];
    if (engine === undefined) throw new RangeError(`there is no partition ${partition}`);
    return engine;
  }

  private makeEngines(): Engine[] {
    return Array.from({ length: this.partitions }, () => createEngine(this.world));
  }
}

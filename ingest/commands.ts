/**
 * Hands commands to devices that listen, in the order in which they were given, one at a time a device, and again after
 * a reconnect until the device has acknowledged: at least once. The database is the only memory of what is still to be
 * told, so a restart loses nothing. Refuses to know MQTT, topics, and who may give commands.
 *
 * The states of a command are those of its row. `sent` is written before the device is told, so what was cancelled in
 * time is never sent. States of a device here: silent (it does not listen, or nothing is due) → awake (looked up in the
 * next round) → waiting (told, and has not acknowledged) → awake.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Pool } from 'pg';
import { Counter, type Registry as PromRegistry } from 'prom-client';
import type { Change } from '../db/change-feed.ts';
import { Backoff } from './backoff.ts';
import type { Logger } from './logger.ts';

/** Devices looked up in one round; with payloads of 64 KiB these are 16 MiB. */
export const COMMAND_ROUND_DEVICES_MAX = 256;
/** Bytes sent and not acknowledged, beyond which further commands wait in the table. */
export const COMMAND_BYTES_IN_FLIGHT_MAX = 64 * 1024 * 1024;
/** A device that takes longer to acknowledge holds up its own commands, and nobody else's. */
export const COMMAND_ACK_MS_MAX = 60_000;
/** Changed rows gathered before it is cheaper to look up every device that listens. */
const CHANGED_IDS_MAX = 10_000;
const UPKEEP_EVERY_MS = 5_000;
/** Rows that one statement lets expire. */
const EXPIRE_ROWS_MAX = 10_000;

export interface CommandSenderOptions {
  readonly pool: Pool;
  readonly log: Logger;
  readonly prometheus: PromRegistry;
  /**
   * Gives a payload to a device; false: it does not listen, or cannot take more now. Otherwise `done` is called once, at
   * once or later: the device has acknowledged, or it will not. Either way `onSubscribed` tells when to try again.
   */
  readonly send: (
    iotDeviceId: number,
    payload: Buffer,
    done: (outcome: 'delivered' | 'gone') => void,
  ) => boolean;
  readonly nowMs?: () => number;
}

/** What one device was told last. */
interface InFlight {
  readonly commandId: number;
  readonly sinceMs: number;
  /** Counted against the limit; 0 once it has taken too long. */
  chargedBytes: number;
  /** The device has subscribed again since: what the old subscription did not acknowledge can go at once. */
  isOutdated: boolean;
}

interface ClaimedRow {
  readonly iot_device_command_id: number;
  readonly iot_device_id: number;
  readonly payload: string;
  readonly was: 'queued' | 'sent';
}

export class CommandSender {
  private readonly options: CommandSenderOptions;
  private readonly nowMs: () => number;
  private readonly commands: Counter<'outcome'>;
  private readonly aborted = new AbortController();
  private readonly backoff = new Backoff();
  /** Devices that have subscribed and were not found gone since. */
  private readonly listening = new Set<number>();
  private readonly awake = new Set<number>();
  private readonly waiting = new Map<number, InFlight>();
  /** Acknowledged and not written yet: device → command. Its next command is not looked up before. */
  private readonly delivered = new Map<number, number>();
  /** Commands marked as sent whose device turned out not to listen. */
  private readonly unsent = new Set<number>();
  private changed = new Set<number>();
  private bytesInFlight = 0;
  private running: Promise<void> | null = null;
  private timer: NodeJS.Timeout | undefined;

  constructor(options: CommandSenderOptions) {
    this.options = options;
    this.nowMs = options.nowMs ?? Date.now;
    this.commands = new Counter({
      name: 'milepost_commands_total',
      help: 'Commands for devices by what became of them; one sent again counts again',
      labelNames: ['outcome'],
      registers: [options.prometheus],
    });
  }

  /** Begins to let commands expire. */
  start(): void {
    this.timer = setInterval(() => void this.upkeep(), UPKEEP_EVERY_MS);
    this.timer.unref();
  }

  /** Sends no more, and writes what was acknowledged, if the database takes it. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.aborted.abort();
    await this.running;
    await this.writeOutcomes().catch(() => undefined);
  }

  /** The device listens from now on, again or for the first time. */
  onSubscribed(iotDeviceId: number): void {
    this.listening.add(iotDeviceId);
    const inFlight = this.waiting.get(iotDeviceId);
    if (inFlight !== undefined) inFlight.isOutdated = true;
    this.rouse(iotDeviceId);
  }

  /** One row changed; only new commands mean anything here. */
  onChange(change: Change): void {
    if (change.table !== 'iot_device_command' || this.listening.size === 0) return;
    if (this.changed.size >= CHANGED_IDS_MAX) this.onReset();
    else this.changed.add(change.id);
    this.wake();
  }

  /** New commands may have been missed. */
  onReset(): void {
    this.changed = new Set();
    for (const iotDeviceId of this.listening) this.rouse(iotDeviceId);
  }

  /** Resolves when nothing is left to be done until a device or a change speaks up. */
  async settled(): Promise<void> {
    while (this.running !== null) await this.running;
  }

  /** Lets commands expire whose time is over, and gives up waiting for room held by slow devices. Never rejects. */
  async upkeep(): Promise<void> {
    const tooOldMs = this.nowMs() - COMMAND_ACK_MS_MAX;
    for (const inFlight of this.waiting.values()) {
      if (inFlight.sinceMs <= tooOldMs) this.uncharge(inFlight);
    }
    this.wake();
    try {
      const { rows } = await this.options.pool.query<{ iot_device_id: number }>(EXPIRE, [
        EXPIRE_ROWS_MAX,
      ]);
      this.commands.inc({ outcome: 'expired' }, rows.length);
      // Another one may be first in line now.
      for (const { iot_device_id } of rows) this.rouse(iot_device_id);
    } catch (error) {
      this.options.log.warn({ err: error }, 'commands could not be expired');
    }
  }

  private rouse(iotDeviceId: number): void {
    if (!this.listening.has(iotDeviceId)) return;
    this.awake.add(iotDeviceId);
    this.wake();
  }

  private wake(): void {
    if (this.aborted.signal.aborted || !this.hasWork()) return;
    this.running ??= this.run().finally(() => {
      this.running = null;
      // Something may have come after the last look.
      this.wake();
    });
  }

  private hasWork(): boolean {
    const hasOutcomes = this.delivered.size + this.unsent.size > 0;
    return hasOutcomes || this.changed.size > 0 || (this.awake.size > 0 && this.hasRoom());
  }

  private hasRoom(): boolean {
    return this.bytesInFlight < COMMAND_BYTES_IN_FLIGHT_MAX;
  }

  private async run(): Promise<void> {
    const { signal } = this.aborted;
    // What comes within one turn, such as the acknowledgements of one read, goes into one round.
    await nextTurn();
    while (!signal.aborted && this.hasWork()) {
      try {
        await this.writeOutcomes();
        await this.lookUpChanged();
        await this.sendNext();
        this.backoff.reset();
      } catch (error) {
        this.options.log.warn({ err: error }, 'commands could not be read; trying again');
        await this.backoff.pause(signal);
      }
    }
  }

  private async writeOutcomes(): Promise<void> {
    const delivered = [...this.delivered];
    const unsent = [...this.unsent];
    if (delivered.length + unsent.length === 0) return;
    await this.options.pool.query(WRITE_OUTCOMES, [delivered.map(([, id]) => id), unsent]);
    for (const [iotDeviceId] of delivered) this.delivered.delete(iotDeviceId);
    for (const commandId of unsent) this.unsent.delete(commandId);
  }

  private async lookUpChanged(): Promise<void> {
    const ids = this.changed;
    if (ids.size === 0) return;
    this.changed = new Set();
    try {
      const { rows } = await this.options.pool.query<{ iot_device_id: number }>(DEVICES_OF, [
        [...ids],
      ]);
      for (const { iot_device_id } of rows) this.rouse(iot_device_id);
    } catch (error) {
      this.onReset();
      throw error;
    }
  }

  private async sendNext(): Promise<void> {
    const devices = this.takeAwake();
    if (devices.length === 0) return;
    try {
      const { rows } = await this.options.pool.query<ClaimedRow>(CLAIM, [devices]);
      for (const row of rows) this.tell(row);
    } catch (error) {
      // They may have been claimed: a row that is sent and not delivered is claimed again.
      for (const iotDeviceId of devices) this.rouse(iotDeviceId);
      throw error;
    }
  }

  private takeAwake(): number[] {
    const devices: number[] = [];
    if (!this.hasRoom()) return devices;
    for (const iotDeviceId of this.awake) {
      if (devices.length >= COMMAND_ROUND_DEVICES_MAX) break;
      if (this.delivered.has(iotDeviceId)) continue;
      this.awake.delete(iotDeviceId);
      // One that waits is roused again by its answer.
      if (!this.waiting.has(iotDeviceId)) devices.push(iotDeviceId);
    }
    return devices;
  }

  private tell(row: ClaimedRow): void {
    const { iot_device_id: iotDeviceId, iot_device_command_id: commandId } = row;
    const payload = Buffer.from(row.payload);
    const chargedBytes = payload.length;
    const inFlight = { commandId, sinceMs: this.nowMs(), chargedBytes, isOutdated: false };
    this.waiting.set(iotDeviceId, inFlight);
    this.bytesInFlight += payload.length;
    const isTaken = this.options.send(iotDeviceId, payload, (outcome) =>
      this.answered(iotDeviceId, inFlight, outcome),
    );
    if (isTaken) {
      this.commands.inc({ outcome: 'sent' });
      return;
    }
    this.release(iotDeviceId, inFlight);
    this.listening.delete(iotDeviceId);
    if (row.was === 'queued') this.unsent.add(commandId);
  }

  private answered(iotDeviceId: number, inFlight: InFlight, outcome: 'delivered' | 'gone'): void {
    if (this.waiting.get(iotDeviceId) !== inFlight) return;
    this.release(iotDeviceId, inFlight);
    if (outcome === 'delivered') {
      this.delivered.set(iotDeviceId, inFlight.commandId);
      this.commands.inc({ outcome: 'delivered' });
    }
    // What is gone at once would be gone again at once: it waits for the next subscription.
    if (outcome === 'delivered' || inFlight.isOutdated) this.rouse(iotDeviceId);
    this.wake();
  }

  private release(iotDeviceId: number, inFlight: InFlight): void {
    this.waiting.delete(iotDeviceId);
    this.uncharge(inFlight);
  }

  private uncharge(inFlight: InFlight): void {
    this.bytesInFlight -= inFlight.chargedBytes;
    inFlight.chargedBytes = 0;
  }
}

const DEVICES_OF = `
select distinct iot_device_id from iot_device_command
 where iot_device_command_id = any ($1) and status = 'queued'`;

// The outer condition is checked again once a lock is held: what was cancelled meanwhile is not claimed.
const CLAIM = `
update iot_device_command c
   set status = 'sent', sent_at = now()
  from unnest($1::bigint[]) as d (id)
  cross join lateral (
    select q.iot_device_command_id as id, q.status from iot_device_command q
     where q.iot_device_id = d.id and q.status in ('queued', 'sent') and q.expires_at > now()
     order by q.iot_device_command_id limit 1) next
 where c.iot_device_command_id = next.id and c.status in ('queued', 'sent')
returning c.iot_device_command_id, c.iot_device_id, c.payload, next.status as was`;

// A device that acknowledged has the command, whatever was thought of it meanwhile.
const WRITE_OUTCOMES = `
with delivered as (
  update iot_device_command set status = 'delivered', delivered_at = now()
   where iot_device_command_id = any ($1::bigint[]) and status <> 'delivered'
)
update iot_device_command set status = 'queued', sent_at = null
 where iot_device_command_id = any ($2::bigint[]) and status = 'sent'`;

const EXPIRE = `
update iot_device_command set status = 'expired'
 where iot_device_command_id in (
   select iot_device_command_id from iot_device_command
    where status in ('queued', 'sent') and expires_at <= now()
    order by expires_at limit $1)
returning iot_device_id`;

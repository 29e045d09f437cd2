/**
 * Devices that spoke and are not known: gathered in memory, and written to `knocking_device` once a second, where
 * their keeper finds and claims them. Nothing of a knock is acknowledged, nobody waits for it, and none may fail its
 * caller. Refuses to know wires and who may claim.
 *
 * States of a name in the book: pending (knocks since the last write) → written (kept so that it is not new again) →
 * forgotten, as the oldest written one, when another name needs the place. While the database is away names stay
 * pending; with every place pending, new names are only counted.
 */
import { isIP } from 'node:net';
import type { Pool } from 'pg';
import type { Source } from './intake.ts';
import type { Logger } from './logger.ts';

/** One message, or sign-in, of a device that is not known. */
export interface Knock {
  readonly protocol: Source;
  /** The name it gave; anything but 1 to 64 printable ASCII characters is counted and not kept. */
  readonly deviceName: string;
  /** The tenant of the gateway that vouches for it; `null`: nobody does. */
  readonly tenantId: number | null;
  /** What it sent, without secrets; may be a view of a buffer that is used again. `null`: nothing yet. */
  readonly payload: Buffer | null;
  readonly remoteAddress: string | null;
}

/** Names in memory: with their payloads 8 MiB. */
export const KNOCKS_MAX = 2_000;
/** New names a minute from one address (IPv6: one /64 network) that nobody vouches for. */
export const KNOCK_ADDRESS_NAMES_PER_MINUTE_MAX = 30;
/** New names a minute that one tenant's gateways vouch for. */
export const KNOCK_TENANT_NAMES_PER_MINUTE_MAX = 300;
/** Addresses counted in a minute; what comes from further ones is counted as one address. */
export const KNOCK_ADDRESSES_MAX = 10_000;
/** Bytes kept of the last payload. */
export const KNOCK_PAYLOAD_BYTES_MAX = 4_096;

const PRINTABLE_NAME = /^[\x20-\x7e]{1,64}$/;
const FLUSH_EVERY_MS = 1_000;
const TRIM_EVERY_MS = 60_000;
const MINUTE_MS = 60_000;

export interface KnockBookOptions {
  readonly pool: Pool;
  /** Rows kept in `knocking_device`. */
  readonly rowsMax: number;
  readonly metrics: { refused(source: string, reason: string): void };
  readonly log: Logger;
  readonly nowMs?: () => number;
}

interface Entry {
  readonly protocol: Source;
  readonly deviceName: string;
  readonly tenantId: number | null;
  /** Knocks that are not written yet; 0: all are. */
  count: number;
  firstMs: number;
  lastMs: number;
  payload: Buffer | null;
  payloadBytes: number | null;
  remoteAddress: string | null;
}

export class KnockBook {
  private readonly options: KnockBookOptions;
  private readonly nowMs: () => number;
  private readonly pending = new Map<string, Entry>();
  /** The longest written first. */
  private readonly written = new Map<string, Entry>();
  /** New names of this minute, by who brought them. */
  private readonly newNames = new Map<string, number>();
  private untrimmedNames = 0;
  private minuteEndsMs = 0;
  private writing: Promise<void> | null = null;
  private timers: NodeJS.Timeout[] = [];
  private isFailing = false;

  constructor(options: KnockBookOptions) {
    this.options = options;
    this.nowMs = options.nowMs ?? Date.now;
  }

  /** Names held, written ones included. */
  get size(): number {
    return this.pending.size + this.written.size;
  }

  /** Begins to write every second and to trim every minute. */
  start(): void {
    this.timers = [
      setInterval(() => void this.flush(), FLUSH_EVERY_MS),
      setInterval(() => void this.trim(), TRIM_EVERY_MS),
    ];
    for (const timer of this.timers) timer.unref();
  }

  /** Counts one knock. Never throws; costs a map look-up and a copy of at most 4 KiB. */
  knock(knock: Knock): void {
    const { metrics } = this.options;
    if (!PRINTABLE_NAME.test(knock.deviceName)) {
      metrics.refused(knock.protocol, 'knock_name');
      return;
    }
    const key = `${knock.tenantId ?? ''} ${knock.protocol} ${knock.deviceName}`;
    const entry = this.pending.get(key) ?? this.reopened(key) ?? this.added(key, knock);
    if (entry !== null) note(entry, knock, this.nowMs());
  }

  /** Writes what is pending; a failure leaves it pending. Never rejects. */
  async flush(): Promise<void> {
    this.writing ??= this.write().finally(() => {
      this.writing = null;
    });
    await this.writing;
  }

  /**
   * Removes rows of devices that are known by now, and rows beyond the limit: of whoever has the most, tenant or
   * address, those that have been silent longest. Never rejects.
   */
  async trim(): Promise<void> {
    const { pool, rowsMax } = this.options;
    this.untrimmedNames = 0;
    try {
      await pool.query(FORGET_KNOWN);
      await pool.query(TRIM, [rowsMax]);
    } catch (error) {
      this.options.log.warn({ err: error }, 'knocking devices could not be trimmed');
    }
  }

  /** Ends both timers and writes what is pending, once, and not at all while the database is away. */
  async stop(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    await this.writing;
    if (!this.isFailing) await this.flush();
  }

  private reopened(key: string): Entry | null {
    const entry = this.written.get(key);
    if (entry === undefined) return null;
    this.written.delete(key);
    this.pending.set(key, entry);
    return entry;
  }

  private added(key: string, knock: Knock): Entry | null {
    const { metrics } = this.options;
    if (!this.mayAdd(knock)) {
      metrics.refused(knock.protocol, 'knock_rate');
      return null;
    }
    if (this.size >= KNOCKS_MAX) {
      const oldest = this.written.keys().next();
      if (oldest.done === true) {
        metrics.refused(knock.protocol, 'knock_book_full');
        return null;
      }
      this.written.delete(oldest.value);
    }
    const { protocol, deviceName, tenantId } = knock;
    const entry: Entry = {
      protocol,
      deviceName,
      tenantId,
      count: 0,
      firstMs: 0,
      lastMs: 0,
      payload: null,
      payloadBytes: null,
      remoteAddress: null,
    };
    this.pending.set(key, entry);
    this.untrimmedNames++;
    return entry;
  }

  /** Whether this sender may bring one more new name in this minute. */
  private mayAdd(knock: Knock): boolean {
    const now = this.nowMs();
    if (now >= this.minuteEndsMs) {
      this.newNames.clear();
      this.minuteEndsMs = now + MINUTE_MS;
    }
    const { tenantId, remoteAddress } = knock;
    const isVouched = tenantId !== null;
    let sender = isVouched ? `tenant ${tenantId}` : networkOf(remoteAddress);
    const isOneTooMany = !this.newNames.has(sender) && this.newNames.size >= KNOCK_ADDRESSES_MAX;
    if (isOneTooMany) sender = 'others';
    const max = isVouched ? KNOCK_TENANT_NAMES_PER_MINUTE_MAX : KNOCK_ADDRESS_NAMES_PER_MINUTE_MAX;
    const count = this.newNames.get(sender) ?? 0;
    if (count >= max) return false;
    this.newNames.set(sender, count + 1);
    return true;
  }

  private async write(): Promise<void> {
    if (this.pending.size === 0) return;
    const taken = [...this.pending].map(([key, entry]) => ({ key, entry, count: entry.count }));
    try {
      await this.options.pool.query(UPSERT, columnsOf(taken.map(({ entry }) => entry)));
      this.isFailing = false;
    } catch (error) {
      // Once an outage, or the log would repeat it every second.
      if (!this.isFailing) {
        this.options.log.warn(
          { err: error },
          'knocking devices could not be written; trying again',
        );
      }
      this.isFailing = true;
      return;
    }
    for (const { key, entry, count } of taken) {
      entry.count -= count;
      entry.firstMs = entry.lastMs;
      if (entry.count > 0) continue;
      entry.payload = null;
      entry.payloadBytes = null;
      this.pending.delete(key);
      this.written.set(key, entry);
    }
    if (this.untrimmedNames >= KNOCKS_MAX) await this.trim();
  }
}

function note(entry: Entry, knock: Knock, nowMs: number): void {
  if (entry.count === 0) entry.firstMs = nowMs;
  entry.count++;
  entry.lastMs = nowMs;
  const address = knock.remoteAddress?.split('%')[0] ?? '';
  entry.remoteAddress = isIP(address) === 0 ? null : address;
  if (knock.payload === null) return;
  entry.payload = Buffer.from(knock.payload.subarray(0, KNOCK_PAYLOAD_BYTES_MAX));
  entry.payloadBytes = knock.payload.length;
}

/** The address of a sender, or the /64 of an IPv6 address: whoever has one such address has all of them. */
function networkOf(remoteAddress: string | null): string {
  const address = remoteAddress?.split('%')[0] ?? '';
  if (isIP(address) !== 6) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  if (tail === undefined) return before.slice(0, 4).join(':');
  const after = tail === '' ? [] : tail.split(':');
  const zeros = Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array<string>(zeros).fill('0'), ...after].slice(0, 4).join(':');
}

function columnsOf(entries: readonly Entry[]): unknown[] {
  return [
    entries.map((entry) => entry.tenantId),
    entries.map((entry) => entry.protocol),
    entries.map((entry) => entry.deviceName),
    entries.map((entry) => new Date(entry.firstMs)),
    entries.map((entry) => new Date(entry.lastMs)),
    entries.map((entry) => entry.count),
    entries.map((entry) => entry.payload),
    entries.map((entry) => entry.payloadBytes),
    entries.map((entry) => entry.remoteAddress),
  ];
}

// A name registered in the meantime, by anybody, is no longer knocking; that of a retired device can be registered.
const UPSERT = `
insert into knocking_device as k
  (customer_id, protocol, device_identifier, first_seen_at, last_seen_at, knock_count, last_payload,
   last_payload_bytes, remote_address)
select n.* from unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[],
                       $7::bytea[], $8::integer[], $9::inet[])
         as n (customer_id, protocol, device_identifier, first_seen_at, last_seen_at, knock_count, last_payload,
               last_payload_bytes, remote_address)
 where not exists (
   select from iot_device d where d.device_identifier = n.device_identifier and d.status <> 'retired')
on conflict (customer_id, protocol, device_identifier) do update set
  last_seen_at = greatest(k.last_seen_at, excluded.last_seen_at),
  knock_count = k.knock_count + excluded.knock_count,
  last_payload = coalesce(excluded.last_payload, k.last_payload),
  last_payload_bytes = coalesce(excluded.last_payload_bytes, k.last_payload_bytes),
  remote_address = coalesce(excluded.remote_address, k.remote_address)`;

const FORGET_KNOWN = `
delete from knocking_device k using iot_device d
 where d.device_identifier = k.device_identifier and d.status <> 'retired'`;

// Rows are ranked within their tenant and network, so whoever brought many names loses names first.
const TRIM = `
with ranked as (
  select knocking_device_id, last_seen_at,
         row_number() over (
           partition by customer_id, network(set_masklen(remote_address,
             case family(remote_address) when 6 then 64 else 32 end))
           order by last_seen_at desc, knocking_device_id desc) as rank
    from knocking_device
)
delete from knocking_device where knocking_device_id in (
  select knocking_device_id from ranked order by rank desc, last_seen_at, knocking_device_id
   limit greatest(0, (select count(*) from knocking_device) - $1::bigint))`;

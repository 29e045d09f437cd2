/**
 * Devices and tenants that have sessions now, with what is counted for each: sessions, connections, publishes a second.
 * Knows identifiers and counts; refuses to know clients and packets.
 *
 * States of a device: absent → (take) known → (release, its rate is whole) absent · (release, it is not) resting → (take)
 * known · (its rate is whole) absent. So coming back does not renew a rate.
 */
import type { MqttLimits } from '../limits.ts';
import type { MqttIdentity } from '../sink.ts';
import { Rate } from './rate.ts';
import type { Session } from './session.ts';

export interface Tenant {
  readonly tenantId: number;
  readonly rate: Rate;
  connectionCount: number;
  deviceCount: number;
}

export interface Device {
  readonly iotDeviceId: number;
  readonly tenant: Tenant;
  readonly rate: Rate;
  /** In the order in which their clients last came or went; few. */
  readonly sessions: Session[];
}

/** How often those that rest are looked at: a rate is whole again after a second, and what it was in debt. */
const REST_MS = 1_000;

export class Devices {
  readonly #limits: MqttLimits;
  readonly #devices = new Map<number, Device>();
  readonly #tenants = new Map<number, Tenant>();
  /** Without a session, and with a rate that is not whole. */
  readonly #resting = new Set<Device>();
  #timer: NodeJS.Timeout | null = null;

  constructor(limits: MqttLimits) {
    this.#limits = limits;
  }

  find(iotDeviceId: number): Device | undefined {
    return this.#devices.get(iotDeviceId);
  }

  /** Connections of the tenant's devices. */
  connectionCount(tenantId: number): number {
    return this.#tenants.get(tenantId)?.connectionCount ?? 0;
  }

  /** The device of an identity, made where there is none. One that has changed its tenant must have been emptied. */
  take({ iotDeviceId, tenantId }: MqttIdentity): Device {
    const known = this.#devices.get(iotDeviceId);
    if (known !== undefined) {
      this.#resting.delete(known);
      if (known.tenant.tenantId === tenantId) return known;
      this.#forget(known);
    }
    const tenant = this.#takeTenant(tenantId);
    tenant.deviceCount++;
    const rate = new Rate(this.#limits.deviceMessagesPerSMax);
    const device: Device = { iotDeviceId, tenant, rate, sessions: [] };
    this.#devices.set(iotDeviceId, device);
    return device;
  }

  /** Forgets the device, and its tenant, when it has no session left and its rate is whole. */
  release(device: Device): void {
    if (device.sessions.length > 0 || this.#devices.get(device.iotDeviceId) !== device) return;
    if (isWhole(device, Date.now())) {
      this.#forget(device);
      return;
    }
    this.#resting.add(device);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== null || this.#resting.size === 0) return;
    this.#timer = setTimeout(() => this.#wake(), REST_MS).unref();
  }

  #wake(): void {
    this.#timer = null;
    const nowMs = Date.now();
    for (const device of this.#resting) {
      if (!isWhole(device, nowMs)) continue;
      this.#resting.delete(device);
      this.#forget(device);
    }
    this.#schedule();
  }

  #forget(device: Device): void {
    this.#devices.delete(device.iotDeviceId);
    const { tenant } = device;
    if (--tenant.deviceCount === 0) this.#tenants.delete(tenant.tenantId);
  }

  #takeTenant(tenantId: number): Tenant {
    let tenant = this.#tenants.get(tenantId);
    if (tenant === undefined) {
      const rate = new Rate(this.#limits.tenantMessagesPerSMax);
      tenant = { tenantId, rate, connectionCount: 0, deviceCount: 0 };
      this.#tenants.set(tenantId, tenant);
    }
    return tenant;
  }
}

/** The last device of a tenant stays for the tenant's rate. */
function isWhole({ rate, tenant }: Device, nowMs: number): boolean {
  return rate.isWhole(nowMs) && (tenant.deviceCount > 1 || tenant.rate.isWhole(nowMs));
}

/**
 * Who may speak, and for which unit: devices by wire name and by token, gateways by token, all from memory. Kept
 * fresh by config-sync.ts. Refuses to know SQL, sockets and payloads.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

/** One device on one unit: everything that storing and evaluating its data needs. */
export interface Link {
  /** `equipment_has_iot_device_id`. */
  readonly deviceId: number;
  readonly iotDeviceId: number;
  readonly deviceName: string;
  readonly tenantId: number;
  readonly equipmentId: number;
  readonly accountId: number | null;
  readonly unitNumber: string;
}

export interface RegisteredDevice {
  readonly iotDeviceId: number;
  readonly deviceName: string;
  readonly tenantId: number;
  /** {@link digestOf} the SHA-256 of the device's token; `null`: it has none and cannot sign in by itself. */
  readonly tokenHash: string | null;
  /** The token before the last rotation, and until when it opens the door. */
  readonly previousToken: { readonly hash: string; readonly untilMs: number } | null;
  /** Whether wires that carry no secret may speak for it (Teltonika, OsmAnd). */
  readonly signInByName: boolean;
  /** `null` while the device is mounted on no unit. */
  readonly link: Link | null;
}

export interface Gateway {
  readonly gatewayTokenId: number;
  readonly tenantId: number;
  readonly tokenHash: Buffer;
  /** Devices it may speak for; `null`: every device of its tenant. */
  readonly iotDeviceIds: ReadonlySet<number> | null;
}

/**
 * Who sent a message, by its credential. A relay is an external broker that the operator trusts: it has checked its
 * devices itself and speaks for every device of every tenant.
 */
export type Sender =
  | { readonly kind: 'device'; readonly device: RegisteredDevice }
  | { readonly kind: 'gateway'; readonly gateway: Gateway }
  | { readonly kind: 'relay' };

/** The tenant behind a sender, where its credential says one. */
export function tenantOf(sender: Sender): number | null {
  if (sender.kind === 'device') return sender.device.tenantId;
  return sender.kind === 'gateway' ? sender.gateway.tenantId : null;
}

/**
 * A hash as the registry keeps it, a character a byte: of a million devices, buffers would take four times the room, and
 * the same text serves as the key to look it up.
 */
export function digestOf(hash: Buffer): string {
  return hash.toString('latin1');
}

/** Longer secrets are refused before they are hashed. */
export const TOKEN_BYTES_MAX = 512;

export class Registry {
  private readonly byName = new Map<string, RegisteredDevice>();
  private readonly byId = new Map<number, RegisteredDevice>();
  private readonly byLink = new Map<number, RegisteredDevice>();
  private readonly byToken = new Map<string, RegisteredDevice>();
  private readonly gateways = new Map<number, Gateway>();
  private readonly gatewayByToken = new Map<string, Gateway>();

  get deviceCount(): number {
    return this.byId.size;
  }

  put(device: RegisteredDevice): void {
    this.remove(device.iotDeviceId);
    this.byId.set(device.iotDeviceId, device);
    this.byName.set(device.deviceName, device);
    if (device.link !== null) this.byLink.set(device.link.deviceId, device);
    for (const digest of tokenDigests(device)) this.byToken.set(digest, device);
  }

  remove(iotDeviceId: number): void {
    const device = this.byId.get(iotDeviceId);
    if (device === undefined) return;
    this.byId.delete(iotDeviceId);
    // Another device may have taken over its name, link or token in the meantime.
    forget(this.byName, device.deviceName, device);
    if (device.link !== null) forget(this.byLink, device.link.deviceId, device);
    for (const digest of tokenDigests(device)) forget(this.byToken, digest, device);
  }

  putGateway(gateway: Gateway): void {
    this.removeGateway(gateway.gatewayTokenId);
    this.gateways.set(gateway.gatewayTokenId, gateway);
    this.gatewayByToken.set(digestOf(gateway.tokenHash), gateway);
  }

  removeGateway(gatewayTokenId: number): void {
    const gateway = this.gateways.get(gatewayTokenId);
    if (gateway === undefined) return;
    this.gateways.delete(gatewayTokenId);
    forget(this.gatewayByToken, digestOf(gateway.tokenHash), gateway);
  }

  get gatewayIds(): Iterable<number> {
    return this.gateways.keys();
  }

  device(iotDeviceId: number): RegisteredDevice | undefined {
    return this.byId.get(iotDeviceId);
  }

  deviceNamed(deviceName: string): RegisteredDevice | undefined {
    return this.byName.get(deviceName);
  }

  deviceOfLink(deviceId: number): RegisteredDevice | undefined {
    return this.byLink.get(deviceId);
  }

  devices(): Iterable<RegisteredDevice> {
    return this.byId.values();
  }

  /**
   * The device with this name and secret, or why not. An unknown name costs the same as a wrong secret, so neither
   * the answer nor its time tells which names exist; the reason is for counters only.
   */
  checkSecret(
    deviceName: string,
    secret: Buffer,
  ): { ok: true; device: RegisteredDevice } | { ok: false; reason: string } {
    if (secret.length > TOKEN_BYTES_MAX) return { ok: false, reason: 'secret_too_long' };
    const device = this.byName.get(deviceName);
    const given = sha256(secret);
    const same = isSameHash(given, device?.tokenHash ?? null);
    const previous = device === undefined ? null : previousHash(device);
    const sameAsPrevious = isSameHash(given, previous);
    if (device === undefined) return { ok: false, reason: 'unknown_device' };
    const holds = (device.tokenHash !== null && same) || (previous !== null && sameAsPrevious);
    return holds ? { ok: true, device } : { ok: false, reason: 'bad_secret' };
  }

  /** The device of a wire that carries a name and no secret, where the device is marked for it. */
  checkName(
    deviceName: string,
  ): { ok: true; device: RegisteredDevice } | { ok: false; reason: string } {
    const device = this.byName.get(deviceName);
    if (device === undefined) return { ok: false, reason: 'unknown_device' };
    return device.signInByName ? { ok: true, device } : { ok: false, reason: 'secret_required' };
  }

  /** The device or gateway that owns this bearer token. Looked up by digest, so timing tells nothing of the token. */
  senderOf(token: string): Sender | null {
    if (Buffer.byteLength(token) > TOKEN_BYTES_MAX) return null;
    const digest = digestOf(sha256(Buffer.from(token)));
    const device = this.byToken.get(digest);
    if (device !== undefined) {
      const isCurrent = device.tokenHash === digest;
      return isCurrent || previousHash(device) !== null ? { kind: 'device', device } : null;
    }
    const gateway = this.gatewayByToken.get(digest);
    return gateway === undefined ? null : { kind: 'gateway', gateway };
  }

  /** The unit a record speaks for: that of the device which {@link resolveDevice} finds. */
  resolve(
    sender: Sender,
    deviceName: string | null,
  ): { ok: true; link: Link } | { ok: false; reason: string; detail: string } {
    const found = this.resolveDevice(sender, deviceName);
    return found.ok ? mounted(found.device) : found;
  }

  /** The unit that {@link resolve} finds, or `null`; allocates nothing. */
  linkOf(sender: Sender, deviceName: string | null): Link | null {
    if (sender.kind === 'device') {
      const device = this.byId.get(sender.device.iotDeviceId);
      const isOwn = deviceName === null || deviceName === device?.deviceName;
      return isOwn ? (device?.link ?? null) : null;
    }
    const named = deviceName === null ? undefined : this.byName.get(deviceName);
    return named !== undefined && speaksFor(sender, named) ? named.link : null;
  }

  /**
   * The device a record speaks for, mounted or not. A device speaks for itself only, whatever the payload says; a gateway
   * for the devices of its own tenant, and one of another tenant is as unknown as one that does not exist.
   */
  resolveDevice(
    sender: Sender,
    deviceName: string | null,
  ): { ok: true; device: RegisteredDevice } | { ok: false; reason: string; detail: string } {
    if (sender.kind === 'device') {
      const device = this.byId.get(sender.device.iotDeviceId);
      if (device === undefined) return refusal('unknown_device', 'the device is not registered');
      if (deviceName !== null && deviceName !== device.deviceName) {
        return refusal('foreign_device', 'a device may speak for itself only');
      }
      return { ok: true, device };
    }
    if (deviceName === null) {
      return refusal('device_missing', 'device is required with a gateway token');
    }
    const named = this.byName.get(deviceName);
    if (sender.kind === 'relay') {
      if (named !== undefined) return { ok: true, device: named };
      return refusal('unknown_device', 'no device of this name is registered');
    }
    if (named === undefined || !speaksFor(sender, named)) {
      return refusal('unknown_device', 'no device of this name is registered for this token');
    }
    return { ok: true, device: named };
  }
}

function speaksFor(
  sender: Exclude<Sender, { kind: 'device' }>,
  { tenantId, iotDeviceId }: RegisteredDevice,
): boolean {
  if (sender.kind === 'relay') return true;
  const { gateway } = sender;
  const { iotDeviceIds } = gateway;
  return gateway.tenantId === tenantId && (iotDeviceIds === null || iotDeviceIds.has(iotDeviceId));
}

function forget<K, V>(map: Map<K, V>, key: K, value: V): void {
  if (map.get(key) === value) map.delete(key);
}

const NOBODY = digestOf(Buffer.alloc(32));

/** Takes the same time whatever `digest` is. */
function isSameHash(hash: Buffer, digest: string | null): boolean {
  return timingSafeEqual(hash, Buffer.from(digest ?? NOBODY, 'latin1'));
}

/** The hash of the token before the last rotation, while it still holds. */
function previousHash({ previousToken }: RegisteredDevice): string | null {
  return previousToken !== null && Date.now() < previousToken.untilMs ? previousToken.hash : null;
}

function tokenDigests({ tokenHash, previousToken }: RegisteredDevice): string[] {
  const digests = tokenHash === null ? [] : [tokenHash];
  return previousToken === null ? digests : [...digests, previousToken.hash];
}

function sha256(secret: Buffer): Buffer {
  return createHash('sha256').update(secret).digest();
}

function refusal(reason: string, detail: string): { ok: false; reason: string; detail: string } {
  return { ok: false, reason, detail };
}

function mounted(
  device: RegisteredDevice,
): { ok: true; link: Link } | { ok: false; reason: string; detail: string } {
  if (device.link === null) return refusal('device_unmounted', 'the device is mounted on no unit');
  return { ok: true, link: device.link };
}

/**
 * The last frame of each device that was refused as a whole. A device sends such a frame again until it is acknowledged,
 * and it never is: so the first one is kept as a reject, and its repeats are counted alone. Knows digests; refuses to
 * know frames and where rejects are kept.
 */
import { createHash } from 'node:crypto';

export class BadFrames {
  readonly #devicesMax: number;
  readonly #digests = new Map<number, string>();

  /** Remembers a frame of `devicesMax` devices; beyond, the one that was noted longest ago is forgotten. */
  constructor(devicesMax: number) {
    this.#devicesMax = devicesMax;
  }

  /** Notes the frame as the device's last one; whether it is another one than before. */
  isNew(iotDeviceId: number, frame: Buffer): boolean {
    const digest = createHash('sha256').update(frame).digest('base64');
    if (this.#digests.get(iotDeviceId) === digest) return false;
    this.#digests.delete(iotDeviceId);
    this.#digests.set(iotDeviceId, digest);
    if (this.#digests.size > this.#devicesMax) {
      const [oldest] = this.#digests.keys();
      this.#digests.delete(oldest!);
    }
    return true;
  }

  /** Forgets the device's frame: it could not be kept after all. */
  forget(iotDeviceId: number): void {
    this.#digests.delete(iotDeviceId);
  }
}

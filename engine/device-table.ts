/** From device ids to slots: open addressing in flat arrays, as a `Map` takes twice the memory and the time. */

const EMPTY = -1;
const DELETED = -2;
/** Of the places, that may be taken. */
const LOAD_MAX = 0.6;
const PLACES_MIN = 1024;

export class DeviceTable {
  private ids = new Float64Array(PLACES_MIN);
  private slots = new Int32Array(PLACES_MIN).fill(EMPTY);
  /** Places that are or were taken. */
  private used = 0;
  size = 0;

  /** The slot of a device, −1 where there is none. */
  get(deviceId: number): number {
    const { ids, slots } = this;
    const mask = slots.length - 1;
    for (let place = hash(deviceId) & mask; ; place = (place + 1) & mask) {
      const slot = slots[place]!;
      if (slot === EMPTY) return -1;
      if (slot !== DELETED && ids[place] === deviceId) return slot;
    }
  }

  /** Puts a device in that is not there. */
  add(deviceId: number, slot: number): void {
    if (this.used + 1 > LOAD_MAX * this.slots.length) this.rebuild();
    const { ids, slots } = this;
    const mask = slots.length - 1;
    let place = hash(deviceId) & mask;
    while (slots[place]! >= 0) place = (place + 1) & mask;
    if (slots[place] === EMPTY) this.used++;
    ids[place] = deviceId;
    slots[place] = slot;
    this.size++;
  }

  /** Takes a device out; nothing where it is not there. */
  delete(deviceId: number): void {
    const { ids, slots } = this;
    const mask = slots.length - 1;
    for (let place = hash(deviceId) & mask; slots[place] !== EMPTY; place = (place + 1) & mask) {
      if (slots[place] === DELETED || ids[place] !== deviceId) continue;
      slots[place] = DELETED;
      this.size--;
      return;
    }
  }

  private rebuild(): void {
    const { ids, slots } = this;
    let places = PLACES_MIN;
    while (this.size * 1.5 > LOAD_MAX * places) places *= 2;
    this.ids = new Float64Array(places);
    this.slots = new Int32Array(places).fill(EMPTY);
    this.used = 0;
    this.size = 0;
    for (let place = 0; place < slots.length; place++) {
      if (slots[place]! >= 0) this.add(ids[place]!, slots[place]!);
    }
  }
}

/** Ids are whole numbers that mostly follow one another; both halves of large ones count. */
function hash(deviceId: number): number {
  const mixed = Math.imul((deviceId | 0) ^ ((deviceId / 2 ** 32) | 0), 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

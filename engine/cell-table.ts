/**
 * From cells of one size to the items in them: open addressing, with the items of a cell side by side, each with a mark that
 * who put it in gives it. Knows whole numbers only.
 */

import { grownLength, larger } from './growth.ts';

const EMPTY = -1;
/** Values of a place: column, row, where the cell's list begins, and its length. A place is a quarter of a cache line. */
const PLACE_VALUES = 4;
const PLACES_MIN = 16;
/** Of the places, that may be taken. */
const LOAD_MAX = 0.6;
const LIST_MIN = 2;
/** Values of an entry of a list: item and mark. */
export const ENTRY_VALUES = 2;

export class CellTable {
  /** Lists, one after the other; valid until the next change. */
  lists = new Int32Array(64);
  /** What `find` found: where the list begins, in values. */
  start = 0;
  /** Items in all cells together. */
  size = 0;
  private places = new Int32Array(PLACES_MIN * PLACE_VALUES).fill(EMPTY);
  private placeCount = PLACES_MIN;
  private used = 0;
  private listsUsed = 0;
  /** Lists that are not in use, by the power of two that is their room. */
  private readonly free: number[][] = [];

  /** The number of a cell's entries, which begin at `lists[start]`; 0 for a cell without items. */
  find(column: number, row: number): number {
    const at = this.placeOf(column, row);
    const { places } = this;
    if (places[at + 2] === EMPTY) return 0;
    this.start = places[at + 2]!;
    return places[at + 3]!;
  }

  add(column: number, row: number, item: number, mark: number): void {
    if (this.used + 1 > LOAD_MAX * this.placeCount) this.rebuild();
    const at = this.placeOf(column, row);
    const { places } = this;
    if (places[at + 2] === EMPTY) {
      places[at] = column;
      places[at + 1] = row;
      places[at + 2] = this.takeList(LIST_MIN);
      places[at + 3] = 0;
      this.used++;
    }
    const length = places[at + 3]!;
    // A list whose length is a power of two is full.
    if (length >= LIST_MIN && (length & (length - 1)) === 0) {
      const start = this.takeList(2 * length);
      this.lists.copyWithin(start, places[at + 2]!, places[at + 2]! + ENTRY_VALUES * length);
      this.giveBackList(places[at + 2]!, length);
      places[at + 2] = start;
    }
    const entry = places[at + 2]! + ENTRY_VALUES * length;
    this.lists[entry] = item;
    this.lists[entry + 1] = mark;
    places[at + 3] = length + 1;
    this.size++;
  }

  /** Takes an item out of a cell; false when it is not in it. */
  remove(column: number, row: number, item: number): boolean {
    const length = this.find(column, row);
    const { lists, start } = this;
    const last = start + ENTRY_VALUES * (length - 1);
    for (let at = start; at <= last; at += ENTRY_VALUES) {
      if (lists[at] !== item) continue;
      lists[at] = lists[last]!;
      lists[at + 1] = lists[last + 1]!;
      this.shorten(this.placeOf(column, row), start, length - 1);
      this.size--;
      return true;
    }
    return false;
  }

  /** An empty cell keeps its place and its room, until the next rebuild drops both. */
  private shorten(at: number, start: number, length: number): void {
    this.places[at + 3] = length;
    // The list goes to a smaller room where one is full again, so that its room follows from its length.
    if (length < LIST_MIN || (length & (length - 1)) !== 0) return;
    const smaller = this.takeList(length);
    this.lists.copyWithin(smaller, start, start + ENTRY_VALUES * length);
    this.giveBackList(start, 2 * length);
    this.places[at + 2] = smaller;
  }

  private placeOf(column: number, row: number): number {
    const { places } = this;
    const mask = this.placeCount - 1;
    for (let place = hash(column, row) & mask; ; place = (place + 1) & mask) {
      const at = place * PLACE_VALUES;
      if (places[at + 2] === EMPTY) return at;
      if (places[at] === column && places[at + 1] === row) return at;
    }
  }

  private rebuild(): void {
    const { places, placeCount } = this;
    let live = 0;
    for (let at = 0; at < placeCount * PLACE_VALUES; at += PLACE_VALUES) {
      if (places[at + 2] !== EMPTY && places[at + 3]! > 0) live++;
    }
    let wanted = PLACES_MIN;
    while ((live + 1) * 1.5 > LOAD_MAX * wanted) wanted *= 2;
    this.places = new Int32Array(wanted * PLACE_VALUES).fill(EMPTY);
    this.placeCount = wanted;
    this.used = live;
    for (let at = 0; at < placeCount * PLACE_VALUES; at += PLACE_VALUES) {
      if (places[at + 2] === EMPTY) continue;
      if (places[at + 3] === 0) this.giveBackList(places[at + 2]!, LIST_MIN);
      else
        this.places.set(
          places.subarray(at, at + PLACE_VALUES),
          this.placeOf(places[at]!, places[at + 1]!),
        );
    }
  }

  private takeList(room: number): number {
    const again = this.free[Math.log2(room)]?.pop();
    if (again !== undefined) return again;
    const start = this.listsUsed;
    this.listsUsed += ENTRY_VALUES * room;
    if (this.listsUsed > this.lists.length) {
      const length = Math.max(this.listsUsed, grownLength(this.lists.length));
      this.lists = larger(this.lists, new Int32Array(length));
    }
    return start;
  }

  private giveBackList(start: number, room: number): void {
    (this.free[Math.log2(room)] ??= []).push(start);
  }
}

function hash(column: number, row: number): number {
  const mixed = Math.imul(column, 0x9e3779b1) ^ Math.imul(row, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

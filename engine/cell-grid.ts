/**
 * Finds boxes by place: grids of cells, each of cells four times as wide as the next, and each box in the finest whose cells are
 * as large as it is, so that it lies in four of them at most. A point is in one cell of each grid that holds anything: a few lines
 * of memory, however many boxes there are. Knows boxes and sides, no shapes.
 *
 * Beside its box an item keeps a coarse picture of its shape: which of 8 × 8 cells of the box lie inside or outside as a
 * whole. Most points need nothing else of it. Of a shape of few edges it knows which of them reach into each row of cells.
 */
import { CellTable, ENTRY_VALUES } from './cell-table.ts';
import { grownLength, larger } from './growth.ts';
import { floatAbove, floatBelow } from './floats.ts';
import type { Box } from './part.ts';

/** Cells of the finest grid are 2^−11 degrees wide, some 54 m; smaller boxes are in that as well. */
const LEVEL_MIN = -11;
/** The coarsest holds the world in one cell. */
const LEVEL_MAX = 9;
const LEVELS = LEVEL_MAX - LEVEL_MIN + 1;
/** Only every other grid is used, the coarsest among them: looking in one more costs more than lists twice as long. */
const LEVEL_STEP = 2;
/** An item's values: four of its box, four of its picture, eight of its edges. A cache line. */
const ITEM_VALUES = 16;
const PICTURE = 4;
const EDGES = 8;
const ITEMS_MIN = 16;
/** Cells of a picture a side. */
export const PICTURE_CELLS = 8;
/** A longer way is looked up in halves, so that it does not drag a wide box along. */
const WAY_CELLS_MAX = 4;
/** Of the finest grid in use, a side. */
const AREA_CELLS_MAX = 4;

export const MIXED = 0;
export const INSIDE = 1;
export const OUTSIDE = 2;

/** As bits: every edge, however many there are. */
export const ALL_EDGES = -1;
/** A shape of more edges than these has no bit for each. */
export const EDGE_BITS = 31;

/** Where a box that is searched for lies. */
export interface Area {
  minX: number;
  minY: number;
  maxX: number;
  maxY: number;
}

/** A straight way. */
export interface Way {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

export class CellGrid {
  /** What the last search found: `found[0…count)`, where `count` is what it gave. */
  found = new Int32Array(64);
  private count = 0;
  private readonly tables: (CellTable | null)[] = new Array<CellTable | null>(LEVELS).fill(null);
  /** Levels that hold something, coarse ones first. */
  private levels: number[] = [];
  private floats = new Float32Array(ITEMS_MIN * ITEM_VALUES);
  private words = new Int32Array(this.floats.buffer);
  /** The last search that found an item. */
  private stamps = new Int32Array(ITEMS_MIN);
  private stamp = 0;
  private itemCount = 0;
  private readonly free: number[] = [];

  /** Puts a box in and gives its item. All of its picture is mixed at first. */
  add(box: Box): number {
    const item = this.free.pop() ?? this.itemCount++;
    if (item === this.stamps.length) this.grow();
    const at = item * ITEM_VALUES;
    this.floats[at] = floatBelow(box.minX);
    this.floats[at + 1] = floatBelow(box.minY);
    this.floats[at + 2] = floatAbove(box.maxX);
    this.floats[at + 3] = floatAbove(box.maxY);
    this.words.fill(0, at + PICTURE, at + EDGES);
    this.words.fill(ALL_EDGES, at + EDGES, at + ITEM_VALUES);
    this.stamps[item] = 0;
    this.eachCell(item, (table, column, row, mark) => table.add(column, row, item, mark));
    return item;
  }

  /** Takes an item out. */
  remove(item: number): void {
    this.eachCell(item, (table, column, row) => table.remove(column, row, item));
    this.free.push(item);
    const { tables } = this;
    const before = this.levels.length;
    this.levels = this.levels.filter((level) => tables[level]!.size > 0);
    if (this.levels.length < before) {
      for (let level = 0; level < LEVELS; level++) {
        if (!this.levels.includes(level)) tables[level] = null;
      }
    }
  }

  /** The box of an item as the grid has it: as given, or larger by a rounding. */
  boxOf(item: number): Box {
    const at = item * ITEM_VALUES;
    return {
      minX: this.floats[at]!,
      minY: this.floats[at + 1]!,
      maxX: this.floats[at + 2]!,
      maxY: this.floats[at + 3]!,
    };
  }

  /** Says what a cell of an item's picture is, row by row from the south-west. */
  setPicture(item: number, cell: number, state: number): void {
    this.words[item * ITEM_VALUES + PICTURE + (cell >> 4)]! |= state << ((cell & 15) * 2);
  }

  /** Says which edges reach into a row of an item's picture: bit i for edge i. */
  setEdges(item: number, row: number, edges: number): void {
    this.words[item * ITEM_VALUES + EDGES + row] = edges;
  }

  /** The edges that may matter to a point at this latitude in the item's box; `ALL_EDGES` when that is not known. */
  edgesAt(item: number, y: number): number {
    const at = item * ITEM_VALUES;
    const minY = this.floats[at + 1]!;
    const row = ((y - minY) * PICTURE_CELLS) / (this.floats[at + 3]! - minY);
    const last = PICTURE_CELLS - 1;
    return this.words[at + EDGES + (row < last ? row | 0 : last)]!;
  }

  /** Whether an item's box is further than this from a point, along one of the axes. */
  isApart(item: number, x: number, y: number, reachX: number, reachY: number): boolean {
    const { floats } = this;
    const at = item * ITEM_VALUES;
    return (
      x < floats[at]! - reachX ||
      x > floats[at + 2]! + reachX ||
      y < floats[at + 1]! - reachY ||
      y > floats[at + 3]! + reachY
    );
  }

  /** Whether an item's box holds a point. */
  holds(item: number, x: number, y: number): boolean {
    const { floats } = this;
    const at = item * ITEM_VALUES;
    return (
      (x - floats[at]!) * (floats[at + 2]! - x) >= 0 &&
      (y - floats[at + 1]!) * (floats[at + 3]! - y) >= 0
    );
  }

  /** Finds the items in whose boxes a point lies, or nearly. */
  searchPoint(x: number, y: number): number {
    this.count = 0;
    const { levels } = this;
    for (let l = 0; l < levels.length; l++) {
      const table = this.tables[levels[l]!]!;
      const scale = scaleOf(levels[l]!);
      const length = table.find(Math.floor(x * scale), Math.floor(y * scale));
      if (length > 0) this.collect(table, length, placeMark(x * scale, y * scale), true);
    }
    return this.count;
  }

  /** What the picture of an item says of a point in its box: `MIXED`, `INSIDE` or `OUTSIDE`. */
  pictureAt(item: number, x: number, y: number): number {
    const { floats, words } = this;
    const at = item * ITEM_VALUES;
    const minX = floats[at]!;
    const minY = floats[at + 1]!;
    const column = ((x - minX) * PICTURE_CELLS) / (floats[at + 2]! - minX);
    const row = ((y - minY) * PICTURE_CELLS) / (floats[at + 3]! - minY);
    const last = PICTURE_CELLS - 1;
    const cell =
      (row < last ? row | 0 : last) * PICTURE_CELLS + (column < last ? column | 0 : last);
    return (words[at + PICTURE + (cell >> 4)]! >> ((cell & 15) * 2)) & 3;
  }

  /** Whether some cell of an item's picture that an area meets is mixed: elsewhere no boundary of it can be. */
  isMixedAlong(item: number, { minX, minY, maxX, maxY }: Area): boolean {
    const { floats, words } = this;
    const at = item * ITEM_VALUES;
    const boxMinX = floats[at]!;
    const boxMinY = floats[at + 1]!;
    const boxMaxX = floats[at + 2]!;
    const boxMaxY = floats[at + 3]!;
    if (minX > boxMaxX || maxX < boxMinX || minY > boxMaxY || maxY < boxMinY) return false;
    const scaleX = PICTURE_CELLS / (boxMaxX - boxMinX);
    const scaleY = PICTURE_CELLS / (boxMaxY - boxMinY);
    const lastColumn = pictureCell((maxX - boxMinX) * scaleX + PICTURE_PAD);
    const lastRow = pictureCell((maxY - boxMinY) * scaleY + PICTURE_PAD);
    const firstColumn = pictureCell((minX - boxMinX) * scaleX - PICTURE_PAD);
    // Of a row's 16 bits, the columns from the first to the last.
    const columns = ((1 << (2 * (lastColumn - firstColumn + 1))) - 1) << (2 * firstColumn);
    for (let row = pictureCell((minY - boxMinY) * scaleY - PICTURE_PAD); row <= lastRow; row++) {
      const states = words[at + PICTURE + (row >> 1)]! >>> ((row & 1) * 16);
      // A mixed cell has neither bit.
      if (((states | (states >> 1)) & columns & 0x5555) !== (columns & 0x5555)) return true;
    }
    return false;
  }

  /** The edges that may reach into an area, as `edgesAt` has them. */
  edgesAlong(item: number, { minY, maxY }: Area): number {
    const { floats, words } = this;
    const at = item * ITEM_VALUES;
    const boxMinY = floats[at + 1]!;
    const scaleY = PICTURE_CELLS / (floats[at + 3]! - boxMinY);
    const lastRow = pictureCell((maxY - boxMinY) * scaleY + PICTURE_PAD);
    let edges = 0;
    for (let row = pictureCell((minY - boxMinY) * scaleY - PICTURE_PAD); row <= lastRow; row++) {
      edges |= words[at + EDGES + row]!;
    }
    return edges;
  }

  /** The longest side of an area that is found by looking at a few cells; Infinity while there is nothing to find. */
  areaSideDegMax(): number {
    const { levels } = this;
    return levels.length === 0 ? Infinity : AREA_CELLS_MAX / scaleOf(levels[levels.length - 1]!);
  }

  /** Finds the items whose boxes meet an area, or nearly, each once. */
  searchArea(area: Area): number {
    this.beginSearch();
    for (const level of this.levels) this.searchLevel(level, area, false);
    return this.count;
  }

  /** Finds items whose boxes meet an area round a way, each once; of those that meet only its corners, some may be left out. */
  searchWay(way: Way): number {
    this.beginSearch();
    for (const level of this.levels) this.searchPiece(level, way, 0, 1);
    return this.count;
  }

  private searchPiece(level: number, way: Way, from: number, to: number): void {
    const ax = way.x0 + from * (way.x1 - way.x0);
    const ay = way.y0 + from * (way.y1 - way.y0);
    const bx = to === 1 ? way.x1 : way.x0 + to * (way.x1 - way.x0);
    const by = to === 1 ? way.y1 : way.y0 + to * (way.y1 - way.y0);
    const scale = scaleOf(level);
    if (Math.max(Math.abs(bx - ax), Math.abs(by - ay)) * scale > WAY_CELLS_MAX) {
      const middle = (from + to) / 2;
      this.searchPiece(level, way, from, middle);
      this.searchPiece(level, way, middle, to);
      return;
    }
    area.minX = Math.min(ax, bx) - WAY_PAD_DEG;
    area.maxX = Math.max(ax, bx) + WAY_PAD_DEG;
    area.minY = Math.min(ay, by) - WAY_PAD_DEG;
    area.maxY = Math.max(ay, by) + WAY_PAD_DEG;
    this.searchLevel(level, area, from > 0 || to < 1);
  }

  private searchLevel(level: number, box: Area, isInPieces: boolean): void {
    const table = this.tables[level]!;
    const scale = scaleOf(level);
    const firstColumn = Math.floor(box.minX * scale);
    const firstRow = Math.floor(box.minY * scale);
    const lastColumn = Math.floor(box.maxX * scale);
    const lastRow = Math.floor(box.maxY * scale);
    const isOnlyCell = !isInPieces && firstColumn === lastColumn && firstRow === lastRow;
    for (let column = firstColumn; column <= lastColumn; column++) {
      for (let row = firstRow; row <= lastRow; row++) {
        const length = table.find(column, row);
        if (length === 0) continue;
        this.collect(table, length, areaMark(box, scale, column, row), isOnlyCell);
      }
    }
  }

  /**
   * Puts those of a cell's items into `found` whose marks meet the given one, each once in a search: in a table of which only
   * one cell is looked at, no item can come twice.
   */
  private collect(
    { lists, start }: CellTable,
    length: number,
    mark: number,
    isOnlyCell: boolean,
  ): void {
    const { stamps, stamp } = this;
    if (this.count + length > this.found.length) this.growFound(length);
    const { found } = this;
    const minX = mark & 255;
    const minY = (mark >> 8) & 255;
    const maxX = (mark >> 16) & 255;
    const maxY = mark >>> 24;
    let count = this.count;
    const end = start + ENTRY_VALUES * length;
    for (let at = start; at < end; at += ENTRY_VALUES) {
      const box = lists[at + 1]!;
      // Apart when one of the differences is negative: all in one branch, as what cannot be foretold costs most.
      const apart =
        (maxX - (box & 255)) |
        (((box >> 16) & 255) - minX) |
        (maxY - ((box >> 8) & 255)) |
        ((box >>> 24) - minY);
      if (apart < 0) continue;
      const item = lists[at]!;
      if (!isOnlyCell) {
        if (stamps[item] === stamp) continue;
        stamps[item] = stamp;
      }
      found[count++] = item;
    }
    this.count = count;
  }

  private beginSearch(): void {
    this.count = 0;
    this.stamp = (this.stamp + 1) | 0;
    if (this.stamp !== 0) return;
    this.stamps.fill(0);
    this.stamp = 1;
  }

  private eachCell(
    item: number,
    visit: (table: CellTable, column: number, row: number, mark: number) => void,
  ): void {
    const box = this.boxOf(item);
    const { minX, minY, maxX, maxY } = box;
    const level = levelOf(Math.max(maxX - minX, maxY - minY));
    let table = this.tables[level];
    if (!table) {
      table = this.tables[level] = new CellTable();
      this.levels = [...this.levels, level].sort((a, b) => b - a);
    }
    const scale = scaleOf(level);
    const lastColumn = Math.floor(maxX * scale);
    const lastRow = Math.floor(maxY * scale);
    for (let column = Math.floor(minX * scale); column <= lastColumn; column++) {
      for (let row = Math.floor(minY * scale); row <= lastRow; row++) {
        visit(table, column, row, areaMark(box, scale, column, row));
      }
    }
  }

  private grow(): void {
    const items = grownLength(this.stamps.length);
    const floats = new Float32Array(items * ITEM_VALUES);
    // As words: a picture is no number, and a float may not keep its bits.
    this.words = larger(this.words, new Int32Array(floats.buffer));
    this.floats = floats;
    this.stamps = larger(this.stamps, new Int32Array(items));
  }

  private growFound(more: number): void {
    this.found = larger(this.found, new Int32Array(2 * (this.count + more)));
  }
}

/** What rounding may take a piece of a way off it by, and more. */
const WAY_PAD_DEG = 1e-9;
/** Cells of a picture that an area only touches count as met. */
const PICTURE_PAD = 1e-6;
const area: Area = { minX: 0, minY: 0, maxX: 0, maxY: 0 };

/**
 * An area as a cell sees it: its bounds within the cell in 256ths, minX, minY, maxX, maxY from the lowest byte. What rounds
 * them is the same for all, so areas that meet have marks that meet.
 */
function areaMark(
  { minX, minY, maxX, maxY }: Area,
  scale: number,
  column: number,
  row: number,
): number {
  return (
    within(minX * scale - column) |
    (within(minY * scale - row) << 8) |
    (within(maxX * scale - column) << 16) |
    (within(maxY * scale - row) << 24)
  );
}

function placeMark(x: number, y: number): number {
  const column = within(x - Math.floor(x));
  const row = within(y - Math.floor(y));
  return column | (row << 8) | (column << 16) | (row << 24);
}

function within(share: number): number {
  return share >= 1 ? 255 : share > 0 ? (share * 256) | 0 : 0;
}

/** A row or column of a picture, the nearest one for what lies beside it. */
function pictureCell(share: number): number {
  return share >= PICTURE_CELLS ? PICTURE_CELLS - 1 : share > 0 ? share | 0 : 0;
}

/** Cells a degree. */
function scaleOf(level: number): number {
  return SCALES[level]!;
}

const SCALES = Float64Array.from({ length: LEVELS }, (_, level) => 2 ** -(level + LEVEL_MIN));

/** The finest level in use whose cells are as large as a box. */
function levelOf(sideDeg: number): number {
  let level = 0;
  while (level < LEVELS - 1 && sideDeg * SCALES[level]! > 1) level += LEVEL_STEP;
  return level;
}

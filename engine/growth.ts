/** How arrays grow: by a quarter, so that growing costs little, and never by so much that the room wasted is large. */

const MORE_MAX = 2 ** 16;

/** The next length of an array that is full. */
export function grownLength(length: number): number {
  return length + Math.min(Math.ceil(length / 4), MORE_MAX);
}

/** The longer array, which begins with what the shorter one holds. */
export function larger<T extends { set(array: T): void }>(array: T, longer: T): T {
  longer.set(array);
  return longer;
}

/** An array of so many, and of the kind that it stays when it grows: V8 throws code away that has seen another kind. */
export function filled<T>(length: number, value: T): T[] {
  return new Array<T>(length).fill(value);
}

/**
 * Reads SUBSCRIBE and UNSUBSCRIBE as far as a server needs that grants neither: the identifier and how many filters
 * there are. Knows sections 3.8 and 3.10; refuses to know what a filter matches.
 */
import type { Version } from './connect-reader.ts';
import type { Fault } from './faults.ts';
import { FILTERS_MAX, MALFORMED, PROTOCOL_ERROR } from './faults.ts';
import type { FieldCursor } from './field-cursor.ts';
import {
  SUBSCRIBE_PROPERTIES,
  UNSUBSCRIBE_PROPERTIES,
  type PropertyTable,
} from './field-cursor.ts';

/** `fault` null: `packetId` and `filterCount` hold. */
export interface FilterList {
  readonly fault: Fault | null;
  readonly packetId: number;
  readonly filterCount: number;
}

/** Reads the body of a SUBSCRIBE, up to `filtersMax` filters. */
export function readSubscribe(
  cursor: FieldCursor,
  version: Version,
  filtersMax: number,
): FilterList {
  return readFilters(cursor, version === 5 ? SUBSCRIBE_PROPERTIES : null, filtersMax, () => {
    const options = cursor.u8();
    const reservedMask = version === 5 ? 0xc0 : 0xfc;
    const invalid = (options & reservedMask) !== 0 || (options & 3) === 3;
    if (invalid) cursor.fail(MALFORMED);
    if (version === 5 && ((options >> 4) & 3) === 3) cursor.fail(PROTOCOL_ERROR);
  });
}

/** Reads the body of an UNSUBSCRIBE, up to `filtersMax` filters. */
export function readUnsubscribe(
  cursor: FieldCursor,
  version: Version,
  filtersMax: number,
): FilterList {
  return readFilters(cursor, version === 5 ? UNSUBSCRIBE_PROPERTIES : null, filtersMax, () => {});
}

function readFilters(
  cursor: FieldCursor,
  properties: PropertyTable | null,
  filtersMax: number,
  readOptions: () => void,
): FilterList {
  const packetId = cursor.u16();
  if (packetId === 0) cursor.fail(PROTOCOL_ERROR);
  if (properties !== null) cursor.properties(properties);
  let filterCount = 0;
  while (!cursor.atEnd && cursor.fault === null) {
    if (cursor.string() === 0) cursor.fail(MALFORMED);
    readOptions();
    if (++filterCount > filtersMax) cursor.fail(FILTERS_MAX);
  }
  if (filterCount === 0) cursor.fail(PROTOCOL_ERROR);
  return { fault: cursor.fault, packetId, filterCount };
}

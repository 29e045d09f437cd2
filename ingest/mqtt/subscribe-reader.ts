/**
 * Reads SUBSCRIBE and UNSUBSCRIBE. Knows sections 3.8 and 3.10 of 3.1.1 and 5.0; refuses to know which filters are
 * granted.
 */
import type { Version } from './connect-reader.ts';
import type { Fault } from './faults.ts';
import { FILTER_INVALID, FILTERS_MAX, MALFORMED, PROTOCOL_ERROR } from './faults.ts';
import type { FieldCursor } from './field-cursor.ts';
import { PROPERTY, SUBSCRIBE_PROPERTIES, UNSUBSCRIBE_PROPERTIES } from './field-cursor.ts';
import type { FilterKind } from './topics.ts';
import { judgeFilter } from './topics.ts';

/** One filter of a SUBSCRIBE. An invalid one is a fault of the packet, so there is none here. */
export interface FilterRequest {
  readonly filter: string;
  readonly kind: Exclude<FilterKind, 'invalid'>;
  readonly qos: 0 | 1 | 2;
}

/** `fault` null: the other fields hold. */
export interface SubscribeRequest {
  readonly fault: Fault | null;
  readonly packetId: number;
  readonly filters: readonly FilterRequest[];
  /** The Subscription Identifier of 5.0, for all filters of the packet. */
  readonly identifier: number | null;
}

/** `fault` null: the other fields hold. */
export interface UnsubscribeRequest {
  readonly fault: Fault | null;
  readonly packetId: number;
  readonly filters: readonly string[];
}

const QOS_MASK = 0x03;
const NO_LOCAL = 0x04;
const RETAIN_HANDLING_SHIFT = 4;

/** Reads the body of a SUBSCRIBE, up to `filtersMax` filters. */
export function readSubscribe(
  cursor: FieldCursor,
  version: Version,
  filtersMax: number,
): SubscribeRequest {
  const packetId = readPacketId(cursor);
  let identifier: number | null = null;
  if (version === 5) {
    cursor.properties(SUBSCRIBE_PROPERTIES, (id, value, at) => {
      if (id !== PROPERTY.subscriptionIdentifier) return;
      if (value === 0) at.fail(PROTOCOL_ERROR);
      identifier = value;
    });
  }
  const filters = readFilters(cursor, filtersMax, () => readFilterRequest(cursor, version));
  return { fault: cursor.fault, packetId, filters, identifier };
}

/** Reads the body of an UNSUBSCRIBE, up to `filtersMax` filters. */
export function readUnsubscribe(
  cursor: FieldCursor,
  version: Version,
  filtersMax: number,
): UnsubscribeRequest {
  const packetId = readPacketId(cursor);
  if (version === 5) cursor.properties(UNSUBSCRIBE_PROPERTIES);
  const filters = readFilters(cursor, filtersMax, () => {
    const filter = cursor.text();
    if (judgeFilter(filter, version === 5) === 'invalid') cursor.fail(FILTER_INVALID);
    return filter;
  });
  return { fault: cursor.fault, packetId, filters };
}

/** An identifier of 0 is none [MQTT-2.2.1-3]. */
function readPacketId(cursor: FieldCursor): number {
  const packetId = cursor.u16();
  if (packetId === 0) cursor.fail(PROTOCOL_ERROR);
  return packetId;
}

function readFilters<T>(cursor: FieldCursor, filtersMax: number, readOne: () => T): T[] {
  const filters: T[] = [];
  while (!cursor.atEnd && cursor.fault === null) {
    if (filters.length === filtersMax) cursor.fail(FILTERS_MAX);
    else filters.push(readOne());
  }
  if (filters.length === 0) cursor.fail(PROTOCOL_ERROR);
  return filters;
}

function readFilterRequest(cursor: FieldCursor, version: Version): FilterRequest {
  const filter = cursor.text();
  const options = cursor.u8();
  const qos = options & QOS_MASK;
  if (version === 4 && options > 2) cursor.fail(MALFORMED);
  if (version === 5) {
    if ((options & 0xc0) !== 0) cursor.fail(MALFORMED);
    if (qos === 3 || (options >> RETAIN_HANDLING_SHIFT) % 4 === 3) cursor.fail(PROTOCOL_ERROR);
  }
  const kind = judgeFilter(filter, version === 5);
  if (kind === 'invalid') cursor.fail(FILTER_INVALID);
  // Nothing would come of it, and a shared subscription may not have it [MQTT-3.8.3-4].
  if (kind === 'shared' && (options & NO_LOCAL) !== 0) cursor.fail(PROTOCOL_ERROR);
  return { filter, kind: kind === 'invalid' ? 'plain' : kind, qos: qos as 0 | 1 | 2 };
}

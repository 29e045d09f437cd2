/**
 * Reads what a client sent. Knows the shape of the three client messages and nothing of who sent them; what it returns
 * has been rebuilt field by field, so nothing a client adds gets any further.
 */
import sjson from 'secure-json-parse';
import type { LiveLimits } from './limits.ts';
import type { ClientMessage, LiveErrorCode, LiveViewport, SubscribeMessage } from './wire.ts';

export type ParsedMessage =
  | { readonly ok: true; readonly message: ClientMessage }
  | { readonly ok: false; readonly code: LiveErrorCode; readonly detail: string };

/**
 * Turns the text of one frame into a message, or says what is wrong with it in words fit for the client. Unknown
 * fields are ignored; unknown types are refused. The length of `text` has been bounded by the transport.
 */
export function parseClientMessage(text: string, limits: LiveLimits): ParsedMessage {
  let value: unknown;
  try {
    value = sjson.parse(text);
  } catch {
    return { ok: false, code: 'message_malformed', detail: 'Send one JSON object per message.' };
  }
  if (!isObject(value)) return invalid('Send one JSON object per message.');
  switch (value['type']) {
    case 'ping':
      return { ok: true, message: { type: 'ping' } };
    case 'auth':
      return readAuth(value, limits);
    case 'subscribe':
      return readSubscribe(value, limits);
    default:
      return invalid('type must be auth, subscribe or ping.');
  }
}

function readAuth(value: Record<string, unknown>, limits: LiveLimits): ParsedMessage {
  const token = value['token'];
  if (typeof token !== 'string' || token === '' || token.length > limits.tokenBytesMax) {
    return invalid(`token must be a string of 1 to ${limits.tokenBytesMax} characters.`);
  }
  return { ok: true, message: { type: 'auth', token } };
}

function readSubscribe(value: Record<string, unknown>, limits: LiveLimits): ParsedMessage {
  const message: SubscribeMessage = { type: 'subscribe' };
  if (value['viewport'] !== undefined) {
    const viewport = readViewport(value['viewport']);
    if (viewport === null) {
      return invalid('viewport must be {west, south, east, north} in degrees, south <= north.');
    }
    message.viewport = viewport;
  }
  if (value['equipment_ids'] !== undefined) {
    const ids = readIds(value['equipment_ids'], limits.equipmentIdsMax);
    if (ids === null) {
      return invalid(
        `equipment_ids must hold at most ${limits.equipmentIdsMax} positive integers.`,
      );
    }
    message.equipment_ids = ids;
  }
  if (value['events'] !== undefined) {
    if (typeof value['events'] !== 'boolean') return invalid('events must be true or false.');
    message.events = value['events'];
  }
  if (value['events_since'] !== undefined) {
    const since = value['events_since'];
    if (!Number.isSafeInteger(since) || (since as number) < 0) {
      return invalid('events_since must be a cursor that the server sent.');
    }
    message.events_since = since as number;
  }
  return { ok: true, message };
}

function readViewport(value: unknown): LiveViewport | null {
  if (!isObject(value)) return null;
  const { west, south, east, north } = value;
  if (!within(west, 180) || !within(east, 180) || !within(south, 90) || !within(north, 90))
    return null;
  return south <= north ? { west, south, east, north } : null;
}

function within(value: unknown, bound: number): value is number {
  return typeof value === 'number' && value >= -bound && value <= bound;
}

function readIds(value: unknown, countMax: number): number[] | null {
  if (!Array.isArray(value) || value.length > countMax) return null;
  const ids: number[] = [];
  for (const id of value as unknown[]) {
    if (!Number.isSafeInteger(id) || (id as number) <= 0) return null;
    ids.push(id as number);
  }
  return ids;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(detail: string): ParsedMessage {
  return { ok: false, code: 'message_invalid', detail };
}

/**
 * What a format says of the wires it comes over, so that doors can be opened from a list: `formats.ts`. Plain types;
 * knows no decoder, no socket and no registry.
 */
import type { Decoded } from './decoded.ts';

/**
 * One format: a name, by which metrics and rejects know it too, and a way in for each wire that it comes over. State the
 * name in the type (`Format<'osmand'>`): what names a source is the sum of them.
 */
export interface Format<Name extends string = string> {
  readonly name: Name;
  readonly http?: HttpWire;
  readonly mqtt?: MqttWire;
  readonly tcp?: TcpWire;
}

/**
 * How an HTTP request may say who it is, tried in this order: `bearer`, the token of a device or gateway; `basic`, a
 * device's name and token, or any user with a gateway's token; `token_key`, such a token as the key `token` of the query
 * or form; `name`, the device's name alone, for devices that are marked for it.
 */
export type HttpCredential = 'bearer' | 'basic' | 'token_key' | 'name';

/**
 * What a request is answered with once all of it is committed: `empty`, no body; `empty_list`, `[]`; `counts`, what became
 * of its records.
 */
export type HttpAnswer = 'empty' | 'empty_list' | 'counts';

export interface HttpWire {
  readonly path: `/${string}`;
  readonly methods: readonly ('GET' | 'POST')[];
  /** Without parameters. */
  readonly contentTypes: readonly string[];
  /** Whether bodies of other types, or of none, are let in as well. */
  readonly takesOtherTypes: boolean;
  readonly credentials: readonly HttpCredential[];
  readonly answer: HttpAnswer;
  readonly status: HttpRefusedStatus;
  /** Never throws: what is wrong becomes a refusal. */
  readonly decode: (request: HttpWireRequest) => HttpWireMessage;
  /** For OpenAPI. */
  readonly operation: HttpOperation;
}

/**
 * Statuses for a message of which nothing was stored; all of it is kept as refused. 200 tells the client not to send it
 * again; with another one most clients keep it and try for ever. Why one is right for a client is said where it is chosen.
 */
export interface HttpRefusedStatus {
  /** Every record was refused. */
  readonly refused: 200 | 400;
  /** The message could not be read as a whole. */
  readonly malformed: 200 | 400 | 422;
  /** It is of a device that is not known, or of none. */
  readonly unknownDevice: 200 | 400;
}

export interface HttpOperation {
  /** `{method}` is put before it: `osmand` is `getOsmand` and `postOsmand`. */
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  /** Keys of the query: name → what it is. */
  readonly query?: Readonly<Record<string, string>>;
}

/** A request as a decoder sees it: nothing of its credential is left. */
export interface HttpWireRequest {
  /** The query as it came, without `?` and without the credential. */
  readonly query: string;
  /** In lower case, without parameters; empty where none was given. */
  readonly contentType: string;
  /** Values of headers by their name in lower case. */
  readonly header: (name: string) => string | undefined;
  /** Unpacked; empty where there is none. */
  readonly body: Buffer;
  /** Whether the sender may speak for more than one device, so that the message must name one. */
  readonly mustNameDevice: boolean;
  /** Epoch milliseconds. */
  readonly nowMs: number;
}

export interface HttpWireMessage {
  /** The device that the request as a whole speaks for, where it names one. */
  readonly deviceName: string | null;
  readonly decoded: Decoded;
}

/** Decodes the payload of a publish. Never throws. */
export type TopicDecode = (payload: Buffer, nowMs: number) => Decoded;

export interface MqttWire {
  /** The topics in words, `{device}` for the device's name: for those who published to another one. */
  readonly topics: string;
  /**
   * How to read what `deviceName` publishes to `topic`; `null` for a topic that is not its own in this format. Asked for
   * every publish: compares, and allocates nothing.
   */
  readonly ownTopic: (topic: string, deviceName: string) => TopicDecode | null;
}

/** A wire with a listener of its own, which signs devices in, cuts frames from the stream and answers them. */
export interface TcpWire {
  /** Decodes one whole frame, of the device that has signed in. Never throws. */
  readonly decode: (frame: Buffer, nowMs: number) => Decoded;
}

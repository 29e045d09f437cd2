/**
 * Subscriber mode: the messages of an external broker as intake messages, acknowledged to it after their commit. Knows
 * which device a topic speaks for and what of a message is refused; refuses to know packets and reconnects.
 *
 * The broker is trusted to have checked its devices: a device is who the topic says, and speaks for itself only,
 * whatever the payload says. What cannot be read is kept as a reject and then acknowledged: a message that was left
 * unacknowledged would come again for ever and fill the window.
 */
import assert from 'node:assert/strict';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { emptyDecoded, refuseMessage, type Decoded } from '../decode/decoded.ts';
import type { Intake } from '../intake.ts';
import type { Knock } from '../knocking.ts';
import type { Logger } from '../logger.ts';
import type { IngestMetrics } from '../metrics.ts';
import type { Registry, Sender } from '../registry.ts';
import { BrokerClient } from './client.ts';
import type { BrokerEndpoint, BrokerMessage } from './connection.ts';
import { readTopic } from './topics.ts';

/** The settings; see config.ts. */
export interface SubscriberConfig {
  /** `mqtt://user:password@host:1883` or `mqtts://…:8883`; user and password percent-encoded. */
  readonly url: string;
  readonly topics: readonly string[];
  /** Group of `$share/{group}/{topic}`; empty: plain subscriptions. */
  readonly shareGroup: string;
  /** The session's name at the broker: each subscriber its own, and always the same. */
  readonly clientId: string;
  readonly inFlightMax: number;
}

export interface SubscriberOptions {
  readonly config: SubscriberConfig;
  readonly intake: Pick<Intake, 'submit' | 'isFull' | 'onceDrained'>;
  readonly registry: Pick<Registry, 'deviceNamed'>;
  readonly metrics: Pick<IngestMetrics, 'refused'>;
  readonly log: Logger;
  readonly knock: (knock: Knock) => void;
  /** For `mqtts:`, beside what the URL says; for one, a `ca` that Node does not know. */
  readonly tls?: TlsOptions;
}

export interface Subscriber {
  /** Begins to connect, and goes on for ever. */
  start(): void;
  /** Takes no more messages, for good. Those taken are still acknowledged. */
  pauseReading(): void;
  /**
   * Acknowledges what is committed before the deadline and disconnects. The session stays with the broker, so everything
   * else comes again. To be called when the partitions have been stopped.
   */
  stop(deadline: AbortSignal): Promise<void>;
  /** Why nothing, or not everything, comes from the broker now; empty when all is well. */
  notReady(): string[];
  /** The broker has accepted the connection, and it stands. */
  readonly connected: boolean;
  /** Messages received and not acknowledged. */
  readonly inFlight: number;
}

/**
 * At least once is enough, as storing is idempotent: 2 would cost two more packets a message and change nothing. What
 * an older session delivers with 2 is received all the same.
 */
const SUBSCRIBE_QOS = 1;

/** Makes a subscriber; nothing happens until `start`. */
export function createSubscriber(options: SubscriberOptions): Subscriber {
  const { config, intake, metrics, log } = options;
  const client = new BrokerClient({
    endpoint: readEndpoint(config, options.tls ?? {}),
    filters: config.topics.map((topic) =>
      config.shareGroup === '' ? topic : `$share/${config.shareGroup}/${topic}`,
    ),
    qos: SUBSCRIBE_QOS,
    inFlightMax: config.inFlightMax,
    log,
    metrics,
    sink: {
      get isFull() {
        return intake.isFull;
      },
      onceDrained: (resume) => intake.onceDrained(resume),
      take: (message, done) => take(options, message, done),
    },
  });
  return {
    start: () => client.start(),
    pauseReading: () => client.pauseReading(),
    stop: (deadline) => client.stop(deadline),
    notReady: () => client.problems(),
    get connected() {
      return client.isConnected;
    },
    get inFlight() {
      return client.inFlight;
    },
  };
}

function take(
  options: SubscriberOptions,
  message: BrokerMessage,
  done: (stored: boolean) => void,
): void {
  const { intake, metrics } = options;
  const { topic, payload, isCut, receivedMs } = message;
  if (payload.length === 0 && !isCut) {
    // So a retained message is taken back: nothing is reported by it.
    metrics.refused('broker', 'payload_empty');
    done(true);
    return;
  }
  const { sender, decoded } = read(options, message);
  intake.submit({ source: 'broker', topic, sender, payload, decoded, receivedMs }, (outcome) =>
    done(outcome.stored),
  );
}

function read(
  { registry, knock }: SubscriberOptions,
  { topic, payload, isCut, receivedMs }: BrokerMessage,
): { sender: Sender; decoded: Decoded } {
  const relay: Sender = { kind: 'relay' };
  const found = readTopic(topic);
  if (found === null) {
    return { sender: relay, decoded: refused('topic_unknown', 'no format has this topic') };
  }
  const { deviceName, decode } = found;
  const device = registry.deviceNamed(deviceName);
  if (device === undefined) {
    knock({ protocol: 'broker', deviceName, tenantId: null, payload, remoteAddress: null });
    const decoded = emptyDecoded();
    decoded.refusals.push({
      index: -1,
      reason: 'unknown_device',
      detail: 'no device of the name in the topic is registered',
      device: deviceName,
      payload: null,
    });
    return { sender: relay, decoded };
  }
  // As the device itself, so that a payload cannot speak for another one.
  const sender: Sender = { kind: 'device', device };
  if (isCut) return { sender, decoded: refused('message_too_large', 'the message is too large') };
  return { sender, decoded: decode(payload, receivedMs) };
}

function refused(reason: string, detail: string): Decoded {
  const decoded = emptyDecoded();
  refuseMessage(decoded, reason, detail);
  return decoded;
}

/** The broker's address and our credentials. Bad percent-encoding is taken as it stands. */
function readEndpoint(config: SubscriberConfig, tls: TlsOptions): BrokerEndpoint {
  // A session without a name cannot last.
  assert.notEqual(config.clientId, '');
  const url = new URL(config.url);
  const isTls = url.protocol === 'mqtts:';
  const hasPassword = url.password !== '';
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (isTls ? 8883 : 1883) : Number(url.port),
    tls: isTls ? { minVersion: 'TLSv1.2', ...tls } : null,
    clientId: config.clientId,
    // 3.1.1 has no password without a user [MQTT-3.1.2-22].
    username: url.username === '' && !hasPassword ? undefined : plain(url.username),
    password: hasPassword ? Buffer.from(plain(url.password)) : undefined,
  };
}

function plain(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

/**
 * The ways in that have sockets of their own: MQTT with its transports, Teltonika, and the external broker. Opens and
 * closes them together. Refuses to know what a message holds; HTTP's routes belong to the HTTP server.
 *
 * States: `new` → (open) all listening → (stopAccepting, pauseReading) draining → (close) closed.
 */
import { createSubscriber, type Subscriber, type SubscriberConfig } from './broker/subscriber.ts';
import type { Intake } from './intake.ts';
import type { Knock } from './knocking.ts';
import type { Logger } from './logger.ts';
import type { IngestMetrics } from './metrics.ts';
import { createAuthenticate } from './mqtt-auth.ts';
import { createMqttSink } from './mqtt-sink.ts';
import { MQTT_LIMITS_DEFAULT, type MqttLimits } from './mqtt/limits.ts';
import { createMqttListener, type MqttListener } from './mqtt/listener.ts';
import type { DeliveryOutcome, MqttWill } from './mqtt/sink.ts';
import {
  createTransports,
  type Transports,
  type TransportsConfig,
} from './mqtt/transports/transports.ts';
import type { Registry } from './registry.ts';
import { TELTONIKA_LIMITS_DEFAULT } from './teltonika/limits.ts';
import { createTeltonikaListener, type TeltonikaListener } from './teltonika/listener.ts';
import type { Turns } from './turns.ts';
import { Wills } from './will-message.ts';

/** Settings of the MQTT listener; the limits are those of the same name in {@link MqttLimits}. */
export interface MqttDoorConfig
  extends
    TransportsConfig,
    Pick<
      MqttLimits,
      | 'packetBytesMax'
      | 'connectionsMax'
      | 'tenantConnectionsMax'
      | 'deviceMessagesPerSMax'
      | 'tenantMessagesPerSMax'
      | 'sessionExpirySMax'
    > {
  readonly port: number;
}

export interface DoorsConfig {
  readonly mqtt: MqttDoorConfig;
  readonly broker: SubscriberConfig | null;
  readonly teltonika: { readonly host: string; readonly port: number } | null;
}

export interface DoorsOptions {
  readonly config: DoorsConfig;
  readonly registry: Registry;
  readonly intake: Intake;
  readonly turns: Turns;
  readonly metrics: IngestMetrics;
  readonly log: Logger;
  readonly knock: (knock: Knock) => void;
  /** A device can be sent commands. */
  readonly onSubscribed: (iotDeviceId: number) => void;
}

/** The doors by the name that errors and settings know them by. */
export type DoorName = 'mqtt' | 'mqttTls' | 'mqttWebSocket' | 'mqttWebSocketTls' | 'teltonika';
/** The port of each door that is open. */
export type DoorPorts = Partial<Record<DoorName, number>>;

/** A door could not be opened; `cause` is the system's error. */
export class DoorError extends Error {
  readonly door: DoorName;
  readonly port: number;

  constructor(door: DoorName, port: number, cause: unknown) {
    super(`the door ${door} cannot be opened on port ${port}`, { cause });
    this.door = door;
    this.port = port;
  }
}

interface Startable {
  start(): Promise<{ port: number }>;
}

export class Doors {
  private readonly options: DoorsOptions;
  private readonly mqtt: MqttListener;
  private readonly transports: Transports;
  private readonly teltonika: TeltonikaListener | null;
  private readonly broker: Subscriber | null;

  constructor(options: DoorsOptions) {
    const { config, intake, registry, metrics, log, knock } = options;
    this.options = options;
    const wills = new Wills(intake, registry);
    this.mqtt = buildMqtt(options, (will) => wills.take(will));
    this.transports = createTransports({
      config: config.mqtt,
      listener: this.mqtt,
      metrics: { refused: (reason) => metrics.refused('mqtt', reason) },
      log,
    });
    this.teltonika =
      config.teltonika === null
        ? null
        : createTeltonikaListener({
            ...config.teltonika,
            limits: TELTONIKA_LIMITS_DEFAULT,
            registry,
            intake,
            knock,
            metrics: { refused: (reason) => metrics.refused('teltonika', reason) },
            log,
          });
    this.broker =
      config.broker === null
        ? null
        : createSubscriber({ config: config.broker, intake, registry, metrics, log, knock });
    metrics.watchDoors({
      awaySessions: () => this.mqtt.awaySessionCount,
      teltonikaConnections: () => this.teltonika?.connectionCount ?? 0,
      brokerInFlight: () => this.broker?.inFlight ?? 0,
    });
  }

  /** Open MQTT connections, over whatever transport. */
  get mqttConnectionCount(): number {
    return this.mqtt.connectionCount;
  }

  /** Opens every door; rejects with a {@link DoorError} at the first that cannot be. */
  async open(): Promise<DoorPorts> {
    const { mqtt, teltonika } = this.options.config;
    const wanted: Readonly<Record<DoorName, number | null>> = {
      mqtt: mqtt.port,
      mqttTls: mqtt.tlsPort,
      mqttWebSocket: mqtt.webSocketPort,
      mqttWebSocketTls: mqtt.webSocketTlsPort,
      teltonika: teltonika?.port ?? null,
    };
    const ports: DoorPorts = {};
    const start = async (door: DoorName, one: Startable): Promise<void> => {
      try {
        ports[door] = (await one.start()).port;
      } catch (error) {
        throw new DoorError(door, wanted[door] ?? 0, error);
      }
    };
    await start('mqtt', this.mqtt);
    for (const transport of this.transports) await start(transport.name, transport);
    if (this.teltonika !== null) await start('teltonika', this.teltonika);
    this.broker?.start();
    return ports;
  }

  /** Closes the connections of a device that may no longer speak. */
  disconnectDevice(iotDeviceId: number): void {
    this.mqtt.disconnectDevice(iotDeviceId);
    this.teltonika?.disconnectDevice(iotDeviceId);
  }

  /** See {@link MqttListener.sendCommand}. */
  sendCommand(
    iotDeviceId: number,
    payload: Buffer,
    done: (outcome: DeliveryOutcome) => void,
  ): boolean {
    return this.mqtt.sendCommand(iotDeviceId, payload, done);
  }

  /** Takes nothing more in. What was handed over is still acknowledged. */
  drain(): void {
    for (const transport of this.transports) transport.stopAccepting();
    for (const listener of [this.mqtt, this.teltonika]) {
      listener?.stopAccepting();
      listener?.pauseReading();
    }
    this.broker?.pauseReading();
  }

  /** Sends the acknowledgements that are due and closes every connection. To be called when the partitions have stopped. */
  async close(deadline: AbortSignal): Promise<void> {
    await Promise.all([
      this.mqtt.close(),
      this.teltonika?.close(),
      this.broker?.stop(deadline),
      ...this.transports.map((transport) => transport.close()),
    ]);
  }

  /** Why a door takes nothing now. */
  notReady(): string[] {
    return this.broker?.notReady() ?? [];
  }
}

function buildMqtt(options: DoorsOptions, onWill: (will: MqttWill) => void): MqttListener {
  const { registry, metrics, intake, knock, log } = options;
  const { mqtt } = options.config;
  return createMqttListener({
    host: mqtt.host,
    port: mqtt.port,
    limits: {
      ...MQTT_LIMITS_DEFAULT,
      packetBytesMax: mqtt.packetBytesMax,
      connectionsMax: mqtt.connectionsMax,
      tenantConnectionsMax: mqtt.tenantConnectionsMax,
      deviceMessagesPerSMax: mqtt.deviceMessagesPerSMax,
      tenantMessagesPerSMax: mqtt.tenantMessagesPerSMax,
      sessionExpirySMax: mqtt.sessionExpirySMax,
    },
    authenticate: createAuthenticate(registry, knock),
    sink: createMqttSink(intake, registry, options.turns),
    metrics: {
      connections: () => undefined,
      received: (publishes, bytes) => metrics.mqttReceived(publishes, bytes),
      refused: (reason) => metrics.refused('mqtt', reason),
    },
    log: {
      debug: () => undefined,
      error: (fields, message) => log.error(fields, message),
    },
    onWill,
    onSubscribed: options.onSubscribed,
  });
}

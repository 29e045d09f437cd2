/**
 * Reads the environment, alone in the whole program, all of it at once. Reports every problem together, each with the
 * setting's name and what it wants; values of secrets are never repeated.
 */

import { join } from 'node:path';

export interface Config {
  readonly databaseUrl: string;
  readonly databaseIngestUrl: string;
  readonly databaseApiUrl: string;
  readonly auth: { readonly issuer: string; readonly audience: string; readonly jwksUrl: string };
  /** The Auth0 that is told of roles and users; `null`: nobody is. */
  readonly identity: IdentityConfig | null;
  readonly http: { readonly host: string; readonly port: number; readonly trustProxy: string[] };
  readonly mqtt: MqttConfig;
  /** An external broker to consume from; `null`: none. */
  readonly broker: BrokerConfig | null;
  /** The Teltonika listener; `null`: off. */
  readonly teltonika: { readonly host: string; readonly port: number } | null;
  readonly live: {
    readonly host: string;
    readonly port: number;
    readonly transport: 'auto' | 'uws' | 'ws';
    readonly allowedOrigins: string[];
    /** What browsers are told to connect to; empty: `localhost` with the live port, which serves this machine only. */
    readonly publicUrl: string;
  };
  readonly cursorSecret: string;
  readonly attachments: {
    /** The directory of uploaded files. */
    readonly dir: string;
    /** Of one file. */
    readonly bytesMax: number;
    /** How long the bytes of a deleted attachment are kept. */
    readonly deletedKeepH: number;
  };
  readonly ingest: {
    readonly partitionCount: number;
    readonly batchRowsMax: number;
    readonly lingerMs: number;
    readonly queueRowsMax: number;
    readonly queueBytesMax: number;
    readonly rejectRowsMax: number;
    readonly deviceEventRowsMax: number;
    readonly knockingRowsMax: number;
  };
  readonly logLevel: string;
  readonly stopMsMax: number;
}

/** A client of Auth0's Management API. */
export interface IdentityConfig {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** The database connection in which people have their accounts. */
  readonly connection: string;
}

export interface MqttConfig {
  readonly host: string;
  readonly port: number;
  /** MQTT over TLS, over WebSocket, and over WebSocket over TLS; `null`: off. */
  readonly tlsPort: number | null;
  readonly webSocketPort: number | null;
  readonly webSocketTlsPort: number | null;
  /** PEM files; `null` where no port asks for TLS. */
  readonly tls: {
    readonly certFile: string;
    readonly keyFile: string;
    /** Certificate authorities of devices; `null`: devices show no certificates. */
    readonly clientCaFile: string | null;
  } | null;
  readonly packetBytesMax: number;
  readonly connectionsMax: number;
  readonly tenantConnectionsMax: number;
  readonly deviceMessagesPerSMax: number;
  readonly tenantMessagesPerSMax: number;
  /** How long the session of a device that is away is kept. */
  readonly sessionExpirySMax: number;
}

export interface BrokerConfig {
  /** `mqtt://user:password@host:1883` or `mqtts://`. */
  readonly url: string;
  readonly topics: readonly string[];
  /** `$share` group; empty: a persistent session of one client. */
  readonly shareGroup: string;
  readonly clientId: string;
  readonly inFlightMax: number;
}

/** What `npm run demo` needs; it starts its own database and issuer. */
export interface DemoConfig {
  readonly dataDir: string;
  readonly databasePort: number;
  readonly vehicleCount: number;
  readonly fixIntervalS: number;
  /** Everything the server itself needs but the database and the issuer, which the demo supplies. */
  readonly server: Omit<
    Config,
    'databaseUrl' | 'databaseIngestUrl' | 'databaseApiUrl' | 'auth' | 'identity'
  >;
}

export type ConfigResult<T> =
  | { readonly ok: true; readonly config: T }
  | { readonly ok: false; readonly problems: readonly string[] };

type Environment = Readonly<Record<string, string | undefined>>;

/** Beside what the demo keeps, where nothing else is said. */
const START_DATA_DIR = '.milepost';

/** Settings of `npm start`. */
export function readConfig(env: Environment = process.env): ConfigResult<Config> {
  const read = new Reader(env);
  const databaseUrl = read.postgresUrl('DATABASE_URL');
  return read.result({
    databaseUrl,
    databaseIngestUrl: read.postgresUrl('DATABASE_INGEST_URL', databaseUrl),
    databaseApiUrl: read.postgresUrl('DATABASE_API_URL', databaseUrl),
    auth: {
      issuer: read.httpUrl('AUTH_ISSUER'),
      audience: read.text('AUTH_AUDIENCE'),
      jwksUrl: read.httpUrl('AUTH_JWKS_URL'),
    },
    identity: readIdentity(read),
    ...readServer(read, '0.0.0.0', 'off', START_DATA_DIR),
  });
}

/** Settings of `npm run demo`: all have defaults, and it listens on this machine only. */
export function readDemoConfig(env: Environment = process.env): ConfigResult<DemoConfig> {
  const read = new Reader(env);
  const dataDir = read.text('DATA_DIR', '.milepost');
  return read.result({
    dataDir,
    databasePort: read.integer('DEMO_DATABASE_PORT', 0, 0, 65_535),
    vehicleCount: read.integer('DEMO_VEHICLES', 200, 1, 5_000),
    fixIntervalS: read.integer('DEMO_FIX_INTERVAL_S', 2, 1, 3_600),
    server: readServer(read, '127.0.0.1', '5027', dataDir),
  });
}

function readServer(
  read: Reader,
  host: string,
  teltonikaPort: string,
  dataDir: string,
): DemoConfig['server'] {
  return {
    http: {
      host: read.text('HTTP_HOST', host),
      port: read.port('HTTP_PORT', 8080),
      trustProxy: read.list('TRUST_PROXY'),
    },
    mqtt: readMqtt(read, host),
    broker: readBroker(read),
    teltonika: readTeltonika(read, host, teltonikaPort),
    live: {
      host: read.text('LIVE_HOST', host),
      port: read.port('LIVE_PORT', 8081),
      transport: read.choice('LIVE_TRANSPORT', ['auto', 'uws', 'ws'], 'auto'),
      allowedOrigins: read.origins('LIVE_ALLOWED_ORIGINS'),
      publicUrl: read.webSocketUrl('LIVE_PUBLIC_URL'),
    },
    cursorSecret: read.secret('CURSOR_SECRET'),
    attachments: {
      dir: read.text('ATTACHMENT_DIR', '') || join(dataDir, 'attachments'),
      bytesMax: read.integer('ATTACHMENT_BYTES_MAX', 26_214_400, 1_024, 1_073_741_824),
      deletedKeepH: read.integer('ATTACHMENT_DELETED_KEEP_H', 720, 0, 87_600),
    },
    ingest: {
      partitionCount: read.integer('INGEST_PARTITIONS', 2, 1, 64),
      batchRowsMax: read.integer('INGEST_BATCH_ROWS_MAX', 5_000, 1, 50_000),
      lingerMs: read.integer('INGEST_LINGER_MS', 25, 0, 10_000),
      queueRowsMax: read.integer('INGEST_QUEUE_ROWS_MAX', 100_000, 1_000, 10_000_000),
      queueBytesMax: read.integer('INGEST_QUEUE_BYTES_MAX', 134_217_728, 1_048_576, 17_179_869_184),
      rejectRowsMax: read.integer('INGEST_REJECT_ROWS_MAX', 100_000, 100, 100_000_000),
      deviceEventRowsMax: read.integer(
        'INGEST_DEVICE_EVENT_ROWS_MAX',
        1_000_000,
        100,
        1_000_000_000,
      ),
      knockingRowsMax: read.integer('INGEST_KNOCKING_ROWS_MAX', 10_000, 10, 10_000_000),
    },
    logLevel: read.choice(
      'LOG_LEVEL',
      ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
      'info',
    ),
    stopMsMax: read.integer('STOP_MS_MAX', 20_000, 100, 600_000),
  };
}

/** All of it or nothing. */
function readIdentity(read: Reader): IdentityConfig | null {
  const isAsked = read.hasAny(IDENTITY_SETTINGS);
  const identity = {
    url: read.secureUrlIf('AUTH0_MANAGEMENT_URL', isAsked),
    clientId: read.textIf('AUTH0_MANAGEMENT_CLIENT_ID', isAsked),
    clientSecret: read.textIf('AUTH0_MANAGEMENT_CLIENT_SECRET', isAsked),
    connection: read.text('AUTH0_CONNECTION', 'Username-Password-Authentication'),
  };
  return isAsked ? identity : null;
}

const IDENTITY_SETTINGS = [
  'AUTH0_MANAGEMENT_URL',
  'AUTH0_MANAGEMENT_CLIENT_ID',
  'AUTH0_MANAGEMENT_CLIENT_SECRET',
];

function readMqtt(read: Reader, host: string): MqttConfig {
  const ports = {
    port: read.port('MQTT_PORT', 1883),
    tlsPort: read.portOrOff('MQTT_TLS_PORT', 'off'),
    webSocketPort: read.portOrOff('MQTT_WS_PORT', 'off'),
    webSocketTlsPort: read.portOrOff('MQTT_WSS_PORT', 'off'),
  };
  const wantsTls = ports.tlsPort !== null || ports.webSocketTlsPort !== null;
  const tls = {
    certFile: read.textIf('MQTT_TLS_CERT_FILE', wantsTls),
    keyFile: read.textIf('MQTT_TLS_KEY_FILE', wantsTls),
    clientCaFile: read.text('MQTT_TLS_CLIENT_CA_FILE', '') || null,
  };
  return {
    host: read.text('MQTT_HOST', host),
    ...ports,
    tls: wantsTls ? tls : null,
    packetBytesMax: read.integer('MQTT_PACKET_BYTES_MAX', 262_144, 1_024, 16_777_216),
    connectionsMax: read.integer('MQTT_CONNECTIONS_MAX', 50_000, 1, 1_000_000),
    tenantConnectionsMax: read.integer('MQTT_TENANT_CONNECTIONS_MAX', 50_000, 1, 1_000_000),
    deviceMessagesPerSMax: read.integer('MQTT_DEVICE_MESSAGES_PER_S_MAX', 1_000, 1, 1_000_000),
    tenantMessagesPerSMax: read.integer(
      'MQTT_TENANT_MESSAGES_PER_S_MAX',
      1_000_000,
      1,
      100_000_000,
    ),
    sessionExpirySMax: read.integer('MQTT_SESSION_EXPIRY_S_MAX', 604_800, 1, 31_536_000),
  };
}

function readBroker(read: Reader): BrokerConfig | null {
  const topics = read.list('MQTT_URL_TOPICS');
  const broker = {
    url: read.mqttUrl('MQTT_URL'),
    topics: topics.length > 0 ? topics : BROKER_TOPICS,
    shareGroup: read.text('MQTT_URL_SHARE_GROUP', ''),
    clientId: read.text('MQTT_URL_CLIENT_ID', 'milepost'),
    inFlightMax: read.integer('MQTT_URL_IN_FLIGHT_MAX', 10_000, 1, 65_535),
  };
  return broker.url === '' ? null : broker;
}

function readTeltonika(
  read: Reader,
  host: string,
  teltonikaPort: string,
): { host: string; port: number } | null {
  const port = read.portOrOff('TELTONIKA_PORT', teltonikaPort);
  const listener = { host: read.text('TELTONIKA_HOST', host) };
  return port === null ? null : { ...listener, port };
}

const BROKER_TOPICS = ['v1/devices/+/fixes', 'v1/devices/+/metrics', 'owntracks/#'];

/** Shortest secret for signing cursors. */
const SECRET_CHARS_MIN = 16;

class Reader {
  private readonly env: Environment;
  private readonly problems: string[] = [];

  constructor(env: Environment) {
    this.env = env;
  }

  result<T>(config: T): ConfigResult<T> {
    if (this.problems.length > 0) return { ok: false, problems: this.problems };
    return { ok: true, config };
  }

  text(name: string, fallback?: string): string {
    const value = this.env[name]?.trim();
    if (value !== undefined && value !== '') return value;
    if (fallback === undefined) this.problems.push(`${name} is required`);
    return fallback ?? '';
  }

  hasAny(names: readonly string[]): boolean {
    return names.some((name) => this.text(name, '') !== '');
  }

  /** Names separated by commas. */
  list(name: string): string[] {
    return this.text(name, '')
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  }

  /** Origins as browsers write them. */
  origins(name: string): string[] {
    return this.list(name).map((text) => {
      const origin = URL.canParse(text) ? new URL(text).origin : 'null';
      if (origin === 'null' || new URL(text).pathname !== '/') {
        this.problems.push(`${name} must hold origins such as https://map.example`);
      }
      return origin;
    });
  }

  /** Empty when it is not set. */
  webSocketUrl(name: string): string {
    return this.url(name, ['ws:', 'wss:'], 'wss://live.example/v1/live', '');
  }

  integer(name: string, fallback: number, min: number, max: number): number {
    const text = this.text(name, String(fallback));
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    this.problems.push(
      `${name} must be a whole number from ${min} to ${max}, not ${JSON.stringify(text)}`,
    );
    return fallback;
  }

  /** 0 lets the system choose. */
  port(name: string, fallback: number): number {
    return this.integer(name, fallback, 0, 65_535);
  }

  /** `off`: no port at all. */
  portOrOff(name: string, fallback: string): number | null {
    const text = this.text(name, fallback);
    if (text === 'off') return null;
    const port = Number(text);
    if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
    this.problems.push(
      `${name} must be off or a port from 0 to 65535, not ${JSON.stringify(text)}`,
    );
    return null;
  }

  /** A text that is required under a condition. */
  textIf(name: string, isRequired: boolean): string {
    return isRequired ? this.text(name) : this.text(name, '');
  }

  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const text = this.text(name, fallback);
    const found = choices.find((choice) => choice === text);
    if (found !== undefined) return found;
    this.problems.push(`${name} must be one of ${choices.join(', ')}, not ${JSON.stringify(text)}`);
    return fallback;
  }

  /** Empty when it is not set. */
  mqttUrl(name: string): string {
    return this.url(name, ['mqtt:', 'mqtts:'], 'mqtt://user:password@broker.example:1883', '');
  }

  /** A root that is sent secrets: over TLS, or to this machine. Required under a condition. */
  secureUrlIf(name: string, isRequired: boolean): string {
    const text = this.textIf(name, isRequired);
    if (text === '') return text;
    const url = URL.canParse(text) ? new URL(text) : null;
    const isLocal = url?.protocol === 'http:' && /^(localhost|127\.0\.0\.1)$/.test(url.hostname);
    const isRoot = url?.pathname === '/' && url.href === `${url.origin}/`;
    if (!isRoot || !(url.protocol === 'https:' || isLocal)) {
      this.problems.push(`${name} must be a URL such as https://example.eu.auth0.com/`);
    }
    return text;
  }

  httpUrl(name: string): string {
    return this.url(name, ['http:', 'https:'], 'https://issuer.example/');
  }

  postgresUrl(name: string, fallback?: string): string {
    const example = 'postgres://user:password@host:5432/milepost';
    return this.url(name, ['postgres:', 'postgresql:'], example, fallback);
  }

  secret(name: string): string {
    const value = this.text(name, '');
    if (value !== '' && value.length < SECRET_CHARS_MIN) {
      this.problems.push(`${name} must have at least ${SECRET_CHARS_MIN} characters`);
    }
    return value;
  }

  private url(name: string, protocols: string[], example: string, fallback?: string): string {
    const text = this.text(name, fallback);
    if (text === '' || text === fallback) return text;
    if (!URL.canParse(text) || !protocols.includes(new URL(text).protocol)) {
      this.problems.push(`${name} must be a URL such as ${example}`);
    }
    return text;
  }
}

/**
 * Devices that send a list of messages at quality of service 1 and know which were acknowledged: one on MQTT.js, one on
 * Debian's `mosquitto_pub`. Both keep what is not acknowledged, reconnect by themselves when the server is gone, and
 * send it again.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import mqtt from 'mqtt';
import { endWithTest } from './last-will.ts';
import type { Credentials } from './tenants.ts';

export interface Message {
  readonly topic: string;
  readonly payload: string;
}

export interface SenderOptions extends Credentials {
  readonly mqttUrl: string;
  readonly protocolVersion: 4 | 5;
  /** Sent in this order; no payload holds a line break. */
  readonly messages: readonly Message[];
  /** Called once for each message, when its PUBACK has come. */
  readonly onAcknowledged: (index: number) => void;
  /** Resolves when the server is there, at once while it is. */
  readonly serverUp: () => Promise<void>;
}

export interface Sender {
  /** Resolves when everything is acknowledged. */
  readonly finished: Promise<void>;
  /** Ends the device, whatever is left. */
  stop(): Promise<void>;
}

/** Publishes of one device that wait for their PUBACK, as `mosquitto_pub` has it by default. */
const WINDOW = 20;
const RECONNECT_MS = 100;
/** How often `mosquitto_pub`, which reconnects by itself, is started again when it has ended early. */
const RUNS_MAX = 10;

export function sendByMqttJs(options: SenderOptions): Sender {
  const { messages } = options;
  const client = mqtt.connect(options.mqttUrl, {
    clientId: options.device,
    username: options.device,
    password: options.token,
    protocolVersion: options.protocolVersion,
    clean: false,
    reconnectPeriod: RECONNECT_MS,
  });
  // Refused connections while the server is away; the client tries again.
  client.on('error', () => undefined);
  const left = messages.map((_, index) => index);
  let inFlight = 0;
  let acknowledged = 0;
  const finished = new Promise<void>((resolve, reject) => {
    const send = (): void => {
      while (inFlight < WINDOW && left.length > 0) {
        const index = left.shift()!;
        inFlight += 1;
        const { topic, payload } = messages[index]!;
        client.publish(topic, payload, { qos: 1 }, (error) => {
          inFlight -= 1;
          if (error === undefined || error === null) {
            options.onAcknowledged(index);
            acknowledged += 1;
            if (acknowledged === messages.length) resolve();
            else send();
          } else if ('code' in error) {
            reject(new Error(`${options.device}: message ${index} was refused`, { cause: error }));
          } else {
            // Handed over while the client was sending old messages again, and given back.
            left.push(index);
            left.sort((a, b) => a - b);
          }
        });
      }
    };
    client.on('connect', send);
  });
  return { finished, stop: () => client.endAsync(true) };
}

/** Why `mosquitto_pub` cannot be used here, or null when it can. */
export function mosquittoMissing(): string | null {
  // It answers --help with an exit code of its own. stdbuf makes it tell each PUBACK when it comes.
  const { error, stdout } = spawnSync('stdbuf', ['-oL', 'mosquitto_pub', '--help']);
  if (error === undefined && stdout.includes('mosquitto_pub version')) return null;
  return 'mosquitto_pub (Debian package mosquitto-clients) is not here';
}

/** All messages must have one topic. */
export function sendByMosquitto(options: SenderOptions): Sender {
  const { messages, onAcknowledged } = options;
  const isAcknowledged = messages.map(() => false);
  let isStopped = false;
  let end: () => void = () => undefined;
  const run = async (): Promise<void> => {
    for (let runs = 0; !isStopped; runs++) {
      const indexes = isAcknowledged.flatMap((done, index) => (done ? [] : [index]));
      if (indexes.length === 0) return;
      await options.serverUp();
      if (isStopped) return;
      if (runs === RUNS_MAX) throw new Error(`mosquitto_pub gave up ${runs} times`);
      const child = startMosquitto(options, indexes);
      end = () => child.kill('SIGKILL');
      const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
      // The n-th line goes out as message n.
      for await (const line of createInterface({ input: child.stdout })) {
        const mid = /received PUBACK \(Mid: (\d+), RC:0\)/.exec(line)?.[1];
        const index = mid === undefined ? undefined : indexes[Number(mid) - 1];
        if (index === undefined || isAcknowledged[index]) continue;
        isAcknowledged[index] = true;
        onAcknowledged(index);
      }
      await closed;
    }
  };
  const finished = run();
  return {
    finished,
    async stop() {
      isStopped = true;
      end();
      await finished.catch(() => undefined);
    },
  };
}

function startMosquitto(options: SenderOptions, indexes: readonly number[]) {
  const { device, token, messages, protocolVersion } = options;
  const { hostname, port } = new URL(options.mqttUrl);
  const version = protocolVersion === 5 ? 'mqttv5' : 'mqttv311';
  const server = ['-h', hostname, '-p', port, '-V', version];
  const client = ['-i', device, '-u', device, '-P', token, '-c', '-t', messages[0]!.topic];
  const args = ['-oL', 'mosquitto_pub', ...server, ...client, '-q', '1', '-l', '-d'];
  const child = spawn('stdbuf', args, { stdio: ['pipe', 'pipe', 'ignore'] });
  endWithTest(child, false);
  child.stdin.on('error', () => undefined);
  child.stdin.end(indexes.map((index) => `${messages[index]!.payload}\n`).join(''));
  return child;
}

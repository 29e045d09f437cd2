/** The server under measurement: `main.js` as a process of its own, asked for its costs over its own metrics. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { residentBytes } from './process-cost.ts';

export interface BenchServer {
  readonly httpPort: number;
  readonly mqttPort: number;
  /** From the start of the process to "running". */
  readonly startS: number;
  /** What it has cost so far; the longest stall is that since the last call. */
  cost(): Promise<ServerCost>;
  stop(): Promise<void>;
}

export interface ServerCost {
  /** CPU seconds, user and system. */
  readonly cpuS: number;
  /** The longest time that the event loop took between two turns, measured every 10 ms. */
  readonly stallMs: number;
  readonly residentMib: number;
  /** Batches committed. */
  readonly batches: number;
}

/** Starts the server on free ports. Nobody signs in at its API, so its issuer need not exist. */
export async function startServer(
  databaseUrl: string,
  params: { readonly partitions: number; readonly batchRows: number; readonly lingerMs: number },
): Promise<BenchServer> {
  const main = join(import.meta.dirname, '../../main.js');
  const startedMs = performance.now();
  const child = spawn(process.execPath, [main], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: databaseUrl,
      AUTH_ISSUER: 'http://127.0.0.1:1/',
      AUTH_AUDIENCE: 'bench',
      AUTH_JWKS_URL: 'http://127.0.0.1:1/jwks.json',
      HTTP_HOST: '127.0.0.1',
      HTTP_PORT: '0',
      MQTT_HOST: '127.0.0.1',
      MQTT_PORT: '0',
      LIVE_HOST: '127.0.0.1',
      LIVE_PORT: '0',
      INGEST_PARTITIONS: String(params.partitions),
      INGEST_BATCH_ROWS_MAX: String(params.batchRows),
      INGEST_LINGER_MS: String(params.lingerMs),
      // One tenant has it all, and sends as fast as it can.
      MQTT_DEVICE_MESSAGES_PER_S_MAX: '1000000',
      MQTT_TENANT_MESSAGES_PER_S_MAX: '10000000',
    },
  });
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    const entry = readLine(line);
    if (entry?.msg !== 'Milepost is running') continue;
    child.stdout.resume();
    const startS = (performance.now() - startedMs) / 1000;
    return {
      httpPort: Number(new URL(entry.http!).port),
      mqttPort: Number(new URL(entry.mqtt!).port),
      startS,
      cost: () => readCost(entry.http!, child.pid!),
      async stop() {
        child.kill('SIGTERM');
        await exited;
      },
    };
  }
  throw new Error('the server did not start');
}

async function readCost(httpUrl: string, pid: number): Promise<ServerCost> {
  const text = await (await fetch(`${httpUrl}/metrics`)).text();
  const read = (name: string): number => {
    const value = new RegExp(`^${name} ([\\d.e+-]+)`, 'm').exec(text)?.[1];
    if (value === undefined) throw new Error(`the server does not tell ${name}`);
    return Number(value);
  };
  return {
    cpuS: read('process_cpu_seconds_total'),
    stallMs: read('nodejs_eventloop_lag_max_seconds') * 1000,
    residentMib: (await residentBytes(pid)) / 2 ** 20,
    batches: read('milepost_ingest_batch_rows_count'),
  };
}

function readLine(line: string): { msg?: string; http?: string; mqtt?: string } | null {
  try {
    return JSON.parse(line) as { msg?: string };
  } catch {
    return null;
  }
}

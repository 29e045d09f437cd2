/** The server under measurement: `main.js` as a process of its own, asked for its CPU time over its own metrics. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface BenchServer {
  readonly httpUrl: string;
  readonly mqttPort: number;
  stop(): Promise<void>;
}

/** Starts the server on free ports. Nobody signs in at its API, so its issuer need not exist. */
export async function startServer(
  databaseUrl: string,
  params: { readonly partitions: number; readonly batchRows: number },
): Promise<BenchServer> {
  const main = join(import.meta.dirname, '..', '..', 'main.js');
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
    },
  });
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    const entry = readLine(line);
    if (entry?.msg !== 'Milepost is running') continue;
    child.stdout.resume();
    return {
      httpUrl: entry.http!,
      mqttPort: Number(new URL(entry.mqtt!).port),
      async stop() {
        child.kill('SIGTERM');
        await exited;
      },
    };
  }
  throw new Error('the server did not start');
}

/** CPU seconds, user and system, that the server has used. */
export async function cpuSeconds(server: BenchServer): Promise<number> {
  const text = await (await fetch(`${server.httpUrl}/metrics`)).text();
  const value = /^process_cpu_seconds_total ([\d.e+-]+)/m.exec(text)?.[1];
  if (value === undefined) throw new Error('the server does not tell its CPU time');
  return Number(value);
}

function readLine(line: string): { msg?: string; http?: string; mqtt?: string } | null {
  try {
    return JSON.parse(line) as { msg?: string };
  } catch {
    return null;
  }
}

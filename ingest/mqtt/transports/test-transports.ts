/**
 * For the tests of this folder: a listener behind every transport, with certificates made for the test.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { startListener, type StartOptions, type Started } from '../test-listener.ts';
import type { CertificateFiles } from './certificates.ts';
import { createTestAuthority, type TestAuthority } from './test-certificates.ts';
import type { Transport } from './transport.ts';
import { createTransports } from './transports.ts';

export const HOST = '127.0.0.1';

export interface TransportHouse extends Started {
  readonly tlsPort: number;
  readonly webSocketPort: number;
  readonly webSocketTlsPort: number;
  readonly transports: readonly Transport[];
  /** Vouches for the server. */
  readonly authority: TestAuthority;
  /** Vouches for devices. */
  readonly devices: TestAuthority;
  readonly files: CertificateFiles;
}

/** PEM files in a folder that goes with the test. */
export async function writeFiles<K extends string>(
  t: Test,
  texts: Readonly<Record<K, string>>,
): Promise<Record<K, string>> {
  const dir = await mkdtemp(join(tmpdir(), 'milepost-tls-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const paths = {} as Record<K, string>;
  for (const name of Object.keys(texts) as K[]) {
    paths[name] = join(dir, `${name}.pem`);
    await writeFile(paths[name], texts[name]);
  }
  return paths;
}

/** Starts a listener and all transports, and stops them when the test ends. */
export async function startTransports(
  t: Test,
  options: StartOptions & { clientCa?: boolean; packetBytesMax?: number } = {},
): Promise<TransportHouse> {
  const authority = createTestAuthority('Server authority');
  const devices = createTestAuthority('Device authority');
  const own = authority.issue({
    commonName: 'milepost',
    addresses: [HOST],
    dnsNames: ['localhost'],
  });
  const paths = await writeFiles(t, { cert: own.cert, key: own.key, ca: devices.cert });
  const files = {
    certFile: paths.cert,
    keyFile: paths.key,
    clientCaFile: options.clientCa === false ? null : paths.ca,
  };
  const started = await startListener(t, options);
  const transports = createTransports({
    config: {
      host: HOST,
      tlsPort: 0,
      webSocketPort: 0,
      webSocketTlsPort: 0,
      tls: files,
      packetBytesMax: options.packetBytesMax ?? 262_144,
    },
    listener: started.listener,
    metrics: started.metrics,
    log: { info: () => undefined, error: () => undefined },
  });
  const [tlsPort, webSocketPort, webSocketTlsPort] = await Promise.all(
    transports.map(async (transport) => (await transport.start()).port),
  );
  t.teardown(async () => {
    for (const transport of transports) transport.stopAccepting();
    await started.listener.close();
    await Promise.all(transports.map((transport) => transport.close()));
  });
  return {
    ...started,
    tlsPort: tlsPort!,
    webSocketPort: webSocketPort!,
    webSocketTlsPort: webSocketTlsPort!,
    transports,
    authority,
    devices,
    files,
  };
}

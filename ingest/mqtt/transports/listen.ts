/** Listening, the same for every transport. */
import type { AddressInfo, Server } from 'node:net';
import { BACKLOG_MAX } from './limits.ts';
import type { TransportLogger } from './transport.ts';

/** Listens on the port; rejects with the system's error unchanged. */
export function listen(
  server: Server,
  { host, port, log }: { host: string; port: number; log: TransportLogger },
): Promise<{ port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: BACKLOG_MAX }, () => {
      server.off('error', reject);
      // Out of file descriptors, for one: that connection is lost, the port is not.
      server.on('error', (error) => log.error({ err: error }, 'MQTT accept failed'));
      resolve({ port: (server.address() as AddressInfo).port });
    });
  });
}

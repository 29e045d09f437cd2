/** A line to a database server that a test can break as it likes. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { Test } from 'tap';

/**
 * Gives `ownerUrl` by way of a port of its own. `join` is called with both ends of each connection, and passes bytes on as long as
 * it wants to; what one end closes is closed at the other, after what was written.
 */
export async function lineTo(
  t: Test,
  ownerUrl: string,
  join: (client: Socket, server: Socket) => void,
): Promise<string> {
  const target = new URL(ownerUrl);
  const line = createServer({ noDelay: true }, (client) => {
    const server = connect({ port: Number(target.port), host: '127.0.0.1', noDelay: true });
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('error', () => undefined);
      from.on('close', () => to.end());
    }
    join(client, server);
  });
  await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void line.close());
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String((line.address() as AddressInfo).port);
  return url.href;
}

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { Handshakes } from './handshakes.ts';

async function newPort(t: Test, onSocket: (socket: Socket) => void): Promise<() => Socket> {
  const server = createServer(onSocket);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return () => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => undefined);
    t.teardown(() => socket.destroy());
    return socket;
  };
}

/** Resolves when the socket has closed, with or without an error. */
function gone(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

t.test('one that takes too long is closed, whatever it sends', async (t) => {
  const reasons: string[] = [];
  const handshakes = new Handshakes((reason) => reasons.push(reason), 10, 40);
  const open = await newPort(t, (socket) => {
    handshakes.begin(socket);
    socket.resume();
  });
  const socket = open();
  const drip = setInterval(() => socket.write('x'), 5);
  t.teardown(() => clearInterval(drip));
  await gone(socket);
  t.same(reasons, ['handshake_timeout']);
});

t.test('one too many is closed at once; those handed over count no more', async (t) => {
  const reasons: string[] = [];
  const handshakes = new Handshakes((reason) => reasons.push(reason), 2, 60_000);
  let count = 0;
  const open = await newPort(t, (socket) => {
    handshakes.begin(socket);
    if (++count === 3) handshakes.end(socket);
    socket.resume();
  });
  const first = open();
  await once(first, 'connect');
  const second = open();
  await once(second, 'connect');
  const third = open();
  await gone(third);
  t.same(reasons, ['handshakes']);
  const left = [gone(first), gone(second)];
  handshakes.destroyAll();
  await Promise.all(left);
});

import { once } from 'node:events';
import { Duplex } from 'node:stream';
import t, { type Test } from 'tap';
import {
  connectPacket,
  knownDevices,
  PINGREQ,
  publishPacket,
  startListener,
  STORED,
  type StartOptions,
  type Started,
} from './test-listener.ts';

/** One end of a byte stream in memory, as a transport makes it of frames: it leaves its own half open. */
class End extends Duplex {
  peer: End | null = null;
  #resume: (() => void) | null = null;

  override _read(): void {
    this.#resume?.();
    this.#resume = null;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.peer!.push(chunk)) done();
    else this.peer!.#resume = done;
  }

  override _final(done: () => void): void {
    this.peer!.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.peer?.push(null);
    done(error);
  }
}

function endsOfStream(): [End, End] {
  const ends: [End, End] = [new End(), new End()];
  ends[0].peer = ends[1];
  ends[1].peer = ends[0];
  return ends;
}

async function read(end: End, byteCount: number): Promise<string> {
  let bytes = Buffer.alloc(0);
  while (bytes.length < byteCount) {
    const chunk = end.read() as Buffer | null;
    if (chunk === null) await once(end, 'readable');
    else bytes = Buffer.concat([bytes, chunk]);
  }
  return bytes.toString('hex');
}

async function start(t: Test, options: StartOptions = {}): Promise<Started> {
  const started = await startListener(t, options);
  started.sink.answer = () => STORED;
  return started;
}

const PEER = { remoteAddress: '192.0.2.7', certificateNames: ['dev-1.example'] };

t.test('a stream of another transport is a connection, with its peer', async (t) => {
  const peers: unknown[] = [];
  const { listener, sink, metrics } = await start(t, {
    authenticate: (username, password, peer) => {
      peers.push(peer);
      return knownDevices(username, password, peer);
    },
  });
  const [near, far] = endsOfStream();
  listener.accept(near, PEER);
  t.equal(listener.connectionCount, 1);
  far.write(Buffer.concat([connectPacket(4), publishPacket(4, 1), PINGREQ]));
  t.equal(await read(far, 10), '2002000040020001d000'.slice(0, 20));
  t.same(peers, [PEER]);
  t.equal(sink.taken.length, 1);
  const closed = once(near, 'close');
  far.end();
  await closed;
  await metrics.untilConnections(0);
});

t.test('it is paused like a socket, and what was held goes in', async (t) => {
  const { listener, sink } = await start(t);
  const [near, far] = endsOfStream();
  listener.accept(near, PEER);
  sink.full = true;
  far.write(Buffer.concat([connectPacket(4), publishPacket(4, 1), publishPacket(4, 2)]));
  await sink.blocked(1);
  t.ok(near.isPaused());
  t.equal(sink.taken.length, 1);
  sink.drain();
  await sink.arrived(2);
  t.notOk(near.isPaused());
});

t.test('the limits on connections are the same', async (t) => {
  const { listener, metrics } = await start(t, {
    limits: { connectionsMax: 2, connectionsPerAddressMax: 1 },
  });
  const accepted = endsOfStream();
  listener.accept(accepted[0], PEER);
  const [sameAddress] = endsOfStream();
  listener.accept(sameAddress, PEER);
  t.ok(sameAddress.destroyed);
  listener.accept(endsOfStream()[0], { ...PEER, remoteAddress: '192.0.2.8' });
  const [tooMany] = endsOfStream();
  listener.accept(tooMany, { ...PEER, remoteAddress: '192.0.2.9' });
  t.ok(tooMany.destroyed);
  t.same([...metrics.reasons].sort(), [
    ['connections', 1],
    ['connections_per_address', 1],
  ]);
  accepted[0].destroy();
  await metrics.untilConnections(1);
});

t.test('closing the listener closes it, with its last words', async (t) => {
  const { listener } = await start(t);
  const [near, far] = endsOfStream();
  listener.accept(near, PEER);
  far.write(connectPacket(4));
  await read(far, 4);
  const closed = listener.close();
  await once(far.resume(), 'end');
  far.end();
  await closed;
  t.ok(near.destroyed);
  const [late] = endsOfStream();
  listener.accept(late, PEER);
  t.ok(late.destroyed, 'and takes no more');
});

t.test('a stream that fails hurts nobody, and its will says so', async (t) => {
  const { listener, wills, metrics } = await start(t);
  const [near, far] = endsOfStream();
  listener.accept(near, PEER);
  const will = { topic: 'bye', payload: Buffer.from('x'), qos: 0, retain: false } as const;
  far.write(connectPacket(4, { will }));
  await read(far, 4);
  near.destroy(new Error('TLS broke'));
  t.match(await wills.first(1), [{ cause: 'the network connection broke' }]);
  await metrics.untilConnections(0);
  t.equal(metrics.reasons.get('socket_error'), 1);
});

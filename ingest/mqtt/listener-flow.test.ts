import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { PINGREQ, STORED, openSession, publishPacket, startListener } from './test-listener.ts';

const MIB = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes in buffers that somebody still holds. Buffers are swept in the background; the second run waits for the first. */
function liveBytes(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

t.test('a full sink stops the reading of that device, and draining goes on with it', async (t) => {
  const { port, sink } = await startListener(t);
  const client = await openSession(t, port);
  const other = await openSession(t, port, 4, { username: 'dev-2' });
  sink.full = true;
  client.send(publishPacket(4, 1), publishPacket(4, 2), publishPacket(4, 3), PINGREQ);
  await sink.blocked(1);
  t.equal(sink.taken.length, 1, 'the one that found it full was taken, none behind it');
  t.match(await other.send(PINGREQ).next(), { cmd: 'pingresp' }, 'another device is read');
  sink.taken[0]!.done(STORED);
  t.match(await client.next(), { cmd: 'puback', messageId: 1 }, 'acks leave while held');
  sink.drain();
  await sink.arrived(3);
  t.match(await client.next(), { cmd: 'pingresp' });
  t.equal(sink.waitingCount, 0);
});

t.test('a socket that is not read fills up on the side of the client', async (t) => {
  const { port, sink } = await startListener(t);
  sink.full = true;
  const client = await openSession(t, port);
  const filler = await openSession(t, port, 4, { username: 'dev-2' });
  const payload = Buffer.alloc(64 * 1024, 0x20);
  const publish = publishPacket(4, 1, payload);
  client.send(publish);
  await sink.blocked(1);
  // More than both kernels' buffers hold.
  const sentBytes = 32 * MIB;
  let drained = false;
  client.socket.once('drain', () => {
    drained = true;
  });
  for (let bytes = 0; bytes < sentBytes; bytes += publish.length) client.socket.write(publish);
  for (let i = 0; i < 50; i++) await filler.send(PINGREQ).next();
  t.equal(drained, false);
  t.equal(sink.taken.length, 1);
  sink.answer = () => STORED;
  sink.taken[0]!.done(STORED);
  sink.drain();
  await sink.arrived(1 + Math.ceil(sentBytes / publish.length));
  t.pass('everything held went in');
});

t.test('a device that reconnects while the sink is full comes back held', async (t) => {
  const { port, sink } = await startListener(t);
  sink.full = true;
  const first = await openSession(t, port);
  first.send(publishPacket(4, 1));
  await sink.blocked(1);
  for (let i = 0; i < 5; i++) {
    const again = await openSession(t, port);
    again.send(publishPacket(4, 2));
  }
  const last = await openSession(t, port);
  last.send(publishPacket(4, 3));
  const other = await openSession(t, port, 4, { username: 'dev-2' });
  await other.send(PINGREQ).next();
  t.equal(sink.taken.length, 1);
  t.equal(sink.waitingCount, 1, 'one call is awaited for the device');
  sink.drain();
  await sink.arrived(2);
  sink.taken[1]!.done(STORED);
  t.match(await last.next(), { cmd: 'puback', messageId: 3 });
  t.equal(sink.taken.length, 2, 'the closed ones brought nothing');
});

t.test('3.1.1: a full window stops the reading until half of it is free', async (t) => {
  const { port, sink } = await startListener(t, { limits: { inFlightMax: 4 } });
  const client = await openSession(t, port);
  const other = await openSession(t, port, 4, { username: 'dev-2' });
  client.send(...[1, 2, 3, 4, 5, 6].map((id) => publishPacket(4, id)));
  await sink.arrived(4);
  await other.send(PINGREQ).next();
  t.equal(sink.taken.length, 4);
  sink.taken[0]!.done(STORED);
  await client.next();
  t.equal(sink.taken.length, 4);
  sink.taken[1]!.done(STORED);
  await sink.arrived(6);
  for (const { done } of sink.taken.slice(2)) done(STORED);
  t.same(
    (await client.take(5)).map((ack) => ack?.messageId),
    [2, 3, 4, 5, 6],
  );
});

t.test('5.0: one publish over Receive Maximum is a fault', async (t) => {
  const { port, sink, metrics } = await startListener(t, { limits: { inFlightMax: 3 } });
  const client = await openSession(t, port, 5);
  client.send(...[1, 2, 3].map((id) => publishPacket(5, id)), PINGREQ);
  t.match(await client.next(), { cmd: 'pingresp' }, 'the full window is still read');
  sink.taken[1]!.done(STORED);
  client.send(publishPacket(5, 4));
  t.match(
    await client.next(),
    { cmd: 'disconnect', reasonCode: 0x93 },
    'one settled out of order is still unacknowledged',
  );
  t.equal(sink.taken.length, 3);
  t.equal(metrics.reasons.get('receive_max'), 1);
});

t.test('5.0: quality of service 0 has no Receive Maximum, so the reading stops', async (t) => {
  const { port, sink } = await startListener(t, { limits: { inFlightMax: 3 } });
  const client = await openSession(t, port, 5);
  const other = await openSession(t, port, 5, { username: 'dev-2' });
  client.send(...Array.from({ length: 9 }, () => publishPacket(5, 0)));
  await sink.arrived(3);
  await other.send(PINGREQ).next();
  t.equal(sink.taken.length, 3);
  sink.answer = () => STORED;
  for (const { done } of sink.taken.slice()) done(STORED);
  await sink.arrived(9);
});

t.test('10,000 publishes in one go, settled in random order', async (t) => {
  const seed = Date.now() % 1_000_000;
  t.comment(`seed ${seed}`);
  let state = seed;
  const { port, sink, metrics } = await startListener(t);
  const client = await openSession(t, port);
  const total = 10_000;
  const ids = Array.from({ length: total }, (_, i) => i + 1);
  client.send(...ids.map((id) => publishPacket(4, id, `{"seq":${id}}`)));
  let settledCount = 0;
  let inFlightMost = 0;
  while (settledCount < total) {
    // A window that was full is only read again when half of it is free, so more need not come.
    await sink.arrived(Math.min(total, settledCount + 501));
    const waiting = sink.taken.slice(settledCount);
    inFlightMost = Math.max(inFlightMost, waiting.length);
    settledCount += waiting.length;
    while (waiting.length > 0) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      waiting.splice((state >>> 8) % waiting.length, 1)[0]!.done(STORED);
    }
  }
  const acks = await client.take(total);
  t.same(
    acks.map((ack) => ack?.messageId),
    ids,
  );
  t.same(
    sink.taken.map(({ message }) => message.payload.toString()),
    ids.map((id) => `{"seq":${id}}`),
    'the sink saw them in order, each once',
  );
  t.ok(inFlightMost <= 1_000, `at most ${inFlightMost} in flight`);
  t.equal(metrics.publishCount, total);
});

t.test('keep-alive: the silent are closed, those we do not read are not', async (t) => {
  const { port, sink, metrics } = await startListener(t);
  sink.full = true;
  const held = await openSession(t, port, 5, { clientId: 'held', keepalive: 1 });
  held.send(publishPacket(5, 1), publishPacket(5, 2));
  await sink.blocked(1);
  // Silent for longer than `silent` will be, as it was connected before.
  const silent = await openSession(t, port, 5, {
    clientId: 'silent',
    keepalive: 1,
    username: 'dev-2',
  });
  const silent4 = await openSession(t, port, 4, {
    clientId: 'silent4',
    keepalive: 1,
    username: 'dev-2',
  });
  t.match(await silent.next(), { cmd: 'disconnect', reasonCode: 0x8d });
  t.equal(await silent4.next(), null);
  t.equal(metrics.reasons.get('keep_alive'), 2);
  t.equal(held.isClosed, false);
  sink.drain();
  await sink.arrived(2);
  sink.taken[0]!.done(STORED);
  t.match(await held.next(), { cmd: 'puback', messageId: 1 });
  t.match(await held.next(), { cmd: 'disconnect', reasonCode: 0x8d }, 'read again, silent again');
});

t.test('a client that never reads is closed', async (t) => {
  const { port, metrics } = await startListener(t, { limits: { writeBufferBytesMax: 1_024 } });
  const client = await openSession(t, port);
  client.socket.pause();
  const pings = Buffer.concat(Array.from({ length: 32_768 }, () => PINGREQ));
  const pump = (): void => {
    while (!client.socket.destroyed && client.socket.write(pings));
  };
  client.socket.on('drain', pump);
  pump();
  await metrics.refusal('slow_reader');
  client.socket.resume();
  await client.closed;
  t.equal(metrics.reasons.get('slow_reader'), 1);
});

t.test('an oversize packet costs no memory, however much of it is sent', async (t) => {
  const { port, metrics } = await startListener(t, { limits: { closeMsMax: 500 } });
  const bystander = await openSession(t, port, 4, { username: 'dev-2' });
  await bystander.send(PINGREQ).next();
  const clients = await Promise.all(
    Array.from({ length: 8 }, (_, i) => openSession(t, port, 5, { clientId: `big${i}` })),
  );
  const chunk = Buffer.alloc(MIB, 0x20);
  const beforeBytes = liveBytes();
  let mostBytes = 0;
  await Promise.all(
    clients.map(async (client) => {
      // 256 MB are promised and at most 16 MiB are sent.
      client.send(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]));
      t.match(await client.next(), { cmd: 'disconnect', reasonCode: 0x95 });
      for (let i = 0; i < 16 && !client.socket.destroyed; i++) {
        if (!client.socket.write(chunk)) {
          await Promise.race([once(client.socket, 'drain').catch(() => {}), client.closed]);
        }
        mostBytes = Math.max(mostBytes, liveBytes() - beforeBytes);
      }
    }),
  );
  t.equal(metrics.reasons.get('packet_too_large'), 8);
  t.comment(`most held ${(mostBytes / MIB).toFixed(1)} MiB`);
  t.ok(mostBytes < 4 * MIB, 'of the 128 MiB that were sent');
  t.match(await bystander.send(PINGREQ).next(), { cmd: 'pingresp' });
});

t.test('the last words reach a client that is still sending', async (t) => {
  const { port, metrics } = await startListener(t, { limits: { closeMsMax: 5_000 } });
  const other = await openSession(t, port, 4, { username: 'dev-2' });
  const client = await openSession(t, port, 5);
  client.socket.pause();
  client.send(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]), Buffer.alloc(8 * MIB));
  await metrics.refusal('packet_too_large');
  // Time for a reset to overtake the words, if there were one.
  for (let i = 0; i < 20; i++) await other.send(PINGREQ).next();
  client.socket.resume();
  t.match(await client.next(), { cmd: 'disconnect', reasonCode: 0x95 });
  await client.closed;
});

t.test('a peer that resets with acks outstanding hurts nobody', async (t) => {
  const { port, sink, metrics } = await startListener(t);
  const client = await openSession(t, port);
  client.send(publishPacket(4, 1), publishPacket(4, 2));
  await sink.arrived(2);
  client.socket.resetAndDestroy();
  await metrics.untilConnections(0);
  for (const { done } of sink.taken) done(STORED);
  await openSession(t, port);
});

t.test('a peer that half-closes is let go', async (t) => {
  const { port, sink, metrics } = await startListener(t);
  const client = await openSession(t, port);
  client.send(publishPacket(4, 0));
  client.socket.end();
  await sink.arrived(1);
  await metrics.untilConnections(0);
  sink.taken[0]!.done(STORED);
  t.same([...metrics.reasons], []);
});

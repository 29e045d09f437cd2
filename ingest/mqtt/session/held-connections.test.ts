/** What waits for the database must not keep the connections it came by: a device may come back a thousand times meanwhile. */
import v8 from 'node:v8';
import { generate } from 'mqtt-packet';
import t from 'tap';
import { openSession, PINGREQ, startListener } from '../test-listener.ts';
import { Connection } from './connection.ts';

const CONNECTIONS = 100;
/** The last ones may still be on their way out. */
const HELD_MAX = 5;

/** Since Node 20.13; collects garbage first. */
const { queryObjects } = v8 as unknown as {
  queryObjects?: (type: unknown, options: { format: 'count' }) => number;
};

function publish(qos: 0 | 1 | 2, dup: boolean, messageId: number): Buffer {
  const topic = 'v1/devices/dev-1/fixes';
  return generate({ cmd: 'publish', topic, payload: '{}', qos, dup, retain: false, messageId });
}

/** Which identifier the publish of the `n`th connection has. */
const NEW = (n: number): number => n + 1;
const SAME = (): number => 5;

for (const [qos, idOf] of [
  [0, SAME],
  [1, SAME],
  [1, NEW],
  [2, SAME],
  [2, NEW],
] as const) {
  const options =
    queryObjects === undefined ? { skip: 'this Node cannot count objects (20.13 can)' } : {};
  t.test(
    `publishes of quality of service ${qos} keep no connection, ${idOf.name}`,
    options,
    async (t) => {
      const { port, sink, metrics } = await startListener(t);
      for (let n = 0; n < CONNECTIONS; n++) {
        const client = await openSession(t, port, 4, { clean: false });
        client.send(publish(qos, qos > 0 && n > 0 && idOf === SAME, idOf(n)), PINGREQ);
        t.match(await client.next(), { cmd: 'pingresp' });
        client.socket.resetAndDestroy();
        await metrics.untilConnections(0);
      }
      const isRepeated = qos === 2 && idOf === SAME;
      t.equal(sink.taken.length, isRepeated ? 1 : CONNECTIONS, 'all of them wait');
      // A timer of the last connection may hold it for a turn.
      await new Promise((resolve) => setImmediate(resolve));
      const held = queryObjects!(Connection, { format: 'count' });
      t.ok(held <= HELD_MAX, `${held} connections are held`);
      if (!isRepeated) return;
      const client = await openSession(t, port, 4, { clean: false });
      client.send(publish(qos, true, SAME()), PINGREQ);
      t.match(await client.next(), { cmd: 'pingresp' });
      sink.taken[0]!.done({ kind: 'stored' });
      t.match(
        await client.next(),
        { cmd: 'pubrec', messageId: SAME() },
        'the one that is here is told',
      );
    },
  );
}

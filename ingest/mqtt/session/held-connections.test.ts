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

function publish(qos: 0 | 1 | 2, dup: boolean): Buffer {
  const topic = 'v1/devices/dev-1/fixes';
  return generate({ cmd: 'publish', topic, payload: '{}', qos, dup, retain: false, messageId: 5 });
}

for (const qos of [0, 1, 2] as const) {
  const options =
    queryObjects === undefined ? { skip: 'this Node cannot count objects (20.13 can)' } : {};
  t.test(`publishes of quality of service ${qos} keep no connection`, options, async (t) => {
    const { port, sink, metrics } = await startListener(t);
    for (let n = 0; n < CONNECTIONS; n++) {
      const client = await openSession(t, port, 4, { clean: false });
      client.send(publish(qos, qos > 0 && n > 0), PINGREQ);
      t.match(await client.next(), { cmd: 'pingresp' });
      client.socket.resetAndDestroy();
      await metrics.untilConnections(0);
    }
    t.equal(sink.taken.length, qos === 2 ? 1 : CONNECTIONS, 'all of them wait');
    // A timer of the last connection may hold it for a turn.
    await new Promise((resolve) => setImmediate(resolve));
    const held = queryObjects!(Connection, { format: 'count' });
    t.ok(held <= HELD_MAX, `${held} connections are held`);
    if (qos < 2) return;
    const client = await openSession(t, port, 4, { clean: false });
    client.send(publish(qos, true), PINGREQ);
    t.match(await client.next(), { cmd: 'pingresp' });
    sink.taken[0]!.done({ kind: 'stored' });
    t.match(await client.next(), { cmd: 'pubrec', messageId: 5 }, 'the one that is here is told');
  });
}

import t from 'tap';
import type { DeliveryOutcome } from '../sink.ts';
import { Deliveries, type Link } from './deliveries.ts';
import type { Outbox } from './outbox.ts';

const TOPIC = 'v1/devices/dev-1/commands';
const PAYLOAD = Buffer.from('x');

/** A connection that notes the identifiers of the publishes it is given. */
function openLink(receiveMax = 65_535): { link: Link; ids: number[] } {
  const ids: number[] = [];
  const outbox = {
    packet: (bytes: Buffer) => ids.push(bytes.readUInt16BE(4 + TOPIC.length)) > 0,
    ack: () => undefined,
  } as unknown as Outbox;
  const to = { version: 4, packetBytesMax: Infinity, wantsReasons: true } as const;
  return { link: { outbox, to, receiveMax }, ids };
}

function openDeliveries(deliveriesMax = 8): Deliveries {
  const deliveries = new Deliveries(TOPIC, deliveriesMax, () => undefined);
  deliveries.subscription = { qos: 1, identifier: null };
  return deliveries;
}

t.test('an identifier is used again only when it is free, and 0 never', (t) => {
  const deliveries = openDeliveries();
  const { link, ids } = openLink();
  deliveries.attach(link);
  const send = (): number => {
    t.ok(deliveries.send(PAYLOAD, () => undefined));
    return ids.at(-1)!;
  };
  const stuck = [send(), send()];
  let last = 0;
  let wrongCount = 0;
  for (let i = 0; i < 65_535; i++) {
    deliveries.send(PAYLOAD, () => undefined);
    const id = ids.at(-1)!;
    const isNext = id === last + 1 || last === 0 || last === 65_535;
    if (id === 0 || stuck.includes(id) || !isNext) wrongCount++;
    last = id;
    deliveries.puback(id);
  }
  t.equal(wrongCount, 0);
  t.ok(last > 2 && last < 65_535, 'it has begun again from the start');
  t.end();
});

t.test('what waits is sent in its order, as places become free', (t) => {
  const deliveries = openDeliveries();
  const { link, ids } = openLink(2);
  const outcomes: DeliveryOutcome[] = [];
  deliveries.attach(link);
  for (let i = 0; i < 5; i++) deliveries.send(PAYLOAD, (outcome) => outcomes.push(outcome));
  t.same(ids, [1, 2]);
  deliveries.puback(2);
  t.same(ids, [1, 2, 3]);
  deliveries.detach();
  deliveries.puback(1);
  t.same(ids, [1, 2, 3], 'nothing is sent while nobody is there');
  const next = openLink(10);
  deliveries.attach(next.link);
  t.same(next.ids, [3, 4, 5]);
  t.same(outcomes, ['delivered', 'delivered']);
  deliveries.end();
  t.same(outcomes.slice(2), ['gone', 'gone', 'gone']);
  t.end();
});

t.test('a command given from within the answer to another one is sent', (t) => {
  const deliveries = openDeliveries(1);
  const { link, ids } = openLink(1);
  deliveries.attach(link);
  const again = (outcome: DeliveryOutcome): void => {
    t.equal(outcome, 'delivered');
    t.ok(deliveries.send(PAYLOAD, () => undefined));
  };
  deliveries.send(PAYLOAD, again);
  t.notOk(deliveries.send(PAYLOAD, again), 'no room');
  deliveries.puback(1);
  t.same(ids, [1, 2]);
  t.end();
});

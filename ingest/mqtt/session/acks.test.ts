import t from 'tap';
import type { PublishOutcome } from '../sink.ts';
import { Acks, PendingAck } from './acks.ts';

const STORED: PublishOutcome = { kind: 'stored' };

/** The next in line. */
function add(acks: Acks, packetId: number, qos: 1 | 2): PendingAck {
  const ack = new PendingAck(packetId, qos, {
    settled: (settled, outcome) => acks.settle(settled, outcome),
  });
  acks.add(ack);
  return ack;
}

t.test('outcomes leave in the order of arrival, whatever order they come in', (t) => {
  const seed = Date.now() % 1_000_000;
  t.comment(`seed ${seed}`);
  let state = seed;
  const next = (bound: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % bound;
  };
  const given: number[] = [];
  const acks = new Acks(({ packetId }) => given.push(packetId));
  const waiting: PendingAck[] = [];
  let added = 0;
  while (given.length < 5_000) {
    if (added < 5_000 && (waiting.length === 0 || next(2) === 0))
      waiting.push(add(acks, ++added, added % 2 === 0 ? 1 : 2));
    else waiting.splice(next(waiting.length), 1)[0]!.settled(STORED);
  }
  t.same(
    given,
    Array.from({ length: 5_000 }, (_, i) => i + 1),
  );
  t.equal(acks.count, 0);
  t.end();
});

t.test('what is settled behind an unsettled one still counts', (t) => {
  const acks = new Acks(() => {});
  const first = add(acks, 1, 1);
  acks.settle(add(acks, 2, 2), STORED);
  t.equal(acks.count, 2);
  acks.settle(first, STORED);
  t.equal(acks.count, 0);
  t.end();
});

t.test('settling twice is a programmer error', (t) => {
  const acks = new Acks(() => {});
  const entry = add(acks, 1, 1);
  acks.settle(entry, STORED);
  t.throws(() => acks.settle(entry, STORED), /twice/);
  t.end();
});

import t from 'tap';
import type { PublishOutcome } from '../sink.ts';
import { Acks } from './acks.ts';

const STORED: PublishOutcome = { kind: 'stored' };

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
  const waiting: ReturnType<Acks['add']>[] = [];
  let added = 0;
  while (given.length < 5_000) {
    if (added < 5_000 && (waiting.length === 0 || next(2) === 0))
      waiting.push(acks.add(++added, added % 2 === 0 ? 1 : 2));
    else acks.settle(waiting.splice(next(waiting.length), 1)[0]!, STORED);
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
  const first = acks.add(1, 1);
  acks.settle(acks.add(2, 2), STORED);
  t.equal(acks.count, 2);
  acks.settle(first, STORED);
  t.equal(acks.count, 0);
  t.end();
});

t.test('settling twice is a programmer error', (t) => {
  const acks = new Acks(() => {});
  const entry = acks.add(1, 1);
  acks.settle(entry, STORED);
  t.throws(() => acks.settle(entry, STORED), /twice/);
  t.end();
});

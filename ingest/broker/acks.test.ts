import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { Acks } from './acks.ts';

function newAcks(): { acks: Acks; writes: string[] } {
  const writes: string[] = [];
  return { acks: new Acks((bytes) => writes.push(bytes.toString('hex'))), writes };
}

t.test('acknowledged in the order of arrival, in one write', async (t) => {
  const { acks, writes } = newAcks();
  const first = acks.add(1, 1)!;
  const second = acks.add(2, 2)!;
  const loose = acks.add(0, 0)!;
  const last = acks.add(3, 1)!;
  for (const message of [last, loose, second]) acks.settle(message);
  await turn();
  t.same(writes, [], 'the first one is not settled');
  t.equal(acks.count, 4);
  acks.settle(first);
  await turn();
  t.same(writes, ['40020001' + '50020002' + '40020003']);
  t.equal(acks.count, 0);
});

t.test('a message that comes again while it waits is the same message', async (t) => {
  const { acks, writes } = newAcks();
  const first = acks.add(9, 1)!;
  t.equal(acks.add(9, 1), null);
  acks.settle(first);
  t.not(acks.add(9, 1), null, 'the identifier is free again');
  await turn();
  t.same(writes, ['40020009']);
  t.throws(() => acks.settle(first), 'settled twice');
});

t.test('tells when nothing waits', (t) => {
  const { acks } = newAcks();
  let idle = 0;
  acks.onceIdle(() => idle++);
  t.equal(idle, 1);
  const one = acks.add(0, 0)!;
  acks.onceIdle(() => idle++);
  t.equal(idle, 1);
  acks.settle(one);
  t.equal(idle, 2);
  t.end();
});

import t from 'tap';
import { setImmediate as turn } from 'node:timers/promises';
import { TURN_MS_MAX, Turns } from './turns.ts';

/** A clock that work moves on. */
function makeTurns(): { turns: Turns; work: (ms: number) => void } {
  let nowMs = 0;
  return { turns: new Turns(() => nowMs), work: (ms) => void (nowMs += ms) };
}

t.test('work is done at once until the turn is spent', async (t) => {
  const { turns, work } = makeTurns();
  t.equal(turns.isSpent(), false);
  await turns.run(() => work(TURN_MS_MAX));
  t.equal(turns.isSpent(), false);
  work(1);
  t.equal(turns.isSpent(), true);
  await turn();
  t.equal(turns.isSpent(), false, 'another turn, another share');
});

t.test('after a pause it is another turn', async (t) => {
  const { turns, work } = makeTurns();
  await turns.run(() => work(TURN_MS_MAX));
  work(1.1);
  t.equal(turns.isSpent(), false);
});

t.test('what waits goes in the order of asking, no more in a turn than fits', async (t) => {
  const { turns, work } = makeTurns();
  const told: string[] = [];
  const long = (name: string): (() => void) => {
    return () => {
      told.push(name);
      work(TURN_MS_MAX + 1);
    };
  };
  await turns.run(long('now'));
  t.same(told, ['now']);
  turns.later(() => told.push('short'));
  turns.later(long('first'));
  const last = turns.run(long('last'));
  t.same(told, ['now'], 'the turn was spent');
  await turn();
  t.same(told, ['now', 'short', 'first']);
  await last;
  t.same(told, ['now', 'short', 'first', 'last']);
});

t.test('a task that asks for another turn from within gets a later one', async (t) => {
  const { turns, work } = makeTurns();
  const told: string[] = [];
  turns.later(() => {
    told.push('outer');
    work(TURN_MS_MAX + 1);
    turns.later(() => told.push('inner'));
  });
  await turn();
  t.same(told, ['outer']);
  await turn();
  t.same(told, ['outer', 'inner']);
});

t.test('what work gives or throws is told, now or later', async (t) => {
  const { turns, work } = makeTurns();
  const broken = (): never => {
    throw new Error('broken');
  };
  t.equal(await turns.run(() => 1), 1);
  await t.rejects(turns.run(broken), { message: 'broken' });
  await turns.run(() => work(TURN_MS_MAX + 1));
  const [given, refused] = [turns.run(() => Promise.resolve(2)), t.rejects(turns.run(broken))];
  t.equal(await given, 2);
  await refused;
});

t.test('nobody overtakes who waits, but for work that makes room', async (t) => {
  const { turns, work } = makeTurns();
  const told: string[] = [];
  const tell = (name: string): Promise<void> => turns.run(() => void told.push(name));
  await turns.run(() => work(TURN_MS_MAX + 1));
  const waited = tell('waited');
  const ahead = turns.run(() => void told.push('ahead'), 'ahead');
  t.same(told, []);
  await Promise.all([waited, ahead]);
  t.same(told, ['ahead', 'waited']);
  turns.later(() => told.push('first'));
  await tell('second');
  t.same(told, ['ahead', 'waited', 'first', 'second'], 'the turn was not spent, yet one waited');
});

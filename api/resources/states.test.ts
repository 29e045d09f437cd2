/** The states of rows, against a table written down by hand. */
import t from 'tap';
import { Problem } from '../problem.ts';
import type { Row } from './define.ts';
import {
  allowedFrom,
  beginState,
  columnsOf,
  moveState,
  stays,
  type StateMachine,
} from './states.ts';

const MACHINE: StateMachine = {
  column: 'status',
  first: ['open', 'held'],
  next: { open: ['held', 'done', 'off'], held: ['open'], done: [], off: [] },
  enter: {
    held: { needs: ['why'] },
    done: { stamp: 'done_at', by: 'done_by', needs: ['resolution'] },
  },
  reason: 'why',
  settled: ['done'],
};
const MOVER = { nowMs: Date.UTC(2026, 1, 28), userId: 7 };
const AT = new Date(MOVER.nowMs);

function refused(act: () => unknown): Problem {
  try {
    act();
  } catch (error) {
    if (error instanceof Problem) return error;
  }
  throw new Error('nothing was refused');
}

const move = (stored: Row, given: Row, changes = given) =>
  moveState(MACHINE, MOVER, { stored, given, changes });

t.test('a row begins where it may', (t) => {
  t.same(beginState(MACHINE, MOVER, { name: 'a' }), { name: 'a' });
  t.same(beginState(MACHINE, MOVER, { status: 'held', why: 'parts' }), {
    status: 'held',
    why: 'parts',
  });
  const wrong = refused(() => beginState(MACHINE, MOVER, { status: 'done' }));
  t.match(wrong, { code: 'unprocessable', errors: [{ pointer: '/status' }] });
  const missing = refused(() => beginState(MACHINE, MOVER, { status: 'held' }));
  t.match(missing, { code: 'unprocessable', errors: [{ pointer: '/why' }] });
  t.end();
});

t.test('every pair of states is allowed or refused as the table says', (t) => {
  const states = Object.keys(MACHINE.next);
  for (const from of states) {
    for (const to of states.filter((state) => state !== from)) {
      const given = { status: to, why: 'said', resolution: 'said' };
      const isAllowed = allowedFrom(MACHINE, from).includes(to);
      if (isAllowed) {
        t.match(move({ status: from }, given), { status: to });
        continue;
      }
      const problem = refused(() => move({ status: from }, given));
      t.match(problem, { code: 'conflict', allowedTransitions: allowedFrom(MACHINE, from) });
    }
  }
  t.end();
});

t.test('entering is stamped, and asks for what it needs', (t) => {
  const stored = { status: 'open', why: '', resolution: '' };
  t.match(
    refused(() => move(stored, { status: 'done' })),
    { code: 'unprocessable', errors: [{ pointer: '/resolution' }] },
  );
  t.same(move({ ...stored, resolution: 'new tyre' }, { status: 'done' }), {
    status: 'done',
    why: '',
    done_at: AT,
    done_by: 7,
  });
  t.end();
});

t.test('a reason belongs to one transition', (t) => {
  const held = { status: 'held', why: 'parts', resolution: '' };
  t.same(move(held, { status: 'open' }), { status: 'open', why: '' });
  const open = { status: 'open', why: 'parts', resolution: '' };
  t.equal(refused(() => move(open, { status: 'held' })).code, 'unprocessable');
  // The same words again are no change of the column, and count all the same.
  t.same(move(open, { status: 'held', why: 'parts' }, { status: 'held' }), { status: 'held' });
  t.end();
});

t.test('a settled row stays as it is', (t) => {
  t.same(move({ status: 'open' }, { name: 'b' }), { name: 'b' });
  t.match(
    refused(() => move({ status: 'done' }, { name: 'b' })),
    { code: 'conflict', allowedTransitions: [] },
  );
  t.match(stays(MACHINE, 'held', 'and no more').message, /status is held, which allows open, and/);
  t.end();
});

t.test('its columns', (t) => {
  t.same(columnsOf(MACHINE).sort(), ['done_at', 'done_by', 'resolution', 'status', 'why', 'why']);
  t.end();
});

t.test('what a state asks for is not emptied while a row is in it', (t) => {
  const stored = { status: 'held', why: 'parts' };
  const emptied = refused(() => move(stored, { why: '' }));
  t.match(emptied, { code: 'unprocessable', errors: [{ pointer: '/why' }] });
  t.same(move(stored, { name: 'b' }), { name: 'b' });
  t.same(
    move({ status: 'open', why: 'x' }, { why: '' }),
    { why: '' },
    'another state asks nothing',
  );
  t.end();
});

t.test('what rules enter by themselves is neither listed nor taken', (t) => {
  const machine = { ...MACHINE, inner: ['off'] };
  t.same(allowedFrom(machine, 'open'), ['held', 'done']);
  const problem = refused(() =>
    moveState(machine, MOVER, {
      stored: { status: 'open' },
      given: { status: 'off' },
      changes: { status: 'off' },
    }),
  );
  t.match(problem, { code: 'conflict', allowedTransitions: ['held', 'done'] });
  t.end();
});

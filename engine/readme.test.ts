/** The README's example, as it stands there. */
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { createEngine } from './engine.ts';
import { applyEdits, createWorld, fencesAt } from './world.ts';

t.test('the example says what it says', async (t) => {
  const text = await readFile('engine/README.md', 'utf8');
  const code = /```ts\n(.*?)```/s.exec(text)?.[1] ?? '';
  const body = code.replace(/^import .*$/gm, '');
  // Nothing of types is in it, so it is JavaScript as well.
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the README's own words, in a test
  const run = new Function('parts', `const { createEngine, applyEdits, createWorld, fencesAt } = parts;${body}
    return [events, fencesAt(world, 1, 4.4791, 51.9221)[0].name, engine.nextDueMs(), engine.snapshot(7)];`); // prettier-ignore
  const parts = { createEngine, applyEdits, createWorld, fencesAt };
  const [events, name, dueMs, state] = (run as (some: object) => unknown[])(parts);
  t.match(events, [{ type: 'geofence_enter', initial: true, fenceId: 1, equipmentId: 70 }]);
  t.equal(name, 'depot');
  t.equal(dueMs, 1_790_000_600_000);
  t.match(state, { inside: [{ fenceId: 1, name: 'depot' }] });
});

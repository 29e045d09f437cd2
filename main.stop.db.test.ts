/** How the program ends when it is told to: in order, with everything acknowledged that it has stored, and nothing lost. */
import t from 'tap';
import { holdEvents, holdLists, holdPositions, holdRows } from './bench/proof/hold.ts';
import { configure, openHouse, travel } from './bench/proof/run.ts';

t.test('SIGTERM to npm start, then Ctrl-C, while devices publish', async (t) => {
  const house = await openHouse(t, 'npm start', 6);
  await configure(house);
  const stops = await travel(t, house, [
    { at: 800, by: 'SIGTERM' },
    { at: 1_700, by: 'Ctrl-C' },
  ]);
  t.equal(stops.length, 2);
  for (const { acknowledgedCount, storedCount, missing, exit } of stops) {
    t.comment(`stopped with ${acknowledgedCount} fixes acknowledged; ${storedCount} were stored`);
    t.equal(exit.code, 0);
    t.notOk(exit.orphaned, 'nothing of it goes on without it');
    t.match(exit.output, '"msg":"stopping; a second signal ends at once"');
    t.notMatch(exit.output, /"level":(50|60)/, 'without an error in its log');
    t.same(missing, [], 'everything acknowledged is stored');
  }
  await holdRows(t, house);
  await holdEvents(t, house);
  await holdPositions(t, house);
  await holdLists(t, house);
});

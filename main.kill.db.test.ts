/** The main job again, with the program killed in the middle of it, twice. */
import t from 'tap';
import { holdEvents, holdLists, holdPositions, holdRival, holdRows } from './bench/proof/hold.ts';
import { FIX_COUNT, UNIT_COUNT } from './bench/proof/journey.ts';
import { configure, openHouse, travel } from './bench/proof/run.ts';

t.test('SIGKILL in the middle: nothing lost, nothing twice, the same feed', async (t) => {
  // The other transport of the live stream has its turn here.
  const settings = { LIVE_TRANSPORT: 'ws' };
  const house = await openHouse(t, 'node dist/main.js', UNIT_COUNT, settings);
  await configure(house);
  const kills = await travel(t, house, [
    { at: 2_500, by: 'SIGKILL' },
    { at: 6_500, by: 'SIGKILL' },
  ]);
  t.equal(kills.length, 2);
  for (const { acknowledgedCount, storedCount, missing, exit } of kills) {
    t.comment(`killed with ${acknowledgedCount} fixes acknowledged and ${storedCount} stored`);
    t.equal(exit.signal, 'SIGKILL', 'it had no time to say anything');
    t.same(missing, [], 'what was acknowledged was in the database before the restart');
    t.ok(storedCount < UNIT_COUNT * FIX_COUNT, 'the journeys were not over');
  }
  await holdRows(t, house);
  await holdEvents(t, house);
  await holdPositions(t, house);
  await holdLists(t, house);
  await holdRival(t, house);
});

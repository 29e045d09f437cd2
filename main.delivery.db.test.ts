/** The main job, end to end: started as a user starts it, twenty real devices, every fix, every event, every watcher. */
import t from 'tap';
import { holdEvents, holdLists, holdPositions, holdRival, holdRows } from './bench/proof/hold.ts';
import { UNIT_COUNT } from './bench/proof/journey.ts';
import { configure, openHouse, travel } from './bench/proof/run.ts';

t.test(
  '20 devices × 500 fixes: nothing lost, nothing twice, the feed as the reference',
  async (t) => {
    const house = await openHouse(t, 'npm start', UNIT_COUNT);
    await configure(house);
    await travel(t, house, []);
    await holdRows(t, house);
    await holdEvents(t, house);
    await holdPositions(t, house);
    await holdLists(t, house);
    await holdRival(t, house);
  },
);

/**
 * For the test that kills: a subscriber with its database in a process of its own, from a room's settings as JSON in the
 * first argument. Prints the number of messages stored so far after each answer of a batch.
 */
import { openRoom } from './test-room.ts';

const { ownerUrl, url } = JSON.parse(process.argv[2]!) as { ownerUrl: string; url: string };

let stored = 0;
let isSaid = false;
const room = await openRoom({
  ownerUrl,
  onOutcome: () => {
    stored++;
    if (isSaid) return;
    isSaid = true;
    setImmediate(() => {
      isSaid = false;
      process.stdout.write(`${stored}\n`);
    });
  },
});
room.subscribe({ url });

/** Too much comes, the disk runs full, connections die without a word: the short form of `npm run torture`. */
import t from 'tap';
import { halfOpenDatabase, halfOpenDevices } from './scenarios/half-open.ts';
import { fullDisk, slowDatabase } from './scenarios/pressure.ts';
import { holdShort } from './short.ts';

t.test('short form', (t) =>
  holdShort(t, [slowDatabase, fullDisk, halfOpenDevices, halfOpenDatabase]),
);

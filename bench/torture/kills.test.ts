/** The program is killed at random instants, under load: the short form of `npm run torture`. */
import t from 'tap';
import { serverKill } from './scenarios/kills.ts';
import { holdShort } from './short.ts';

t.test('short form', (t) => holdShort(t, [serverKill]));

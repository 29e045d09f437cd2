/** The program is told to end, under load, with and without its database: the short form of `npm run torture`. */
import t from 'tap';
import { stops } from './scenarios/stops.ts';
import { holdShort } from './short.ts';

t.test('short form', (t) => holdShort(t, [stops]));

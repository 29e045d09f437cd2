/** The program is told to end, and another one takes its place: the short form of `npm run torture`. */
import t from 'tap';
import { stops } from './scenarios/stops.ts';
import { takeover } from './scenarios/takeover.ts';
import { holdShort } from './short.ts';

t.test('short form', (t) => holdShort(t, [stops, takeover]));

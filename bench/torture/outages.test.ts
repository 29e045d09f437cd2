/** The database is killed, and out of reach: the short form of `npm run torture`. */
import t from 'tap';
import { databaseKill } from './scenarios/kills.ts';
import { unreachable } from './scenarios/outages.ts';
import { holdShort } from './short.ts';

t.test('short form', (t) => holdShort(t, [databaseKill, unreachable]));

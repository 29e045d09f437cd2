/** Commits that get lost, wait, are refused or take too long: the short form of `npm run torture`. */
import t from 'tap';
import { commitCut, tableLock } from './scenarios/outages.ts';
import { poison } from './scenarios/poison.ts';
import { slowStatements } from './scenarios/slow-statements.ts';
import { holdShort } from './short.ts';

t.test('short form', (t) => holdShort(t, [commitCut, tableLock, poison, slowStatements]));

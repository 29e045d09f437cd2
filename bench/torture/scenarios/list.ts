/** Every scenario, in the order in which all of them are played. */
import type { Scenario } from '../stage.ts';
import { halfOpenDatabase, halfOpenDevices } from './half-open.ts';
import { databaseKill, serverKill } from './kills.ts';
import { commitCut, tableLock, unreachable } from './outages.ts';
import { poison } from './poison.ts';
import { fullDisk, slowDatabase } from './pressure.ts';
import { slowStatements } from './slow-statements.ts';
import { stops } from './stops.ts';
import { takeover } from './takeover.ts';

export const SCENARIOS: readonly Scenario[] = [
  serverKill,
  databaseKill,
  unreachable,
  commitCut,
  tableLock,
  slowDatabase,
  fullDisk,
  halfOpenDevices,
  halfOpenDatabase,
  stops,
  takeover,
  poison,
  slowStatements,
];

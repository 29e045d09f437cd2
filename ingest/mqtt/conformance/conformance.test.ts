/**
 * Holds the listener to the numbered statements of MQTT 3.1.1 and 5.0, row by row, over raw sockets; and the rows to the
 * statements: each one is covered, or it is said why it is not for a server that takes in and does not route.
 */
import t, { type Test } from 'tap';
import { CONNECT_ROWS } from './test-rows-connect.ts';
import { FORMAT_ROWS } from './test-rows-format.ts';
import { PUBLISH_ROWS } from './test-rows-publish.ts';
import { SESSION_ROWS } from './test-rows-session.ts';
import { SUBSCRIBE_ROWS } from './test-rows-subscribe.ts';
import {
  listed,
  NOT_APPLICABLE_311,
  NOT_APPLICABLE_5,
  STATEMENTS_311,
  STATEMENTS_5,
} from './test-statements.ts';
import { openScene, type Row, type Version } from './test-wire.ts';

const TABLES: Readonly<Record<string, readonly Row[]>> = {
  format: FORMAT_ROWS,
  connect: CONNECT_ROWS,
  session: SESSION_ROWS,
  publish: PUBLISH_ROWS,
  subscribe: SUBSCRIBE_ROWS,
};
const ROWS = Object.values(TABLES).flat();

for (const [name, rows] of Object.entries(TABLES)) {
  t.test(name, async (t) => {
    for (const row of rows) {
      await runRow(t, row, 4, row.in311);
      await runRow(t, row, 5, row.in5);
    }
  });
}

function runRow(t: Test, row: Row, version: Version, statements: string | undefined): unknown {
  if (statements === undefined) return undefined;
  const title = `${version === 4 ? '3.1.1' : '5.0'} [${statements}] ${row.says}`;
  return t.test(title, async (t) => row.run(await openScene(t, version, row.limits)));
}

t.test('every statement is covered, or there is a reason why not', (t) => {
  const versions = [
    { covered: ROWS.map((row) => row.in311), all: STATEMENTS_311, not: NOT_APPLICABLE_311 },
    { covered: ROWS.map((row) => row.in5), all: STATEMENTS_5, not: NOT_APPLICABLE_5 },
  ];
  for (const { covered, all, not } of versions) {
    const rows = new Set(covered.flatMap((text) => listed(text ?? '')));
    const reasons = new Set(Object.values(not).flatMap(listed));
    const strange = [...rows, ...reasons].filter((statement) => !all.includes(statement));
    t.same(strange, [], 'there is no such statement');
    t.same(
      [...reasons].filter((statement) => rows.has(statement)),
      [],
      'both',
    );
    const missing = all.filter((statement) => !rows.has(statement) && !reasons.has(statement));
    t.same(missing, [], 'neither');
    t.comment(
      `${all.length} statements: ${rows.size} covered, ${reasons.size} not for this server`,
    );
  }
  t.end();
});

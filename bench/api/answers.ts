/** Whether the two servers answer the same, field by field, in the same order: what is compared is the same work. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { ApiHouse } from './bench.ts';
import type { LoadRequest } from './load-program.ts';
import type { Scenario } from './scenarios.ts';

type Row = Record<string, unknown>;

/** Requests of a scenario that are compared. */
const COMPARED_MAX = 40;
/** Pages of a walk. */
const PAGES_MAX = 3;
/** Fields that differ from one day to the next. */
const TIMES = /_at$/;

/** Fails where they differ. Gives a hash of the answers without their times. */
export async function answersOf(house: ApiHouse, scenario: Scenario): Promise<string> {
  const hash = createHash('sha256').update(scenario.name);
  const { isWalk } = scenario;
  let count = 0;
  for (const [n, request] of scenario.portal.slice(0, COMPARED_MAX).entries()) {
    const ours = await rowsOf(house.portal.port, request, isWalk);
    const theirs = await rowsOf(house.bare.port, scenario.bare[n]!, isWalk);
    assert.equal(ours.length, theirs.length, `${request.path}: as many rows as of the bare server`);
    for (const [i, row] of ours.entries()) {
      const other = theirs[i]!;
      const same = Object.fromEntries(Object.keys(row).map((name) => [name, other[name]]));
      assert.deepEqual(row, same, `${request.path}: row ${i} as of the bare server`);
      const values = Object.entries(row).filter(([name]) => !TIMES.test(name));
      hash.update(JSON.stringify(values));
    }
    count += ours.length;
  }
  assert(count > 0, `${scenario.name} finds something`);
  return hash.digest('hex');
}

interface Answer {
  readonly data?: Row[];
  readonly next_cursor?: string | null;
  readonly page?: { readonly next_cursor: string | null };
}

async function rowsOf(port: number, request: LoadRequest, isWalk: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor = '';
  for (let page = 0; page < PAGES_MAX; page++) {
    const url = `http://127.0.0.1:${port}${request.path}${cursor && `&cursor=${cursor}`}`;
    const response = await fetch(url, { headers: request.headers });
    assert.equal(response.status, 200, url);
    const answer = (await response.json()) as Answer;
    if (answer.data === undefined) return [answer as Row];
    rows.push(...answer.data);
    const next = answer.page?.next_cursor ?? answer.next_cursor;
    if (!isWalk || typeof next !== 'string') break;
    cursor = next;
  }
  return rows;
}

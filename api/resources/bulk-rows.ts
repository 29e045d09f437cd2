/**
 * Many rows of one resource. Each row's checks, its savepoint and its insert are a round trip each, and a table that numbers
 * its rows is held all the while; so rows about which nothing needs to be asked are sent together: a few in each statement,
 * and many statements in one write. What a refused statement held is tried row by row, for each to get its own answer.
 */
import { sql } from 'drizzle-orm';
import type { FastifyRequest } from 'fastify';
import { Pipeline, type Answer } from '../../db/pipeline.ts';
import { toProblem } from '../problem-mapping.ts';
import type { Problem } from '../problem.ts';
import {
  answerOf,
  createOne,
  lookThrough,
  refused,
  type BulkAnswer,
  type ItemResult,
} from './bulk.ts';
import type { Row } from './define.ts';
import { projection, toStatement } from './query.ts';
import type { Resource } from './resource.ts';
import type { Secrets } from './secrets.ts';
import { findPlain, insertOf, makeRow, run, type Work } from './store.ts';

/** Rows of one statement: with more of them it takes no less time for each. */
const STATEMENT_ROWS_MAX = 16;
/** Statements of one write. What stands behind a refused one has been sent for nothing, so there are few after that. */
const STATEMENTS_MAX = 16;
const STATEMENTS_MIN = 1;

interface Item {
  readonly index: number;
  readonly body: Row;
}

/**
 * Makes the rows, in the order of the items, and notes their secrets by the index of the item. Only what the whole
 * transaction cannot survive is thrown.
 */
export async function createRows(
  work: Work,
  resource: Resource,
  request: FastifyRequest,
  [items, secrets]: readonly [readonly unknown[], Secrets],
): Promise<BulkAnswer> {
  const results = lookThrough(request, resource.createSchema, items);
  const fitting = [...items.entries()].filter(([index]) => results[index] === undefined);
  const bodies = fitting.map(([index, body]) => ({ index, body: body as Row }));
  const plain = await findPlain(
    work,
    resource,
    bodies.map(({ body }) => body),
  );
  const finish = await resource.rules.many?.(
    work,
    bodies.map(({ body }) => body),
  );
  for (const { isPlain, run: together } of runsOf(bodies, plain)) {
    const answers = isPlain
      ? await insertAll(work, resource, together, STATEMENT_ROWS_MAX)
      : await createAlone(work, resource, together, secrets);
    for (const answer of answers) results[answer.index] = answer;
  }
  if (finish) await finish();
  return answerOf(results as ItemResult[]);
}

interface ItemRun {
  readonly isPlain: boolean;
  readonly run: Item[];
}

/** Neighbours that are alike in being plain or not. */
function runsOf(items: readonly Item[], plain: ReadonlySet<Row>): ItemRun[] {
  const runs: ItemRun[] = [];
  for (const item of items) {
    const isPlain = plain.has(item.body);
    const last = runs.at(-1);
    if (last?.isPlain === isPlain) last.run.push(item);
    else runs.push({ isPlain, run: [item] });
  }
  return runs;
}

async function createAlone(
  work: Work,
  resource: Resource,
  items: readonly Item[],
  secrets: Secrets,
): Promise<ItemResult[]> {
  const results: ItemResult[] = [];
  for (const { index, body } of items) {
    const make = async () => {
      const { row, secrets: told } = await makeRow(work, resource, body);
      secrets.note(index, told);
      return row[resource.key.name] as number | string;
    };
    results.push(await createOne(work, index, make));
  }
  return results;
}

/** `rowsMax`: of one statement. */
async function insertAll(
  work: Work,
  resource: Resource,
  items: readonly Item[],
  rowsMax: number,
): Promise<ItemResult[]> {
  const statements = statementsOf(items, rowsMax);
  const results: ItemResult[] = [];
  let atOnce = rowsMax === 1 ? STATEMENTS_MIN : STATEMENTS_MAX;
  for (let at = 0; at < statements.length;) {
    const sent = statements.slice(at, at + atOnce);
    const { made, problem } = await insertSome(work, resource, sent);
    results.push(...made.flat());
    at += made.length;
    atOnce = problem === null ? Math.min(atOnce * 2, STATEMENTS_MAX) : STATEMENTS_MIN;
    if (problem === null) continue;
    const blamed = sent[made.length]!;
    if (blamed.length === 1) results.push(refused(blamed[0]!.index, problem));
    else results.push(...(await insertAll(work, resource, blamed, 1)));
    at += 1;
  }
  return results;
}

/** Neighbours that have the same fields, up to so many. */
function statementsOf(items: readonly Item[], rowsMax: number): Item[][] {
  const statements: Item[][] = [];
  let fields = '';
  for (const item of items) {
    const own = Object.keys(item.body).sort().join();
    const last = statements.at(-1);
    if (last && own === fields && last.length < rowsMax) last.push(item);
    else statements.push([item]);
    fields = own;
  }
  return statements;
}

/** The answers to the first statements: to all, or to those before the one that the database refuses, and its reason. */
async function insertSome(
  work: Work,
  resource: Resource,
  statements: readonly (readonly Item[])[],
): Promise<{ made: ItemResult[][]; problem: Problem | null }> {
  const pipeline = new Pipeline();
  const answers: Answer<Row>[] = statements.map((items) => {
    const bodies = items.map(({ body }) => body);
    const insert = insertOf(work, resource, bodies);
    const { text, values } = toStatement(sql`${insert} returning ${projection([resource.key])}`);
    pipeline.brief('savepoint_rows', 'savepoint rows', []);
    const answer = pipeline.recurring<Row>(text, values);
    pipeline.brief('release_rows', 'release savepoint rows', []);
    return answer;
  });
  let problem: Problem | null = null;
  try {
    await pipeline.run(work.client);
  } catch (error) {
    problem = toProblem(error);
    // The server's own trouble is the whole request's.
    if (problem.status >= 500) throw error;
    await run(work.client, sql`rollback to savepoint rows`);
  }
  const isDone = answers.map(({ rows }, at) => rows.length === statements[at]!.length);
  const count = problem === null ? statements.length : isDone.indexOf(false);
  const made = statements
    .slice(0, count)
    .map((items, at) =>
      items.map(({ index }, row) => madeOf(index, answers[at]!.rows[row]![resource.key.name])),
    );
  return { made, problem };
}

function madeOf(index: number, id: unknown): ItemResult {
  return { index, status: 201, id: id as number | string };
}

/**
 * What the portal is held against: Fastify and `pg` and nothing else. The statements of bare-sql.ts, run as the owner of the
 * tables, their rows sent as JSON: no token, no rights, no row-level security, no schemas, no limits. Spoken to by
 * programs.ts.
 */
import { Readable } from 'node:stream';
import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import pg from 'pg';
import { valueTypes } from '../../db/pools.ts';
import {
  GETS,
  HISTORY,
  LISTS,
  PAGE_ROWS,
  SEARCH,
  valuesOf,
  type BareStatement,
} from './bare-sql.ts';
import { takeOrders } from './programs.ts';

export interface BareOrder {
  readonly ownerUrl: string;
  /** Connections to the database. */
  readonly connections: number;
}

type Row = Record<string, unknown>;
type Query = Record<string, string>;

/** Rows that an export reads at a time; those of the portal. */
const EXPORT_ROWS = 1_000;

function buildBare(pool: pg.Pool) {
  const app = Fastify();
  const run = async (statement: BareStatement, given: Row): Promise<Row[]> =>
    (await pool.query<Row>(statement.text, valuesOf(statement, given))).rows;
  app.get('/list/:name', async (request) => {
    const { name } = request.params as { name: string };
    const { cursor, ...query } = request.query as Query;
    const list = LISTS[name]!;
    const given = { ...query, rows: PAGE_ROWS + 1 };
    const rows =
      cursor === undefined
        ? await run(list.first, given)
        : await run(list.next, { ...given, ...decode(cursor) });
    return pageOf(rows);
  });
  app.get('/get/:name', async (request) => {
    const { name } = request.params as { name: string };
    const [row] = await run(GETS[name]!, request.query as Query);
    return row;
  });
  app.get('/search', async (request) => {
    const { customer, q } = request.query as Query;
    const plain = q!.replace(/[^a-z0-9 ]/g, '');
    const given = { customer, patterns: [`%${q}%`, `%${plain}%`], asked: q, rows: 10 };
    return { data: await run(SEARCH, given) };
  });
  app.get('/history', async (request) => ({ data: await run(HISTORY, request.query as Query) }));
  app.get('/export', (request, reply) =>
    reply.type('application/x-ndjson').send(Readable.from(lines(run, request.query as Query))),
  );
  return app;
}

/** The surplus row only tells that there is another page. */
function pageOf(rows: Row[]) {
  if (rows.length <= PAGE_ROWS) return { data: rows, next_cursor: null };
  rows.length = PAGE_ROWS;
  return { data: rows, next_cursor: encode(rows.at(-1)!) };
}

function encode(row: Row): string {
  return Buffer.from(JSON.stringify([row['~0'], row['~1']])).toString('base64url');
}

function decode(cursor: string): Row {
  const [after0, after1] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[];
  return { after0, after1 };
}

async function* lines(
  run: (statement: BareStatement, given: Row) => Promise<Row[]>,
  query: Query,
): AsyncGenerator<string> {
  const list = LISTS['invoices_by_key']!;
  let rows = await run(list.first, { ...query, rows: EXPORT_ROWS });
  for (;;) {
    yield rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    if (rows.length < EXPORT_ROWS) return;
    rows = await run(list.next, { ...query, rows: EXPORT_ROWS, after0: rows.at(-1)!['~0'] });
  }
}

async function start(order: BareOrder): Promise<number> {
  const pool = new pg.Pool({
    connectionString: order.ownerUrl,
    max: order.connections,
    options: '-c TimeZone=UTC',
    types: valueTypes,
  });
  const app = buildBare(pool);
  await app.listen({ host: '127.0.0.1', port: 0 });
  close = async () => {
    app.server.closeAllConnections();
    await app.close();
    await pool.end();
  };
  return (app.server.address() as AddressInfo).port;
}

let close = (): Promise<void> => Promise.resolve();

takeOrders(start, () => close());

/**
 * The portal's API beside a bare Fastify with `pg` that runs the same SQL: requests a second and latencies of lists, walks
 * through pages, single rows, search, history and exports, on a large database of its own. Portal, bare server and load
 * generator are processes of their own, and take turns: rounds of one are followed by rounds of the other, so that what else
 * the machine does falls on both. The ratio is the median of the rounds' own. Before anything is measured, both servers are
 * seen to answer the same.
 */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startEmbeddedPostgres } from '../../db/embedded.ts';
import { migrate } from '../../migrations/run.ts';
import { median } from '../engine/statistics.ts';
import { postgresCpuS, processCpuS } from '../ingest/process-cost.ts';
import { openIssuer } from '../proof/issuer.ts';
import type { Report } from '../report.ts';
import { answersOf } from './answers.ts';
import { measureExports } from './exports.ts';
import { fill } from './fill.ts';
import type { Loaded, LoadOrder } from './load-program.ts';
import { startProgram, type Program } from './programs.ts';
import type { BareOrder } from './bare-program.ts';
import type { PortalOrder } from './portal-program.ts';
import {
  askingCustomers,
  scenariosOf,
  type Asker,
  type AskParams,
  type Scenario,
} from './scenarios.ts';

export interface ApiBenchParams extends AskParams {
  /** Connections of the load generator, each with one request at a time. */
  readonly connections: number;
  /** Connections of each server to the database. */
  readonly databaseConnections: number;
  readonly rounds: number;
  readonly roundMs: number;
  readonly exportRounds: number;
  /** A directory whose database is used again where it is there, and left; `none`: one that is removed. */
  readonly keep: string;
  /** Scenarios whose name begins so; `all`. */
  readonly only: string;
  /** A directory for a CPU profile of the portal; `none`. */
  readonly profile: string;
}

export const API_PARAMS: ApiBenchParams = {
  seed: 1,
  customers: 1_000,
  units: 200_000,
  invoices: 1_000_000,
  invoicesBig: 300_000,
  fixes: 10_000_000,
  fixesPerUnit: 1_000,
  askers: 50,
  connections: 16,
  databaseConnections: 10,
  rounds: 5,
  roundMs: 3_000,
  exportRounds: 3,
  keep: 'none',
  only: 'all',
  profile: 'none',
};

export const API_PARAMS_TINY: ApiBenchParams = {
  ...API_PARAMS,
  customers: 4,
  units: 400,
  invoices: 1_200,
  invoicesBig: 2_500,
  fixes: 4_000,
  fixesPerUnit: 100,
  askers: 2,
  connections: 4,
  rounds: 1,
  roundMs: 50,
  exportRounds: 1,
};

/** Of the database: enough for its indexes to stay in memory, and nothing written out while it is read. */
const DATABASE_SETTINGS = {
  shared_buffers: '1GB',
  max_wal_size: '8GB',
  wal_level: 'minimal',
  max_wal_senders: '0',
};

export async function benchApi(params: ApiBenchParams, report: Report): Promise<void> {
  if (params.fixes < params.fixesPerUnit * params.customers) {
    throw new Error('--fixes: --fixesPerUnit for one unit of every customer, or more');
  }
  const workDir = await mkdtemp(join(tmpdir(), 'milepost-bench-'));
  const closing: (() => Promise<unknown>)[] = [() => rm(workDir, { recursive: true, force: true })];
  try {
    const dataDir = params.keep === 'none' ? join(workDir, 'data') : resolve(params.keep);
    await mkdir(dataDir, { recursive: true });
    const database = await startEmbeddedPostgres({
      dataDir,
      port: 0,
      durable: false,
      settings: DATABASE_SETTINGS,
    });
    closing.push(() => database.stop());
    await migrate(database.connectionString);
    const house = await openHouse(
      params,
      { ownerUrl: database.connectionString, dataDir, workDir },
      closing,
    );
    await measureAll(house, report);
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/** What is measured, and by what. */
export interface ApiHouse {
  readonly params: ApiBenchParams;
  /** Of the database server. */
  readonly dataDir: string;
  readonly fillS: number;
  readonly askers: readonly Asker[];
  /** Of the customer with more invoices than all others. */
  readonly bigAsker: Asker;
  readonly scenarios: readonly Scenario[];
  readonly portal: Server;
  readonly bare: Server;
  readonly load: Program;
}

export interface Server {
  readonly program: Program;
  readonly port: number;
}

async function openHouse(
  params: ApiBenchParams,
  { ownerUrl, dataDir, workDir }: { ownerUrl: string; dataDir: string; workDir: string },
  closing: (() => Promise<unknown>)[],
): Promise<ApiHouse> {
  const { seed, customers, units, invoices, invoicesBig, fixes, fixesPerUnit } = params;
  const filling = { seed, customers, units, invoices, invoicesBig, fixes, fixesPerUnit };
  const { seconds: fillS, endMs } = await fill(ownerUrl, filling);
  const issuer = await openIssuer({ teardown: (work) => closing.push(work) });
  const askerOf = async (customerId: number): Promise<Asker> => ({
    customerId,
    all: await issuer.tokenOf(`all|${customerId}`),
    held: await issuer.tokenOf(`held|${customerId}`),
  });
  const askers = await Promise.all(askingCustomers(params).map(askerOf));
  const open = async (name: string, order: PortalOrder | BareOrder, nodeArgs: string[] = []) => {
    const program = startProgram(name, nodeArgs);
    closing.push(() => program.stop());
    return { program, port: await program.ask<number>(order) };
  };
  const connections = params.databaseConnections;
  const portal = await open(
    'portal-program',
    {
      ownerUrl,
      connections,
      issuer: issuer.settings.AUTH_ISSUER,
      audience: issuer.settings.AUTH_AUDIENCE,
      jwksUrl: issuer.settings.AUTH_JWKS_URL,
      attachmentDir: join(workDir, 'attachments'),
    },
    params.profile === 'none' ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(params.profile)}`],
  );
  const bare = await open('bare-program', { ownerUrl, connections });
  const load = startProgram('load-program');
  closing.push(() => load.stop());
  const scenarios = scenariosOf(params, askers, endMs);
  const bigAsker = await askerOf(customers + 1);
  return { params, dataDir, fillS, askers, bigAsker, scenarios, portal, bare, load };
}

async function measureAll(house: ApiHouse, report: Report): Promise<void> {
  const { params } = house;
  const isAsked = (name: string): boolean => params.only === 'all' || name.startsWith(params.only);
  const hash = createHash('sha256');
  for (const scenario of house.scenarios) hash.update(await answersOf(house, scenario));
  const told = { ...params, hash: hash.digest('hex').slice(0, 12) };
  const figures = (scenario: string, values: readonly [string, number, string][]): void => {
    for (const [metric, value, unit] of values) {
      report({ scenario: `api_${scenario}`, metric, value, unit, params: told });
    }
  };
  figures('fill', [['fill_s', house.fillS, 's']]);
  for (const scenario of house.scenarios) {
    if (isAsked(scenario.name)) figures(scenario.name, await measureScenario(house, scenario));
  }
  for (const format of ['csv', 'xlsx'] as const) {
    const name = `export_${format}`;
    if (isAsked(name)) figures(name, await measureExports(house, format));
  }
}

/** `cpuMs`: of the server for one request; `databaseCpuMs`: of PostgreSQL. */
interface Round extends Loaded {
  readonly cpuMs: number;
  readonly databaseCpuMs: number;
}

async function measureScenario(
  { params, dataDir, portal, bare, load }: ApiHouse,
  { portal: ours, bare: theirs, isWalk }: Scenario,
): Promise<[string, number, string][]> {
  const { connections, roundMs, rounds } = params;
  const run = async (server: Server, requests: Scenario['portal']): Promise<Round> => {
    const { port, program } = server;
    const order: LoadOrder = { order: 'load', port, requests, isWalk, connections, ms: roundMs };
    const cpuS = async () => [await processCpuS(program.pid), await postgresCpuS(dataDir)] as const;
    const before = await cpuS();
    const loaded = await load.ask<Loaded>(order);
    const after = await cpuS();
    const costMs = (n: 0 | 1): number => ((after[n] - before[n]) * 1_000) / loaded.requests;
    return { ...loaded, cpuMs: costMs(0), databaseCpuMs: costMs(1) };
  };
  const results: { portal: Round; bare: Round }[] = [];
  // The first round is there to warm up.
  for (let round = 0; round <= rounds; round++) {
    const isOursFirst = round % 2 === 0;
    const first = isOursFirst ? await run(portal, ours) : await run(bare, theirs);
    const second = isOursFirst ? await run(bare, theirs) : await run(portal, ours);
    if (round === 0) continue;
    results.push(isOursFirst ? { portal: first, bare: second } : { portal: second, bare: first });
  }
  const middle = (read: (result: (typeof results)[number]) => number): number =>
    median(results.map(read));
  return [
    ['requests_per_s', middle((one) => one.portal.requestsPerS), 'requests/s'],
    ['bare_requests_per_s', middle((one) => one.bare.requestsPerS), 'requests/s'],
    ['ratio_to_bare', middle((one) => one.portal.requestsPerS / one.bare.requestsPerS), '×'],
    ['p50_ms', middle((one) => one.portal.p50Ms), 'ms'],
    ['p99_ms', middle((one) => one.portal.p99Ms), 'ms'],
    ['bare_p50_ms', middle((one) => one.bare.p50Ms), 'ms'],
    ['bare_p99_ms', middle((one) => one.bare.p99Ms), 'ms'],
    ['cpu_ms', middle((one) => one.portal.cpuMs), 'ms/request'],
    ['bare_cpu_ms', middle((one) => one.bare.cpuMs), 'ms/request'],
    ['database_cpu_ms', middle((one) => one.portal.databaseCpuMs), 'ms/request'],
    ['bare_database_cpu_ms', middle((one) => one.bare.databaseCpuMs), 'ms/request'],
  ];
}

/**
 * `npm run db:describe [-- --json]`: migrates an empty database of a server of its own, and prints what is in it then. The
 * server lives in a temporary folder and is gone afterwards.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { describeDatabase, type Relation } from '../db/describe.ts';
import { startEmbeddedPostgres } from '../db/embedded.ts';
import { migrate } from '../migrations/run.ts';

async function main(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'milepost-describe-'));
  try {
    const server = await startEmbeddedPostgres({ dataDir, port: 0, durable: false });
    try {
      await migrate(server.connectionString);
      const client = new pg.Client({ connectionString: server.connectionString });
      await client.connect();
      const relations = await describeDatabase(client);
      await client.end();
      const isJson = process.argv.includes('--json');
      process.stdout.write(isJson ? `${JSON.stringify(relations, null, 1)}\n` : toText(relations));
    } finally {
      await server.stop();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

function toText(relations: readonly Relation[]): string {
  const parts = relations.map(({ table, kind, columns, foreign_keys, rls }) => {
    const lines = columns.map(
      ({ name, type, nullable }) => `  ${name.padEnd(36)} ${type}${nullable ? '' : ' not null'}`,
    );
    const keys = foreign_keys.map(
      (key) =>
        `  (${key.columns.join(', ')}) → ${key.references.table} (${key.references.columns.join(', ')})`,
    );
    return [`${table} (${kind}${rls ? ', row-level security' : ''})`, ...lines, ...keys].join('\n');
  });
  return `${parts.join('\n\n')}\n`;
}

await main();

/**
 * A first start fills the demo's database, step by step. One that was broken off leaves a part of that, on which no later
 * start could go on; so the database is marked meanwhile, and the next start begins it anew.
 */
import pg from 'pg';

const MARK = 'the first start of the demo is under way';

/**
 * Marks a database that holds nothing, and empties one that still has the mark. One that is filled is left alone.
 * `connectionString` signs in as a superuser.
 */
export async function beginFirstStart(connectionString: string): Promise<void> {
  const { mark, isEmpty } = await withClient(connectionString, async (client) => {
    const { rows } = await client.query<{ mark: string | null; isEmpty: boolean }>(
      `select shobj_description(oid, 'pg_database') as mark,
              to_regclass('schema_migration') is null as "isEmpty"
         from pg_database where datname = current_database()`,
    );
    return rows[0]!;
  });
  if (mark === MARK && !isEmpty) await makeAnew(connectionString);
  else if (!isEmpty) return;
  await comment(connectionString, MARK);
}

/** Takes the mark away. */
export function endFirstStart(connectionString: string): Promise<void> {
  return comment(connectionString, null);
}

async function makeAnew(connectionString: string): Promise<void> {
  const name = new URL(connectionString).pathname.slice(1);
  const elsewhere = new URL(connectionString);
  elsewhere.pathname = 'postgres';
  await withClient(elsewhere.href, async (client) => {
    const database = client.escapeIdentifier(name);
    await client.query(`drop database ${database} with (force)`);
    await client.query(`create database ${database}`);
  });
}

function comment(connectionString: string, text: string | null): Promise<void> {
  return withClient(connectionString, async (client) => {
    const name = client.escapeIdentifier(new URL(connectionString).pathname.slice(1));
    const value = text === null ? 'null' : client.escapeLiteral(text);
    await client.query(`comment on database ${name} is ${value}`);
  });
}

async function withClient<T>(
  connectionString: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString, application_name: 'milepost demo' });
  // A lost connection also rejects the query under way, which is where it is dealt with.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

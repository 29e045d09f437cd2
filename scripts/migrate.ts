/** `npm run migrate`: brings the database that DATABASE_URL names to the newest schema. */
import { migrate } from '../migrations/run.ts';

const connectionString = process.env['DATABASE_URL'];
if (connectionString === undefined || connectionString === '') {
  console.error('DATABASE_URL is not set: postgres://user:password@host:5432/database');
  process.exitCode = 2;
} else {
  try {
    const applied = await migrate(connectionString, (message) => console.log(message));
    if (applied.length === 0) console.log('nothing to apply');
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}

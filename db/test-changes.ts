/** For tests: waits until rows are as they should be, told of every change by the database instead of asking again and again. */
import type pg from 'pg';

export interface TestChanges {
  /** Looks now and after every change of the tables; resolves with the first answer that is none of false, null, undefined. */
  until<T>(look: () => Promise<T | false | null | undefined>): Promise<T>;
}

/** Listens on `client`, the tables' owner, for as long as it is connected. `tables` are names of the schema, not input. */
export async function watchChanges(
  client: pg.ClientBase,
  tables: readonly string[],
): Promise<TestChanges> {
  await client.query(
    `create or replace function test_tell() returns trigger language plpgsql as $$
       begin perform pg_notify('test_changes', ''); return null; end $$`,
  );
  for (const table of tables) {
    await client.query(
      `create trigger test_tell after insert or update or delete on ${client.escapeIdentifier(table)}
       for each statement execute function test_tell()`,
    );
  }
  let changes = 0;
  const waiting = new Set<() => void>();
  client.on('notification', () => {
    changes += 1;
    for (const tell of waiting) tell();
    waiting.clear();
  });
  await client.query('listen test_changes');
  return {
    async until(look) {
      for (;;) {
        const seen = changes;
        const found = await look();
        if (found !== false && found !== null && found !== undefined) return found;
        // What changed while it looked may have been overlooked.
        if (changes === seen) await new Promise<void>((resolve) => waiting.add(resolve));
      }
    },
  };
}

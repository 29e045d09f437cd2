/** When people were last here: written now and then, and never in the way. */
import type pg from 'pg';
import t from 'tap';
import { startTestPortal } from '../test-portal.ts';
import {
  createSignIns,
  SIGN_IN_NOTE_MS_MIN,
  SIGN_IN_QUEUE_MAX,
  SIGN_IN_REMEMBERED_MAX,
} from './sign-ins.ts';

t.test('it is written once an hour, and is no change of the person', async (t) => {
  const portal = await startTestPortal(t);
  const { owner, apiPool } = portal;
  const signIns = createSignIns({ pool: apiPool, onError: (error) => t.fail(String(error)) });
  const read = async () => {
    const { rows } = await owner.query<{
      user_id: number;
      last_sign_in_at: Date | null;
      version: number;
    }>('select user_id, last_sign_in_at, version from "user" order by user_id');
    return rows;
  };
  const [first, second] = await read();
  signIns.note(first!.user_id);
  signIns.note(first!.user_id);
  await signIns.settle();
  const [noted, other] = await read();
  t.ok(noted!.last_sign_in_at instanceof Date);
  t.same(other, second);
  t.equal(noted!.version, first!.version);
  const trail = await portal.as('admin', { url: '/v1/audit-trail' });
  t.same(trail.body.data, []);
  const afresh = createSignIns({ pool: apiPool, onError: (error) => t.fail(String(error)) });
  afresh.note(first!.user_id);
  await afresh.settle();
  t.same((await read())[0], noted, 'another process has noted it within the hour');
  await owner.query(`update "user" set last_sign_in_at = now() - interval '61 minutes'`);
  afresh.note(second!.user_id);
  await afresh.settle();
  t.ok((await read())[1]!.last_sign_in_at! > noted!.last_sign_in_at!);
});

/** A pool that answers when the test says so. */
function slowPool() {
  const asked: number[][] = [];
  const waiting: ((error?: Error) => void)[] = [];
  const query = (_text: string, [userIds]: [number[]]) => {
    asked.push(userIds);
    return new Promise((resolve, reject) => {
      waiting.push((error) => (error ? reject(error) : resolve({ rows: [] })));
    });
  };
  return {
    pool: { query } as unknown as pg.Pool,
    asked,
    answer: (error?: Error) => waiting.shift()!(error),
  };
}

t.test('those who come while it is written are written together', async (t) => {
  const { pool, asked, answer } = slowPool();
  const clock = { ms: 0 };
  const signIns = createSignIns({ pool, now: () => clock.ms, onError: () => undefined });
  for (const userId of [1, 2, 3, 2, 1]) signIns.note(userId);
  t.same(asked, [[1]]);
  answer();
  await new Promise(setImmediate);
  t.same(asked, [[1], [2, 3]]);
  answer();
  await signIns.settle();
  clock.ms += SIGN_IN_NOTE_MS_MIN - 1;
  signIns.note(1);
  t.equal(asked.length, 2);
  clock.ms += 1;
  signIns.note(1);
  t.equal(asked.length, 3);
  answer();
  await signIns.settle();
});

t.test('what cannot be written is left out, and so is too much', async (t) => {
  const { pool, asked, answer } = slowPool();
  const errors: unknown[] = [];
  const signIns = createSignIns({ pool, now: () => 0, onError: (error) => errors.push(error) });
  signIns.note(1);
  answer(new Error('away'));
  await signIns.settle();
  t.match(errors, [{ message: 'away' }]);
  signIns.note(1);
  t.equal(asked.length, 2, 'it is noted the next time');
  for (let i = 2; i < SIGN_IN_REMEMBERED_MAX * 2; i++) signIns.note(i);
  answer();
  await new Promise(setImmediate);
  t.equal(asked[2]!.length, SIGN_IN_QUEUE_MAX);
  answer();
  await signIns.settle();
  t.equal(asked.length, 3);
});

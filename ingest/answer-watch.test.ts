import t from 'tap';
import {
  AnswerWatch,
  CHECK_MS,
  PATIENCE_MS,
  UNANSWERED_MS_MIN,
  type Unanswered,
} from './answer-watch.ts';
import type { Session } from './session-view.ts';

const NAME = 'milepost-ingest 42';

/** What the server says at each look, `null` where the session is not there, `away` where it cannot be asked. */
type Look = Omit<Session, 'name'> | null | 'away';

const idle: Look = { waitsForClient: true, mark: 'a' };
const atWork: Look = { waitsForClient: false, mark: 'a' };

/** Looks every `CHECK_MS` at one batch that was sent at 0. Gives the number of looks before it was cut, and what happened. */
async function watch(
  lookAt: (n: number) => Look,
  { looks = 20, deathCount = 0, answeredAt = Infinity } = {},
): Promise<{ cutAfter: number | null; ended: string[]; said: string[]; opened: number }> {
  let nowMs = 0;
  let cutAfter: number | null = null;
  let opened = 0;
  const ended: string[] = [];
  const said: string[] = [];
  const say = (_: object, message: string): void => void said.push(message);
  const nOf = (): number => nowMs / CHECK_MS;
  const one: Unanswered = {
    attempt: {},
    sessionName: NAME,
    sinceMs: 0,
    deathCount,
    cut: () => (cutAfter = nOf()),
  };
  const answers = new AnswerWatch({
    unanswered: () => (cutAfter === null && nowMs < answeredAt ? [one] : []),
    openView: () => {
      opened++;
      const look = lookAt(nOf());
      if (look === 'away') return Promise.reject(new Error('refused'));
      return Promise.resolve({
        look: () => Promise.resolve(look === null ? [] : [{ name: NAME, ...look }]),
        end: (name: string) => Promise.resolve(void ended.push(name)),
        close: () => Promise.resolve(),
      });
    },
    log: { info: say, warn: say, error: say },
    nowMs: () => nowMs,
  });
  for (let n = 0; n < looks; n++) {
    nowMs = n * CHECK_MS;
    await answers.check();
  }
  return { cutAfter, ended, said, opened };
}

const first = UNANSWERED_MS_MIN / CHECK_MS;
const patience = PATIENCE_MS / CHECK_MS;

t.test(
  'a session that waits for its client unmoved is ended, and its connection cut',
  async (t) => {
    const { cutAfter, ended, said, opened } = await watch(() => idle);
    t.equal(cutAfter, first + patience);
    t.same(ended, [NAME]);
    t.match(said, [/died without a word/]);
    t.equal(opened, patience + 1, 'nothing is asked before an answer is late, nor after the cut');
  },
);

t.test('a session that is not there any more counts as one that does not move', async (t) => {
  const { cutAfter } = await watch(() => null);
  t.equal(cutAfter, first + patience);
});

t.test('a session at work, or waiting for a lock, is left alone', async (t) => {
  const { cutAfter, ended } = await watch(() => atWork, { looks: 100 });
  t.equal(cutAfter, null);
  t.same(ended, []);
});

t.test('data that is still on its way moves the session', async (t) => {
  const { cutAfter } = await watch((n) => ({ waitsForClient: true, mark: String(n) }), {
    looks: 100,
  });
  t.equal(cutAfter, null);
});

t.test('the time counts anew from each move, and from each time at work', async (t) => {
  const moved = await watch((n) => (n < first + 3 ? idle : { waitsForClient: true, mark: 'b' }));
  t.equal(moved.cutAfter, first + 3 + patience);
  const worked = await watch((n) => (n === first + 2 ? atWork : idle));
  t.equal(worked.cutAfter, first + 3 + patience);
});

t.test('each death lately doubles the patience with the next', async (t) => {
  const { cutAfter } = await watch(() => idle, { deathCount: 2, looks: 40 });
  t.equal(cutAfter, first + 4 * patience);
});

t.test('an answer in time ends it', async (t) => {
  const { cutAfter } = await watch(() => idle, { answeredAt: PATIENCE_MS });
  t.equal(cutAfter, null);
});

t.test('a server that cannot be asked has not said that anything is dead', async (t) => {
  const { cutAfter, said } = await watch(() => 'away');
  t.equal(cutAfter, null);
  t.same(said, ['the database cannot be asked after unanswered batches'], 'said once');
});

import t from 'tap';
import { liveLine, Screen, type LiveNumbers } from './screen.ts';

function output(isTTY: boolean, columns?: number) {
  const written: string[] = [];
  const write = (text: string) => written.push(text);
  return { written, out: { isTTY, write, ...(columns === undefined ? {} : { columns }) } };
}

const numbers: LiveNumbers = {
  fixesPerS: 99.6,
  committed: 12_345,
  events: 7,
  queuedRows: 0,
  p99Ms: 61.4,
  connected: 200,
  devices: 200,
  rejected: 0,
  dropped: 0,
  trouble: '',
};

t.test('the live line', (t) => {
  t.equal(
    liveLine(numbers),
    '100 fixes/s · committed 12,345 · events 7 · queue 0 · p99 publish to commit 61 ms · devices 200/200',
  );
  t.match(liveLine({ ...numbers, p99Ms: NaN, fixesPerS: 3 }), '3.0 fixes/s');
  t.match(liveLine({ ...numbers, p99Ms: NaN }), 'commit – ·');
  t.match(liveLine({ ...numbers, rejected: 2, dropped: 1_000 }), / · rejected 2 · dropped 1,000$/);
  t.match(liveLine({ ...numbers, connected: 3, trouble: 'refused' }), /3\/200 · refused$/);
  t.notMatch(liveLine({ ...numbers, trouble: 'refused' }), 'refused', 'that is over');
  t.end();
});

t.test('on a terminal the live line stays below what is said, and within the window', (t) => {
  const { written, out } = output(true, 11);
  const screen = new Screen(out);
  screen.say('hello');
  screen.live('0123456789abc');
  screen.say('there');
  screen.live('');
  t.same(written, ['hello\n', '0123456789', '\r\u001b[2K', 'there\n', '0123456789', '\r\u001b[2K']);
  t.equal(screen.refreshMs, 1_000);
  t.end();
});

t.test('elsewhere it is a line like all others, and rarer', (t) => {
  const { written, out } = output(false);
  const screen = new Screen(out);
  screen.live('one');
  screen.say('hello');
  screen.live('');
  t.same(written, ['one\n', 'hello\n']);
  t.equal(screen.refreshMs, 5_000);
  t.end();
});

import { EventEmitter } from 'node:events';
import t from 'tap';
import { ONE_PRESS_MS, watchStopSignals } from './stop-signal.ts';

function setUp() {
  const source = new EventEmitter();
  const clock = { ms: 5_000 };
  const count = { second: 0 };
  const signal = watchStopSignals({
    source,
    nowMs: () => clock.ms,
    onSecond: () => {
      count.second++;
    },
  });
  return { source, clock, count, signal };
}

t.test('the first signal asks for an end', (t) => {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    const { source, signal, count } = setUp();
    t.equal(signal.aborted, false);
    source.emit(name);
    t.equal(signal.aborted, true, name);
    t.equal(count.second, 0);
  }
  t.end();
});

t.test('one press that comes twice is one', (t) => {
  const { source, clock, count } = setUp();
  source.emit('SIGINT');
  clock.ms += ONE_PRESS_MS;
  source.emit('SIGINT');
  t.equal(count.second, 0);
  t.end();
});

t.test('a second press ends at once, whatever the first one was', (t) => {
  const { source, clock, count } = setUp();
  source.emit('SIGTERM');
  clock.ms += ONE_PRESS_MS + 1;
  source.emit('SIGINT');
  t.equal(count.second, 1);
  t.end();
});

/** The last line is counted from what the files say, and no failure is left out of sight. */
import t from 'tap';
import { countTap, tellingLines } from './tap-output.ts';

const OUTPUT = `TAP version 14
# from the file itself
# Subtest: outer
    # from a test
    ok 1 - fine
    # Subtest: inner
        ok 1 - fine too
        ok 2 - left out # SKIP needs root
        not ok 3 - broken
          ---
          at:
            lineNumber: 7
          ...
        1..3
    not ok 2 - inner # time=2.1ms
    1..2
not ok 1 - outer # time=57.2ms

ok 2 - other # time=3ms
1..2
# { total: 9, pass: 5, fail: 2, todo: 1, skip: 1 }
# time=2088.1ms
`;

t.test('counts as tap does', (t) => {
  t.same(countTap(OUTPUT), {
    passed: 5,
    failed: 2,
    skipped: 2,
    skips: ['left out # SKIP needs root'],
  });
  t.same(countTap('# { total: 3, pass: 3 }\n'), { passed: 3, failed: 0, skipped: 0, skips: [] });
  t.same(countTap('TAP version 14\n'), { passed: 0, failed: 0, skipped: 0, skips: [] });
  t.end();
});

t.test('shows failures, and what the file says', (t) => {
  t.same(tellingLines(OUTPUT), [
    '# from the file itself',
    '        not ok 3 - broken',
    '          ---',
    '          at:',
    '            lineNumber: 7',
    '          ...',
    '    not ok 2 - inner # time=2.1ms',
    'not ok 1 - outer # time=57.2ms',
  ]);
  t.end();
});

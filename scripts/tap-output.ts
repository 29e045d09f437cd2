/** Reads the output of `tap --reporter=tap`, TAP version 14: counts the results, and picks the lines worth showing. */

export interface TapCount {
  readonly passed: number;
  readonly failed: number;
  /** Skipped and todo together. */
  readonly skipped: number;
  /** Name and reason of each of those. */
  readonly skips: readonly string[];
}

/**
 * Takes the counts from tap's closing comment (`# { total: 9, pass: 5, fail: 2, todo: 1, skip: 1 }`), which counts single
 * assertions, and files that failed as a whole. All zero when the run was cut off before that comment.
 */
export function countTap(text: string): TapCount {
  const totals = [...text.matchAll(/^# \{ (total: .*) \}$/gm)].at(-1)?.[1] ?? '';
  const count = (name: string) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(totals)?.[1] ?? 0);
  const skips = [...text.matchAll(/^ *(?:not )?ok \d+ - (.* # (?:SKIP|TODO)\b.*)$/gm)];
  return {
    passed: count('pass'),
    failed: count('fail'),
    skipped: count('skip') + count('todo'),
    skips: skips.map((match) => match[1]!),
  };
}

/**
 * Shows one line for each test file, and every failure with its diagnostics; passes within a file are left out. The
 * function that is given back takes the lines one by one.
 */
export function createTapView(print: (line: string) => void): (line: string) => void {
  let isDiagnosing = false;
  return (line) => {
    const point = /^( *)(not )?ok \d+/.exec(line);
    if (point !== null) {
      const isFile = point[1] === '';
      const isFailure = point[2] !== undefined;
      isDiagnosing = isFailure && !isFile;
      if (isFile || isFailure) print(line);
    } else if (/^ *(# Subtest|\d+\.\.\d+)/.test(line)) {
      isDiagnosing = false;
    } else if (/^Bail out!/.test(line) || /^# (?!Subtest|No coverage|\{|time=)/.test(line)) {
      print(line);
    } else if (isDiagnosing && line.trim() !== '') {
      print(line);
      if (line.trim() === '...') isDiagnosing = false;
    }
  };
}

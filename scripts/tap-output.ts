/** Reads what a test file prints, TAP version 14: counts the results, and picks the lines worth showing. */

export interface TapCount {
  passed: number;
  failed: number;
  /** Skipped and todo together. */
  skipped: number;
  /** Name and reason of each of those. */
  skips: string[];
}

/**
 * Takes the counts from tap's closing comment (`# { total: 9, pass: 5, fail: 2, todo: 1, skip: 1 }`), which counts single
 * assertions. All zero when the file was cut off before that comment.
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

/** Every failure with its diagnostics, and what a file says as a comment of its own; passes are left out. */
export function tellingLines(text: string): string[] {
  const telling: string[] = [];
  let isDiagnosing = false;
  for (const line of text.split('\n')) {
    if (/^ *(not )?ok \d+/.test(line)) {
      isDiagnosing = /^ *not /.test(line);
      if (isDiagnosing) telling.push(line);
    } else if (/^ *(# Subtest|\d+\.\.\d+)/.test(line)) {
      isDiagnosing = false;
    } else if (/^Bail out!|^# (?!Subtest|\{|time=)/.test(line)) {
      telling.push(line);
    } else if (isDiagnosing && line.trim() !== '') {
      telling.push(line);
      if (line.trim() === '...') isDiagnosing = false;
    }
  }
  return telling;
}

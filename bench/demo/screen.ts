/**
 * What the demo shows while it runs: lines that stay, and below them one that is always new. On a terminal that one is
 * overwritten; elsewhere it is written now and then. Knows text and nothing of what it means.
 */

/** The part of a stream that is used. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Between two live lines on a terminal, and elsewhere. */
const REFRESH_MS = { terminal: 1_000, elsewhere: 5_000 };
const CLEAR_LINE = '\r\u001b[2K';
const COLUMNS_WITHOUT_WINDOW = 120;

/** One output, for as long as the demo runs. */
export class Screen {
  private readonly out: Output;
  private line = '';

  constructor(out: Output) {
    this.out = out;
  }

  get refreshMs(): number {
    return this.out.isTTY === true ? REFRESH_MS.terminal : REFRESH_MS.elsewhere;
  }

  /** Writes lines that stay. */
  say(text: string): void {
    this.clear();
    this.out.write(`${text}\n`);
    this.draw();
  }

  /** Replaces the live line; the empty one takes it away. On a terminal it is cut to the window's width. */
  live(line: string): void {
    if (this.out.isTTY !== true) {
      if (line !== '') this.out.write(`${line}\n`);
      return;
    }
    this.clear();
    this.line = line;
    this.draw();
  }

  private clear(): void {
    if (this.line !== '') this.out.write(CLEAR_LINE);
  }

  private draw(): void {
    if (this.line === '') return;
    // Some terminals say 0 when they do not know. One column is left free: a full line would wrap, and then be cleared
    // in part only.
    const columns = this.out.columns || COLUMNS_WITHOUT_WINDOW;
    this.out.write(this.line.slice(0, columns - 1));
  }
}

/** The numbers of the live line. */
export interface LiveNumbers {
  readonly fixesPerS: number;
  readonly committed: number;
  readonly events: number;
  readonly queuedRows: number;
  /** NaN where nothing was acknowledged. */
  readonly p99Ms: number;
  readonly connected: number;
  readonly devices: number;
  /** Of the server. */
  readonly rejected: number;
  /** Of the simulated devices. */
  readonly dropped: number;
  readonly trouble: string;
}

/** The live line. What should not happen is shown only when it did. */
export function liveLine(numbers: LiveNumbers): string {
  const { fixesPerS, p99Ms, trouble } = numbers;
  const parts = [
    `${fixesPerS.toFixed(fixesPerS < 10 ? 1 : 0)} fixes/s`,
    `committed ${grouped(numbers.committed)}`,
    `events ${grouped(numbers.events)}`,
    `queue ${grouped(numbers.queuedRows)}`,
    `p99 publish to commit ${Number.isNaN(p99Ms) ? '–' : `${p99Ms.toFixed(0)} ms`}`,
    `devices ${numbers.connected}/${numbers.devices}`,
  ];
  if (numbers.rejected > 0) parts.push(`rejected ${grouped(numbers.rejected)}`);
  if (numbers.dropped > 0) parts.push(`dropped ${grouped(numbers.dropped)}`);
  if (trouble !== '' && numbers.connected < numbers.devices) parts.push(trouble);
  return parts.join(' · ');
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

/** How every bench speaks: one line a figure for people, or one JSON object a line with `--json`. */

export interface Figure {
  readonly scenario: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  readonly params: Readonly<Record<string, string | number>>;
}

export type Report = (figure: Figure) => void;

export function createReport(json: boolean, write: (line: string) => void): Report {
  let toldParams = '';
  let toldScenario = '';
  return (figure) => {
    if (json) return write(JSON.stringify(figure));
    const params = Object.entries(figure.params)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ');
    if (params !== toldParams) write(params);
    if (params !== toldParams || figure.scenario !== toldScenario) write(`${figure.scenario}:`);
    toldParams = params;
    toldScenario = figure.scenario;
    write(`  ${figure.metric.padEnd(24)} ${format(figure.value)} ${figure.unit}`);
  };
}

function format(value: number): string {
  const digits = Math.abs(value) >= 1_000 ? 0 : Math.abs(value) >= 10 ? 1 : 3;
  return value.toLocaleString('en-US', { maximumFractionDigits: digits }).padStart(12);
}

/** A decoded message as lines of text, for the tables of decoder tests. */
import type { Decoded } from './decoded.ts';
import type { HttpWireRequest } from './wires.ts';

/** What a message gives, in the order fixes, readings, events, refusals, ignored fields. */
export function told({ fixes, readings, events, refusals, ignored }: Decoded): string[] {
  return [
    ...fixes.map((fix) => `fix ${knownOf(fix)}`),
    ...readings.map((r) => {
      return `reading ${r.metricCode}=${r.value}${r.uomCode === null ? '' : ` ${r.uomCode}`}`;
    }),
    ...events.map(({ kind, detail, ...event }) => {
      return `event ${kind} ${knownOf(event)} ${JSON.stringify(detail)}`;
    }),
    ...refusals.map((refusal) => `refused ${refusal.index} ${refusal.reason}`),
    ...[...ignored].map(([field, count]) => `ignored ${field} ×${count}`),
  ];
}

function knownOf(row: object): string {
  return Object.entries(row)
    .filter(([name, value]) => value !== null && !Number.isNaN(value) && name !== 'index')
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

/** A request as a decoder gets it, of a sender who must name the device. */
export function wireRequest(
  given: Partial<Omit<HttpWireRequest, 'body' | 'header'>> & {
    readonly body?: string | Buffer;
    readonly headers?: Readonly<Record<string, string>>;
    readonly nowMs: number;
  },
): HttpWireRequest {
  const { body = '', headers = {}, ...rest } = given;
  return {
    query: '',
    contentType: '',
    mustNameDevice: true,
    ...rest,
    header: (name) => headers[name],
    body: Buffer.from(body),
  };
}

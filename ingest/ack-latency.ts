/**
 * How long messages waited for their commit, counted by whole milliseconds: observing one is an addition, whatever many there
 * are. Tells it as a Prometheus histogram and as a quantile. Knows no messages.
 */
import type { Metric, Registry as PromRegistry } from 'prom-client';

/** Up to here every millisecond has a count of its own, above it every second. */
const FINE_MS_MAX = 16_384;
const COARSE_S_MAX = 3_600;

const NAME = 'milepost_ingest_ack_seconds';
const BOUNDS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export class AckLatency {
  private readonly counts = new Float64Array(FINE_MS_MAX + 1 + COARSE_S_MAX + 1);
  /** The counts as they were when the quantile was last taken. */
  private readonly told = new Float64Array(this.counts.length);
  private sumMs = 0;
  private total = 0;

  /** Registers the histogram. */
  constructor(registry: PromRegistry) {
    const metric = {
      name: NAME,
      help: 'From arrival of a message to its commit',
      type: 'histogram',
      get: () => Promise.resolve({ ...metric, values: this.values() }),
    };
    // The registry asks of a metric no more than this.
    registry.registerMetric(metric as unknown as Metric);
  }

  /** Counts one message; a clock that was set back makes it 0. */
  observe(ageMs: number): void {
    const ms = Math.max(0, ageMs);
    this.counts[binOf(ms)]!++;
    this.sumMs += ms;
    this.total++;
  }

  /** The 99th percentile of what was observed since the last call, in milliseconds; NaN when that is nothing. */
  takeP99Ms(): number {
    const { counts, told } = this;
    let left = 0;
    for (let bin = 0; bin < counts.length; bin++) left += counts[bin]! - told[bin]!;
    let p99Ms = NaN;
    // From above: one in a hundred is higher.
    for (let bin = counts.length - 1, above = 0; bin >= 0 && Number.isNaN(p99Ms); bin--) {
      above += counts[bin]! - told[bin]!;
      if (above > 0 && above > left * 0.01) p99Ms = msOf(bin);
    }
    told.set(counts);
    return p99Ms;
  }

  private values(): object[] {
    const values: object[] = [];
    let bin = 0;
    let count = 0;
    for (const boundS of BOUNDS_S) {
      while (bin < this.counts.length && msOf(bin) <= boundS * 1000) {
        count += this.counts[bin++]!;
      }
      values.push({ metricName: `${NAME}_bucket`, labels: { le: boundS }, value: count });
    }
    values.push({ metricName: `${NAME}_bucket`, labels: { le: '+Inf' }, value: this.total });
    values.push({ metricName: `${NAME}_sum`, labels: {}, value: this.sumMs / 1000 });
    values.push({ metricName: `${NAME}_count`, labels: {}, value: this.total });
    return values;
  }
}

function binOf(ms: number): number {
  if (ms <= FINE_MS_MAX) return Math.ceil(ms);
  return FINE_MS_MAX + 1 + Math.min(COARSE_S_MAX, Math.ceil(ms / 1000));
}

/** The longest time that falls into a bin. */
function msOf(bin: number): number {
  return bin <= FINE_MS_MAX ? bin : (bin - FINE_MS_MAX - 1) * 1000;
}

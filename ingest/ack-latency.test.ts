import { Registry as PromRegistry } from 'prom-client';
import t from 'tap';
import { AckLatency } from './ack-latency.ts';

t.test('buckets count what is at or below their bound', async (t) => {
  const registry = new PromRegistry();
  const latency = new AckLatency(registry);
  for (const ms of [0, 5, 6, 100, 101, 16_384, 29_999, 30_000, 31_000, 400_000, 1e9, -3]) {
    latency.observe(ms);
  }
  const text = await registry.metrics();
  const bucket = (le: string): number =>
    Number(new RegExp(`ack_seconds_bucket\\{le="${le}"\\} (\\d+)`).exec(text)?.[1]);
  t.same(
    ['0.005', '0.01', '0.1', '0.25', '10', '30', '60', '300', '\\+Inf'].map(bucket),
    [3, 4, 5, 6, 6, 9, 10, 10, 12],
  );
  t.match(text, 'milepost_ingest_ack_seconds_count 12');
  t.match(text, '# TYPE milepost_ingest_ack_seconds histogram');
  t.match(text, 'milepost_ingest_ack_seconds_sum 1000507.595');
});

t.test('the quantile is of what came since the last one', (t) => {
  const latency = new AckLatency(new PromRegistry());
  t.ok(Number.isNaN(latency.takeP99Ms()));
  for (let ms = 1; ms <= 1_000; ms++) latency.observe(ms);
  t.equal(latency.takeP99Ms(), 990);
  latency.observe(7);
  t.equal(latency.takeP99Ms(), 7);
  t.ok(Number.isNaN(latency.takeP99Ms()));
  t.end();
});

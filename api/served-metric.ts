/** How long requests take, for Prometheus. */
import { Histogram, type Registry } from 'prom-client';
import type { ServedRequest } from './server.ts';

/** Notes every request by route; to be made once a registry. */
export function servedMetric(prometheus: Registry): (request: ServedRequest) => void {
  const histogram = new Histogram({
    name: 'milepost_http_request_seconds',
    help: 'Requests answered, by route',
    labelNames: ['method', 'route', 'status'],
    registers: [prometheus],
  });
  return ({ method, route, status, durationMs }) =>
    histogram.observe({ method, route, status }, durationMs / 1000);
}

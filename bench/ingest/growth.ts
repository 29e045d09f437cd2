/**
 * What a fix costs as the fleet grows: the same devices speak, and the server knows more and more that are silent. Each step
 * starts the server anew, warms it up and measures it.
 */
import type { Report } from '../report.ts';
import {
  measure,
  mqttJob,
  tellable,
  warmUpFixes,
  type BenchHouse,
  type Measured,
} from './house.ts';
import { seedSilentDevices } from './seed.ts';
import { startServer } from './server.ts';

/** Runs every step of `params.known`; `from` is the first fix that no scenario before has sent. */
export async function measureGrowth(
  house: BenchHouse,
  from: number,
  report: Report,
): Promise<void> {
  const { params } = house;
  let known = params.devices;
  let first: Measured | null = null;
  for (const step of params.known) {
    await seedSilentDevices(house.ownerUrl, house.fleet.customerId, known, step);
    known = Math.max(known, step);
    const { measured, startS } = await measureStep(house, from);
    from += 2 * warmUpFixes(params);
    first ??= measured;
    const told = { ...tellable(params), known };
    const figure = (metric: string, value: number, unit: string): void =>
      report({ scenario: 'ingest_growth', metric, value, unit, params: told });
    figure('server_us_per_fix', measured.serverUs, 'µs');
    figure('postgres_us_per_fix', measured.postgresUs, 'µs');
    figure('cost_to_first', costUs(measured) / costUs(first), '×');
    figure('fixes_per_s', measured.fixesPerS, 'fixes/s');
    figure('start_s', startS, 's');
    figure('resident_mib', measured.residentMib, 'MiB');
  }
}

async function measureStep(
  house: BenchHouse,
  from: number,
): Promise<{ measured: Measured; startS: number }> {
  const { params } = house;
  const count = warmUpFixes(params);
  const server = await startServer(house.ownerUrl, params);
  try {
    const job = mqttJob(house, server.mqttPort);
    await (
      await house.load.prepare({ ...job, from, count })
    )();
    const measured = await measure(house, server, { ...job, from: from + count, count });
    return { measured, startS: server.startS };
  } finally {
    await server.stop();
  }
}

function costUs({ serverUs, postgresUs }: Measured): number {
  return serverUs + (Number.isNaN(postgresUs) ? 0 : postgresUs);
}

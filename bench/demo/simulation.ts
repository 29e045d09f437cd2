/**
 * The fleet at work: every few moments, what is due goes from the vehicles to their devices. Knows the clock, and so is
 * the one part of the simulator that is not pure.
 *
 * States: made → running → stopping (nothing new, waiting for acknowledgements) → stopped.
 */
import { createDevices, type DeviceStats } from './devices.ts';
import { createTeltonikaDevice } from './teltonika-device.ts';
import { Fleet } from './fleet.ts';
import type { VehiclePlan } from './plan.ts';
import type { LastSeen } from './vehicle.ts';

const TICK_MS = 50;
/** How long stopping waits for acknowledgements. */
const ACK_MS_MAX = 5_000;

/** Which vehicles drive, and where their devices connect. */
export interface SimulationOptions {
  /** `mqtt://host:port` */
  readonly mqttUrl: string;
  /** Where the last vehicle's tracker connects, which is a Teltonika; `null`: it speaks MQTT like the others. */
  readonly teltonika: { readonly host: string; readonly port: number } | null;
  readonly plans: readonly VehiclePlan[];
  readonly tokenOf: (deviceIdentifier: string) => string;
  readonly fixIntervalS: number;
  readonly lastSeen: ReadonlyMap<string, LastSeen>;
}

/** A fleet that runs until it is stopped. */
export interface Simulation {
  stats(): DeviceStats;
  /** Publishes nothing more, waits for what is under way, and gives how many fixes were not acknowledged. */
  stop(): Promise<number>;
}

/** Connects the devices and lets the vehicles drive. */
export function startSimulation(options: SimulationOptions): Simulation {
  const { mqttUrl, plans, tokenOf, fixIntervalS, lastSeen } = options;
  const fleet = new Fleet({ plans, fixIntervalS, startMs: Date.now(), lastSeen });
  const last = plans.length - 1;
  const imei = plans[last]!.deviceIdentifier;
  const teltonika =
    options.teltonika === null ? null : createTeltonikaDevice({ ...options.teltonika, imei });
  const overMqtt = teltonika === null ? plans : plans.slice(0, last);
  const credentials = overMqtt.map(({ deviceIdentifier }) => ({
    deviceIdentifier,
    token: tokenOf(deviceIdentifier),
  }));
  const devices = createDevices(mqttUrl, credentials);
  const timer = setInterval(() => {
    fleet.emitDue(Date.now(), (index, fix) => {
      if (teltonika !== null && index === last) teltonika.publish(fix);
      else devices.publish(index, JSON.stringify(fix));
    });
  }, TICK_MS);
  devices.start();
  teltonika?.start();
  return {
    stats: () =>
      teltonika === null ? devices.stats() : together(devices.stats(), teltonika.stats()),
    async stop() {
      clearInterval(timer);
      const left = await Promise.all([devices.stop(ACK_MS_MAX), teltonika?.stop(ACK_MS_MAX) ?? 0]);
      return left[0] + left[1];
    },
  };
}

function together(many: DeviceStats, one: DeviceStats): DeviceStats {
  return {
    connected: many.connected + one.connected,
    acknowledged: many.acknowledged + one.acknowledged,
    refused: many.refused + one.refused,
    dropped: many.dropped + one.dropped,
    outstanding: many.outstanding + one.outstanding,
    // One vehicle among many does not move the quantile.
    p99Ms: Number.isNaN(many.p99Ms) ? one.p99Ms : many.p99Ms,
    trouble: many.trouble === '' ? one.trouble : many.trouble,
  };
}

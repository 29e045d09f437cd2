/**
 * The fleet at work: every few moments, what is due goes from the vehicles to their devices. Knows the clock, and so is
 * the one part of the simulator that is not pure.
 *
 * States: made → running → stopping (nothing new, waiting for acknowledgements) → stopped.
 */
import { createDevices, type DeviceStats } from './devices.ts';
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
  const credentials = plans.map(({ deviceIdentifier }) => ({
    deviceIdentifier,
    token: tokenOf(deviceIdentifier),
  }));
  const devices = createDevices(mqttUrl, credentials);
  const timer = setInterval(() => {
    fleet.emitDue(Date.now(), (index, fix) => devices.publish(index, JSON.stringify(fix)));
  }, TICK_MS);
  devices.start();
  return {
    stats: () => devices.stats(),
    stop() {
      clearInterval(timer);
      return devices.stop(ACK_MS_MAX);
    },
  };
}

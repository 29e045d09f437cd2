import t from 'tap';
import { benchMemory, MEMORY_PARAMS_TINY } from './memory.ts';

t.test('fences and vehicles are weighed', async (t) => {
  const figures = new Map<string, number>();
  await benchMemory(MEMORY_PARAMS_TINY, ({ metric, value }) => figures.set(metric, value));
  const valueOf = (metric: string): number => figures.get(metric) ?? NaN;
  const perFence = valueOf('bytes_per_fence');
  t.ok(perFence > 100, `${perFence} bytes a fence`);
  t.equal(valueOf('bytes_per_fence_beyond_vertices'), perFence - 24 * 16);
  const perVehicle = valueOf('bytes_per_vehicle');
  t.ok(perVehicle > 0, `${perVehicle} bytes a vehicle`);
  t.ok(valueOf('bytes_per_vehicle_with_device') > perVehicle);
  t.equal(valueOf('vehicles_inside'), MEMORY_PARAMS_TINY.vehicles / 2);
});

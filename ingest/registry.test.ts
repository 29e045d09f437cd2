import { createHash } from 'node:crypto';
import t from 'tap';
import { digestOf, Registry, type RegisteredDevice } from './registry.ts';

function device(iotDeviceId: number, deviceName: string, token = deviceName): RegisteredDevice {
  const link = {
    deviceId: iotDeviceId,
    iotDeviceId,
    deviceName,
    tenantId: 1,
    equipmentId: iotDeviceId,
    accountId: null,
    unitNumber: deviceName,
  };
  const tokenHash = digestOf(createHash('sha256').update(token).digest());
  return {
    iotDeviceId,
    deviceName,
    tenantId: 1,
    tokenHash,
    previousToken: null,
    signInByName: false,
    link,
  };
}

t.test('two devices swap names and tokens', (t) => {
  const registry = new Registry();
  registry.put(device(1, 'x'));
  registry.put(device(2, 'y'));
  registry.put(device(2, 'x'));
  registry.put(device(1, 'y'));
  t.equal(registry.deviceNamed('x')?.iotDeviceId, 2);
  t.equal(registry.deviceNamed('y')?.iotDeviceId, 1);
  t.match(registry.senderOf('x'), { device: { iotDeviceId: 2 } });
  t.match(registry.checkSecret('y', Buffer.from('y')), { ok: true, device: { iotDeviceId: 1 } });
  t.end();
});

t.test('who may speak for whom', (t) => {
  const registry = new Registry();
  registry.put(device(1, 'x'));
  registry.put({ ...device(2, 'foreign'), tenantId: 2 });
  registry.put({ ...device(3, 'shelf'), link: null });
  const tokenHash = createHash('sha256').update('g').digest();
  registry.putGateway({ gatewayTokenId: 1, tenantId: 1, tokenHash, iotDeviceIds: null });
  const gateway = registry.senderOf('g')!;
  t.match(registry.resolve(gateway, 'x'), { ok: true, link: { deviceId: 1 } });
  t.match(registry.resolve(gateway, 'foreign'), { ok: false, reason: 'unknown_device' });
  t.match(registry.resolve(gateway, 'nobody'), { ok: false, reason: 'unknown_device' });
  t.match(registry.resolve(gateway, 'shelf'), { ok: false, reason: 'device_unmounted' });
  t.match(registry.resolve(gateway, null), { ok: false, reason: 'device_missing' });
  const limited = { gatewayTokenId: 2, tenantId: 1, tokenHash: Buffer.alloc(32, 1) };
  registry.putGateway({ ...limited, iotDeviceIds: new Set([3]) });
  const sender = { kind: 'gateway' as const, gateway: { ...limited, iotDeviceIds: new Set([3]) } };
  t.match(registry.resolve(sender, 'x'), { ok: false, reason: 'unknown_device' });
  t.equal(registry.senderOf('unknown'), null);
  t.equal(registry.senderOf('x'.repeat(600)), null);
  registry.remove(1);
  t.match(registry.checkSecret('x', Buffer.from('x')), { ok: false, reason: 'unknown_device' });
  t.end();
});

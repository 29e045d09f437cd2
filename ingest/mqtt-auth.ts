/**
 * Who signs in over MQTT: a device by its name and secret, by a certificate that a transport has verified, or by both,
 * which then must agree. Tells of devices that are not known. Refuses to know packets, TLS and SQL.
 */
import type { Knock } from './knocking.ts';
import type { MqttAuthenticate, MqttIdentity, MqttRefusal } from './mqtt/sink.ts';
import type { RegisteredDevice, Registry } from './registry.ts';

/**
 * The listener's authenticator, over devices in memory. With a certificate the user name may be absent; otherwise it has
 * to be one of the certificate's names, and a password that is given has to be the device's secret. Without one both are
 * required. A device that is not known is told to `knock`, with its name and nothing of its secret.
 */
export function createAuthenticate(
  registry: Pick<Registry, 'checkSecret' | 'deviceNamed'>,
  knock: (knock: Knock) => void,
): MqttAuthenticate {
  const knocked = (deviceName: string, remoteAddress: string): void =>
    knock({
      protocol: 'mqtt',
      deviceName,
      tenantId: null,
      payload: null,
      remoteAddress: remoteAddress === '' ? null : remoteAddress,
    });

  const bySecret = (
    username: string | undefined,
    password: Buffer | undefined,
    remoteAddress: string,
  ): MqttIdentity | MqttRefusal => {
    if (username === undefined || password === undefined) return { refused: 'credentials_missing' };
    const checked = registry.checkSecret(username, password);
    if (checked.ok) return identityOf(checked.device);
    if (checked.reason === 'unknown_device') knocked(username, remoteAddress);
    return { refused: checked.reason };
  };

  const byCertificate = (
    names: readonly string[],
    username: string | undefined,
    password: Buffer | undefined,
    remoteAddress: string,
  ): MqttIdentity | MqttRefusal => {
    if (username !== undefined && !names.includes(username)) {
      return { refused: 'certificate_mismatch' };
    }
    const wanted = username === undefined ? names : [username];
    const devices = wanted.flatMap((name) => registry.deviceNamed(name) ?? []);
    const [device] = devices;
    if (device === undefined) {
      const name = wanted[0];
      if (name !== undefined) knocked(name, remoteAddress);
      return { refused: 'certificate_unknown' };
    }
    if (devices.length > 1) return { refused: 'certificate_ambiguous' };
    if (password === undefined) return identityOf(device);
    const checked = registry.checkSecret(device.deviceName, password);
    return checked.ok ? identityOf(device) : { refused: checked.reason };
  };

  return (username, password, { remoteAddress, certificateNames }) => {
    // Some clients send an empty name where they have none.
    const name = username === '' ? undefined : username;
    return Promise.resolve(
      certificateNames === null
        ? bySecret(name, password, remoteAddress)
        : byCertificate(certificateNames, name, password, remoteAddress),
    );
  };
}

function identityOf({ deviceName, iotDeviceId, tenantId }: RegisteredDevice): MqttIdentity {
  return { deviceName, iotDeviceId, tenantId };
}

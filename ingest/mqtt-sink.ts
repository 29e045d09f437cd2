/** The MQTT listener's publishes as intake messages. Knows how an outcome is told, and when a device must wait. */
import { emptyDecoded, refuseMessage, type Decoded } from './decode/decoded.ts';
import { FixScan } from './decode/native-scan.ts';
import { decodeFixes } from './decode/native-topics.ts';
import { ownTopic, ownTopicsText } from './decode/formats.ts';
import type { Intake, MessageOutcome } from './intake.ts';
import type { MqttSink, PublishOutcome, Receipt } from './mqtt/sink.ts';
import type { Registry, RegisteredDevice } from './registry.ts';
import type { Turns } from './turns.ts';

const STORED: PublishOutcome = { kind: 'stored' };
const UNAVAILABLE: PublishOutcome = { kind: 'unavailable' };

export function createMqttSink(intake: Intake, registry: Registry, turns: Turns): MqttSink {
  const scan = new FixScan();
  return {
    publish(message, receipt) {
      const device = registry.device(message.identity.iotDeviceId);
      if (device === undefined) {
        receipt.settled(UNAVAILABLE);
        return true;
      }
      const { topic, receivedMs } = message;
      const read = ownTopic(topic, device.deviceName);
      // Nearly all publishes are usual fixes, and go the short way.
      const isTaken =
        read === decodeFixes &&
        scan.readMessage(message.buffer, message.payloadStart, message.payloadEnd, receivedMs) &&
        intake.submitScanned({ source: 'mqtt', device, receivedMs }, scan, settle, receipt);
      if (!isTaken) {
        const { payload } = message;
        const sender = { kind: 'device', device } as const;
        const decoded = read === null ? foreignTopic(device) : read(payload, receivedMs);
        intake.submit({ source: 'mqtt', topic, sender, payload, decoded, receivedMs }, (outcome) =>
          settle(outcome, receipt),
        );
      }
      return !intake.isFull && !turns.isSpent();
    },
    onceDrained(resume) {
      if (intake.isFull) intake.onceDrained(resume);
      else turns.later(resume);
    },
  };
}

function foreignTopic(device: RegisteredDevice): Decoded {
  const decoded = emptyDecoded();
  const topics = ownTopicsText(device.deviceName);
  refuseMessage(decoded, 'foreign_topic', `the device may publish to ${topics} only`);
  return decoded;
}

function settle(outcome: MessageOutcome, receipt: Receipt): void {
  receipt.settled(publishOutcome(outcome));
}

function publishOutcome(outcome: MessageOutcome): PublishOutcome {
  if (!outcome.stored) return UNAVAILABLE;
  const first = outcome.refused[0];
  if (outcome.accepted + outcome.duplicates > 0 || first === undefined) return STORED;
  return { kind: 'rejected', reason: first.reason };
}

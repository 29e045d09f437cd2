/** The MQTT listener's publishes as intake messages. Knows the topics and which decoder reads them. */
import { decodeNative, type RecordKind } from './decode/native.ts';
import { emptyDecoded, refuseMessage, type Decoded } from './decode/decoded.ts';
import type { Intake, MessageOutcome } from './intake.ts';
import type { MqttPublish, MqttSink, PublishOutcome } from './mqtt/sink.ts';
import { ownTopicKind, type TopicKind } from './mqtt/topics.ts';
import type { Registry, RegisteredDevice } from './registry.ts';

const RECORD_KIND: Readonly<Record<TopicKind, RecordKind>> = { fixes: 'fix', metrics: 'metric' };

export function createMqttSink(intake: Intake, registry: Registry): MqttSink {
  return {
    publish(message, done) {
      const device = registry.device(message.identity.iotDeviceId);
      if (device === undefined) {
        done({ kind: 'unavailable' });
        return true;
      }
      intake.submit(
        {
          source: 'mqtt',
          topic: message.topic,
          sender: { kind: 'device', device },
          payload: message.payload,
          decoded: decode(message, device),
          receivedMs: message.receivedMs,
        },
        (outcome) => done(publishOutcome(outcome)),
      );
      return !intake.isFull;
    },
    onceDrained: (resume) => intake.onceDrained(resume),
  };
}

function decode(message: MqttPublish, device: RegisteredDevice): Decoded {
  const kind = ownTopicKind(message.topic, device.deviceName);
  if (kind === null) {
    const detail = `the device may publish to v1/devices/${device.deviceName}/fixes and …/metrics only`;
    return refused('foreign_topic', detail);
  }
  return decodeNative(message.payload, RECORD_KIND[kind], message.receivedMs);
}

function refused(reason: string, detail: string): Decoded {
  const decoded = emptyDecoded();
  refuseMessage(decoded, reason, detail);
  return decoded;
}

function publishOutcome(outcome: MessageOutcome): PublishOutcome {
  if (!outcome.stored) return { kind: 'unavailable' };
  const first = outcome.refused[0];
  if (outcome.accepted + outcome.duplicates > 0 || first === undefined) return { kind: 'stored' };
  return { kind: 'rejected', reason: first.reason };
}

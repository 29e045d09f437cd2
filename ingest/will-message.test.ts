import t from 'tap';
import type { IntakeMessage } from './intake.ts';
import type { MqttWill } from './mqtt/sink.ts';
import type { RegisteredDevice } from './registry.ts';
import { Wills, WILLS_WAITING_MAX } from './will-message.ts';

const ATMS = Date.parse('2026-06-15T12:00:00Z');

/** An intake whose queue is full as long as the test says, and takes `room` more messages then. */
class FakeIntake {
  readonly messages: IntakeMessage[] = [];
  room = Infinity;
  #resumes: (() => void)[] = [];

  get isFull(): boolean {
    return this.room === 0;
  }

  onceDrained(resume: () => void): void {
    this.#resumes.push(resume);
  }

  submit(message: IntakeMessage): void {
    this.messages.push(message);
    this.room--;
  }

  drain(room: number): void {
    this.room = room;
    const resumes = this.#resumes;
    this.#resumes = [];
    t.equal(resumes.length, 1, 'it is asked for a call once');
    for (const resume of resumes) resume();
  }

  /** Device and client of each message. */
  get told(): string[] {
    return this.messages.map(({ sender, decoded }) => {
      const name = sender.kind === 'device' ? sender.device.deviceName : '';
      return `${name} ${String(decoded.events[0]!.detail['client_id'])}`;
    });
  }
}

const registry = {
  device: (iotDeviceId: number): RegisteredDevice | undefined =>
    iotDeviceId === 0
      ? undefined
      : {
          iotDeviceId,
          deviceName: `dev-${iotDeviceId}`,
          tenantId: 1,
          tokenHash: null,
          previousToken: null,
          signInByName: false,
          link: null,
        },
};

function will(iotDeviceId: number, clientId = 'c', payload = Buffer.from('gone')): MqttWill {
  const identity = { deviceName: `dev-${iotDeviceId}`, iotDeviceId, tenantId: 1 };
  return { identity, clientId, topic: 'bye', payload, atMs: ATMS, cause: 'it went' };
}

t.test('a will is an event at the time at which its client went, and is received now', (t) => {
  const intake = new FakeIntake();
  const wills = new Wills(intake, registry);
  const beforeMs = Date.now();
  wills.take(will(1));
  wills.take(will(2, 'c', Buffer.alloc(5_000, 0xff)));
  wills.take(will(0));
  t.equal(intake.messages.length, 2, 'a device that is not registered has none');
  const [text, bytes] = intake.messages.map(({ decoded }) => decoded.events[0]!);
  t.match(text, {
    kind: 'disconnected',
    timeMs: ATMS,
    detail: { cause: 'it went', topic: 'bye', payload: 'gone', payload_bytes: 4 },
  });
  t.equal(String(bytes!.detail['payload_base64']).length, Math.ceil(4_096 / 3) * 4);
  t.ok(intake.messages[0]!.receivedMs >= beforeMs);
  t.end();
});

t.test('while the queue is full one will of each device waits, its newest', (t) => {
  const intake = new FakeIntake();
  const wills = new Wills(intake, registry);
  intake.room = 0;
  for (const clientId of ['a', 'b', 'c']) {
    for (const device of [1, 2, 3]) wills.take(will(device, clientId));
  }
  t.same(intake.told, []);
  intake.drain(2);
  t.same(intake.told, ['dev-1 c', 'dev-2 c'], 'as far as there is room');
  wills.take(will(2, 'd'));
  intake.drain(10);
  t.same(intake.told, ['dev-1 c', 'dev-2 c', 'dev-3 c', 'dev-2 d']);
  wills.take(will(1, 'e'));
  t.equal(intake.told.at(-1), 'dev-1 e', 'and then none waits');
  t.end();
});

t.test('so many wait, and one more drops the one that has waited longest', (t) => {
  const intake = new FakeIntake();
  const wills = new Wills(intake, registry);
  intake.room = 0;
  for (let device = 1; device <= WILLS_WAITING_MAX + 1; device++) wills.take(will(device));
  intake.drain(Infinity);
  t.equal(intake.messages.length, WILLS_WAITING_MAX);
  t.equal(intake.told[0], 'dev-2 c');
  t.end();
});

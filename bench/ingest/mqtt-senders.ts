/**
 * Devices that cost next to nothing: prepared packets written to sockets, PUBACKs counted by their four bytes, so the
 * machine's time goes to the server that is measured. Speaks MQTT 3.1.1, quality of service 1. Two ways to send: with a
 * window of unanswered publishes, as fast as acks come; or at a pace, whatever the acks do.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { generate } from 'mqtt-packet';
import type { MqttJob } from './load-jobs.ts';
import type { PreparedLoad } from './load-program.ts';
import { tokenOf } from './seed.ts';
import { deviceName, encodePublishes, fixesOf, type Messages } from './track.ts';

const PUBACK_BYTES = 4;
const CONNACK_BYTES = 4;
/** How often a paced load looks what is due. */
const PACE_MS = 2;

/** Connects and signs in all devices of the job, with everything encoded. */
export async function prepareMqtt(job: MqttJob): Promise<PreparedLoad> {
  const senders: Sender[] = [];
  for (let n = 0; n < job.devices; n++) {
    const device = deviceName(n);
    const fixes = fixesOf(job, n, job.from, job.count);
    const messages = encodePublishes(device, fixes, job.fixesPerPublish);
    senders.push(new Sender(await signIn(job.port, device), device, messages));
  }
  return {
    async run() {
      const latencies = Promise.all(senders.map((sender) => sender.answered));
      if (job.perS > 0) await pace(senders, job);
      else for (const sender of senders) sender.keepWindow(job.window);
      return concat(await latencies);
    },
    close() {
      for (const sender of senders) sender.close();
    },
  };
}

async function signIn(port: number, device: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  socket.write(
    generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: true,
      clientId: device,
      keepalive: 0,
      username: device,
      password: Buffer.from(tokenOf(device)),
    }),
  );
  const closed = once(socket, 'close').then((): [Buffer] => [Buffer.alloc(0)]);
  const [answer] = await Promise.race([once(socket, 'data') as Promise<[Buffer]>, closed]);
  if (answer.length < CONNACK_BYTES || answer[3] !== 0) throw new Error(`${device} was refused`);
  return socket;
}

class Sender {
  /** Latencies of all messages, once the last is answered. */
  readonly answered: Promise<Float64Array>;
  readonly messageCount: number;
  private readonly socket: Socket;
  private readonly messages: Messages;
  private readonly sentMs: Float64Array;
  private sent = 0;
  private acked = 0;
  private window = 0;

  constructor(socket: Socket, device: string, messages: Messages) {
    this.socket = socket;
    this.messages = messages;
    this.messageCount = messages.ends.length;
    this.sentMs = new Float64Array(this.messageCount);
    const latencies = new Float64Array(this.messageCount);
    let ackBytes = 0;
    this.answered = new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('close', () =>
        reject(new Error(`${device} was closed after ${this.acked} acks of ${this.messageCount}`)),
      );
      socket.on('data', (chunk) => {
        ackBytes += chunk.length;
        const upTo = Math.floor(ackBytes / PUBACK_BYTES);
        const nowMs = performance.now();
        for (; this.acked < upTo; this.acked++) {
          latencies[this.acked] = nowMs - this.sentMs[this.acked]!;
        }
        if (this.acked === this.messageCount) resolve(latencies);
        else if (this.window > 0) this.send(this.acked + this.window);
      });
    });
    // Looked at when the job runs; a device that is lost before must not end the program.
    this.answered.catch(() => undefined);
  }

  /** From now on keeps so many publishes unanswered. */
  keepWindow(window: number): void {
    this.window = window;
    this.send(window);
  }

  /** Sends the messages before `upTo` that were not sent yet, in one write; returns how many. */
  send(upTo: number): number {
    const to = Math.min(this.messageCount, upTo);
    const { sent } = this;
    if (to <= sent) return 0;
    this.sentMs.fill(performance.now(), sent, to);
    const { bytes, ends } = this.messages;
    this.sent = to;
    this.socket.write(bytes.subarray(sent === 0 ? 0 : ends[sent - 1]!, ends[to - 1]));
    return to - sent;
  }

  close(): void {
    this.socket.removeAllListeners('close');
    this.socket.destroy();
  }
}

/** Sends `burst` messages of each device in turn, evenly, `perS` a second of all together. */
async function pace(
  senders: readonly Sender[],
  { perS, burst }: { readonly perS: number; readonly burst: number },
): Promise<void> {
  const total = senders.reduce((sum, sender) => sum + sender.messageCount, 0);
  const startedMs = performance.now();
  let bursts = 0;
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - startedMs) / 1000) * perS));
    for (; sent < due; bursts++) {
      const sender = senders[bursts % senders.length]!;
      sent += sender.send((Math.floor(bursts / senders.length) + 1) * burst);
    }
    await new Promise((resolve) => setTimeout(resolve, PACE_MS));
  }
}

function concat(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

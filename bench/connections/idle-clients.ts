/**
 * Clients that connect and then say nothing: a program of its own, started once for every so many connections, as one
 * process may open only so many files. It says when all are connected, and holds them until it is told to go.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { generate } from 'mqtt-packet';
import type { IdleJob, IdleWord } from './idle-program.ts';

/** Connections that are being made at one time. */
const CONNECTING_MAX = 100;
const CONNACK_BYTES = 4;
const SUBACK_BYTES = 5;

const sockets: Socket[] = [];

async function hold(job: IdleJob): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < job.count) await open(job, job.from + next++);
  };
  await Promise.all(Array.from({ length: CONNECTING_MAX }, work));
}

/** One source address has ports for some 28,000 connections to one server, so each of them takes its turn. */
async function open(job: IdleJob, index: number): Promise<void> {
  const localAddress = `127.0.0.${2 + (index % 100)}`;
  const socket = connect({ port: job.port, host: '127.0.0.1', localAddress, noDelay: true });
  socket.on('error', (error) => tell({ word: 'failed', message: error.message }));
  await once(socket, 'connect');
  const device = `${job.devicePrefix}${index}`;
  socket.write(signIn(job, device));
  const [connack] = (await once(socket, 'data')) as [Buffer];
  if (connack.length < CONNACK_BYTES || connack[3] !== 0) throw new Error(`${device} was refused`);
  socket.write(subscribe(device));
  const [suback] = (await once(socket, 'data')) as [Buffer];
  if (suback.length < SUBACK_BYTES || suback[4] !== 1) throw new Error(`${device}: no SUBACK`);
  socket.on('close', () => tell({ word: 'failed', message: `${device} was closed` }));
  sockets.push(socket);
}

function signIn({ tokenPrefix, keepAliveS }: IdleJob, device: string): Buffer {
  return generate({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: false,
    clientId: device,
    keepalive: keepAliveS,
    username: device,
    password: Buffer.from(tokenPrefix + device),
    will: {
      topic: `v1/devices/${device}/status`,
      payload: Buffer.from('{"state":"lost"}'),
      qos: 1,
      retain: false,
    },
  });
}

function subscribe(device: string): Buffer {
  const subscriptions = [{ topic: `v1/devices/${device}/commands`, qos: 1 as const }];
  return generate({ cmd: 'subscribe', messageId: 1, subscriptions });
}

function tell(word: IdleWord): void {
  process.send!(word);
}

process.once('message', (job: IdleJob) => {
  hold(job).then(
    () => tell({ word: 'connected' }),
    (error: unknown) => tell({ word: 'failed', message: String(error) }),
  );
});
// The bench has gone, or is done.
process.once('disconnect', () => process.exit());

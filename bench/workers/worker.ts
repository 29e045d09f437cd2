/**
 * The bench's second thread: decodes reads, or evaluates and encodes rows, or all of it, as each pass says, and hands whole
 * batches back. Refuses to know what is measured.
 *
 * States: ready → (begin) → in a pass → (end) → ready. With a ring the thread belongs to the ring until its end.
 */
import assert from 'node:assert/strict';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { FillingBatch } from '../../ingest/batch.ts';
import { RingReader, type RingMemory } from './ring.ts';
import {
  buffersOf,
  Decoder,
  Evaluator,
  makeLinks,
  makeWorld,
  putColumns,
  takeColumns,
  type Columns,
} from './stages.ts';
import { RING_END, type FromWorker, type ToWorker, type WorkerStart } from './worker-messages.ts';

assert(parentPort !== null, 'this is the program of a worker thread');
const port = parentPort;
const { stages, nowMs, batchRows } = workerData as WorkerStart;
const world = makeWorld(stages);
const links = makeLinks(stages.devices);
const batch = new FillingBatch();
const spareColumns: Columns[] = [];
const spareRooms: ArrayBuffer[] = [];
let decoder = new Decoder(links, nowMs);
let evaluator: Evaluator | null = null;
let isInRing = false;

function tell(message: FromWorker, transferred: ArrayBuffer[] = []): void {
  port.postMessage(message, transferred);
}

function take(message: ToWorker): void {
  switch (message.kind) {
    case 'begin':
      decoder = new Decoder(links, nowMs);
      evaluator = message.evaluates ? new Evaluator(world) : null;
      if (message.ring !== null) readRing(message.ring);
      return;
    case 'read':
      return read(Buffer.from(message.bytes), message.device);
    case 'rows':
      spareColumns.push(takeColumns(batch, message.columns));
      putColumns(batch, message.columns, message.count);
      return handBack();
    case 'spare':
      if (message.columns !== null) spareColumns.push(message.columns);
      if (message.room !== null) spareRooms.push(message.room);
      return;
    case 'end':
      return end();
  }
}

function read(bytes: Buffer, device: number): void {
  decoder.decode(bytes, device, batch);
  if (batch.fixes.count >= batchRows) handBack();
}

function readRing(memory: RingMemory): void {
  const ring = new RingReader(memory);
  isInRing = true;
  for (let bytes = ring.next(); ring.tag !== RING_END; bytes = ring.next()) read(bytes, ring.tag);
  ring.release();
  isInRing = false;
  end();
}

function end(): void {
  assert(batch.fixes.count === 0, 'batches are whole');
  tell({ kind: 'ended' });
}

function handBack(): void {
  const { count } = batch.fixes;
  if (evaluator === null) {
    const columns = takeColumns(batch, spare());
    return tell({ kind: 'rows', count, columns }, buffersOf(columns));
  }
  const evaluation = evaluator.evaluate(batch);
  const room = spareRooms.pop();
  batch.copyRoom = room === undefined ? null : Buffer.from(room);
  const copy = evaluator.encode(batch);
  batch.copyRoom = null;
  const columns = takeColumns(batch, spare());
  const memory = [...buffersOf(columns), copy.buffer as ArrayBuffer];
  tell({ kind: 'work', count, columns, copy, evaluation }, memory);
}

/** Columns that came back. While the ring holds the thread, nothing but their messages comes, and lies unread. */
function spare(): Columns | undefined {
  while (isInRing && spareColumns.length === 0) {
    const unread = receiveMessageOnPort(port) as { message: ToWorker } | undefined;
    if (unread === undefined) break;
    take(unread.message);
  }
  return spareColumns.pop();
}

port.on('message', take);
tell({ kind: 'ready' });

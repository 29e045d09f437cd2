import t from 'tap';
import { createRingMemory, ringBytesOf, RingReader, RingWriter } from './ring.ts';

/** Record i: its length and bytes follow from i. */
function recordOf(i: number): Buffer {
  return Buffer.alloc((i * 37) % 200, i);
}

t.test('records come out as they went in, over the end of the memory and again', (t) => {
  const memory = createRingMemory(1_024);
  const writer = new RingWriter(memory);
  const reader = new RingReader(memory);
  let wrong = 0;
  for (let i = 0; i < 10_000; i++) {
    if (!writer.push(recordOf(i), i)) wrong++;
    if (!reader.next().equals(recordOf(i)) || reader.tag !== i) wrong++;
  }
  t.equal(wrong, 0);
  t.end();
});

t.test('a full ring takes nothing until a record was released', (t) => {
  const memory = createRingMemory(1_024);
  const writer = new RingWriter(memory);
  const record = Buffer.alloc(120, 1);
  const room = 1_024 / ringBytesOf(record.length);
  for (let i = 0; i < room; i++) t.ok(writer.push(record, i));
  t.notOk(writer.push(record, 99));
  const reader = new RingReader(memory);
  reader.next();
  t.notOk(writer.push(record, 99), 'it is still being read');
  reader.release();
  t.ok(writer.push(record, 99));
  for (let i = 1; i < room; i++) reader.next();
  reader.next();
  t.equal(reader.tag, 99);
  t.end();
});

t.test('another reader goes on where the last one released', (t) => {
  const memory = createRingMemory(1_024);
  const writer = new RingWriter(memory);
  writer.push(Buffer.from('first'), 1);
  writer.push(Buffer.from('second'), 2);
  const before = new RingReader(memory);
  before.next();
  before.release();
  t.equal(new RingReader(memory).next().toString(), 'second');
  t.end();
});

t.test('a record that could never fit is a mistake', (t) => {
  const writer = new RingWriter(createRingMemory(1_024));
  t.throws(() => writer.push(Buffer.alloc(600), 1), /more than half/);
  t.end();
});

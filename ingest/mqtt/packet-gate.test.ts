import t from 'tap';
import { PacketGate } from './packet-gate.ts';

/** A packet of the type with a body of the length, whose bytes say where they belong. */
function packet(type: number, bodyBytes: number): Buffer {
  const header = [type << 4];
  let rest = bodyBytes;
  do {
    const digit = rest % 128;
    rest = Math.floor(rest / 128);
    header.push(rest > 0 ? digit | 0x80 : digit);
  } while (rest > 0);
  return Buffer.concat([Buffer.from(header), Buffer.alloc(bodyBytes, type)]);
}

/** All packets the gate finds when the bytes come in these chunks, and its last word. */
function readAll(gate: PacketGate, chunks: readonly Buffer[]): { packets: Buffer[]; end: string } {
  const packets: Buffer[] = [];
  let end = 'more';
  for (const chunk of chunks) {
    gate.push(chunk);
    end = gate.next();
    while (end === 'packet') {
      packets.push(Buffer.from(gate.buffer.subarray(gate.start, gate.end)));
      end = gate.next();
    }
  }
  return { packets, end };
}

/** mulberry32 */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4_294_967_296;
  };
}

t.test('packets are the same however the bytes are cut', (t) => {
  const seed = Date.now() % 1_000_000;
  t.comment(`seed ${seed}`);
  const next = random(seed);
  const sizes = [0, 1, 126, 127, 128, 129, 300, 16_383, 16_384, 70_000];
  let wrong = 0;
  for (let run = 0; run < 200; run++) {
    const longest = [1, 3, 100, 5_000, 65_536][run % 5]!;
    const sizeCount = longest < 100 ? 7 : sizes.length;
    const sent = Array.from({ length: 1 + Math.floor(next() * 5) }, (_, i) =>
      packet(1 + (i % 14), sizes[Math.floor(next() * sizeCount)]!),
    );
    const bytes = Buffer.concat(sent);
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const size = 1 + Math.floor(next() * longest);
      chunks.push(bytes.subarray(at, at + size));
      at += size;
    }
    const { packets } = readAll(new PacketGate(100_000), chunks);
    if (!Buffer.concat(packets).equals(bytes) || packets.length !== sent.length) wrong++;
  }
  t.equal(wrong, 0);
  t.end();
});

t.test('the body starts behind a length of one to three bytes', (t) => {
  for (const [size, bodyStart] of [
    [0, 2],
    [127, 2],
    [128, 3],
    [16_384, 4],
  ] as const) {
    const gate = new PacketGate(100_000);
    gate.push(packet(3, size));
    t.equal(gate.next(), 'packet');
    t.equal(gate.bodyStart, bodyStart);
    t.equal(gate.end - gate.bodyStart, size);
  }
  t.end();
});

t.test('a packet of exactly the bound passes, one byte more does not', (t) => {
  const { packets } = readAll(new PacketGate(1_002 + 1), [packet(3, 1_000)]);
  t.equal(packets.length, 1);
  t.equal(readAll(new PacketGate(1_002), [packet(3, 1_000)]).end, 'too_large');
  t.end();
});

t.test('the declared length is enough to refuse', (t) => {
  t.equal(
    readAll(new PacketGate(8_192), [Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f])]).end,
    'too_large',
  );
  const byteByByte = [0x30, 0xff, 0xff].map((byte) => Buffer.from([byte]));
  t.equal(readAll(new PacketGate(8_192), byteByByte).end, 'too_large', 'before the length ends');
  t.equal(readAll(new PacketGate(8_192), byteByByte.slice(0, 2)).end, 'more');
  t.end();
});

t.test('a length of more than four bytes is malformed, and stays so', (t) => {
  const gate = new PacketGate(0x1000_0000);
  const bytes = Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80, 0x01]);
  t.equal(readAll(gate, [bytes]).end, 'malformed');
  t.equal(readAll(gate, [packet(3, 5)]).end, 'malformed');
  t.equal(gate.next(), 'malformed');
  t.end();
});

t.test('holds what came, not what was promised', (t) => {
  const gate = new PacketGate(256 * 1024);
  readAll(gate, [packet(3, 200_000).subarray(0, 10)]);
  t.equal(gate.heldBytes, 10);
  t.end();
});

t.test('the bound can be raised between packets', (t) => {
  const gate = new PacketGate(10);
  gate.push(Buffer.concat([packet(1, 5), packet(3, 500)]));
  t.equal(gate.next(), 'packet');
  gate.packetBytesMax = 1_000;
  t.equal(gate.next(), 'packet');
  t.equal(gate.next(), 'more');
  t.end();
});

t.test('bytes pushed behind unread ones keep their order', (t) => {
  const gate = new PacketGate(1_000);
  gate.push(Buffer.concat([packet(1, 5), packet(3, 300).subarray(0, 100)]));
  t.equal(gate.next(), 'packet');
  gate.push(Buffer.concat([packet(3, 300).subarray(100), packet(4, 2)]));
  t.equal(gate.next(), 'packet');
  t.ok(gate.buffer.subarray(gate.start, gate.end).equals(packet(3, 300)));
  t.equal(gate.next(), 'packet');
  t.equal(gate.next(), 'more');
  t.equal(gate.heldBytes, 0);
  t.equal(gate.buffer.length, 0, 'nor is the last chunk kept');
  t.end();
});

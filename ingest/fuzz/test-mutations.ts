/**
 * Inputs that no device should send: whole messages with bits flipped, cut, doubled, spliced, nested and lying about their
 * lengths, as arbitraries of fast-check, so that what breaks something is shrunk to the least of it. Knows bytes; refuses to
 * know what reads them.
 */
import fc from 'fast-check';

/** A message to begin with, and the clock that believes its times. */
export interface Seed {
  readonly bytes: Buffer;
  readonly nowMs: number;
}

/** Changes of one message at most. */
const CHANGES_MAX = 5;
/** Of most messages: with more of them hardly one is read beyond its beginning. */
const FEW_CHANGES_MAX = 2;
/** Bytes of a changed message; longer ones are cut. */
export const INPUT_BYTES_MAX = 32_768;
/** Levels that a nesting piece opens. */
const DEPTH_MAX = 5_000;
const REPEATS_MAX = 200;

/** Pieces that readers of text trip over: huge and odd numbers, halves of characters, keys of the language, marks. */
const PIECES: readonly Buffer[] = [
  'null', '-1', '1e999', '-1e999', '1e-400', '-0', 'NaN', 'Infinity', '9007199254740993', '99999999999999999999', '0x10',
  '""', '[]', '{}', 'true', 'false', '"\\u0000"', '"\\ud800"', '\\u0000', '\u0000', '"', '\\', '}', ']', ',', ':', '\n', '\r\n',
  '{"__proto__":{"lat":1}}', '"constructor"', '"toString"', '"hasOwnProperty"', '\ufeff', '\u202e', '\u{1f69a}', 'ﷺ',
  '%00', '%', '%zz', '%f0%9f', '&', '=', '+', ';', '&&&&', '==', '/', '//', '$', '#', '+/#', '$share/g/', '1,2', '1,2,3,4',
  '2026-06-15T12:00:00Z', '1970-01-01T00:00:00Z', '9999-12-31T23:59:60+99:99', '1781524770', '1e10', '1781524770000',
].map((text) => Buffer.from(text)); // prettier-ignore
const BROKEN_TEXT = ['ff', 'c3', 'e282', 'f09f9a', 'c080', 'eda080', 'f8808080'].map((hex) =>
  Buffer.from(hex, 'hex'),
);
/** What lies best about a length. */
const LENGTHS = [
  0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0xffff_ffff,
];
const OPENERS = ['[', '{"a":', '[{"a":', '{"location":[', '\u0000'].map((text) =>
  Buffer.from(text),
);

interface Change {
  readonly kind:
    | 'flip' | 'byte' | 'cut' | 'remove' | 'double' | 'insert' | 'splice' | 'length' | 'varint' | 'repeat' | 'nest';
  /** Where, as a share of the message in 65,536ths, and up to where. */
  readonly at: number;
  readonly span: number;
  /** Chooses a piece, a bit, a length. */
  readonly choice: number;
} // prettier-ignore

const KINDS: readonly Change['kind'][] = [
  'flip', 'byte', 'cut', 'remove', 'double', 'insert', 'splice', 'length', 'varint', 'repeat', 'nest',
]; // prettier-ignore

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom(...KINDS),
  at: fc.nat(0xffff),
  span: fc.nat(64),
  choice: fc.nat(0xffff),
});

const changes = fc.oneof(
  { weight: 2, arbitrary: fc.array(change, { maxLength: FEW_CHANGES_MAX }) },
  { weight: 1, arbitrary: fc.array(change, { maxLength: CHANGES_MAX }) },
);

/** A seed, changed up to five times; sometimes not at all. */
export function mutated(seeds: readonly Seed[]): fc.Arbitrary<Seed> {
  return fc.tuple(fc.nat(seeds.length - 1), changes).map(([index, made]) => {
    const seed = seeds[index]!;
    let bytes = seed.bytes;
    for (const one of made) bytes = changed(bytes, one, seeds).subarray(0, INPUT_BYTES_MAX);
    return { bytes, nowMs: seed.nowMs };
  });
}

function changed(
  bytes: Buffer,
  { kind, at, span, choice }: Change,
  seeds: readonly Seed[],
): Buffer {
  const from = Math.floor((at / 0x10000) * (bytes.length + 1));
  const to = Math.min(bytes.length, from + span);
  const [before, within, after] = [
    bytes.subarray(0, from),
    bytes.subarray(from, to),
    bytes.subarray(to),
  ];
  switch (kind) {
    case 'flip':
      return overwritten(bytes, from, Buffer.from([(bytes[from] ?? 0) ^ (1 << (choice & 7))]));
    case 'byte':
      return overwritten(bytes, from, Buffer.from([choice & 0xff]));
    case 'cut':
      return before;
    case 'remove':
      return Buffer.concat([before, after]);
    case 'double':
      return Buffer.concat([before, within, within, after]);
    case 'insert': {
      const pieces = choice & 1 ? PIECES : BROKEN_TEXT;
      return Buffer.concat([before, pieces[choice % pieces.length]!, after]);
    }
    case 'splice': {
      const other = seeds[choice % seeds.length]!.bytes;
      return Buffer.concat([before, other.subarray(Math.floor((span / 65) * other.length))]);
    }
    case 'length':
      return overwritten(bytes, from, lengthOf(choice));
    case 'varint':
      return overwritten(
        bytes,
        from,
        Buffer.from([0xff, 0xff, 0xff, choice & 0xff].slice(choice & 3)),
      );
    case 'repeat': {
      const times = choice % REPEATS_MAX;
      return Buffer.concat([before, ...Array<Buffer>(times).fill(within), after]);
    }
    case 'nest': {
      const opener = OPENERS[choice % OPENERS.length]!;
      return Buffer.concat([before, ...Array<Buffer>(choice % DEPTH_MAX).fill(opener), after]);
    }
  }
}

function overwritten(bytes: Buffer, at: number, by: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  by.copy(copy, at);
  return copy;
}

/** A lie of 1, 2 or 4 bytes. */
function lengthOf(choice: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(LENGTHS[choice % LENGTHS.length]!);
  return bytes.subarray(4 - (1 << ((choice >> 8) % 3)));
}

/** A message in pieces, as a socket may give it. */
export interface Pieces {
  readonly bytes: Buffer;
  /** Where it is cut, in 65,536ths of it. */
  readonly cuts: readonly number[];
}

/** The bytes cut at up to six places, and now and then byte by byte at their beginning. */
export function inPieces(bytes: fc.Arbitrary<Buffer>): fc.Arbitrary<Pieces> {
  const cuts = fc.oneof(
    { weight: 3, arbitrary: fc.array(fc.nat(0xffff), { maxLength: 6 }) },
    { weight: 1, arbitrary: fc.constant(Array.from({ length: 32 }, (_, i) => i * 64)) },
  );
  return fc.record({ bytes, cuts });
}

/** The pieces in order; none is empty. Each has memory of its own, as chunks of a socket have. */
export function piecesOf({ bytes, cuts }: Pieces): Buffer[] {
  const places = cuts.map((cut) => Math.floor((cut / 0x10000) * bytes.length));
  const ends = [...new Set([...places, bytes.length])].sort((a, b) => a - b);
  let from = 0;
  return ends.flatMap((end) => {
    if (end === from) return [];
    const piece = Buffer.from(bytes.subarray(from, end));
    from = end;
    return [piece];
  });
}

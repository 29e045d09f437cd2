/** Rows for tests of the writers: any values of every kind, and sources that tell how far they were asked. */
import fc from 'fast-check';
import type { ExportColumn, ExportKind, ExportPages, ExportRow } from './columns.ts';

export const KINDS = ['text', 'integer', 'number', 'boolean', 'date', 'instant', 'json'] as const;

export const columnOf = (kind: ExportKind, name: string = kind): ExportColumn => ({
  name,
  header: name,
  kind,
});

/** A column of each kind. */
export const COLUMNS = KINDS.map((kind) => columnOf(kind));

export async function* pagesOf(...pages: readonly (readonly ExportRow[])[]): ExportPages {
  await Promise.resolve();
  yield* pages;
}

/** Pages without end, `rowsOf` for each; `pulled` counts those asked for, `isEnded` says that no more are wanted. */
export function endlessPages(rowsOf: (page: number) => readonly ExportRow[]) {
  const state = { pulled: 0, isEnded: false };
  async function* pages(): ExportPages {
    try {
      for (;;) {
        await Promise.resolve();
        yield rowsOf(state.pulled++);
      }
    } finally {
      state.isEnded = true;
    }
  }
  return { state, pages: pages() };
}

/** Many turns of the event loop, in which a source that nobody holds back would run far ahead. */
export async function turns(count = 2_000): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}

export async function bytesOf(file: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of file) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const UNPLEASANT = [
  '=1+1',
  '+49',
  '-5',
  '@a',
  '\t',
  '\r\n',
  '"',
  ',',
  ';',
  "'",
  "'=",
  ' ',
  '_x0041_',
  '',
].concat([
  '\u0000',
  '\u001b',
  '\ufffe',
  '\uff1d1',
  '\u2028',
  '\ud83d\ude9a',
  ']]>',
  '&amp;',
  '<c>',
]);

const textArbitrary = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc
    .array(fc.constantFrom(...UNPLEASANT, 'a', '1'), { maxLength: 6 })
    .map((parts) => parts.join('')),
);
const instantArbitrary = fc.date({
  min: new Date('1900-03-01T00:00:00Z'),
  max: new Date('9999-12-31T23:59:59.999Z'),
  noInvalidDate: true,
});

export const rowArbitrary: fc.Arbitrary<ExportRow> = fc.record({
  text: fc.option(textArbitrary),
  integer: fc.option(fc.maxSafeInteger()),
  number: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
  boolean: fc.option(fc.boolean()),
  date: fc.option(instantArbitrary.map((instant) => instant.toISOString().slice(0, 10))),
  instant: fc.option(instantArbitrary),
  json: fc.option(
    fc.dictionary(textArbitrary, fc.oneof(textArbitrary, fc.integer()), {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  ),
});

/** Up to a dozen rows, cut into pages of which some are empty. */
export const pagesArbitrary = fc.array(fc.array(rowArbitrary, { maxLength: 4 }), { maxLength: 4 });

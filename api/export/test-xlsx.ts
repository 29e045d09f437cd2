/**
 * Reads workbooks, for tests: the zip by its central directory, and of the XML what the writer may write, refusing the rest.
 * Shares nothing with the writer.
 */
import assert from 'node:assert/strict';
import { crc32, inflateRawSync } from 'node:zlib';

export interface ReadCell {
  /** Number, text, boolean; a cell that is not there is not in the row. */
  readonly value: number | string | boolean;
  readonly style: number;
}

export interface ReadSheet {
  readonly name: string;
  readonly xml: string;
  /** By row, from 0 for the header, and by column. */
  readonly rows: readonly (readonly (ReadCell | undefined)[])[];
}

/** Parts by their path, each checked against its sum. */
export function readZip(bytes: Buffer): Map<string, string> {
  const end = bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  assert(end >= 0, 'there is an end of the central directory');
  const parts = new Map<string, string>();
  let at = bytes.readUInt32LE(end + 16);
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    assert.equal(bytes.readUInt32LE(at), 0x02014b50);
    const [sum, packed, size] = [16, 20, 24].map((offset) => bytes.readUInt32LE(at + offset));
    const [nameSize, extraSize, commentSize] = [28, 30, 32].map((o) => bytes.readUInt16LE(at + o));
    const local = bytes.readUInt32LE(at + 42);
    const name = bytes.toString('utf8', at + 46, at + 46 + nameSize!);
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const data = inflateRawSync(bytes.subarray(start, start + packed!));
    assert.equal(data.length, size);
    assert.equal(crc32(data), sum, `the sum of ${name}`);
    assert(!parts.has(name), `${name} is there once`);
    parts.set(name, data.toString());
    at += 46 + nameSize! + extraSize! + commentSize!;
  }
  return parts;
}

/** Sheets in the order of the workbook, found by its relations. */
export function readXlsx(bytes: Buffer): ReadSheet[] {
  const parts = readZip(bytes);
  for (const [name, xml] of parts) checkXml(name, xml);
  const relations = new Map(
    [...parts.get('xl/_rels/workbook.xml.rels')!.matchAll(/Id="(\w+)"[^>]*Target="([^"]+)"/g)].map(
      ([, id, target]) => [id!, target!] as const,
    ),
  );
  const sheets = parts
    .get('xl/workbook.xml')!
    .matchAll(/<sheet name="([^"]*)"[^>]*r:id="(\w+)"\/>/g);
  return [...sheets].map(([, name, id]) => {
    const path = `xl/${relations.get(id!)!}`;
    assert(parts.get('[Content_Types].xml')!.includes(`PartName="/${path}"`), path);
    const xml = parts.get(path)!;
    return { name: textOf(name!), xml, rows: readRows(xml) };
  });
}

/** Tags are closed in turn, and the text holds no character that XML does not know. */
function checkXml(name: string, xml: string): void {
  const open: string[] = [];
  let rest = xml.replace(/^<\?xml [^>]*\?>\n/, '');
  assert(rest !== xml, `${name} has a declaration`);
  rest = rest.replaceAll(
    /<(\/?)([\w:]+)((?: [\w:]+="[^"<]*")*)(\s*\/)?>/g,
    (_, end, tag: string, __, single) => {
      if (end === '/') assert.equal(open.pop(), tag, name);
      else if (single === undefined) open.push(tag);
      return '';
    },
  );
  assert.deepEqual(open, [], name);
  assert(!/[<>]|&(?!(amp|lt|gt|quot);)/.test(rest), `${name}: ${/.{9}[<>&].{9}/.exec(rest)?.[0]}`);
  assert(
    !/[^\t\n\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.test(rest),
    `${name}: characters`,
  );
}

function readRows(xml: string): (ReadCell | undefined)[][] {
  const rows: (ReadCell | undefined)[][] = [];
  const body = /<sheetData>(.*)<\/sheetData>/s.exec(xml)![1]!;
  for (const [, number, cells] of body.matchAll(/<row r="(\d+)">(.*?)<\/row>/gs)) {
    assert.equal(Number(number), rows.length + 1, 'rows are numbered');
    const row: (ReadCell | undefined)[] = [];
    for (const [, ref, style, type, content] of cells!.matchAll(
      /<c r="([A-Z]+\d+)"(?: s="(\d+)")?(?: t="(\w+)")?>(.*?)<\/c>/gs,
    )) {
      assert.equal(ref!.replace(/^[A-Z]+/, ''), number);
      row[columnOf(ref!)] = { value: readValue(type, content!), style: Number(style ?? 0) };
    }
    rows.push(row);
  }
  return rows;
}

function readValue(type: string | undefined, content: string): number | string | boolean {
  if (type === 'inlineStr') {
    const [, space, text] = /^<is><t( xml:space="preserve")?>(.*)<\/t><\/is>$/s.exec(content)!;
    const value = textOf(text!);
    // Without the mark, programs may take space at the ends away.
    assert(space !== undefined || text!.trim() === text, JSON.stringify(text));
    return value;
  }
  const value = /^<v>(.*)<\/v>$/.exec(content)![1]!;
  if (type === 'b') return value === '1';
  assert.equal(type, undefined, 'no formulas and nothing else');
  return Number(value);
}

function columnOf(ref: string): number {
  const letters = /^[A-Z]+/.exec(ref)![0];
  return [...letters].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 64, 0) - 1;
}

/** Entities first, as a parser of XML would, then the escapes of Excel. */
function textOf(xml: string): string {
  const entities: Record<string, string> = { lt: '<', gt: '>', quot: '"', amp: '&' };
  const text = xml.replaceAll(/&(\w+);/g, (_, name: string) => entities[name]!);
  return text.replaceAll(/_x([0-9A-Fa-f]{4})_/g, (_, code: string) =>
    String.fromCharCode(parseInt(code, 16)),
  );
}

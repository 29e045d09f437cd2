/** Small files of every kind, for tests. */
import yazl from 'yazl';

const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** A PDF with as many bytes as asked for, or few. */
export function pdf(sizeBytes = 60, word = ''): Buffer {
  const begin = `%PDF-1.7\n${word}\n`;
  const end = '\n%%EOF\n';
  return Buffer.from(begin.padEnd(sizeBytes - end.length, ' ') + end);
}

/** A ZIP archive with these parts. */
export async function zip(parts: Readonly<Record<string, string | Buffer>>): Promise<Buffer> {
  const archive = new yazl.ZipFile();
  for (const [name, content] of Object.entries(parts)) {
    archive.addBuffer(Buffer.from(content), name);
  }
  archive.end();
  const chunks: Buffer[] = [];
  for await (const chunk of archive.outputStream) chunks.push(Buffer.from(chunk as Buffer));
  return Buffer.concat(chunks);
}

/** What every Word file has. */
export const DOCX_PARTS = {
  '[Content_Types].xml': '<Types/>',
  'word/document.xml': '<w:document/>',
};

export const FILES = {
  png: Buffer.from(png, 'base64'),
  jpeg: Buffer.from('ffd8ffe000104a46494600010100000100010000ffd9', 'hex'),
  webp: Buffer.concat([Buffer.from('RIFF\x1a\0\0\0WEBPVP8L', 'latin1'), Buffer.alloc(20)]),
  heic: Buffer.concat([
    Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'),
    Buffer.alloc(20),
  ]),
  tiff: Buffer.concat([Buffer.from('II*\0\x08\0\0\0\0\0\0\0', 'latin1'), Buffer.alloc(20)]),
  exe: Buffer.concat([Buffer.from('MZ\x90\0', 'latin1'), Buffer.alloc(200)]),
  elf: Buffer.concat([Buffer.from('\x7fELF\x02\x01\x01', 'latin1'), Buffer.alloc(200)]),
  gif: Buffer.from('GIF89a\x01\0\x01\0\0\0\0;', 'latin1'),
  svg: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
  html: Buffer.from('\n <!doctype html><script>alert(1)</script>'),
  script: Buffer.from('#!/bin/sh\nrm -rf /\n'),
};

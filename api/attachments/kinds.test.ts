import t from 'tap';
import { Problem } from '../problem.ts';
import { createTextCheck, downloadName, requireAgreement, sniff } from './kinds.ts';
import { cleanName, contentDisposition, extensionOf } from './names.ts';
import { officeKind } from './office.ts';
import { readRange } from './content.ts';
import { DOCX_PARTS, FILES, pdf, zip } from './test-files.ts';

const NONE = 'application/octet-stream';

async function outcome(bytes: Buffer, filename: string, mimeType = NONE): Promise<string | number> {
  try {
    const found = await sniff(bytes.subarray(0, 4_100), { filename, mimeType });
    if (found !== 'office') return found.kind.mimeType;
    const kind = await officeKind(
      (first, last) => Promise.resolve(bytes.subarray(first, last + 1)),
      bytes.length,
    );
    requireAgreement(kind, { filename, mimeType });
    return kind.mimeType.replace(/^.*officedocument/, '…');
  } catch (error) {
    if (error instanceof Problem) return error.status;
    throw error;
  }
}

t.test('what is taken, and what it is', async (t) => {
  const docx = await zip(DOCX_PARTS);
  const xlsx = await zip({ '[Content_Types].xml': '', 'xl/workbook.xml': '' });
  const pptx = await zip({ 'ppt/presentation.xml': '', '[Content_Types].xml': '' });
  const rows: [Buffer, string, string, string | number][] = [
    [pdf(), 'a.pdf', 'application/pdf', 'application/pdf'],
    [pdf(), 'A.PDF', NONE, 'application/pdf'],
    [pdf(), 'a', '', 'application/pdf'],
    [FILES.png, 'a.png', 'image/png', 'image/png'],
    [FILES.jpeg, 'a.JPG', 'image/jpeg', 'image/jpeg'],
    [FILES.jpeg, 'a.jpeg', 'image/jpg', 'image/jpeg'],
    [FILES.webp, 'a.webp', 'image/webp', 'image/webp'],
    [FILES.heic, 'a.heic', 'image/heic', 'image/heic'],
    [FILES.tiff, 'a.tif', 'image/tiff', 'image/tiff'],
    [Buffer.from('unit;km\n7;12\n'), 'a.csv', 'application/vnd.ms-excel', 'text/csv'],
    [Buffer.from('unit;km\n7;12\n'), 'a', 'text/csv', 'text/csv'],
    [Buffer.from('\ufeffÖlwechsel'), 'a.txt', 'text/plain', 'text/plain'],
    [docx, 'a.docx', NONE, '….wordprocessingml.document'],
    [docx, 'a', NONE, '….wordprocessingml.document'],
    [xlsx, 'a.xlsx', NONE, '….spreadsheetml.sheet'],
    [pptx, 'a.pptx', NONE, '….presentationml.presentation'],

    [FILES.exe, 'a.pdf', 'application/pdf', 415],
    [FILES.elf, 'a.txt', 'text/plain', 415],
    [FILES.gif, 'a.gif', 'image/gif', 415],
    [FILES.svg, 'a.svg', 'image/svg+xml', 415],
    [FILES.svg, 'a.txt', 'text/plain', 415],
    [FILES.html, 'a.html', 'text/html', 415],
    [FILES.html, 'a.csv', 'text/csv', 415],
    [FILES.script, 'a.txt', 'text/plain', 415],
    [Buffer.concat([pdf(), FILES.html]), 'a.pdf', 'application/pdf', 415],
    [Buffer.concat([FILES.html, pdf()]), 'a.pdf', 'application/pdf', 415],
    [Buffer.concat([Buffer.alloc(4), pdf()]), 'a.pdf', 'application/pdf', 415],
    [docx, 'a.zip', NONE, 415],
    [docx, 'a.jar', NONE, 415],
    [await zip({ 'META-INF/MANIFEST.MF': '', 'A.class': '' }), 'a.docx', NONE, 415],
    [await zip({ ...DOCX_PARTS, 'word/vbaProject.bin': '' }), 'a.docx', NONE, 415],
    [await zip({ ...DOCX_PARTS, 'word/embeddings/oleObject1.bin': '' }), 'a.docx', NONE, 415],
    [await zip({ ...DOCX_PARTS, 'xl/workbook.xml': '' }), 'a.docx', NONE, 415],
    [docx.subarray(0, -1), 'a.docx', NONE, 415],
    [Buffer.concat([docx, FILES.exe]), 'a.docx', NONE, 415],
    [Buffer.concat([Buffer.from('PK\x03\x04'), docx]), 'a.docx', NONE, 415],
    [Buffer.from('PK\x03\x04'), 'a.docx', NONE, 415],

    [pdf(), 'a.png', NONE, 422],
    [pdf(), 'a.exe', NONE, 422],
    [pdf(), 'a.pdf', 'text/html', 422],
    [FILES.png, 'a.png', 'image/jpeg', 422],
    [docx, 'a.xlsx', NONE, 422],
    [Buffer.from('no more than text'), 'a.pdf', 'application/pdf', 422],
  ];
  for (const [bytes, name, type, expected] of rows) {
    t.equal(await outcome(bytes, name, type), expected, `${name} sent as ${type || 'nothing'}`);
  }
});

t.test('a part that swells is not unpacked', async (t) => {
  const bomb = await zip({ ...DOCX_PARTS, 'word/media/a.xml': Buffer.alloc(50_000_000) });
  t.ok(bomb.length < 100_000);
  const startMs = performance.now();
  t.equal(await outcome(bomb, 'a.docx'), '….wordprocessingml.document');
  t.ok(performance.now() - startMs < 200);
});

t.test('text is text to its end', (t) => {
  const check = (...chunks: Buffer[]) => {
    const take = createTextCheck();
    for (const chunk of [...chunks, null]) take(chunk);
  };
  const o = Buffer.from('ö');
  t.doesNotThrow(() => check(o.subarray(0, 1), o.subarray(1), Buffer.from('a\tb\r\n')));
  t.throws(() => check(o.subarray(0, 1)), { status: 422, message: /UTF-8/ });
  t.throws(() => check(Buffer.from([0xff, 0xfe, 0x41])), { message: /UTF-8/ });
  for (const code of [0, 7, 8, 0x1b, 0x7f, 0x85]) {
    t.throws(() => check(Buffer.from(`a${String.fromCharCode(code)}`)), { message: /control/ });
  }
  t.end();
});

t.test('names lose what could mislead', (t) => {
  const rows: [string, string][] = [
    ['a.pdf', 'a.pdf'],
    ['../../etc/passwd', 'passwd'],
    ['C:\\Users\\me\\a.pdf', 'a.pdf'],
    ['invoice\u202efdp.exe', 'invoicefdp.exe'],
    ['a\u0000\r\n\u001b.pdf', 'a.pdf'],
    ['\u2066a\u2069\u200f.pdf\ufeff', 'a.pdf'],
    [' .. ', 'file'],
    ['', 'file'],
    ['..pdf. .', 'pdf'],
    ['Größe 👩‍🔧.pdf', 'Größe 👩‍🔧.pdf'],
    ['a\ud800.pdf', 'a.pdf'],
    [`${'x'.repeat(300)}.pdf`, `${'x'.repeat(196)}.pdf`],
    [`${'x'.repeat(195)}👩.pdf`, `${'x'.repeat(195)}.pdf`],
  ];
  for (const [name, expected] of rows) t.equal(cleanName(name), expected, JSON.stringify(name));
  t.equal(extensionOf('a.TAR.gZ'), 'gz');
  t.equal(extensionOf('a.7z'), '7z');
  t.equal(extensionOf('a..exe'), 'exe');
  t.equal(extensionOf('report v1.2'), '');
  t.equal(extensionOf('.pdf'), '');
  t.equal(downloadName('report v1.2', 'application/pdf'), 'report v1.2.pdf');
  t.equal(downloadName('setup.exe', 'image/png'), 'setup.exe.png');
  t.equal(downloadName('a.JPEG', 'image/jpeg'), 'a.JPEG');
  t.equal(
    contentDisposition(`a"b'(ö).pdf`),
    `attachment; filename="a_b'(_).pdf"; filename*=UTF-8''a%22b%27%28%C3%B6%29.pdf`,
  );
  t.end();
});

t.test('ranges', (t) => {
  const rows: [string | undefined, ReturnType<typeof readRange>][] = [
    [undefined, null],
    ['bytes=0-0', { firstByte: 0, lastByte: 0 }],
    ['bytes=5-', { firstByte: 5, lastByte: 9 }],
    ['bytes=5-99', { firstByte: 5, lastByte: 9 }],
    ['bytes=-3', { firstByte: 7, lastByte: 9 }],
    ['bytes=-99', { firstByte: 0, lastByte: 9 }],
    ['bytes=10-', 'beyond'],
    ['bytes=-0', 'beyond'],
    ['bytes=-', null],
    ['bytes=5-4', null],
    ['bytes=0-1,3-4', null],
    ['lines=0-1', null],
    ['bytes=1e1-', null],
    [`bytes=${'9'.repeat(400)}-`, null],
  ];
  for (const [header, expected] of rows) t.same(readRange(header, 10), expected, header ?? 'none');
  t.end();
});

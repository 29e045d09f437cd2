import t from 'tap';
import { emptyDecoded, type Decoded } from './decoded.ts';
import { crc16Ibm, decodeTeltonika, type TeltonikaFrame } from './teltonika.ts';
import { IO_ELEMENTS, ioReading } from './teltonika-io.ts';
import { encodeFrame, encodeRecords, encodeReply } from '../teltonika/test-frames.ts';

const NOW_MS = Date.parse('2026-06-15T12:00:00Z');
const AT_MS = Date.parse('2026-06-15T11:59:30Z');
const AT = `timeMs=${AT_MS}`;
const PLACE = 'latDeg=51.92 lonDeg=4.47 altitudeM=-3 speedMps=20 headingDeg=359 satellites=11';

/** A frame's decoding in lines: what a reader of the table wants to see. */
function told({ kind, recordCount, decoded }: TeltonikaFrame): string[] {
  const { fixes, readings, events, refusals, ignored } = decoded;
  return [
    `${kind} ${recordCount}`,
    ...fixes.map(({ index: _, ...fix }) => {
      const known = Object.entries(fix).filter(
        ([, value]) => value !== null && !Number.isNaN(value),
      );
      const named = new Map(known);
      const order = [
        'timeMs',
        'latDeg',
        'lonDeg',
        'altitudeM',
        'speedMps',
        'headingDeg',
        'satellites',
      ];
      const rest = [...named.keys()].filter((name) => !order.includes(name));
      const shown = [...order.filter((name) => named.has(name)), ...rest];
      return `fix ${shown.map((name) => `${name}=${named.get(name)}`).join(' ')}`;
    }),
    ...readings.map((r) => `reading ${r.metricCode}=${r.value}${r.uomCode ? ` ${r.uomCode}` : ''}`),
    ...events.map((e) => `event ${e.kind} ${e.timeMs} ${JSON.stringify(e.detail)}`),
    ...refusals.map((refusal) => `refused ${refusal.index} ${refusal.reason}`),
    ...[...ignored].map(([field, count]) => `ignored ${field} ×${count}`),
  ];
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

/** Frames written out by hand from the format, spaces between the fields; the CRCs are from another program. */
const rows: [string, string, string[]][] = [
  [
    'codec 8, no IO elements',
    '00000000 00000021 08 01 0000019ecb26acd0 00 02aa1160 1ef25d00 fffd 0167 0b 0048 00 00 00 00 00 00 01 000082e0',
    ['records 1', `fix ${AT} ${PLACE}`],
  ],
  [
    'codec 8, every width, high priority, made by an element',
    '00000000 0000003b 08 01 0000019ecb26acd0 01 02aa1160 1ef25d00 fffd 0167 0b 0048 f0 06 02 ef01 f001 01 422f44 02 1000018a92 48ffffff4f 01 4e0000000000001234 01 0000cbcb',
    [
      'records 1',
      `fix ${AT} ${PLACE} odometerM=101010 ignition=1 motion=1 event=io.240`,
      'reading external_v=12.1 V',
      'reading temperature_c=-17.7 Cel',
      'reading io.78=4660',
      'reading priority=1',
    ],
  ],
  [
    'west and south are negative; 360° is 0°',
    '00000000 00000021 08 01 0000019ecb26acd0 00 d646d900 ec084e40 0000 0168 04 0000 00 00 00 00 00 00 01 00003478',
    [
      'records 1',
      `fix ${AT} latDeg=-33.5 lonDeg=-70 altitudeM=0 speedMps=0 headingDeg=0 satellites=4`,
    ],
  ],
  [
    'no satellites: the position is an old one and left out, the rest is kept',
    '00000000 0000002c 08 01 0000019ecb26acd0 02 02aa1160 1ef25d00 0005 0000 00 0000 ef 04 03 ef00 f001 1504 00 01 10000003e8 00 01 00003bbc',
    [
      'records 1',
      'reading ignition=0 1',
      'reading motion=1 1',
      'reading gsm_level=4',
      'reading odometer_m=1000 m',
      'reading priority=2',
      'reading event_io=239',
      'ignored position_without_fix ×1',
    ],
  ],
  [
    'codec 8E: wide ids, a signed value, 2^53, a variable element',
    '00000000 00000047 8e 01 0000019ecb26acd0 00 02aa1160 1ef25d00 fffd 0167 0b 0048 0181 0005 0001 0015 05 0001 2a30 fb5d 0001 00f1 00004e84 0001 0042 0020000000000000 0001 2c35 0003 aabbcc 01 00003171',
    [
      'records 1',
      `fix ${AT} ${PLACE} event=io.385`,
      'reading gsm_level=5',
      'reading eye_1_temperature_c=-11.87 Cel',
      'reading io.241=20100',
      'ignored io_8_bytes ×1',
      'ignored io_variable_bytes ×1',
    ],
  ],
  [
    'codec 16: wide ids, narrow counts, a generation byte',
    '00000000 00000031 10 01 0000019ecb26acd0 00 02aa1160 1ef25d00 fffd 0167 0b 0048 000b 05 04 02 0001 00 0003 01 02 000b 0027 0042 563a 00 00 01 00002091',
    [
      'records 1',
      `fix ${AT} ${PLACE} event=io.11`,
      'reading io.1=0',
      'reading io.3=1',
      'reading io.11=39',
      'reading external_v=22.074 V',
    ],
  ],
  [
    'codec 8 with a fifth group, of 16 bytes',
    '00000000 00000052 08 02 0000019ecb26acd0 00 02aa1160 1ef25d00 fffd 0167 0b 0048 00 01 00 00 00 00 01 c8 000102030405060708090a0b0c0d0e0f 0000019ecb26b0b8 00 02aa1160 1ef25d00 fffd 0167 0b 0048 00 00 00 00 00 00 00 02 0000ea3b',
    [
      'records 2',
      `fix ${AT} ${PLACE}`,
      `fix timeMs=${AT_MS + 1000} ${PLACE}`,
      'ignored io_16_bytes ×1',
    ],
  ],
  [
    'a clock that counts from 1970: that record alone is refused, and never read as seconds',
    '00000000 0000003f 08 02 000000006a2fe922 00 02aa1160 1ef25d00 fffd 0167 0b 0048 00 00 00 00 00 00 0000019ecb26acd0 00 02aa1160 1ef25d00 fffd 0167 0b 0048 00 00 00 00 00 00 02 0000b82e',
    ['records 2', `fix ${AT} ${PLACE}`, 'refused 0 time_range'],
  ],
  [
    'latitude beyond the pole',
    '00000000 00000021 08 01 0000019ecb26acd0 00 00000000 35a4e901 0000 0000 05 0000 00 00 00 00 00 00 01 0000acf1',
    ['records 1', 'refused 0 lat_range'],
  ],
  [
    'longitude beyond the date line',
    '00000000 00000021 08 01 0000019ecb26acd0 00 94b62dff 00000000 0000 0000 05 0000 00 00 00 00 00 00 01 0000e304',
    ['records 1', 'refused 0 lon_range'],
  ],
  [
    'what no sensor measures stays a number; what no fix has is left out',
    '00000000 00000045 08 01 0000019ecb26acd0 00 00989680 01312d00 0000 0169 05 0e11 00 09 03 ef02 150a c805 02 b5000e b60007 03 480000 0bb8 490000 0352 4affff fda8 01 4effffffffffffffff 01 0000d736',
    [
      'records 1',
      `fix ${AT} latDeg=2 lonDeg=1 altitudeM=0 satellites=5`,
      'reading io.239=2',
      'reading io.21=10',
      'reading io.200=5',
      'reading pdop=1.4',
      'reading hdop=0.7',
      'reading io.72=3000',
      'reading io.73=850',
      'reading io.74=4294966696',
      'ignored io_8_bytes ×1',
      'ignored heading_deg ×1',
      'ignored speed_kph ×1',
    ],
  ],
  ['no records', '00000000 00000003 08 00 00 0000c281', ['records 0']],
  [
    'codec 12: a reply',
    '00000000 0000000d 0c 01 06 00000005 4f4b3a310a 01 0000c197',
    ['replies 1', `event command_reply ${NOW_MS} {"codec":12,"type":6,"text":"OK:1\\n"}`],
  ],
  [
    'codec 13: a reply with its time',
    '00000000 0000000e 0d 01 06 00000006 6a2fe922 4f4b 01 0000bfda',
    ['replies 1', `event command_reply ${AT_MS} {"codec":13,"type":6,"text":"OK"}`],
  ],
  [
    'codec 14: refused by the device, with its IMEI alone',
    '00000000 00000010 0e 01 11 00000008 0352093081452251 01 000032ac',
    ['replies 1', `event command_reply ${NOW_MS} {"codec":14,"type":17,"text":""}`],
  ],
  [
    'codec 12: a command, which is ours to send',
    '00000000 0000000f 0c 01 05 00000007 676574696e666f 01 00004312',
    ['refused 0', 'refused -1 command_direction'],
  ],
  [
    'codec 7',
    '00000000 00000004 07 01 00 01 00007491',
    ['refused 0', 'refused -1 codec_unsupported'],
  ],
  [
    'the counts differ',
    '00000000 00000021 08 01 0000019ecb26acd0 00 02aa1160 1ef25d00 fffd 0167 0b 0048 00 00 00 00 00 00 02 000083a0',
    ['refused 0', 'refused -1 frame_count'],
  ],
  [
    'both counts say one record more than there is',
    '00000000 00000021 08 02 0000019ecb26acd0 00 02aa1160 1ef25d00 fffd 0167 0b 0048 00 00 00 00 00 00 02 000037a0',
    ['refused 0', 'refused -1 frame_records'],
  ],
  [
    'both counts say one record fewer than there is',
    '00000000 0000003f 08 01 0000019ecb26acd0 00 02aa1160 1ef25d00 fffd 0167 0b 0048 00 00 00 00 00 00 0000019ecb26acd0 00 02aa1160 1ef25d00 fffd 0167 0b 0048 00 00 00 00 00 00 01 0000ce39',
    ['refused 0', 'refused -1 frame_records'],
  ],
  [
    'nothing of a refused record is kept',
    '00000000 00000045 08 02 0000000000001b58 00 02aa1160 1ef25d00 fffd 0167 0b 0048 00 02 02 1504 ef01 00 00 00 0000019ecb26acd0 00 02aa1160 1ef25d00 fffd 0167 0b 0048 00 01 01 1503 00 00 00 02 0000bd81',
    ['records 2', `fix ${AT} ${PLACE}`, 'reading gsm_level=3', 'refused 0 time_range'],
  ],
];

t.test('frame → what is kept', (t) => {
  for (const [name, hex, expected] of rows) {
    t.same(told(decodeTeltonika(bytesOf(hex), NOW_MS)), expected, name);
  }
  t.end();
});

const sound = bytesOf(rows[1]![1]);

t.test('a flipped bit, a missing byte, a byte too many: the whole frame is refused', (t) => {
  const reasons = new Map<string, number>();
  const note = (frame: Buffer): void => {
    const { kind, recordCount, decoded } = decodeTeltonika(frame, NOW_MS);
    const reason = decoded.refusals[0]?.reason ?? kind;
    const kept = decoded.fixes.length + decoded.readings.length + recordCount;
    const key = kind === 'refused' && kept === 0 ? reason : `kept as ${kind}`;
    reasons.set(key, (reasons.get(key) ?? 0) + 1);
  };
  for (let bit = 0; bit < sound.length * 8; bit++) {
    const frame = Buffer.from(sound);
    frame[bit >> 3]! ^= 1 << (bit & 7);
    note(frame);
  }
  t.same(Object.fromEntries(reasons), {
    frame_preamble: 32,
    frame_length: 32,
    frame_crc: (sound.length - 8) * 8,
  });
  reasons.clear();
  for (let length = 0; length < sound.length; length++) note(sound.subarray(0, length));
  note(Buffer.concat([sound, Buffer.alloc(1)]));
  t.same(Object.fromEntries(reasons), { frame_length: sound.length + 1 });
  t.end();
});

t.test('a refused record says which, and keeps its bytes', (t) => {
  const [, hex] = rows.find(([name]) => name.includes('1970'))!;
  const { decoded } = decodeTeltonika(bytesOf(hex), NOW_MS);
  const [refusal] = decoded.refusals;
  t.equal(refusal?.index, 0);
  t.match(refusal?.detail, '1970-01-21');
  t.equal(refusal?.payload, bytesOf(hex).subarray(10, 40).toString('hex'));
  t.equal(decoded.fixes[0]?.index, 1);
  t.end();
});

t.test('the window of time is that of all wires', (t) => {
  const day = 86_400_000;
  const kept = (timeMs: number): boolean =>
    decodeTeltonika(encodeRecords(0x08, [{ timeMs }]), NOW_MS).decoded.fixes.length === 1;
  t.same([NOW_MS - 90 * day - 1, NOW_MS - 90 * day, NOW_MS + 600_000, NOW_MS + 600_001].map(kept), [
    false,
    true,
    true,
    false,
  ]);
  const far = decodeTeltonika(encodeRecords(0x8e, [{ timeMs: 2 ** 63 }]), NOW_MS).decoded;
  t.equal(far.refusals[0]?.reason, 'time_range', 'a time no calendar has');
  t.end();
});

t.test('eight bytes are a number up to 2^53 − 1', (t) => {
  const values = [2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n];
  const io = values.map((value, i) => ({ id: 100 + i, widthBytes: 8 as const, value }));
  const { decoded } = decodeTeltonika(encodeRecords(0x8e, [{ timeMs: AT_MS, io }]), NOW_MS);
  t.same(
    decoded.readings.map(({ metricCode, value }) => [metricCode, value]),
    [['io.100', Number.MAX_SAFE_INTEGER]],
  );
  t.equal(decoded.ignored.get('io_8_bytes'), 2);
  t.end();
});

t.test('the encoder and the decoder agree on every codec', (t) => {
  const io = [
    { id: 239, widthBytes: 1 as const, value: 1 },
    { id: 17, widthBytes: 2 as const, value: -1000 },
    { id: 72, widthBytes: 4 as const, value: -195 },
    { id: 74, widthBytes: 2 as const, value: -5 },
    { id: 199, widthBytes: 4 as const, value: 0xffff_ffff },
  ];
  const record = { timeMs: AT_MS, latDeg: -12.5, lonDeg: 77.25, speedKph: 36, eventId: 239, io };
  for (const codec of [0x08, 0x8e, 0x10] as const) {
    const frame = encodeRecords(codec, [record, { timeMs: AT_MS + 1 }]);
    t.same(told(decodeTeltonika(frame, NOW_MS)), [
      'records 2',
      `fix ${AT} latDeg=-12.5 lonDeg=77.25 altitudeM=0 speedMps=10 headingDeg=0 satellites=9 ignition=1 event=io.239`,
      `fix timeMs=${AT_MS + 1} latDeg=0 lonDeg=0 altitudeM=0 speedMps=0 headingDeg=0 satellites=9`,
      'reading io.17=-1000',
      'reading temperature_3_c=-0.5 Cel',
      'reading temperature_c=-19.5 Cel',
      'reading io.199=4294967295',
    ]);
  }
  t.end();
});

t.test('replies: text where it is printable, the bytes otherwise, nothing endless', (t) => {
  const detail = (frame: Buffer) => decodeTeltonika(frame, NOW_MS).decoded.events[0]?.detail;
  t.same(detail(encodeReply('Ver:03.27', 0x06)), { codec: 12, type: 6, text: 'Ver:03.27' });
  t.same(detail(encodeReply(Buffer.from([1, 3, 255]), 0x0d)), {
    codec: 12,
    type: 13,
    hex: '0103ff',
  });
  const reason = (frame: Buffer) => decodeTeltonika(frame, NOW_MS).decoded.refusals[0]?.reason;
  t.equal(reason(encodeReply(Buffer.alloc(20_000, 65))), 'reply_too_large');
  t.equal(
    reason(encodeReply(Buffer.alloc(10_000))),
    'reply_too_large',
    'twice as long in hexadecimal',
  );
  t.equal(reason(encodeFrame(bytesOf('0c 01 06 00000006 4f4b 01'))), 'frame_records', 'too long');
  t.equal(reason(encodeFrame(bytesOf('0c 01 06 00000001 4f4b 01'))), 'frame_records', 'too short');
  t.equal(
    reason(encodeFrame(bytesOf('0d 01 06 00000002 4f4b 01'))),
    'frame_records',
    'no room for a time',
  );
  const reset = encodeFrame(bytesOf('0d 01 06 00000006 00000007 4f4b 01'));
  t.equal(decodeTeltonika(reset, NOW_MS).decoded.events[0]?.timeMs, NOW_MS, 'a clock in 1970');
  t.end();
});

t.test('CRC-16/IBM has its published check value', (t) => {
  t.equal(crc16Ibm(Buffer.from('123456789'), 0, 9), 0xbb3d);
  t.equal(crc16Ibm(Buffer.from('x123456789x'), 1, 10), 0xbb3d, 'of a part');
  t.end();
});

t.test('names in the table of IO elements are used once and fit for a metric', (t) => {
  const codes = [...IO_ELEMENTS.values()].map(({ metricCode }) => metricCode);
  t.equal(new Set(codes).size, codes.length);
  t.ok(codes.every((code) => /^[A-Za-z0-9_.:#%-]{1,64}$/.test(code)));
  t.same(ioReading(24, 90, 2), { metricCode: 'io_speed_mps', value: 25, uomCode: 'm/s' });
  t.same(ioReading(72, 0xfdda, 2), { metricCode: 'temperature_c', value: -55, uomCode: 'Cel' });
  t.same(ioReading(72, 0xfdd9, 2), { metricCode: 'io.72', value: 0xfdd9, uomCode: null });
  t.end();
});

t.test('20,000 rows is the most of one frame', (t) => {
  const io = Array.from({ length: 255 }, (_, i) => ({ id: i, widthBytes: 1 as const, value: 1 }));
  const of = (count: number): Decoded =>
    decodeTeltonika(
      encodeRecords(
        0x08,
        Array.from({ length: count }, (_, i) => ({ timeMs: AT_MS + i, io })),
      ),
      NOW_MS,
    ).decoded;
  const rowsEach = of(1).readings.length + 1;
  const countMax = Math.floor(20_000 / rowsEach);
  t.same(of(countMax).refusals, []);
  t.same(
    of(countMax + 1).refusals.map(({ reason }) => reason),
    ['rows_max'],
  );
  t.same({ ...of(countMax + 1), refusals: [] }, emptyDecoded());
  t.end();
});

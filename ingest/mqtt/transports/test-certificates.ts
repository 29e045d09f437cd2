/**
 * For tests: a certificate authority in a few lines, because a test must not depend on which tools a machine has. Writes
 * X.509 version 3 (RFC 5280) in DER by hand, signed with ECDSA over P-256.
 */
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

const OID_ECDSA_SHA256 = '1.2.840.10045.4.3.2';
const OID_COMMON_NAME = '2.5.4.3';
const OID_BASIC_CONSTRAINTS = '2.5.29.19';
const OID_SUBJECT_ALT_NAME = '2.5.29.17';
const DAY_MS = 86_400_000;

const TAG = {
  integer: 2,
  bits: 3,
  octets: 4,
  oid: 6,
  utf8: 12,
  utcTime: 23,
  sequence: 48,
  set: 49,
};

/** What a certificate says. */
export interface CertificateWish {
  readonly commonName?: string;
  readonly dnsNames?: readonly string[];
  readonly uris?: readonly string[];
  /** IPv4. */
  readonly addresses?: readonly string[];
  readonly isAuthority?: boolean;
  /** From and until when it holds, in days from now. */
  readonly daysFrom?: number;
  readonly daysUntil?: number;
}

/** A certificate and its key, as PEM. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface TestAuthority extends TestCertificate {
  issue(wish: CertificateWish): TestCertificate;
}

/** An authority with a key of its own. */
export function createTestAuthority(commonName = 'Test authority'): TestAuthority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { name: commonName, key: keys.privateKey };
  const own = certificate(keys.publicKey, issuer, { commonName, isAuthority: true });
  return {
    cert: own,
    key: pem(keys.privateKey),
    issue(wish) {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      return { cert: certificate(publicKey, issuer, wish), key: pem(privateKey) };
    },
  };
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function certificate(
  publicKey: KeyObject,
  issuer: { name: string; key: KeyObject },
  wish: CertificateWish,
): string {
  const algorithm = der(TAG.sequence, oid(OID_ECDSA_SHA256));
  const toSign = der(
    TAG.sequence,
    der(0xa0, der(TAG.integer, Buffer.from([2]))),
    der(TAG.integer, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    name(issuer.name),
    der(TAG.sequence, utcTime(wish.daysFrom ?? -1), utcTime(wish.daysUntil ?? 30)),
    name(wish.commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(TAG.sequence, ...extensions(wish))),
  );
  const signature = sign('sha256', toSign, issuer.key);
  const whole = der(TAG.sequence, toSign, algorithm, der(TAG.bits, Buffer.from([0]), signature));
  const lines = whole
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function extensions(wish: CertificateWish): Buffer[] {
  const found: Buffer[] = [];
  const add = (id: string, ...value: Buffer[]): void => {
    const octets = der(TAG.octets, der(TAG.sequence, ...value));
    found.push(der(TAG.sequence, oid(id), octets));
  };
  const isTrue = der(1, Buffer.from([0xff]));
  add(OID_BASIC_CONSTRAINTS, ...(wish.isAuthority === true ? [isTrue] : []));
  const names = [
    ...(wish.dnsNames ?? []).map((text) => der(0x82, Buffer.from(text))),
    ...(wish.uris ?? []).map((text) => der(0x86, Buffer.from(text))),
    ...(wish.addresses ?? []).map((text) => der(0x87, Buffer.from(text.split('.').map(Number)))),
  ];
  if (names.length > 0) add(OID_SUBJECT_ALT_NAME, ...names);
  return found;
}

function name(commonName: string | undefined): Buffer {
  if (commonName === undefined) return der(TAG.sequence);
  const value = der(TAG.utf8, Buffer.from(commonName));
  return der(TAG.sequence, der(TAG.set, der(TAG.sequence, oid(OID_COMMON_NAME), value)));
}

function utcTime(daysFromNow: number): Buffer {
  const text = new Date(Date.now() + daysFromNow * DAY_MS).toISOString().replace(/\D/g, '');
  return der(TAG.utcTime, Buffer.from(`${text.slice(2, 14)}Z`));
}

function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  const bytes = [first! * 40 + second!];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(TAG.oid, Buffer.from(bytes));
}

function der(tag: number, ...contents: Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  const { length } = body;
  let header = [tag, length];
  if (length >= 0x100) header = [tag, 0x82, length >> 8, length & 0xff];
  else if (length >= 0x80) header = [tag, 0x81, length];
  return Buffer.concat([Buffer.from(header), body]);
}
